from __future__ import annotations

import math
import re

import pytest
import torch

from opticdesign.design import load_design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.families.d2nn import power_lost_per_hop
from opticdesign.instrument.check import Check
from opticdesign.instrument.checks import blazed_efficiency, check_design
from tests.support.design_texts import D2NN5, ROOT

SMALL = ("optics.neurons=64", "evaluation.overlap=16")


def checks(*settings: str) -> dict[str, Check]:
    return {entry.name: entry for entry in check_design(load_design(D2NN5, [*SMALL, *settings]))}


def test_default_design_passes_everything_but_the_thin_mask() -> None:
    found = checks()
    assert {name for name, entry in found.items() if entry.verdict != "pass"} == {"thin element"}
    assert found["thin element"].verdict == "warn"
    assert "3.83 : 1" in found["thin element"].found


def test_every_verdict_but_pass_has_a_remedy_and_every_check_a_number_and_a_limit() -> None:
    found = checks("fabrication.levels=2", 'fabrication.min_feature="2 um"', 'detector.max_photons="10 photon"')
    for entry in found.values():
        assert re.search(r"\d|one neuron|squares", entry.found) and entry.limit
        assert (entry.verdict == "pass") == (entry.remedy == "")
    verdicts = {name: entry.verdict for name, entry in found.items()}
    assert verdicts["smallest feature"] == "fail"
    assert verdicts["height levels"] == "warn"
    assert verdicts["camera signal"] == "warn"


def test_coarse_pitch_warns_about_missing_waves() -> None:
    entry = checks('optics.pitch="1 um"', "optics.samples=2", "optics.layers=1")["sampling"]
    assert entry.verdict == "warn"
    assert "18.4°" in entry.found


@pytest.mark.parametrize("propagator", ["fresnel", "angular-spectrum", "band-limited"])
def test_a_method_named_by_hand_that_is_wrong_fails_with_its_error_and_what_would_do(propagator: str) -> None:
    found = checks(f"optics.propagator={propagator}", "optics.padding=1.25")
    entry = found["propagation, detector gap"]
    assert entry.verdict == "fail"
    share = re.search(r"error of the field ([\d.]+)%", entry.found)
    assert share is not None and float(share.group(1)) > 3.0
    assert 'optics.propagator = "auto"' in entry.remedy and "optics.padding" in entry.remedy


@pytest.mark.parametrize(
    "geometry",
    [
        ("optics.pitch=8 um", "optics.input_gap=30 mm", "optics.layer_gap=30 mm", "optics.detector_gap=30 mm"),
        ("optics.pitch=4 um", "optics.input_gap=7.5 mm", "optics.layer_gap=7.5 mm", "optics.detector_gap=7.5 mm"),
    ],
)
def test_a_window_too_narrow_for_far_planes_fails_and_the_one_that_would_do_passes(geometry: tuple[str, ...]) -> None:
    narrow = checks(*geometry, "optics.padding=1.5", "optics.layers=2")
    assert narrow["camera reading"].verdict == "fail"
    wanted = re.search(r"or ([\d.]+)", narrow["camera reading"].remedy)
    assert wanted is not None
    for padding in ("auto", wanted.group(1)):
        found = checks(*geometry, f"optics.padding={padding}", "optics.layers=2")
        assert [found[name].verdict for name in ("camera reading", "propagation, layer, detector gap") if name in found]
        assert found["camera reading"].verdict == "pass"


@pytest.mark.parametrize(("gap", "verdict"), [("3.4 um", "warn"), ("300 um", "pass"), ("100 mm", "warn")])
def test_layers_that_do_not_meet_are_told_with_the_gap_that_couples_them(gap: str, verdict: str) -> None:
    gaps = [f"optics.{name}_gap={gap}" for name in ("input", "layer", "detector")]
    entry = checks("optics.pitch=4 um", "optics.layers=2", "optics.samples=2", *gaps)["coupling of layers"]
    assert entry.verdict == verdict
    assert ("lengthen optics.layer_gap" in entry.remedy) == (gap == "3.4 um")
    assert ("shorten optics.layer_gap" in entry.remedy) == (gap == "100 mm")


@pytest.mark.parametrize(
    ("surroundings", "verdict"), [("neighbours", "pass"), ("field-stop", "pass"), ("repeat", "warn")]
)
def test_what_surrounds_the_field_of_view_is_said(surroundings: str, verdict: str) -> None:
    entry = checks(f"optics.surroundings={surroundings}", "optics.padding=2")["illumination"]
    assert entry.verdict == verdict
    assert "coherent plane wave" in entry.found


def test_points_in_the_place_of_squares_are_told() -> None:
    assert checks("optics.samples=1", "optics.padding=2")["neurons"].verdict == "warn"


def test_longer_gaps_lose_more_power() -> None:
    one, far_off = (
        load_design(D2NN5, [*SMALL, "optics.layers=1", *more]) for more in ((), ('optics.detector_gap="60 um"',))
    )
    near = power_lost_per_hop(one, one.optics)
    far = power_lost_per_hop(far_off, far_off.optics)
    assert len(near) == len(far) == 2
    assert 0.0 < near[1] < far[1] < 1.0


