from __future__ import annotations

import math

import pytest
import torch

from opticdesign.optics.elements import Aperture, circular_share, phase_transmission, rectangular_share
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import FresnelImpulse

WAVELENGTH = 632.8e-9


@pytest.mark.parametrize("grid", [Grid.square(64, 1.0), Grid.square(63, 1.0), Grid((50, 81), (1.2, 0.7))], ids=str)
@pytest.mark.parametrize("radius", [1.3, 10.0, 20.01])
def test_circle_has_its_area_and_its_symmetry(grid: Grid, radius: float) -> None:
    share = circular_share(grid, radius)
    area = share.sum().item() * grid.pitch_m[0] * grid.pitch_m[1]
    error = abs(area / (math.pi * radius**2) - 1.0)
    assert error < 1e-3
    torch.testing.assert_close(share, share.flip(0))
    torch.testing.assert_close(share, share.flip(1))
    assert 0.0 <= share.min().item() <= share.max().item() <= 1.0 + 1e-12


def test_circle_is_exact_inside_and_outside_and_moves_with_its_centre() -> None:
    grid = Grid.square(41, 1.0)
    y, x = grid.coordinates_m()
    share = circular_share(grid, 12.0, (3.0, -5.0))
    r = torch.sqrt((y - 3.0) ** 2 + (x + 5.0) ** 2)
    assert torch.all((share[r < 11.2] - 1.0).abs() < 1e-12)
    assert torch.all(share[r > 12.8] == 0.0)
    torch.testing.assert_close(share, circular_share(grid, 12.0).roll((3, -5), (0, 1)))


def test_rectangle_by_hand() -> None:
    share = rectangular_share(Grid((3, 4), (1.0, 1.0)), (2.0, 3.0), (0.5, 0.0))
    assert share.tolist() == [[0.0] * 4, [0.5, 1.0, 1.0, 0.5], [0.5, 1.0, 1.0, 0.5]]


def test_small_aperture_makes_the_airy_pattern_that_a_jagged_one_misses() -> None:
    """A radius of 20.3 samples: the edge decides."""
    grid, focal = Grid.square(96, 10e-6), 0.04
    radius = 20.3 * 10e-6
    y, x = grid.coordinates_m()
    lens = phase_transmission(-math.pi / (WAVELENGTH * focal) * (y**2 + x**2))
    hop = FresnelImpulse(grid, WAVELENGTH, focal, padding=2.0, dtype=torch.complex128)
    squares = y**2 + x**2
    v = 2.0 * math.pi / WAVELENGTH * radius / focal * torch.sqrt(squares)
    airy = torch.where(v == 0.0, 1.0, 2.0 * torch.special.bessel_j1(v) / v.clamp(min=1e-12)) ** 2
    peak = (math.pi * radius**2 / (WAVELENGTH * focal)) ** 2
    error, jagged = (
        ((hop(opened * lens).abs() ** 2 / peak - airy)[48]).abs().max().item()
        for opened in (Aperture.circular(grid, radius).transmission(), (squares <= radius**2).double())
    )
    assert error < 1e-3
    assert jagged > 1e-3
