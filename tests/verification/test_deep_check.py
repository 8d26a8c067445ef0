"""The deep check: a design's own model beside the independent one, right and wrong designs."""

from __future__ import annotations

import pytest

from opticdesign.design import load_design
from opticdesign.errors import UsageError
from opticdesign.verification import deep_check, second_opinion
from opticdesign.verification.deep_check import check_deeply
from tests.support.design_texts import D2NN5, ROOT

SMALL = ("optics.neurons=64", "evaluation.overlap=16")


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        (D2NN5, ("optics.layers=2",)),
        (D2NN5, ("optics.neurons=[64, 32]", "detector.binning=4", "optics.fill_factor=0.8", "optics.gaps=clear")),
        (ROOT / "designs" / "lff64.toml", ("optics.radius=32.0",)),
        (ROOT / "designs" / "lff64.toml", ("optics.radius=32.0", "optics.fill_factor=0.8", "optics.mode=phase")),
    ],
)
def test_models_agree_as_designs_are_shipped(path, settings) -> None:
    checks = list(check_deeply(load_design(path, (*SMALL, *settings))))
    assert [check.name for check in checks] == ["independent model, starting masks", "independent model, random masks"]
    assert [check.verdict for check in checks] == ["pass", "pass"], checks
    assert all("(optics.accuracy)" in check.limit and "for a smooth object" in check.found for check in checks)


def test_neurons_that_are_points_are_another_device() -> None:
    design = load_design(D2NN5, (*SMALL, "optics.layers=2", "optics.samples=1"))
    random = list(check_deeply(design))[1]
    assert random.verdict == "warn"
    assert "the design is of points (optics.samples = 1), what is made are squares" in random.found


def test_too_narrow_windows_are_noticed() -> None:
    design = load_design(D2NN5, (*SMALL, "optics.layers=2", "optics.padding=1.0", "optics.propagator=angular-spectrum"))
    assert all(check.verdict == "warn" and "optics.padding" in check.remedy for check in check_deeply(design))


def test_planes_that_memory_does_not_hold_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> second_opinion.SecondOpinion:
        raise UsageError("planes of 99999 samples", remedy="take fewer fields at once, or more memory")

    monkeypatch.setattr(deep_check, "second_opinion", refuse)
    checks = list(check_deeply(load_design(D2NN5, (*SMALL, "optics.layers=1"))))
    assert {(check.verdict, check.found) for check in checks} == {("warn", "not looked at: planes of 99999 samples")}
