from __future__ import annotations

from pathlib import Path

import pytest

from opticdesign.design import load_design
from opticdesign.errors import DesignError
from opticdesign.studies.fields import study_kind
from opticdesign.studies.quantisation.schema import FLOAT, QuantisationStudy, load_quantisation_study
from tests.support.design_texts import D2NN5, ROOT, TINY

SHIPPED = ROOT / "designs" / "studies" / "quantisation.toml"
TEXT = """\
kind = "quantisation"
name = "small"
design = "tiny.toml"
seeds = [0, 1]
levels = [4, 2]
roundings = ["straight-through", "gumbel"]
set = ["training.batch=2"]

[quick]
seeds = [1]
levels = [3]
set = ["data.fields=4"]
"""


def written(folder: Path, text: str = TEXT, *changes: str) -> Path:
    (folder / "tiny.toml").write_text(load_design(D2NN5, [*TINY, *changes]).to_toml(), encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def study(tmp_path: Path) -> QuantisationStudy:
    return load_quantisation_study(written(tmp_path))


def test_shipped_study_is_of_its_kind_and_of_the_levels_that_are_asked_for() -> None:
    assert study_kind(SHIPPED) == "quantisation"
    shipped = load_quantisation_study(SHIPPED)
    assert shipped.levels == (2, 4, 8, 16)
    assert len(shipped.seeds) >= 3
    design = shipped.trained_design("soft", 4, 7, quick=False)
    assert (design.optics.neurons, design.fabrication.levels, design.training.seed) == ((128, 128), 4, 7)
    assert sum(stage.steps for stage in design.training.stages.values()) == 1040


def test_one_training_is_float_and_each_rounding_has_one_for_each_number_of_levels(study: QuantisationStudy) -> None:
    assert list(study.trainings(quick=False)) == [
        ("float", FLOAT, (4, 2)),
        ("straight-through-4", "straight-through", (4,)),
        ("straight-through-2", "straight-through", (2,)),
        ("gumbel-4", "gumbel", (4,)),
        ("gumbel-2", "gumbel", (2,)),
    ]
    assert [levels for _, _, levels in study.trainings(quick=True)] == [(3,)] * 3
    assert (study.seeds_of(False), study.seeds_of(True)) == ((0, 1), (1,))


def test_trainings_differ_in_what_they_see_of_levels_alone(study: QuantisationStudy) -> None:
    plain = study.trained_design(FLOAT, 4, 0, quick=False)
    assert not any(stage.quantised for stage in plain.training.stages.values())
    seen = study.trained_design("straight-through", 4, 0, quick=False)
    assert all(stage.quantised and stage.rounding == "straight-through" for stage in seen.training.stages.values())
    drawn = study.trained_design("gumbel", 4, 0, quick=False)
    roundings = {name: (stage.rounding, stage.temperature) for name, stage in drawn.training.stages.items()}
    plain_rounding = ("straight-through", None)
    assert roundings == {
        "optics": ("gumbel", (1.0, 0.005)),
        "decoder": plain_rounding,
        "joint": plain_rounding,
    }
    for design in (seen, drawn):
        stages = {
            name: stage.model_copy(update={"quantised": False, "rounding": "straight-through", "temperature": None})
            for name, stage in design.training.stages.items()
        }
        assert design.model_copy(update={"training": design.training.model_copy(update={"stages": stages})}) == plain
    assert type(drawn).model_validate_json(drawn.model_dump_json(), strict=False) == drawn  # could stand in a file


def test_a_float_training_keeps_the_levels_of_its_design_and_takes_other_values(study: QuantisationStudy) -> None:
    design = study.trained_design(FLOAT, None, 3, quick=True, changes=["training.batch=4"])
    assert (design.fabrication.levels, design.training.seed, design.training.batch) == (8, 3, 4)
    assert design.data.fields == 4


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("levels = [4, 2]", "levels = [4, 4]", "levels"),
        ("levels = [4, 2]", "levels = []", "levels"),
        ("levels = [4, 2]", "levels = [1]", "levels[0]"),
        ('"gumbel"]', '"hard"]', "roundings[1]"),
        ('"gumbel"]', '"straight-through"]', "roundings"),
        ("seeds = [0, 1]", "seeds = []", "seeds"),
        ("tiny.toml", "none.toml", "design"),
        ("[quick]", "temperature = [0.1, 0.2]\n[quick]", "temperature"),
        ("[quick]", "stages = 3\n[quick]", "stages"),
    ],
)
def test_broken_studies_say_where(old: str, new: str, key: str, tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(DesignError, match=r".") as caught:
        load_quantisation_study(path)
    assert key in [problem.key for problem in caught.value.problems]
    assert all(problem.source == str(path) and problem.line for problem in caught.value.problems)


def test_a_design_that_cannot_have_the_levels_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT, "slm.two_pi_grey=16").read_text().replace("[4, 2]", "[4, 32]")
    with pytest.raises(DesignError, match=r"32 levels do not fit into 16 greys") as caught:
        load_quantisation_study(written(tmp_path, path, "slm.two_pi_grey=16"))
    assert "study.toml" in str(caught.value)
    heights = ("fabrication.levels=2", 'fabrication.heights=["0 nm", "500 nm"]')
    with pytest.raises(DesignError, match=r"not one height for each level"):
        load_quantisation_study(written(tmp_path, TEXT, *heights))