def test_one_layer_has_no_layer_gap_to_check() -> None:
    assert "propagation, layer gap" not in checks("optics.layers=1")


@pytest.mark.parametrize("crossed", [1, 3])
def test_layers_that_light_does_not_pass_are_not_checked(crossed: int) -> None:
    """Light goes from the layer of the output straight to the detector, as it would without those behind."""
    design = load_design(D2NN5, [*SMALL, f"optics.output_after={crossed}"])
    fewer = load_design(D2NN5, [*SMALL, f"optics.layers={crossed}"])
    lost = power_lost_per_hop(design, design.optics)
    assert len(lost) == crossed + 1
    assert lost == pytest.approx(power_lost_per_hop(fewer, fewer.optics), rel=0.2)  # other ripples
    found = checks(f"optics.output_after={crossed}")
    assert f"power lost before mask {crossed + 1}" not in found
    assert "power lost before detector" in found
    assert ("propagation, layer gap" in found) == (crossed > 1)


def test_auto_states_its_choice_and_why_for_each_gap() -> None:
    near = checks()["propagation, input gap"]
    assert near.verdict == "pass"
    assert "rayleigh-sommerfeld: the pitch samples the spherical wave" in near.found
    coarse = checks('optics.pitch="2 um"', "optics.samples=2", "optics.layers=2")
    assert coarse["propagation, layer gap"].verdict == "pass"
    assert "impulse-response: along y the pitch samples" in coarse["propagation, layer gap"].found


def filter_checks(*settings: str) -> dict[str, Check]:
    design = load_design(ROOT / "designs" / "lff64.toml", ["optics.radius=128.0", *settings])
    return {entry.name: entry for entry in check_design(design)}


@pytest.mark.parametrize(("mode", "verdict"), [("amplitude+phase", "warn"), ("amplitude", "warn"), ("phase", "pass")])
def test_an_amplitude_that_no_export_holds_is_told_before_it_is_learned(mode: str, verdict: str) -> None:
    entry = filter_checks(f"optics.mode={mode}")["filter, what is learned"]
    assert entry.verdict == verdict
    assert ("optics.mode" in entry.remedy) == (verdict == "warn")


def test_pupil_is_measured_in_the_window_that_is_computed() -> None:
    """A padding of 1.3 asks for 333 points of 256, and an FFT likes 336."""
    assert "NA 1," in filter_checks()["pupil"].found
    assert f"NA {256 / 336:.3g}," in filter_checks("optics.padding=1.3")["pupil"].found


def test_remedies_of_a_filter_are_keys_that_it_has() -> None:
    found = filter_checks('optics.pitch="600 nm"', 'optics.focal="20 um"')
    assert [found[name].verdict for name in ("sampling", "thin element", "smallest feature")] == [
        "warn",
        "warn",
        "fail",
    ]
    for entry in found.values():
        assert not re.search(r"optics\.(samples|model)|larger pitch, or|use a larger pitch", entry.remedy)


@pytest.mark.parametrize("levels", [2, 3, 8, 64])
def test_blazed_grating_of_equal_levels_reaches_the_square_of_sinc(levels: int) -> None:
    sinc = math.sin(math.pi / levels) / (math.pi / levels)
    assert blazed_efficiency(FabricationProcess(levels, 632.8e-9, 1.457)) == pytest.approx(sinc**2, rel=1e-12)


def test_blazed_grating_of_unequal_levels_is_that_of_its_spectrum() -> None:
    full = 632.8e-9 / 0.457
    made = FabricationProcess(4, 632.8e-9, 1.457, 1.0, (0.0, 0.1 * full, 0.5 * full, 0.8 * full))
    ramp = 2.0 * math.pi * (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    orders = torch.fft.fft(torch.exp(1j * made.phase(ramp))) / 100_000
    assert blazed_efficiency(made) == pytest.approx(orders[1].abs().square().item(), abs=1e-6)
    assert blazed_efficiency(made) < blazed_efficiency(FabricationProcess(4, 632.8e-9, 1.457))


def test_checks_speak_of_the_heights_of_a_table() -> None:
    found = checks("fabrication.levels=4", 'fabrication.heights=["0 nm", "300 nm", "700 nm", "1100 nm"]')
    assert "4 levels 284.6" in found["height levels"].found and "to 400 nm apart" in found["height levels"].found
    assert "evenly over 2π" in found["height levels"].remedy
    assert "3.48 : 1 (tallest step 1.1 µm" in found["thin element"].found  # 1100 nm over 316.4 nm


def test_a_weight_on_features_makes_narrow_neurons_a_warning() -> None:
    weighed = checks('fabrication.min_feature="1 um"', "training.stages.optics.feature=0.1")["smallest feature"]
    assert weighed.verdict == "warn"
    assert "exported layout" in weighed.remedy
    assert checks('fabrication.min_feature="1 um"')["smallest feature"].verdict == "fail"
