"""Propagation against results that were not computed by it: closed forms, direct sums, exact arithmetic.

Each bar is the one of the project's numerics; double precision unless a name says otherwise.
"""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.elements import DiffractiveElement, lens_phase, phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import (
    PROPAGATORS,
    AngularSpectrum,
    BandLimitedAngularSpectrum,
    Fresnel,
    Propagator,
    RayleighSommerfeld,
)

WAVELENGTH = 632.8e-9
K = 2.0 * math.pi / WAVELENGTH
PITCH = WAVELENGTH / 2


def hop(kind: type[Propagator], grid: Grid, distance_m: float, padding: float = 2.0) -> Propagator:
    return kind(grid, WAVELENGTH, distance_m, padding=padding, dtype=torch.complex128)


def distance(result: Tensor, expected: Tensor) -> float:
    return (torch.linalg.vector_norm(result - expected) / torch.linalg.vector_norm(expected)).item()


def gaussian_beam(square_radius: Tensor, waist_m: float, z_m: float) -> Tensor:
    """Paraxial Gaussian beam without its carrier; Saleh and Teich, Fundamentals of Photonics, Eq. 3.1-7."""
    rayleigh = math.pi * waist_m**2 / WAVELENGTH
    q = complex(z_m, -rayleigh)
    return (complex(0.0, -rayleigh) / q) * torch.exp(0.5j * K * square_radius / q)


# The transfer functions sample a short way well, the sampled kernel a long one; z in units of the Rayleigh range.
GAUSSIAN = [(AngularSpectrum, 0.6), (BandLimitedAngularSpectrum, 0.6), (Fresnel, 0.6), (RayleighSommerfeld, 2.0)]


@pytest.mark.parametrize(("kind", "ways"), GAUSSIAN)
@pytest.mark.parametrize("shape", [(128, 128), (127, 144)])
def test_gaussian_beam_has_the_field_width_and_curvature_of_theory(
    kind: type[Propagator], ways: float, shape: tuple[int, int]
) -> None:
    waist = 1000 * WAVELENGTH  # so wide that the paraxial form itself is right to 1e-7
    rayleigh = math.pi * waist**2 / WAVELENGTH
    z, grid = ways * rayleigh, Grid(shape, (waist / 8, waist / 8))
    y, x = grid.coordinates_m()
    square = y**2 + x**2
    field = hop(kind, grid, z)(gaussian_beam(square, waist, 0.0))
    error = distance(field, gaussian_beam(square, waist, z))
    assert error < 1e-6

    power = field.abs() ** 2
    width = math.sqrt(((power * x**2).sum() / power.sum()).item() * 4.0)
    expected_width = waist * math.sqrt(1.0 + ways**2)
    error = abs(width / expected_width - 1.0)
    assert error < 1e-6

    row, column = shape[0] // 2, shape[1] // 2
    turned = (field[row, column + 4] * field[row, column].conj()).angle().item()
    step = (square[row, column + 4] - square[row, column]).item()
    expected_radius = z * (1.0 + 1.0 / ways**2)
    error = abs(K * step / (2.0 * turned) / expected_radius - 1.0)
    assert error < 1e-6


def disc(grid: Grid, radius_m: float, fine: int = 8) -> Tensor:
    """A circular aperture, each sample being the share of its area inside."""
    y, x = Grid(
        (grid.shape[0] * fine, grid.shape[1] * fine), (grid.pitch_m[0] / fine, grid.pitch_m[1] / fine)
    ).coordinates_m()
    inside = (y**2 + x**2 <= radius_m**2).to(torch.float64)
    return torch.nn.functional.avg_pool2d(inside[None], fine)[0]


def test_circular_aperture_with_a_lens_makes_the_airy_pattern() -> None:
    radius, focal, pitch = 1e-3, 0.5, 10e-6
    grid = Grid.square(205, pitch)
    aperture = disc(grid, radius).to(torch.complex128) * phase_transmission(lens_phase(grid, WAVELENGTH, focal))
    power = hop(RayleighSommerfeld, grid, focal)(aperture).abs() ** 2
    _, x = grid.coordinates_m()
    v = K * radius * x[0] / focal
    airy = torch.where(v == 0.0, 0.5, torch.special.bessel_j1(v) / v) ** 2 * 4.0
    peak = (math.pi * radius**2 / (WAVELENGTH * focal)) ** 2
    for line in (power[102], power[:, 102]):
        error = (line / peak - airy).abs().max().item()
        assert error < 1e-3


