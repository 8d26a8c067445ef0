"""Phase from intensities: analytic phases in the conditions of each solver, simulated light, a measured pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from opticdesign.decoders.phase_solvers import axial_derivative, equally_bright, solve_tie
from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid
from opticdesign.optics.free_space import propagate

HELA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hela_tie"
WAVELENGTH = 550e-9
GRID = Grid((192, 160), (0.5e-6, 0.7e-6))  # an even and an oblong one, of oblong pixels


def sides() -> tuple[Tensor, Tensor]:
    """Places 0 … 1 along y and x."""
    y, x = GRID.coordinates_m()
    return y / GRID.extent_m[0] + 0.5, x / GRID.extent_m[1] + 0.5


def derivative_of(light: Callable[[Tensor, Tensor], Tensor], phase: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """∂I/∂z = −∇·(I ∇φ)/k by differentiation of the formulas themselves."""

    def derived(value: Tensor, by: Tensor) -> Tensor:
        found = torch.autograd.grad(value.sum(), by, create_graph=True, allow_unused=True)[0]
        return torch.zeros_like(by) if found is None else found

    y, x = (axis.expand(GRID.shape).clone().requires_grad_() for axis in sides())
    flow = torch.zeros(GRID.shape, dtype=torch.float64)
    for axis, extent in ((y, GRID.extent_m[0]), (x, GRID.extent_m[1])):
        flow = flow + derived(light(y, x) * derived(phase(y, x), axis), axis) / extent**2
    return -flow.detach() * WAVELENGTH / (2.0 * math.pi)


def error(found: Tensor, phase: Tensor, light: Tensor) -> float:
    """Root of the mean square, over the light, of the difference but for a constant, over that of the phase."""
    weight = light / light.sum()
    apart, whole = found - phase, phase
    apart, whole = apart - (weight * apart).sum(), whole - (weight * whole).sum()
    return math.sqrt(float((weight * apart**2).sum() / (weight * whole**2).sum()))


def periodic(y: Tensor, x: Tensor) -> Tensor:
    return torch.sin(2.0 * math.pi * (y + 2.0 * x)) + 0.7 * torch.cos(2.0 * math.pi * (2.0 * y - x))


def reflecting(y: Tensor, x: Tensor) -> Tensor:
    return torch.cos(math.pi * y) + 0.5 * torch.cos(2.0 * math.pi * y) * torch.cos(3.0 * math.pi * x)


def slanted(y: Tensor, x: Tensor) -> Tensor:
    """No border condition holds for this one."""
    return 3.0 * y - 2.0 * x + 4.0 * (y - 0.3) * (x - 0.6) + 2.0 * x**2 + torch.sin(7.0 * x + 5.0 * y)


def even(y: Tensor, x: Tensor) -> Tensor:
    return torch.ones_like(y * x)


def with_phase(y: Tensor, x: Tensor) -> Tensor:
    """Absorbs where it delays: I ∇φ has no vortices."""
    return torch.exp(-0.5 * periodic(y, x))


def uneven(y: Tensor, x: Tensor) -> Tensor:
    return 1.0 + 0.5 * torch.cos(math.pi * x) + 0.2 * torch.cos(2.0 * math.pi * y)


def soft_window(y: Tensor, x: Tensor) -> Tensor:
    """Dark at the border, and in one place inside."""
    return (torch.sin(math.pi * y) * torch.sin(math.pi * x)) ** 2 * (9.0 * (y - 0.4) ** 2 + 6.0 * (x - 0.6) ** 2)


@pytest.mark.parametrize(
    ("method", "light", "phase"),
    [
        ("fft", even, periodic),
        ("fft", with_phase, periodic),
        ("dct", even, reflecting),
        ("dct", uneven, reflecting),
        ("universal", even, reflecting),
        ("universal", uneven, reflecting),
        ("universal", soft_window, slanted),
    ],
)
def test_analytic_phases_come_back(
    method: str, light: Callable[[Tensor, Tensor], Tensor], phase: Callable[[Tensor, Tensor], Tensor]
) -> None:
    y, x = sides()
    intensity, right = 80.0 * light(y, x), phase(y, x)
    derivative = derivative_of(lambda y, x: 80.0 * light(y, x), phase)
    found = solve_tie(intensity, derivative, GRID, WAVELENGTH, method, darkest=1e-4)
    assert error(found, right, intensity) < 1e-3
    assert float((intensity * found).sum() / intensity.sum()) == pytest.approx(0.0, abs=1e-9)


def cell(grid: Grid) -> Tensor:
    """A bump of 2 rad, thicker in its middle."""
    y, x = grid.coordinates_m()
    return 2.0 * torch.exp(-(y**2 + (x - 2e-6) ** 2) / (2.0 * (4e-6) ** 2))


def light_behind(phase: Tensor, aperture: Tensor, z_m: float, grid: Grid) -> Tensor:
    field = propagate(torch.polar(aperture, phase), z_m, grid, WAVELENGTH)
    return field.real**2 + field.imag**2


@pytest.mark.parametrize(
    ("z_m", "bar"),
    [
        ([-0.4e-6, 0.4e-6], 0.03),
        ([0.4e-6, 0.0, -0.4e-6], 0.03),
        ([0.0, 0.4e-6], 0.15),  # what grows as the square of z is taken for a slope
        ([0.0, -0.4e-6], 0.15),
        ([-6e-7, 0.0, 3e-7, 9e-7], 0.08),
    ],
)
def test_simulated_light_behind_a_hard_edge_gives_the_phase_with_its_sign(z_m: list[float], bar: float) -> None:
    grid = Grid.square(128, 0.4e-6)
    phase = cell(grid)
    y, x = grid.coordinates_m()
    aperture = ((y.abs() + 0.6 * x.abs() < 19e-6) & (x.abs() < 20e-6)).to(torch.float64)  # six corners
    frames = torch.stack([light_behind(phase, aperture, z, grid) for z in z_m])
    intensity, derivative = axial_derivative(frames, z_m)
    assert error(solve_tie(intensity, derivative, grid, WAVELENGTH), phase, aperture) < bar


@pytest.mark.parametrize("method", ["fft", "dct", "universal"])
def test_a_thick_middle_gathers_the_light_behind_it(method: str) -> None:
    grid = Grid.square(64, 0.5e-6)
    phase = cell(grid)
    behind = light_behind(phase, torch.ones_like(phase), 0.4e-6, grid)
    assert behind[32, 36] > 1.0
    found = solve_tie(torch.ones_like(phase), (behind - 1.0) / 0.4e-6, grid, WAVELENGTH, method)
    assert found[32, 36] > found[8, 8] + 1.5


def test_images_of_a_batch_do_not_know_each_other_and_any_unit_of_light_is_right() -> None:
    y, x = sides()
    both = [(with_phase, periodic), (soft_window, slanted)]
    intensity = torch.stack([light(y, x) for light, _ in both])
    derivative = torch.stack([derivative_of(light, phase) for light, phase in both])
    for method in ("fft", "dct", "universal"):
        together = solve_tie(intensity, derivative, GRID, WAVELENGTH, method)
        for i in range(2):
            alone = solve_tie(1e4 * intensity[i], 1e4 * derivative[i], GRID, WAVELENGTH, method)
            assert together[i] == pytest.approx(alone, abs=2e-3)


def test_float32_is_enough() -> None:
    y, x = sides()
    intensity, derivative = soft_window(y, x), derivative_of(soft_window, slanted)
    right = solve_tie(intensity, derivative, GRID, WAVELENGTH)
    found = solve_tie(intensity.float(), derivative.float(), GRID, WAVELENGTH)
    assert found.dtype == torch.float32
    assert error(found.double(), right, intensity) < 1e-3


def test_half_of_the_longest_believed_period_is_left() -> None:
    y, x = sides()
    intensity, derivative = even(y, x), derivative_of(even, periodic)
    across = GRID.extent_m[0] / math.hypot(1.0, 2.0 * GRID.extent_m[0] / GRID.extent_m[1])
    found = solve_tie(intensity, derivative, GRID, WAVELENGTH, "fft", longest_m=across)
    wave = torch.sin(2.0 * math.pi * (y + 2.0 * x))
    assert float((found * wave).mean() / (wave * wave).mean()) == pytest.approx(0.5, rel=1e-3)


def test_the_line_through_several_planes_is_that_of_least_squares() -> None:
    z_m = [-3e-6, 1e-6, 2e-6, 5e-6]
    frames = torch.rand((2, 4, 3, 5), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    intensity, derivative = axial_derivative(frames, z_m)
    slope, offset = np.polyfit(z_m, frames.movedim(1, 0).reshape(4, -1).numpy(), 1)
    assert derivative.reshape(-1).numpy() == pytest.approx(slope)
    assert intensity.reshape(-1).numpy() == pytest.approx(offset)


def test_unequal_exposures_are_corrected_to_one_mean() -> None:
    frames = torch.rand((3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exposed = frames / frames.mean(dim=(1, 2), keepdim=True) * torch.tensor([90.0, 100.0, 110.0])[:, None, None]
    corrected = equally_bright(exposed)
    assert corrected.mean(dim=(1, 2)) == pytest.approx(torch.full((3,), 100.0, dtype=torch.float64))
    assert (corrected / exposed).std(dim=(1, 2)).max() < 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "guess"}, "unknown method 'guess'"),
        ({"wavelength_m": 0.0}, "a wavelength of 0.0 m"),
        ({"longest_m": -1.0}, "periods up to -1.0 m"),
        ({"darkest": 0.0}, "a darkest share of 0.0"),
        ({"derivative": torch.ones(8, 9)}, r"a derivative of \(8, 9\)"),
        ({"intensity": torch.zeros(8, 8)}, "without light"),
        ({"intensity": torch.full((8, 8), math.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_solved_is_refused(changes: dict[str, object], message: str) -> None:
    right = {"intensity": torch.ones(8, 8), "derivative": torch.ones(8, 8), "grid": Grid.square(8, 1e-6)}
    with pytest.raises(UsageError, match=message):
        solve_tie(**{**right, "wavelength_m": WAVELENGTH, **changes})


@pytest.mark.parametrize(
    ("shape", "z_m"),
    [((2, 4, 4), [0.0]), ((4, 4), [0.0, 1e-6]), ((2, 4, 4), [1e-6, 1e-6]), ((2, 4, 4), [0.0, math.nan])],
)
def test_planes_that_give_no_derivative_are_refused(shape: tuple[int, ...], z_m: list[float]) -> None:
    with pytest.raises(UsageError, match="planes"):
        axial_derivative(torch.ones(shape), z_m)


@pytest.mark.skipif(not HELA.exists(), reason="the measured pair is not here")
def test_the_measured_pair_gives_the_phase_that_others_found() -> None:
    frames = torch.stack(
        [torch.from_numpy(tifffile.imread(HELA / f"HeLaCell_{name}.tif").astype(np.float32)) for name in ("I0", "Iz")]
    )
    pitch = 4.65e-6 / 20.0
    intensity, derivative = axial_derivative(equally_bright(frames), [0.0, 2.5e-6])
    found = solve_tie(intensity, derivative, Grid((1280, 1280), (pitch, pitch)), WAVELENGTH).numpy()
    with np.load(HELA / "hela_phase_316nm.npz") as truth:
        right, mask = truth["phase"], truth["mask"]
    rows, columns = np.indices(right.shape) * (316.4e-9 / pitch)
    there = map_coordinates(found, [rows[mask], columns[mask]], order=1)
    assert np.corrcoef(there, right[mask])[0, 1] > 0.985
    down, across = rows[mask] / 1280 - 0.5, columns[mask] / 1280 - 0.5
    surface = np.stack([np.ones_like(down), down, across, down**2, across**2, down * across], axis=1)
    apart = there - right[mask]
    rest = apart - surface @ np.linalg.lstsq(surface, apart, rcond=None)[0]
    assert rest.std() < 0.05  # the surface is what little light at the edge of the aperture decides
