"""Openings in an opaque screen, with edges that are right to a small part of a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from opticdesign.optics.elements.element import Mask
from opticdesign.optics.field import Grid
from opticdesign.optics.resampling import covered_share

__all__ = ["Aperture", "circular_share", "rectangular_share"]

_LINES = 32  # a circle is integrated exactly along x, by so many lines a sample along y


def circular_share(grid: Grid, radius_m: float, centre_m: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Share 0 … 1 of each sample inside a circle, float64 (y, x).

    Args:
        grid: sampling.
        radius_m: radius in metres.
        centre_m: middle (y, x) in metres.
    """
    y, x = grid.coordinates_m()
    share = torch.zeros(grid.shape, dtype=torch.float64)
    for line in range(_LINES):
        height = y + ((line + 0.5) / _LINES - 0.5) * grid.pitch_m[0] - centre_m[0]
        half = torch.sqrt(torch.clamp(radius_m**2 - height**2, min=0.0))
        share += covered_share(x - centre_m[1], grid.pitch_m[1], -half, half)
    return share / _LINES


def rectangular_share(grid: Grid, size_m: tuple[float, float], centre_m: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Share 0 … 1 of each sample inside a rectangle of a height and width in metres, float64 (y, x)."""
    y, x = grid.coordinates_m()
    down = covered_share(y - centre_m[0], grid.pitch_m[0], -size_m[0] / 2.0, size_m[0] / 2.0)
    across = covered_share(x - centre_m[1], grid.pitch_m[1], -size_m[1] / 2.0, size_m[1] / 2.0)
    return down * across


class Aperture(Mask):
    """An opening: each sample passes the amplitude that is the share of its area inside.

    Args:
        grid: sampling of the field.
        share: share of each sample that is open, 0 … 1, real (y, x).
    """

    _share: Tensor

    def __init__(self, grid: Grid, share: Tensor) -> None:
        super().__init__(grid)
        self.register_buffer("_share", share.to(torch.float64), persistent=False)

    @classmethod
    def circular(cls, grid: Grid, radius_m: float, centre_m: tuple[float, float] = (0.0, 0.0)) -> Aperture:
        """A circle of a radius around a centre (y, x), metres."""
        return cls(grid, circular_share(grid, radius_m, centre_m))

    @classmethod
    def rectangular(
        cls, grid: Grid, size_m: tuple[float, float], centre_m: tuple[float, float] = (0.0, 0.0)
    ) -> Aperture:
        """A rectangle of a height and width around a centre (y, x), metres."""
        return cls(grid, rectangular_share(grid, size_m, centre_m))

    def transmission(self) -> Tensor:
        """Real (y, x), 0 … 1."""
        return self._share