@pytest.mark.parametrize("kind", [AngularSpectrum, BandLimitedAngularSpectrum, Fresnel])
@pytest.mark.parametrize("fresnel_number", [4.0, 10.0])
def test_square_aperture_follows_the_fresnel_integrals(kind: type[Propagator], fresnel_number: float) -> None:
    from scipy.special import fresnel

    half, count = 1e-3, 200
    z, grid = half**2 / (WAVELENGTH * fresnel_number), Grid.square(2 * count, 2 * half / count)
    aperture = torch.zeros(grid.shape, dtype=torch.complex128)
    aperture[count // 2 : count // 2 + count, count // 2 : count // 2 + count] = 1.0

    def edge(offset: Tensor) -> np.ndarray:
        sine, cosine = fresnel((offset * math.sqrt(2.0 / (WAVELENGTH * z))).numpy())
        return cosine + 1j * sine

    # J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 4-37
    _, x = grid.coordinates_m()
    line = torch.from_numpy((edge(half - x[0]) - edge(-half - x[0])) / np.sqrt(2j))
    power, expected = hop(kind, grid, z)(aperture).abs() ** 2, torch.outer(line, line).abs() ** 2
    error = ((power - expected) ** 2).mean().item()
    assert error < 1e-3


@pytest.mark.parametrize("shape", [(4, 80), (3, 75)])
def test_fresnel_images_any_grating_onto_itself_at_the_talbot_distance(shape: tuple[int, int]) -> None:
    periods, pitch = 5, 2e-6
    period = shape[1] * pitch / periods
    grating = torch.rand(shape[1] // periods, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    field = torch.polar(1.0 + grating, 3.0 * grating.flip(0)).repeat(shape[0], periods)
    propagator = hop(Fresnel, Grid(shape, (pitch, pitch)), 2.0 * period**2 / WAVELENGTH, padding=1.0)
    assert propagator.window.shape == shape
    error = distance(propagator(field), field)
    assert error < 1e-3
    half = hop(Fresnel, Grid(shape, (pitch, pitch)), period**2 / WAVELENGTH, padding=1.0)(field)
    if (shape[1] // periods) % 2 == 0:
        error = distance(half, field.roll(shape[1] // periods // 2, 1))
        assert error < 1e-3


@pytest.mark.parametrize("kind", [AngularSpectrum, BandLimitedAngularSpectrum])
@pytest.mark.parametrize("cosine", [0.99, 0.9])
def test_exact_talbot_distance_images_a_sinusoidal_grating_onto_itself(kind: type[Propagator], cosine: float) -> None:
    period = WAVELENGTH / math.sqrt(1.0 - cosine**2)
    grid = Grid((8, 128), (period / 16, period / 16))
    _, x = grid.coordinates_m()
    field = (1.0 + 0.8 * torch.cos(2.0 * math.pi * x / period)).expand(grid.shape).to(torch.complex128)
    z = WAVELENGTH / (1.0 - cosine)  # the first orders fall behind by one wave
    error = distance(hop(kind, grid, z, padding=1.0)(field), field)
    assert error < 1e-3
    assert distance(hop(kind, grid, 0.5 * z, padding=1.0)(field), field) > 0.5


@pytest.mark.parametrize("levels", [2, 3, 4, 8, 16])
def test_blazed_grating_of_the_process_has_the_scalar_first_order(levels: int) -> None:
    process = FabricationProcess(levels, WAVELENGTH, 1.45702)
    samples = 64 * levels
    ramp = 2.0 * math.pi * (torch.arange(2 * samples, dtype=torch.float64) + 0.5) / samples
    orders = torch.fft.fft(phase_transmission(process.phase(ramp))).abs() ** 2 / (2 * samples) ** 2
    error = abs(orders[2].item() - float(np.sinc(1.0 / levels)) ** 2)
    assert error < 1e-3
    if levels > 2:
        assert orders[-2].item() < 1e-3  # thicker to the right: the light goes right, none of it left


def test_blazed_grating_sends_a_beam_to_its_first_order() -> None:
    process, grid, period = FabricationProcess(8, WAVELENGTH, 1.45702), Grid.square(192, PITCH), 16
    y, x = grid.coordinates_m()
    ramp = (2.0 * math.pi / (period * PITCH) * x).expand(grid.shape)
    element, focus = DiffractiveElement(grid, ramp), 100e-6
    beam = torch.exp(-(y**2 + x**2) / 12e-6**2) * phase_transmission(lens_phase(grid, WAVELENGTH, focus))
    power = hop(PROPAGATORS["rayleigh-sommerfeld"], grid, focus)(element(beam, process)).abs() ** 2
    row, column = divmod(power.argmax().item(), grid.shape[1])
    sine = WAVELENGTH / (period * PITCH)
    assert x[0, int(column)].item() == pytest.approx(focus * sine / math.sqrt(1.0 - sine**2), abs=1.5 * PITCH)
    assert abs(y[int(row), 0].item()) < PITCH


def band_limited_field(y: Tensor, x: Tensor) -> Tensor:
    """Three tilted Gaussian beams; sines up to 0.5 and a band far below that of half a wavelength."""
    total = torch.zeros(torch.broadcast_shapes(y.shape, x.shape), dtype=torch.complex128)
    for size, y0, x0, sy, sx in (
        (1.0, 0.0, 0.0, 0.0, 0.0),
        (0.8, 1e-6, -2e-6, 0.3, -0.2),
        (0.6j, -2e-6, 1e-6, -0.1, 0.4),
    ):
        envelope = torch.exp(-((y - y0) ** 2 + (x - x0) ** 2) / 1.4e-6**2)
        total += size * envelope * phase_transmission(K * (sy * y + sx * x))
    return total


def direct_sum(grid: Grid, z: float, fine: int, every: int) -> Tensor:
    """First Rayleigh–Sommerfeld integral of `band_limited_field`, summed term by term without any Fourier transform.

    The source is sampled `fine` times more finely than the grid; every so many-th point of the grid is a target.
    """
    source = Grid(tuple(fine * n for n in grid.shape), tuple(p / fine for p in grid.pitch_m))  # type: ignore[arg-type]
    (sy, sx), (ty, tx) = source.coordinates_m(), grid.coordinates_m()
    field = (band_limited_field(sy, sx) * source.pitch_m[0] * source.pitch_m[1]).numpy()
    result = []
    for row in ty[::every, 0].tolist():
        for column in tx[0, ::every].tolist():
            r = np.sqrt(((row - sy) ** 2 + (column - sx) ** 2).numpy() + z * z)
            kernel = z / (2.0 * math.pi * r**2) * (1.0 / r - 1j * K) * np.exp(1j * K * (r - z))
            result.append((field * kernel).sum())
    return torch.tensor(result).reshape(len(ty[::every]), -1)


@pytest.mark.parametrize("pitch", [(PITCH, PITCH), (PITCH, 0.8 * PITCH)])
def test_propagators_equal_the_direct_rayleigh_sommerfeld_sum(pitch: tuple[float, float]) -> None:
    grid, z = Grid((64, 64), pitch), 5.904e-6
    field, expected = band_limited_field(*grid.coordinates_m()), direct_sum(grid, z, fine=4, every=4)
    error = distance(hop(RayleighSommerfeld, grid, z)(field)[::4, ::4], expected)
    assert error < 1e-3
    # the transfer functions hold the wave periodic in the window: the padding decides how well
    error = distance(hop(AngularSpectrum, grid, z)(field)[::4, ::4], expected)
    assert error < 1e-3
    error = distance(hop(BandLimitedAngularSpectrum, grid, z)(field)[::4, ::4], expected)
    assert error < 1e-3


def test_sampled_kernel_equals_the_linear_convolution_in_a_doubled_window() -> None:
    grid, z = Grid((20, 27), (PITCH, 0.9 * PITCH)), 5e-6
    field = torch.randn(grid.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    y, x = grid.coordinates_m()
    expected = torch.zeros_like(field)
    for row in range(20):
        for column in range(27):
            square = (y - y[row]) ** 2 + (x - x[:, column]) ** 2
            r = torch.sqrt(square + z * z)
            kernel = z / (2.0 * math.pi * r**2) * (1.0 / r - 1j * K) * torch.exp(1j * K * (r - z))
            expected += field[row, column] * kernel * grid.pitch_m[0] * grid.pitch_m[1]
    error = distance(hop(RayleighSommerfeld, grid, z)(field), expected)
    assert error < 1e-12


@pytest.mark.parametrize("padding", [1.1, 1.3, 1.5])
def test_sampled_kernel_is_a_linear_convolution_over_the_free_width_of_any_window(padding: float) -> None:
    grid = Grid.square(200, PITCH)
    field = torch.zeros(grid.shape, dtype=torch.complex128)
    field[0, 0] = 1.0
    propagator = hop(RayleighSommerfeld, grid, 3.373e-6, padding)
    free = propagator.window.shape[0] - 200 + 1
    expected = hop(RayleighSommerfeld, grid, 3.373e-6)(field)[:free, :free]
    error = distance(propagator(field)[:free, :free], expected)
    assert error < 1e-12


def test_plain_angular_spectrum_aliases_beyond_its_distance_and_the_band_limited_does_not() -> None:
    grid = Grid.square(64, 4e-6)
    window_m = 128 * 4e-6
    y, x = grid.coordinates_m()
    field = torch.exp(-(y**2 + x**2) / 8e-6**2).to(torch.complex128)
    far = 6.0 * window_m * 4e-6 / WAVELENGTH
    expected = hop(RayleighSommerfeld, grid, far)(field)
    plain, limited = (hop(kind, grid, far)(field) for kind in (AngularSpectrum, BandLimitedAngularSpectrum))
    assert distance(plain, expected) > 0.7
    error = distance(limited, expected)  # what the cut of the band leaves
    assert error < 0.25
    near = 0.3 * window_m * 4e-6 / WAVELENGTH
    error = distance(hop(AngularSpectrum, grid, near)(field), hop(BandLimitedAngularSpectrum, grid, near)(field))
    assert error < 1e-6


@pytest.mark.parametrize("distance_m", [1e-4, -1e-3, 1e-2, 1e-1])
def test_band_limit_stands_where_the_window_samples_the_phase_at_half_a_turn(distance_m: float) -> None:
    grid = Grid((64, 96), (2e-6, 3e-6))
    propagator = BandLimitedAngularSpectrum(grid, WAVELENGTH, distance_m, padding=2.0, dtype=torch.complex128)
    nyquist = [0.5 / pitch for pitch in grid.pitch_m]
    for axis, (limit, width) in enumerate(zip(propagator.limits_per_m(), propagator.window.extent_m, strict=True)):
        # turns of the phase from one frequency sample to the next: slope of z√(1/λ² − f²) over the width of the window
        slope = abs(distance_m) * limit / math.sqrt(WAVELENGTH**-2 - limit**2)
        assert slope / width == pytest.approx(0.5, rel=1e-9)
        frequencies = propagator.window.frequencies_per_m()[axis].flatten()
        kept = propagator.transfer.select(1 - axis, 0).abs() > 0.5
        assert torch.equal(kept, frequencies.abs() <= limit)
        assert kept.sum().item() == pytest.approx(width * 2.0 * min(limit, nyquist[axis]), abs=1.5)


def exact_phase_rad(fy: float, fx: float, z: float) -> float:
    """(k_z − k)·z modulo 2π in 50-digit arithmetic, straight from its definition."""
    getcontext().prec = 50
    pi = Decimal("3.14159265358979323846264338327950288419716939937510")
    wavelength = Decimal(WAVELENGTH)
    root = (1 - wavelength**2 * (Decimal(fy) ** 2 + Decimal(fx) ** 2)).sqrt()
    return float((2 * pi / wavelength * Decimal(z) * (root - 1)) % (2 * pi))


@pytest.mark.parametrize("kind", [AngularSpectrum, BandLimitedAngularSpectrum])
def test_carrier_is_removed_so_that_the_single_precision_phase_is_right_at_10_cm(kind: type[Propagator]) -> None:
    grid, z = Grid.square(1024, 8e-6), 0.1
    propagator = kind(grid, WAVELENGTH, z, padding=1.0)
    fy, fx = propagator.window.frequencies_per_m()
    for row, column in ((0, 0), (1, 0), (3, 7), (50, 90), (100, -100)):
        exact = exact_phase_rad(fy[row, 0].item(), fx[0, column].item(), z)
        expected = complex(math.cos(exact), math.sin(exact))
        error = abs(complex(propagator.transfer[row, column].item()) - expected)
        assert error < 1e-6


def test_float32_follows_float64_through_the_whole_five_layer_design() -> None:
    generator, grid = torch.Generator().manual_seed(0), Grid.square(256, PITCH)
    phases = torch.rand((5, 256, 256), generator=generator) * (2.0 * math.pi)
    y, x = grid.coordinates_m()
    field = torch.polar(torch.ones(grid.shape, dtype=torch.float64), 2.0 * torch.cos(y / 3e-6) * torch.cos(x / 5e-6))
    single = field.to(torch.complex64)
    for index, z in enumerate([3.373e-6] * 5 + [5.904e-6]):
        propagator = RayleighSommerfeld(grid, WAVELENGTH, z, dtype=torch.complex128)
        field, single = propagator(field), RayleighSommerfeld(grid, WAVELENGTH, z)(single)
        if index < 5:
            element = DiffractiveElement(grid, phases[index])
            field = field * phase_transmission(phases[index].to(torch.float64))
            single = element(single).detach()
    assert single.dtype == torch.complex64
    error = distance(single.to(torch.complex128), field)
    assert error < 1e-4
