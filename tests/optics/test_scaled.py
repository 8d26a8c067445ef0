from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.elements import Aperture, phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import BandLimitedAngularSpectrum, FresnelImpulse
from opticdesign.optics.scaled import ScaledAngularSpectrum, ScaledFresnel, scaled_fresnel

WAVELENGTH = 632.8e-9
K = 2.0 * math.pi / WAVELENGTH


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


def distance(result: Tensor, expected: Tensor) -> float:
    return (torch.linalg.vector_norm(result - expected) / torch.linalg.vector_norm(expected)).item()


@pytest.mark.parametrize("shapes", [((12, 12), (12, 12)), ((11, 14), (9, 20)), ((9, 8), (30, 7))])
@pytest.mark.parametrize("z", [0.05, -0.2])
def test_scaled_fresnel_equals_the_direct_sum(shapes: tuple[tuple[int, int], tuple[int, int]], z: float) -> None:
    grid, output = Grid(shapes[0], (20e-6, 25e-6)), Grid(shapes[1], (7e-6, 31e-6))
    field = noise(2, *grid.shape)
    (y, x), (v, u) = grid.coordinates_m(), output.coordinates_m()
    down = torch.exp(1j * math.pi / (WAVELENGTH * z) * (v - y.T) ** 2)
    across = torch.exp(1j * math.pi / (WAVELENGTH * z) * (x.T - u) ** 2)
    expected = down @ field @ across * (20e-6 * 25e-6 / (1j * WAVELENGTH * z))
    error = distance(ScaledFresnel(grid, output, WAVELENGTH, z)(field), expected)
    assert error < 1e-10


@pytest.mark.parametrize("shape", [(32, 32), (31, 40)])
def test_scaled_fresnel_of_equal_pitch_is_the_fresnel_convolution(shape: tuple[int, int]) -> None:
    grid, field = Grid(shape, (10e-6, 12e-6)), noise(*shape)
    plain = FresnelImpulse(grid, WAVELENGTH, 0.03, padding=2.0, index=1.33, dtype=torch.complex128)(field)
    error = distance(ScaledFresnel(grid, grid, WAVELENGTH, 0.03, index=1.33)(field), plain)
    assert error < 1e-10


def test_scaled_fresnel_makes_the_airy_pattern_on_a_finer_grid() -> None:
    radius, focal = 1e-3, 0.5
    grid, output = Grid.square(220, 10e-6), Grid((61, 200), (8e-6, 2.5e-6))
    y, x = grid.coordinates_m()
    lens = phase_transmission(-K / (2.0 * focal) * (y**2 + x**2))
    propagator = ScaledFresnel(grid, output, WAVELENGTH, focal)
    assert propagator.turns_per_sample() < 0.5
    power = propagator(Aperture.circular(grid, radius)(lens)).abs() ** 2
    v = K * radius * output.coordinates_m()[1][0] / focal
    airy = (2.0 * torch.special.bessel_j1(v) / v) ** 2
    error = (power[30] / (math.pi * radius**2 / (WAVELENGTH * focal)) ** 2 - airy).abs().max().item()
    assert error < 1e-3


@pytest.mark.parametrize("shape", [(48, 48), (47, 60)])
@pytest.mark.parametrize("padding", [1.0, 2.0])
def test_scaled_angular_spectrum_of_equal_pitch_is_the_angular_spectrum(shape: tuple[int, int], padding: float) -> None:
    grid, field = Grid(shape, (WAVELENGTH / 2, 0.4 * WAVELENGTH)), noise(2, *shape)
    plain = BandLimitedAngularSpectrum(grid, WAVELENGTH, 4e-6, padding=padding, dtype=torch.complex128)(field)
    error = distance(ScaledAngularSpectrum(grid, grid, WAVELENGTH, 4e-6, padding=padding)(field), plain)
    assert error < 1e-10


