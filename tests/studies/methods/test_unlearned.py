from __future__ import annotations

import pytest
import torch
from torch import Tensor

from opticdesign.data import PatchSet, Split
from opticdesign.data.source import load_split
from opticdesign.decoders.waves import in_radians
from opticdesign.design import Design
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.optics.detectors import mean_bins
from opticdesign.optics.field import Grid
from opticdesign.runs.score import patch_scores, score_constant
from opticdesign.studies.methods.unlearned import (
    FITTED,
    defocus_of,
    read_finely,
    tie_images,
    unlearned_images,
    unlearned_methods,
)
from tests.support.defocused_study import defocused_design

CPU = torch.device("cpu")
QUIET = ("detector.read_noise=0 electron", "optics.surroundings=repeat", "optics.neurons=64", "optics.defocus=2 um")


def bumps(design: Design, height_rad: float = 1.0) -> PatchSet:
    """Two smooth bumps in an even beam, which die away within the field of view."""
    y, x = Grid.square(design.optics.shape[0], design.optics.sample_pitch).coordinates_m()
    width2 = 2.0 * (1.2e-6) ** 2
    phase = torch.stack([torch.exp(-((y - at) ** 2 + x**2) / width2) for at in (0.0, 6e-7)]).float() * height_rad
    return PatchSet.of(torch.polar(torch.ones_like(phase), phase), phase, design.optics.shape)


def readings(design: Design, patches: PatchSet) -> Tensor:
    microscope = build_microscope(design)
    return reconstruct(microscope, patches.fields, microscope.process, design.training.seed)[0]


@pytest.mark.parametrize("solver", ["fft", "dct", "universal"])
@pytest.mark.parametrize("side", ["2 um", "-2 um"])
def test_two_frames_around_the_focus_give_a_smooth_phase_back_with_its_sign(solver: str, side: str) -> None:
    design = defocused_design(*QUIET, f'optics.defocus="{side}"')
    patches = bumps(design)
    for seen in (design, read_finely(design)):
        error = in_radians(tie_images(seen, patches, solver, CPU) - patches.targets)
        assert float(error.square().mean().sqrt()) < 0.03
        torch.testing.assert_close(error.mean((-2, -1)), torch.zeros(2), atol=1e-5, rtol=0.0)


def test_finer_pixels_share_the_light_and_the_noise_of_those_there_were() -> None:
    design = defocused_design("optics.surroundings=repeat")
    patches = bumps(design)
    quiet = ("detector.read_noise=0 electron", "optics.surroundings=repeat")
    clear = defocused_design(*quiet)
    torch.testing.assert_close(
        mean_bins(readings(read_finely(clear), patches), 4), readings(clear, patches), atol=1e-5, rtol=1e-5
    )
    noise = readings(read_finely(design), patches) - readings(read_finely(clear), patches)
    assert float(noise.std()) == pytest.approx(0.01, rel=0.1)
    sigma = design.detector.read_noise / design.detector.max_photons
    assert float(mean_bins(noise, 4).std()) == pytest.approx(sigma, rel=0.3)


def test_methods_are_as_many_as_solvers_ask_for() -> None:
    assert list(unlearned_methods(("fft",))) == [*FITTED, "tie-fft", "fine-fft"]


def test_what_is_fitted_is_better_the_more_it_may_see_on_the_data_it_is_fitted_to() -> None:
    design = defocused_design("training.seed=3")
    known = load_split(design).train
    split, error = Split(known, known, known), {}
    for method in FITTED:
        images, targets = unlearned_images(method, design, split, CPU)
        assert images.shape == targets.shape
        error[method] = float((images - targets).square().mean())
    assert error["linear"] < 0.9 * error["bicubic"]
    assert error["bicubic"] < error["constant"]


def test_the_constant_is_that_of_every_other_table() -> None:
    design = defocused_design()
    split = load_split(design)
    assert patch_scores(*unlearned_images("constant", design, split, CPU)) == score_constant(split, design).patches


def test_optics_without_a_focus_have_no_defocus() -> None:
    from tests.support.tolerance_instruments import layered

    assert defocus_of(layered()) == 0.0
    assert defocus_of(defocused_design('optics.defocus="-3 um"')) == pytest.approx(-3e-6)
