from __future__ import annotations

import math

import pytest

from opticdesign.errors import DesignError
from opticdesign.studies.autoencoders.schema import (
    AutoencoderStudy,
    AutoencoderTraining,
    IdxData,
    load_autoencoder_study,
)
from tests.support.design_texts import ROOT

SHIPPED = ROOT / "designs" / "studies" / "autoencoders.toml"


@pytest.fixture
def study() -> AutoencoderStudy:
    return load_autoencoder_study(SHIPPED)


def test_shipped_study_writes_out_the_defaults(study: AutoencoderStudy) -> None:
    fields = AutoencoderStudy.model_fields
    assert study.training == AutoencoderTraining()
    assert (study.hidden, study.split) == (fields["hidden"].default, fields["split"].default)
    assert study.phase_range == pytest.approx(math.pi, rel=1e-12)
    assert len(study.seeds) >= 3


def test_shipped_study_takes_digits_of_the_user() -> None:
    study = load_autoencoder_study(SHIPPED, ["data.kind=idx", "data.path=mnist"])
    assert study.data == IdxData(kind="idx", path="mnist")


def test_quick_study_is_smaller_in_every_way_and_of_the_same_digits(study: AutoencoderStudy) -> None:
    quick = study.quick()
    assert quick.training.steps < study.training.steps
    assert quick.hidden < study.hidden
    assert set(quick.latents) < set(study.latents)
    assert set(quick.seeds) < set(study.seeds)
    assert (quick.data, quick.split, quick.phase_range) == (study.data, study.split, study.phase_range)
    assert quick.quick() == quick


@pytest.mark.parametrize("change", ["name=other", "latents=[2]", "seeds=[7, 8]", "data={kind='idx', path='x'}"])
def test_digest_leaves_out_what_a_single_result_does_not_depend_on(study: AutoencoderStudy, change: str) -> None:
    assert load_autoencoder_study(SHIPPED, [change]).digest("a") == study.digest("a")


@pytest.mark.parametrize(
    "change",
    [
        "hidden=255",
        "phase_range='3 rad'",
        "split=[0.7, 0.2, 0.1]",
        "training.steps=1",
        "training.batch=2",
        "training.rate=0.02",
    ],
)
def test_digest_holds_what_a_result_depends_on(study: AutoencoderStudy, change: str) -> None:
    assert load_autoencoder_study(SHIPPED, [change]).digest("a") != study.digest("a")
    assert study.digest("a") != study.digest("b")


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ("phase_range='360 deg'", "phase_range", "less than 6.28"),  # ink and background would look the same
        ("phase_range='0 rad'", "phase_range", "more than 0"),
        ("phase_range=3.14", "phase_range", "with a unit"),
        ("phase_range='3 um'", "phase_range", "an angle"),
        ("latents=[]", "latents", "numbers in the code"),
        ("latents=[4, 4]", "latents", "different values"),
        ("latents=[4, 0]", "latents[1]", "at least 1"),
        ("seeds=[1, 1]", "seeds", "different values"),
        ("seeds=[-1]", "seeds[0]", "at least 0"),
        ("split=[0.5, 0.4, 0.3]", "split", "a sum of 1"),
        ("split=[1.0, 0.0, 0.0]", "split[0]", "less than 1"),
        ("training.batch=1", "training.batch", "at least 2"),  # one image has no variance to standardise by
        ("training.stepz=1", "training.stepz", "one of steps"),
        ("data.kind=mnist", "data.kind", '"stand-in" or "idx"'),
        ("data.kind=idx", "data.path", "a file or folder"),
    ],
)
def test_broken_study_names_key_and_what_was_expected(change: str, key: str, expected: str) -> None:
    with pytest.raises(DesignError, match=r"--set|autoencoders\.toml") as caught:
        load_autoencoder_study(SHIPPED, [change])
    problem = next(problem for problem in caught.value.problems if problem.key == key)
    assert expected in problem.expected


def test_broken_study_file_names_the_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "study.toml"
    path.write_text(SHIPPED.read_text("utf-8").replace("hidden = 256", 'hidden = "256"'), "utf-8")
    with pytest.raises(DesignError, match=rf"study\.toml:{_line(path, 'hidden')}: hidden has the wrong form"):
        load_autoencoder_study(path)


def test_missing_key_sends_to_the_shipped_study(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "study.toml").write_text('kind = "autoencoders"\n')
    with pytest.raises(DesignError, match="missing"):
        load_autoencoder_study(tmp_path / "study.toml")
    with pytest.raises(DesignError, match=r"designs/studies/autoencoders\.toml is a complete study"):
        load_autoencoder_study(tmp_path / "nothing.toml")


def _line(path, start: str) -> int:  # type: ignore[no-untyped-def]
    lines = path.read_text("utf-8").split("\n")
    return next(number for number, line in enumerate(lines, start=1) if line.startswith(start))
