from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.elements import DiffractiveElement, FourierFilter
from opticdesign.optics.field import Grid, Spectrum
from opticdesign.optics.illumination import (
    SourcePoints,
    condenser,
    partially_coherent_intensity,
    plane_wave,
    polychromatic_intensity,
)
from opticdesign.optics.materials import material
from opticdesign.optics.propagation import AngularSpectrum
from opticdesign.optics.relief import Relief
from opticdesign.optics.scaled import ScaledFresnel

WAVELENGTH = 632.8e-9


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(6, 8), (7, 5)])
def test_plane_wave_gains_k_sine_along_each_axis(shape: tuple[int, int]) -> None:
    grid = Grid(shape, (0.2e-6, 0.3e-6))
    wave = plane_wave(grid, WAVELENGTH, (0.3, -0.2))
    torch.testing.assert_close(wave.abs(), torch.ones(shape, dtype=torch.float64))
    k = 2.0 * math.pi / WAVELENGTH
    steps = (wave[1:] * wave[:-1].conj()).angle(), (wave[:, 1:] * wave[:, :-1].conj()).angle()
    torch.testing.assert_close(steps[0], torch.full_like(steps[0], k * 0.3 * 0.2e-6))
    torch.testing.assert_close(steps[1], torch.full_like(steps[1], -k * 0.2 * 0.3e-6))
    assert (wave[0, 0] * wave[-1, -1]).angle().item() == pytest.approx(0.0, abs=1e-12)  # zero phase in the middle


def test_plane_wave_travels_the_way_it_is_tilted() -> None:
    grid = Grid.square(96, WAVELENGTH / 2)
    y, x = grid.coordinates_m()
    beam = torch.exp(-(y**2 + x**2) / 4e-6**2) * plane_wave(grid, WAVELENGTH, (0.0, 0.2))
    power = AngularSpectrum(grid, WAVELENGTH, 10e-6, padding=2.0, dtype=torch.complex128)(beam).abs() ** 2
    assert ((power * x).sum() / power.sum()).item() == pytest.approx(10e-6 * 0.2 / math.sqrt(1 - 0.04), rel=0.01)


def test_several_plane_waves_stand_in_front() -> None:
    sines = torch.tensor([[0.1, 0.2], [-0.3, 0.0]], dtype=torch.float64)
    grid = Grid((4, 5), (1e-6, 1e-6))
    waves = plane_wave(grid, WAVELENGTH, sines)
    torch.testing.assert_close(waves[1], plane_wave(grid, WAVELENGTH, (-0.3, 0.0)))
    assert tuple(waves.shape) == (2, 4, 5)


@pytest.mark.parametrize(("coherence", "count"), [(0.3, 200), (1.0, 200), (1.3, 1000)])
def test_condenser_fills_its_disc_evenly(coherence: float, count: int) -> None:
    source, radius = condenser(coherence, 0.5, count), 0.5 * coherence
    assert source.weights.sum().item() == pytest.approx(1.0, rel=1e-12)
    r = torch.linalg.vector_norm(source.sines, dim=1)
    assert r.max().item() <= radius * 1.01
    assert source.sines.mean(0).abs().max().item() < 1e-12
    # second moments of an even disc: R²/4 along each axis, none across
    moments = source.sines.T @ (source.sines * source.weights[:, None])
    torch.testing.assert_close(moments, torch.eye(2).double() * radius**2 / 4, rtol=0.02, atol=0.01 * radius**2)
    assert torch.equal(source.sines, condenser(coherence, 0.5, count).sines)


def test_condenser_of_no_size_is_one_point_on_the_axis() -> None:
    source = condenser(0.0, 0.9, 100)
    assert source.sines.tolist() == [[0.0, 0.0]]
    assert source.weights.tolist() == [1.0]


