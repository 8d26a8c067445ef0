"""Free space that chooses its method and its window, and says why."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid
from opticdesign.optics.free_space import free_space, propagate
from opticdesign.optics.propagation import PROPAGATORS

WAVELENGTH = 532e-9


def beam(grid: Grid, waist_m: float) -> Tensor:
    y, x = grid.coordinates_m()
    return torch.exp(-(y**2 + x**2) / waist_m**2).to(torch.complex128)


@pytest.mark.parametrize("index", [1.0, 1.5])
@pytest.mark.parametrize("distance_m", [2e-4, 2e-3, 8e-3])
@pytest.mark.parametrize("shape", [(64, 64), (48, 81)])
def test_a_gaussian_beam_is_as_wide_as_it_should_be(shape: tuple[int, int], distance_m: float, index: float) -> None:
    grid, waist_m = Grid(shape, (4e-6, 3e-6)), 30e-6
    found = propagate(beam(grid, waist_m), distance_m, grid, WAVELENGTH, index=index)
    rayleigh_m = math.pi * waist_m**2 * index / WAVELENGTH
    width_m = waist_m * math.hypot(1.0, distance_m / rayleigh_m)
    y, x = grid.coordinates_m()
    expected = (waist_m / width_m) ** 2 * torch.exp(-2.0 * (y**2 + x**2) / width_m**2)
    assert found.dtype == torch.complex128
    assert found.abs().square() == pytest.approx(expected, abs=6e-3)


@pytest.mark.parametrize(("distance_m", "method"), [(2e-3, "impulse-response"), (20e-3, "rayleigh-sommerfeld")])
def test_it_says_what_was_chosen_and_why(distance_m: float, method: str) -> None:
    said: list[str] = []
    grid = Grid.square(64, 4e-6)
    propagate(torch.ones(64, 64), distance_m, grid, WAVELENGTH, say=said.append)
    assert said == [free_space(grid, WAVELENGTH, distance_m).why]
    assert said[0].startswith(f"{method} in a window of 128 × 128 samples: ") and "pitch samples" in said[0]


@pytest.mark.parametrize("method", PROPAGATORS)
def test_a_method_can_be_named(method: str) -> None:
    way = free_space(Grid.square(32, 4e-6), WAVELENGTH, 8e-3, method=method)
    assert way.name == method and way.why.endswith("named by the caller")


def test_light_that_leaves_the_plane_does_not_come_back() -> None:
    grid = Grid.square(64, 4e-6)
    narrow = propagate(beam(grid, 12e-6), 20e-3, grid, WAVELENGTH)
    wide_grid = Grid.square(256, 4e-6)
    wide = propagate(beam(wide_grid, 12e-6), 20e-3, wide_grid, WAVELENGTH)[96:160, 96:160]
    assert (narrow - wide).abs().max() < 2e-3 * wide.abs().max()


def test_a_stack_of_fields_has_its_gradient_and_takes_a_real_amplitude() -> None:
    grid = Grid.square(16, 4e-6)
    field = torch.ones(2, 3, 16, 16, requires_grad=True)
    power = propagate(field, 1e-3, grid, WAVELENGTH).abs().square()
    assert power.shape == (2, 3, 16, 16) and power.dtype == torch.float32
    power.sum().backward()
    assert field.grad is not None and bool((field.grad.abs() > 0.0).any())


def test_there_and_back_is_where_light_began() -> None:
    grid = Grid.square(96, 4e-6)
    field = beam(grid, 40e-6)
    back = propagate(propagate(field, 3e-3, grid, WAVELENGTH), -3e-3, grid, WAVELENGTH)
    assert (back - field).abs().max() < 2e-3


def test_another_method_another_field_another_wavelength_are_refused() -> None:
    grid = Grid.square(16, 4e-6)
    with pytest.raises(UsageError, match=r"a field of 8 × 16 samples\n.*\(…, 16, 16\)"):
        propagate(torch.ones(8, 16), 1e-3, grid, WAVELENGTH)
    with pytest.raises(UsageError, match=r"unknown method 'fft'\n.*auto, rayleigh-sommerfeld"):
        propagate(torch.ones(16, 16), 1e-3, grid, WAVELENGTH, method="fft")
    with pytest.raises(UsageError, match="λ > 0"):
        propagate(torch.ones(16, 16), 1e-3, grid, -1.0)
