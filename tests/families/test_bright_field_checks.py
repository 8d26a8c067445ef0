from __future__ import annotations

import pytest

from opticdesign.design import load_design
from opticdesign.instrument.building import build_optics
from opticdesign.instrument.check import Check
from opticdesign.instrument.checks import check_design
from tests.support.design_texts import ROOT

DESIGN = ROOT / "designs" / "dlsrqpi.toml"
FAST = ("optics.neurons=32", "evaluation.overlap=8", "optics.rings=2")


def checks(*settings: str) -> dict[str, Check]:
    return {check.name: check for check in check_design(load_design(DESIGN, [*FAST, *settings]))}


def test_a_microscope_is_checked_from_the_condenser_to_the_camera() -> None:
    found = checks()
    names = ["illumination", "condenser", "objective", "sampling", "defocus", "camera band", "camera signal"]
    assert list(found) == names
    assert all(check.verdict == "pass" for check in found.values())
    assert "aliasing factor 2.97" in found["camera band"].found
    assert "2.6 of the depth of field" in found["defocus"].found
    assert "signal to noise 400" in found["camera signal"].found
    masked = checks("optics.start=random", "optics.focal=9 mm")
    assert {"thin element", "smallest feature", "height levels"} <= set(masked)


@pytest.mark.parametrize(
    ("settings", "name", "verdict", "said"),
    [
        (("optics.aperture=1.05", "optics.coherence=0.0"), "objective", "fail", "lower optics.aperture"),
        (
            ("optics.pitch=650 nm", "detector.pixel=13 um", "optics.coherence=0.0"),
            "sampling",
            "warn",
            "waves to NA 0.423",
        ),
        (("optics.defocus=0 um",), "defocus", "warn", "an object of phase alone is invisible"),
        (("optics.surroundings=repeat",), "illumination", "warn", "repeats forever"),
        (("optics.coherence=0.8", "optics.rings=1"), "condenser", "warn", 'optics.rings = "auto"'),
    ],
)
def test_what_a_microscope_lacks_is_said(settings: tuple[str, ...], name: str, verdict: str, said: str) -> None:
    check = checks(*settings)[name]
    assert check.verdict == verdict
    assert said in f"{check.found} {check.limit} {check.remedy}"


def test_points_of_a_source_that_learns_do_not_depend_on_the_accuracy() -> None:
    def points(accuracy: float, *settings: str) -> int:
        small = ("optics.neurons=32", "evaluation.overlap=8", "optics.coherence=0.4", f"optics.accuracy={accuracy}")
        return len(build_optics(load_design(DESIGN, [*small, *settings])).source.weights)  # type: ignore[arg-type]

    stage = "training.stages.decoder"
    learns = ('optics.learn=["source"]', f'{stage}.train=["optics", "decoder"]', f"{stage}.optics_rate=0.1")
    assert points(0.01, *learns) == points(0.003, *learns) == points(0.01) < points(0.003)