@pytest.mark.parametrize(("coherence", "aperture", "count"), [(-0.1, 0.5, 9), (1.5, 0.9, 9), (0.5, 0.5, 0)])
def test_condenser_refuses_what_is_out_of_range(coherence: float, aperture: float, count: int) -> None:
    with pytest.raises(UsageError, match="S·NA_obj ≤ 1"):
        condenser(coherence, aperture, count)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_no_condenser_aperture_is_coherent_light(batch: tuple[int, ...]) -> None:
    grid = Grid((16, 18), (WAVELENGTH, WAVELENGTH))
    system = AngularSpectrum(grid, WAVELENGTH, 4e-6, dtype=torch.complex128)
    field = noise(*batch, 16, 18)
    result = partially_coherent_intensity(field, system, condenser(0.0, 0.5, 9), grid, WAVELENGTH)
    torch.testing.assert_close(result, system(field).abs() ** 2)


def test_intensity_is_the_weighted_sum_over_points_in_parts_of_any_size() -> None:
    grid = Grid((12, 14), (WAVELENGTH, WAVELENGTH))
    system = FourierFilter(grid, WAVELENGTH, 1e-2, mode="none", numerical_aperture=0.3).double()
    source = SourcePoints(condenser(1.0, 0.3, 5).sines, torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15], dtype=torch.float64))
    field = noise(3, 12, 14)
    expected = torch.zeros(3, 12, 14, dtype=torch.float64)
    for sine, weight in zip(source.sines, source.weights, strict=True):
        expected += weight * system(field * plane_wave(grid, WAVELENGTH, sine)).abs() ** 2
    for together in (1, 2, 5, 100):
        result = partially_coherent_intensity(field, system, source, grid, WAVELENGTH, together=together)
        torch.testing.assert_close(result, expected)
    single = partially_coherent_intensity(field.to(torch.complex64), system, source, grid, WAVELENGTH)
    assert single.dtype == torch.float32


def test_power_of_partially_coherent_light_is_kept() -> None:
    grid = Grid((32, 32), (WAVELENGTH, WAVELENGTH))
    system = FourierFilter(grid, WAVELENGTH, 1e-2, mode="none").double()
    field = noise(32, 32)
    total = partially_coherent_intensity(field, system, condenser(0.8, 0.4, 30), grid, WAVELENGTH).sum().item()
    assert total == pytest.approx(field.abs().square().sum().item(), rel=1e-12)


def visibility(sine: float, distance_m: float, points: int = 400) -> float:
    """Of Young's fringes behind two pinholes lit by a disc of that sine, by the paraxial integral onto a screen."""
    z, pitch = 0.1, distance_m / 16
    grid = Grid((1, 17), (pitch, pitch))
    pinholes = torch.zeros(grid.shape, dtype=torch.complex128)
    pinholes[0, 0] = pinholes[0, -1] = 1.0
    period = WAVELENGTH * z / distance_m
    screen = Grid((1, 64), (period, period / 64))
    source = condenser(1.0, sine, points)
    young = ScaledFresnel(grid, screen, WAVELENGTH, z)
    fringes = partially_coherent_intensity(pinholes, young, source, grid, WAVELENGTH, together=100)[0]
    # contrast of the fringe, with its sign: bright in the middle is positive
    _, x = screen.coordinates_m()
    return (2.0 * (fringes * torch.cos(2.0 * math.pi * x[0] / period)).mean() / fringes.mean()).item()


@pytest.mark.parametrize("argument", [0.0, 0.7, 1.8, 3.0, 3.8317, 5.0, 6.5])
def test_visibility_of_two_pinholes_follows_van_cittert_and_zernike(argument: float) -> None:
    """2J₁(v)/v at v = k·sin·d, with its zero at 3.83 and fringes reversed behind it."""
    distance_m = 40e-6
    sine = argument * WAVELENGTH / (2.0 * math.pi * distance_m)
    v = torch.tensor(argument, dtype=torch.float64)
    expected = 1.0 if argument == 0.0 else (2.0 * torch.special.bessel_j1(v) / v).item()
    error = abs(visibility(sine, distance_m) - expected)
    assert error < 1e-2