@pytest.mark.parametrize("sizes", [(64, 31), (63, 32)])
def test_scaled_angular_spectrum_zooms_into_what_the_whole_field_holds(sizes: tuple[int, int]) -> None:
    """A Gaussian source sampled finely all over, and the same one zoomed into from a coarser grid."""
    size, fine = sizes[0], 3
    coarse, output = Grid.square(size, WAVELENGTH / 2), Grid.square(sizes[1], WAVELENGTH / 2 / fine)
    whole = Grid.square(fine * size, WAVELENGTH / 2 / fine)

    def beam(grid: Grid) -> Tensor:
        y, x = grid.coordinates_m()
        return torch.exp(-((y - 1e-6) ** 2 + (x + 0.5e-6) ** 2) / 1.5e-6**2).to(torch.complex128)

    expected = BandLimitedAngularSpectrum(whole, WAVELENGTH, 6e-6, padding=2.0, dtype=torch.complex128)(beam(whole))
    zoomed = ScaledAngularSpectrum(coarse, output, WAVELENGTH, 6e-6)(beam(coarse))
    # whole and zoomed have their samples at the same places only where the sizes are both even or both odd
    start = (fine * size - sizes[1]) // 2
    if (fine * size - sizes[1]) % 2 == 0:
        part = expected[start : start + sizes[1], start : start + sizes[1]]
    else:
        odd = Grid.square(fine * size + 1, WAVELENGTH / 2 / fine)
        hop = BandLimitedAngularSpectrum(odd, WAVELENGTH, 6e-6, padding=2.0, dtype=torch.complex128)
        part = hop(beam(odd))[start + 1 : start + 1 + sizes[1], start + 1 : start + 1 + sizes[1]]
    error = distance(zoomed, part)
    assert error < 1e-6


def test_both_scaled_propagators_agree_where_both_are_right() -> None:
    grid, output = Grid.square(128, 8e-6), Grid((40, 51), (5e-6, 3e-6))
    y, x = grid.coordinates_m()
    field = torch.exp(-(y**2 + x**2) / 100e-6**2).to(torch.complex128)
    near = ScaledAngularSpectrum(grid, output, WAVELENGTH, 0.02)(field)
    far = ScaledFresnel(grid, output, WAVELENGTH, 0.02)(field)
    error = distance(far, near)
    assert error < 1e-4


def test_gradcheck_on_field_wavelength_and_distance() -> None:
    grid, output = Grid((3, 4), (1.0, 1.0)), Grid((2, 3), (0.5, 0.7))
    scalars = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.5, 9.0)]
    assert torch.autograd.gradcheck(
        lambda u, wavelength, z: scaled_fresnel(u, grid, output, wavelength, z),
        (noise(3, 4).requires_grad_(), *scalars),
    )


@pytest.mark.parametrize("kind", [ScaledFresnel, ScaledAngularSpectrum])
def test_distance_can_be_learned_and_types_are_kept(kind: type[ScaledFresnel] | type[ScaledAngularSpectrum]) -> None:
    grid, output = Grid.square(24, 8e-6), Grid((10, 13), (3e-6, 4e-6))
    learned = torch.nn.Parameter(torch.tensor(1e-3, dtype=torch.float64))
    result = kind(grid, output, WAVELENGTH, learned)(noise(2, 24, 24).to(torch.complex64))
    assert (tuple(result.shape), result.dtype) == ((2, 10, 13), torch.complex64)
    result.abs()[0, 3, 4].backward()
    assert learned.grad is not None
    assert learned.grad.item() != 0.0


def test_scaled_fresnel_over_no_distance_is_refused() -> None:
    with pytest.raises(UsageError, match="integral over no distance"):
        ScaledFresnel(Grid.square(4, 1e-6), Grid.square(4, 1e-6), WAVELENGTH, 0.0)


def test_scaled_angular_spectrum_beyond_its_window_is_refused() -> None:
    with pytest.raises(UsageError, match="output inside the padded window"):
        ScaledAngularSpectrum(Grid.square(8, 1e-6), Grid.square(8, 3e-6), WAVELENGTH, 1e-3)
