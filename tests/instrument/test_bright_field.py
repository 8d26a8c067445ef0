from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design, load_design
from opticdesign.instrument.bright_field import BrightFieldSystem, Objective, Setting
from opticdesign.instrument.building import build_optics
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.illumination import plane_wave, ringed_condenser
from opticdesign.optics.propagation import AngularSpectrum
from tests.support.design_texts import ROOT

WAVELENGTH, APERTURE = 550e-9, 0.6
GRID = Grid((24, 32), (170e-9, 170e-9))
DESIGN = ROOT / "designs" / "dlsrqpi.toml"


def microscope(
    defocus_m: float = 0.0,
    coherence: float = 0.0,
    rings: int = 3,
    *,
    grid: Grid = GRID,
    margin: int | None = None,
    endless: bool = True,
) -> BrightFieldSystem:
    """Of an object that repeats, or goes on for a margin and then as its mean."""
    source = ringed_condenser(coherence, APERTURE, rings)
    setting = Setting(Objective(WAVELENGTH, 1.0, APERTURE), source, defocus_m)
    known = None if margin is None else grid.with_shape((grid.shape[0] + 2 * margin, grid.shape[1] + 2 * margin))
    return BrightFieldSystem(grid, setting, known, endless=endless and margin is not None).double()


def smooth(shape: tuple[int, int], band: int = 3) -> Tensor:
    """A real field of a few low frequencies that repeats, float64."""
    spectrum = torch.zeros(shape, dtype=torch.complex128)
    noise = torch.randn((band, band), dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    spectrum[:band, :band] = noise
    image = torch.fft.ifft2(spectrum).real
    return image / image.abs().max()


@pytest.mark.parametrize("coherence", [0.0, 0.5])
@pytest.mark.parametrize("margin", [None, 10])
def test_an_empty_field_reads_as_the_illumination(coherence: float, margin: int | None) -> None:
    system = microscope(4e-6, coherence, margin=margin)
    field = torch.full(system.object_grid.shape, 0.6 + 0.8j, dtype=torch.complex128)
    torch.testing.assert_close(system.intensity(field), torch.ones(GRID.shape, dtype=torch.float64))


def test_a_coherent_image_is_the_pupils_and_free_spaces() -> None:
    """An object of few frequencies, all inside the pupil, propagated by the angular spectrum."""
    system, field = microscope(4e-6), phasor(0.3 * smooth(GRID.shape, 2))
    free = AngularSpectrum(GRID, WAVELENGTH, 4e-6, padding=1.0, dtype=torch.complex128)
    found, expected = system(field), free(field)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)  # what lies beyond the pupil of the phasor


def test_light_of_a_point_is_the_image_of_a_tilted_field() -> None:
    """The pupil moved against the object moved: the same intensities, where the tilt fits the samples."""
    fy, fx = 2.0 / GRID.extent_m[0], -1.0 / GRID.extent_m[1]  # so that the tilted wave repeats too
    sine = torch.tensor([[fy, fx]], dtype=torch.float64) * WAVELENGTH
    system = microscope(3e-6)
    field = phasor(1.2 * smooth(GRID.shape))
    moved = replace(system.setting(), source=replace(system.source, sines=sine))
    tilted = field * plane_wave(GRID, WAVELENGTH, (sine[0, 0].item(), sine[0, 1].item()))
    torch.testing.assert_close(system.seen_in(field, moved), system.intensity(tilted), rtol=0, atol=1e-9)


def test_no_power_is_lost_of_what_the_pupil_passes() -> None:
    field = phasor(0.2 * smooth(GRID.shape, 2))
    for defocus_m, coherence in ((0.0, 0.0), (5e-6, 0.3), (-5e-6, 0.3)):
        mean = microscope(defocus_m, coherence).intensity(field).mean().item()
        assert mean == pytest.approx(1.0, abs=1e-6)
    rough = phasor(2.0 * math.pi * torch.rand(GRID.shape, dtype=torch.float64))
    assert microscope(5e-6, 0.3).intensity(rough).mean().item() < 0.9  # the rest is stopped


@pytest.mark.parametrize("coherence", [0.0, 0.4])
def test_phase_shows_odd_in_defocus_and_absorption_even(coherence: float) -> None:
    weak = 1e-3 * smooth(GRID.shape)
    for field, sign in ((phasor(weak), -1.0), (torch.exp(weak).to(torch.complex128), 1.0)):
        ahead, behind = (microscope(z, coherence).intensity(field) - 1.0 for z in (3e-6, -3e-6))
        assert float((ahead - sign * behind).norm() / ahead.norm()) < 3e-3  # what is of second order
        assert float(ahead.norm()) > 1e-4


def test_a_conjugate_object_in_front_of_focus_looks_like_the_object_behind() -> None:
    field = phasor(2.0 * smooth(GRID.shape)) * (1.0 + 0.3 * smooth(GRID.shape, 2))
    ahead = microscope(3e-6, 0.4).intensity(field)
    behind = microscope(-3e-6, 0.4)
    mirrored = replace(behind.source, sines=-behind.source.sines)
    found = behind.seen_in(field.conj(), replace(behind.setting(), source=mirrored))
    torch.testing.assert_close(found, ahead, rtol=0, atol=1e-9)