def test_gradient_through_many_points_equals_that_of_the_plain_sum() -> None:
    grid = Grid((10, 12), (WAVELENGTH, WAVELENGTH))
    element = DiffractiveElement(grid, torch.rand(grid.shape, generator=torch.Generator().manual_seed(1))).double()
    hop = AngularSpectrum(grid, WAVELENGTH, 4e-6, dtype=torch.complex128)
    source, weights = condenser(0.6, 0.4, 7), noise(10, 12).real

    def system(field: Tensor) -> Tensor:
        result: Tensor = hop(element(field))
        return result

    gradients = []
    for parts in (True, False):
        element.zero_grad()
        field = noise(10, 12).requires_grad_()
        if parts:
            image = partially_coherent_intensity(field, system, source, grid, WAVELENGTH, together=3)
        else:
            image = sum(
                weight * system(field * plane_wave(grid, WAVELENGTH, sine)).abs() ** 2
                for sine, weight in zip(source.sines, source.weights, strict=True)
            )
        (image * weights).sum().backward()
        gradients.append((element.phase_rad.grad.clone(), field.grad))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_two_beams_of_a_band_lose_their_fringes_over_the_coherence_length() -> None:
    """Light through a step and beside it, against the integral over the band of wavelengths, with dispersion."""
    relief = Relief(material("PMMA"), material("vacuum"), 600e-9)
    spectrum = Spectrum.uniform(600e-9, 20e-9, 64)
    for height in (2e-6, 10e-6, 25e-6):
        phase = relief.phase_of_height(torch.tensor([[0.0, height]], dtype=torch.float64))

        def both(wavelength: float, start: Tensor = phase) -> object:
            step = start * relief.dispersion(wavelength)
            return lambda beams: (beams * torch.polar(torch.ones_like(step), step)).sum(-1, keepdim=True)

        intensity = polychromatic_intensity(torch.ones((1, 1, 2), dtype=torch.complex128), spectrum, both)[0, 0].item()  # type: ignore[arg-type]
        exact = 0.0  # the integral over the band, finely
        for i in range(2000):
            wavelength = 590e-9 + 20e-9 * (i + 0.5) / 2000
            exact += (
                2.0 + 2.0 * math.cos(2.0 * math.pi * (material("PMMA").index(wavelength) - 1) * height / wavelength)
            ) / 2000
        assert intensity == pytest.approx(exact, abs=5e-3)


def test_relief_of_one_height_serves_all_wavelengths_as_its_own_gratings() -> None:
    """A blazed grating of a design wavelength in the light of another: first order sinc²(1 − φ(λ)/φ(λ₀))."""
    samples, design = 256, 632.8e-9
    relief = Relief(material("fused silica"), material("air"), design)
    grid = Grid((1, samples), (1e-6, 1e-6))
    ramp = 2.0 * math.pi * (torch.arange(samples, dtype=torch.float64) + 0.5)[None] / samples
    element = DiffractiveElement(grid, ramp, primary="height", relief=relief).double()
    spectrum = Spectrum((450e-9, design, 800e-9), (0.2, 0.5, 0.3))
    expected = sum(
        weight * float(torch.sinc(torch.tensor(1.0 - relief.dispersion(wavelength), dtype=torch.float64))) ** 2
        for wavelength, weight in zip(spectrum.wavelengths_m, spectrum.weights, strict=True)
    )

    def orders(wavelength: float) -> object:
        return lambda field: torch.fft.fft2(element(field, None, wavelength)) / samples

    image = polychromatic_intensity(torch.ones((1, 1, samples), dtype=torch.complex128), spectrum, orders)  # type: ignore[arg-type]
    assert image[0, 1].item() == pytest.approx(expected, abs=1e-4)


def test_each_wavelength_takes_its_own_field_or_all_the_same() -> None:
    spectrum, field = Spectrum((5e-7, 6e-7), (0.25, 0.75)), noise(4, 2, 3, 5)
    result = polychromatic_intensity(field, spectrum, lambda wavelength: lambda part: part * (wavelength * 1e7))
    expected = 0.25 * 25 * field[:, 0].abs() ** 2 + 0.75 * 36 * field[:, 1].abs() ** 2
    torch.testing.assert_close(result, expected)
    same = polychromatic_intensity(field[:, :1], spectrum, lambda wavelength: lambda part: part)
    torch.testing.assert_close(same, field[:, 0].abs() ** 2)
