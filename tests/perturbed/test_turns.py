from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.optics.field import Grid
from opticdesign.perturbed.turns import turn_of

GRID, WINDOW = Grid((20, 23), (1.0, 1.0)), Grid((36, 40), (1.0, 1.0))


def spectrum() -> Tensor:
    """Of a window that a Gaussian keeps off the highest frequencies."""
    draw = torch.Generator().manual_seed(0)
    fy, fx = WINDOW.frequencies_per_m()
    noise = torch.randn(WINDOW.shape, generator=draw, dtype=torch.complex128)
    inside = (fy.abs() < 0.5) & (fx.abs() < 0.5)  # the highest one would be of both sides
    return noise * torch.exp(-((fy / 0.25) ** 2) - (fx / 0.25) ** 2) * inside


def unscaled() -> Tensor:
    return spectrum() / spectrum().numel()


def read_at(y: Tensor, x: Tensor) -> Tensor:
    """The window's waves summed at places, from the middle of the field."""
    fy, fx = (frequency.reshape(*frequency.shape, 1, 1) for frequency in WINDOW.frequencies_per_m())
    waves = torch.exp(2j * math.pi * (fy * (y + 9.5) + fx * (x + 11.0)))
    return (spectrum()[:, :, None, None] * waves).mean((0, 1))


def turned(angle: float) -> Tensor:
    turn = turn_of(torch.tensor([angle], dtype=torch.float64), GRID, WINDOW, spectrum())
    return turn.field(unscaled()[None, None])[0, 0]


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("angle", "bar"), [(1e-3, 3e-3), (-5e-3, 8e-3), (0.02, 0.03), (0.1, 0.04)])
def test_a_turned_plane_sees_the_waves_at_its_own_places(angle: float, bar: float) -> None:
    y, x = GRID.coordinates_m()
    cosine, sine = math.cos(angle), math.sin(angle)
    expected = read_at(x * sine + y * cosine, x * cosine - y * sine)
    flat = read_at(y + 0.0 * x, x + 0.0 * y)
    # the bar is of what the turn does
    assert error(turned(angle) - flat, expected - flat) < bar


def test_no_turn_changes_nothing() -> None:
    torch.testing.assert_close(turned(0.0), torch.fft.ifft2(spectrum())[:20, :23])


def test_small_turns_take_two_shears_and_large_ones_three() -> None:
    small, large = (
        turn_of(torch.tensor([angle], dtype=torch.float64), GRID, WINDOW, spectrum()) for angle in (1e-3, 0.1)
    )
    assert small.first is None
    assert large.first is not None


def test_turns_keep_the_power_of_a_window() -> None:
    for angle in (1e-3, 0.1):
        turn = turn_of(torch.tensor([angle], dtype=torch.float64), WINDOW, WINDOW, spectrum())
        window = turn.field(unscaled()[None, None])
        assert window.abs().square().sum().item() == pytest.approx(
            torch.fft.ifft2(spectrum()).abs().square().sum().item(), rel=1e-12
        )


def test_one_draw_of_a_turn_is_its_row() -> None:
    angles = torch.tensor([1e-3, 0.1], dtype=torch.float64)
    both = turn_of(angles, GRID, WINDOW, spectrum())
    one = both.of_draw(1)
    field = both.field(unscaled().repeat(2, 1, 1, 1))
    torch.testing.assert_close(one.field(unscaled()[None, None])[0], field[1])


@pytest.mark.parametrize("angle", [1e-3, 0.1])
def test_a_finer_plane_sees_the_same_turned_waves(angle: float) -> None:
    fine, window = Grid((40, 46), (0.5, 0.5)), Grid((72, 80), (0.5, 0.5))
    turn = turn_of(torch.tensor([angle], dtype=torch.float64), fine, window, spectrum())
    y, x = fine.coordinates_m()
    # the spectrum counts from the first sample of the coarse grid, a quarter of its pitch farther in
    fy, fx = WINDOW.frequencies_per_m()
    found = turn.field((unscaled() * torch.exp(-0.5j * math.pi * (fy + fx)))[None, None])[0, 0]
    cosine, sine = math.cos(angle), math.sin(angle)
    expected, flat = read_at(x * sine + y * cosine, x * cosine - y * sine), read_at(y + 0.0 * x, x + 0.0 * y)
    assert error(found - flat, expected - flat) < 0.04
