from __future__ import annotations

from pathlib import Path

import pytest

from opticdesign.errors import DesignError
from opticdesign.studies.transfer.schema import load_transfer_study, network_name
from tests.support.defocused_study import write_study
from tests.support.design_texts import ROOT

SHIPPED = ROOT / "designs" / "studies"
TEXT = """\
kind = "transfer"
name = "small"
design = "tiny.toml"
key = "optics.defocus"
values = ["1 um", "4 um"]
seeds = [0, 1]
set = ["training.batch=1"]

[quick]
seeds = [1]
values = ["3 um"]
"""


def test_shipped_grids_are_those_of_the_paper() -> None:
    defocus, coherence = (load_transfer_study(SHIPPED / f"dlsrqpi-{name}.toml") for name in ("defocus", "coherence"))
    depths = [defocus.design_at(value, 0, quick=False).optics.defocus for value in defocus.values]
    assert depths == pytest.approx([step * 1e-6 for step in range(1, 14)])
    optics = [coherence.design_at(value, 0, quick=False).optics for value in coherence.values]
    assert [each.coherence for each in optics] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert {each.defocus for each in optics} == {4e-6}
    design = defocus.design_at("3 um", 5, quick=False)
    stage = design.training.stages["decoder"]
    assert (stage.loss, stage.steps, stage.decoder_rate, design.training.batch) == ("mse", 200 * 1300 // 8, 0.01, 8)


@pytest.mark.parametrize(("name", "low", "high"), [("defocus", 1e-6, 13e-6), ("coherence", 0.0, 0.4)])
def test_the_shipped_adaptive_network_sees_all_values_evenly(name: str, low: float, high: float) -> None:
    design = load_transfer_study(SHIPPED / f"dlsrqpi-{name}.toml").design_at(None, 0, quick=False)
    stage = design.training.stages["decoder"]
    assert (stage.vaccinated, stage.quantised, stage.draws) == (True, True, "patch")
    if name == "defocus":
        ends = [design.optics.defocus + end for end in design.tolerance.gap.range]
        reach = design.optics.model_copy(update={"defocus": high}).reach(design.light.wavelength)
        assert design.optics.margin >= reach
    else:
        ends = [design.optics.coherence * (1.0 + end) for end in design.tolerance.coherence.range]
    assert ends == pytest.approx([low, high])


def test_designs_differ_in_the_key_alone(tmp_path: Path) -> None:
    study = load_transfer_study(write_study(tmp_path, TEXT))
    near, far = (study.design_at(value, 3, quick=False) for value in study.values)
    assert near != far
    optics = far.optics.model_copy(update={"defocus": near.optics.defocus})
    assert far.model_copy(update={"optics": optics}) == near
    assert (study.values_of(True), study.seeds_of(True), study.values_of(False)) == (("3 um",), (1,), ("1 um", "4 um"))
    assert [network_name(value) for value in ("-1.5 um", 0.1, 0)] == ["at--1.5um", "at-0.1", "at-0"]


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ('values = ["1 um", "4 um"]', 'values = ["1 um", "1um"]', "values[1]", "remove one"),
        ('values = ["1 um", "4 um"]', "values = []", "values", "one value or more"),
        ('values = ["3 um"]', 'values = ["3 um", "3 um"]', "quick.values", "remove one"),
        ("optics.defocus", "training.seed", "key", "a key of the optics"),
        ("optics.defocus", "optics.defocsu", "optics.defocsu", "defocus"),
        ('"4 um"]', '"4 kg"]', "optics.defocus", "study.toml, its key=value texts or --set"),
        ("[quick]", 'adaptive = ["optics.neurons=64"]\n[quick]', "key, adaptive", "one sampling"),
        ("tiny.toml", "none.toml", "design", "design file"),
    ],
)
def test_broken_studies_say_where_and_what_to_do(old: str, new: str, key: str, said: str, tmp_path: Path) -> None:
    path = write_study(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(DesignError, match=r".") as caught:
        load_transfer_study(path)
    assert key in [problem.key for problem in caught.value.problems]
    assert said in str(caught.value)


def test_optics_that_learn_are_refused(tmp_path: Path) -> None:
    learns = ('optics.learn=["defocus"]', 'training.stages.decoder.train=["optics", "decoder"]')
    path = write_study(tmp_path, TEXT, *learns, "training.stages.decoder.optics_rate=0.1")
    with pytest.raises(DesignError, match=r"only a decoder can be judged"):
        load_transfer_study(path)
