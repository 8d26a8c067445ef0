from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design, load_design
from opticdesign.errors import DesignError
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.perturbed.optics import perturbed_optics
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.vaccination import Vaccine
from tests.support.design_texts import D2NN5, ROOT
from tests.support.tolerance_instruments import bright, errors, sample_of

DESIGN = bright()
SAMPLE = sample_of(DESIGN)
PUPIL_PITCH = 2.0 * 0.6 * 9e-3 / 17


def light(design: Design = DESIGN, phase: Tensor | None = None) -> Tensor:
    """As designed, through masks as made."""
    optics = build_optics(design)
    if phase is not None:
        optics.set_phases_rad(phase)
    with torch.no_grad():
        return optics.intensity(SAMPLE.fields, build_process(design))


def perturbed(
    values: dict[str, float], design: Design = DESIGN, phase: Tensor | None = None, **settings: float
) -> Tensor:
    optics = build_optics(design)
    if phase is not None:
        optics.set_phases_rad(phase)
    named = {name.replace("_", " "): value for name, value in settings.items()} or None
    with torch.no_grad():
        made = perturbed_optics(design, optics, build_process(design))
        return made.intensity(SAMPLE, errors(design, values, NO_PATTERN, named))[0]


def apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("none", [{}, {"gap 1": 1e-15}, {"layer shift 1 x": 1e-15}, {"etch depth bit 1": 1e-12}])
def test_errors_that_are_zero_give_the_nominal_light(none: dict[str, float]) -> None:
    torch.testing.assert_close(perturbed(none), light(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("error", "change", "setting"),
    [
        ("gap 1", 0.5e-6, "optics.defocus=4.5 um"),
        ("coherence", 0.1, "optics.coherence=0.11"),
    ],
)
def test_an_error_of_a_number_is_another_design(error: str, change: float, setting: str) -> None:
    # in the margin of the nominal one, so that both see the same part of the object
    nominal = bright("optics.margin=6 um")
    other = bright("optics.margin=6 um", setting)
    sample = sample_of(nominal)
    with torch.no_grad():
        expected = build_optics(other).intensity(sample.fields, build_process(other))
        optics = build_optics(nominal)
        made = perturbed_optics(nominal, optics, build_process(nominal))
        found = made.intensity(sample, errors(nominal, {error: change}))[0]
        before = optics.intensity(sample.fields, build_process(nominal))
    assert apart(found, expected) < 1e-4 < 1e-3 < apart(before, expected)


def test_a_wider_stop_lets_steeper_light_in() -> None:
    rough = torch.polar(torch.ones_like(SAMPLE.phase_rad), 2.0 * math.pi * torch.rand(SAMPLE.phase_rad.shape))
    design = bright("optics.mask_points=17")
    optics = build_optics(design)
    made = perturbed_optics(design, optics, build_process(design))
    sample = type(SAMPLE)(rough, rough.angle())
    with torch.no_grad():
        narrow, wide = (
            made.intensity(sample, errors(design, {"aperture": change}))[0].mean().item() for change in (-0.05, 0.05)
        )
    assert wide > narrow * 1.02


def test_a_mask_shifted_by_whole_squares_is_the_mask_rolled() -> None:
    phase = torch.zeros((1, 17, 17))
    phase[0, 5:9, 6:12] = math.pi / 2.0
    found = perturbed({"layer shift 1 y": 2 * PUPIL_PITCH, "layer shift 1 x": -PUPIL_PITCH}, phase=phase)
    expected = light(phase=phase.roll((2, -1), (-2, -1)))
    # but for light near the rim of the pupil, where what comes in beside the mask is opaque
    assert apart(found, expected) < 0.06 * apart(light(phase=phase), expected)
    half = perturbed({"layer shift 1 x": 0.5 * PUPIL_PITCH}, phase=phase)
    assert apart(half, light(phase=phase)) > 1e-3


def test_a_camera_is_refocused_and_registered_in_the_plane_of_the_object() -> None:
    torch.testing.assert_close(perturbed({}, refocus=0.5e-6), perturbed({"gap 1": 0.5e-6}), rtol=1e-5, atol=1e-6)
    found = perturbed({}, image_shift_y=2 * 170e-9, image_shift_x=-170e-9)
    moved = light().roll((-2, 1), (-2, -1))
    torch.testing.assert_close(found[..., :-2, 1:], moved[..., :-2, 1:], rtol=1e-3, atol=1e-3)


def test_a_wavelength_changes_sample_objective_and_mask() -> None:
    # the phase of object and mask goes as 1/λ, and so does what defocus does to a frequency go as λ
    assert apart(perturbed({"wavelength": 0.02}), light()) > 1e-3
    assert apart(perturbed({"wavelength": 1e-6}), light()) < 1e-5


def test_masks_that_learn_with_errors_take_their_gradient() -> None:
    design = bright(
        'optics.learn=["pupil", "defocus"]',
        'training.stages.decoder.train=["optics", "decoder"]',
        "training.stages.decoder.optics_rate=0.1",
    )
    optics, process = build_optics(design), build_process(design)
    learned = optics.phases(process)
    made = perturbed_optics(design, optics, process, learned.detach())
    made.intensity(SAMPLE, errors(design, {"etch depth bit 1": 0.01}), learned).square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(
        float(parameter.grad.abs().max()) > 0.0 for parameter in optics.parameters() if parameter.grad is not None
    )
    assert all(parameter.grad is not None for parameter in optics.parameters())


def test_a_decoder_may_learn_for_every_defocus_in_a_range() -> None:
    design = load_design(
        ROOT / "designs" / "dlsrqpi.toml",
        ["optics.neurons=32", "evaluation.overlap=8", "optics.rings=1", "tolerance.gap.range=3 um"],
    )
    optics, process, sample = build_optics(design), build_process(design), sample_of(design)
    vaccine = Vaccine(design, process)
    with torch.no_grad():
        seen = [vaccine.intensity(optics, process, sample.fields, sample.phase_rad, batch) for batch in (0, 1, 0)]
    assert torch.equal(seen[0], seen[2]) and apart(seen[0], seen[1]) > 1e-3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["tolerance.rotation.range=1 mrad"], "the turn of a mask in a pupil has no model"),
        (["tolerance.tilt.range=1 mrad"], "changes nothing to first order"),
        (["optics.start=clear", "optics.coherence=0.0", "tolerance.coherence.range=0.1"], "whose size cannot be wrong"),
    ],
)
def test_errors_that_cannot_befall_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(DesignError, match=said):
        bright(*settings)


def test_optics_without_an_objective_have_no_aperture_to_be_wrong() -> None:
    with pytest.raises(DesignError, match="neither objective nor condenser"):
        load_design(D2NN5, ["tolerance.aperture.range=0.1"])