def test_a_vanishing_condenser_is_coherent_light() -> None:
    field = phasor(2.0 * smooth(GRID.shape))
    coherent = microscope(3e-6).intensity(field)
    changes = [float((microscope(3e-6, s).intensity(field) - coherent).norm()) for s in (0.02, 0.04)]
    assert 3.0 < changes[1] / changes[0] < 5.0  # of second order in S
    assert changes[0] < 0.1 < float(coherent.std())


def test_nothing_wraps_around() -> None:
    """A speck at one rim of the object leaves the other rim alone, unless the object repeats."""
    grid = Grid.square(24, 170e-9)
    for system, wraps in (
        (microscope(4e-6, grid=grid), True),
        (microscope(4e-6, grid=grid, margin=8, endless=False), False),
    ):
        plain = torch.ones(system.object_grid.shape, dtype=torch.complex128)
        marked = plain.clone()
        marked[:, 0] = 3.0
        change = (system.intensity(marked) - system.intensity(plain)).abs()
        assert (float(change[:, -4:].max()) > 0.1) is wraps


def test_pixels_integrate_an_intensity_of_twice_the_band() -> None:
    """Two waves at the rims of the pupil beat at 2NA/λ, which samples of λ/4NA and less carry and pixels average."""
    grid = Grid((8, 60), (WAVELENGTH / (4.0 * APERTURE) * 1.5,) * 2)
    system = microscope(grid=grid)
    assert system.camera_grid.shape == (16, 120)
    turns = 18  # of a wave over the width, below the rim at 22.5 turns
    _, x = grid.coordinates_m()
    wave = torch.cos(2.0 * math.pi * turns / grid.extent_m[1] * x).expand(grid.shape).to(torch.complex128)
    beat = turns * 2.0 / 60
    expected = 0.5 + 0.5 * math.sin(math.pi * beat) / (math.pi * beat) * torch.cos(
        4.0 * math.pi * turns / grid.extent_m[1] * x
    )
    torch.testing.assert_close(system.intensity(wave), expected.expand(grid.shape), rtol=0, atol=4e-3)


def design(*settings: str) -> Design:
    return load_design(DESIGN, ["optics.neurons=32", "detector.binning=4", "evaluation.overlap=8", *settings])


def test_a_finer_margin_and_more_points_change_the_reading_by_less_than_the_accuracy() -> None:
    noise = torch.Generator().manual_seed(0)
    found = []
    wide = build_optics(design("optics.margin=12 um", "optics.rings=10"))
    whole = phasor(
        torch.nn.functional.interpolate(
            torch.rand((1, 1, 24, 24), generator=noise), wide.object_grid.shape, mode="bicubic"
        )[0, 0]
        * 2
    )
    for system in (build_optics(design()), wide):
        cut = [(a - b) // 2 for a, b in zip(whole.shape, system.object_grid.shape, strict=True)]
        rows, columns = (slice(c, c + n) for c, n in zip(cut, system.object_grid.shape, strict=True))
        found.append(torch.nn.functional.avg_pool2d(system.intensity(whole[rows, columns])[None], 4)[0])
    assert float((found[0] - found[1]).norm() / found[1].norm()) < 0.01


def test_gradients_of_all_that_learns_are_those_of_finite_differences() -> None:
    noise = torch.Generator().manual_seed(0)
    grid = Grid((8, 10), (170e-9, 170e-9))
    setting = Setting(Objective(WAVELENGTH, 1.0, APERTURE, 9e-3), ringed_condenser(0.4, APERTURE, 1), 2e-6)
    system = BrightFieldSystem(
        grid,
        setting,
        grid.with_shape((14, 16)),
        endless=True,
        learn=("defocus", "source", "pupil"),
        mask_phase_rad=torch.rand((5, 5), generator=noise),
    ).double()
    field = torch.randn((2, 14, 16), dtype=torch.complex128, generator=noise).requires_grad_()
    weights = torch.randn((2, 8, 10), dtype=torch.float64, generator=noise)

    def told() -> Tensor:
        return (weights * system.intensity(field)).sum()

    learned = {**dict(system.named_parameters()), "field": field}
    gradients = torch.autograd.grad(told(), list(learned.values()))
    for (name, values), gradient in zip(learned.items(), gradients, strict=True):
        way = torch.randn(values.shape, dtype=values.dtype, generator=noise)
        step = 1e-6
        ends = []
        for side in (step, -step):
            with torch.no_grad():
                values += side * way
                ends.append(told().item())
                values -= side * way
        expected = (ends[0] - ends[1]) / (2.0 * step)
        found = (gradient.conj() * way).real.sum().item()
        assert found == pytest.approx(expected, rel=1e-5), name
