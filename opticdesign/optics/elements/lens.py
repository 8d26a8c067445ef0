"""A thin lens."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from opticdesign.optics.elements.element import Mask, phase_transmission
from opticdesign.optics.field import Grid

__all__ = ["ThinLens", "lens_phase"]


def lens_phase(grid: Grid, wavelength_m: float, focal_m: float) -> Tensor:
    """Phase of a thin lens that turns a plane wave into a sphere converging at f: φ = −k(√(r² + f²) − f).

    Args:
        grid: sampling of the lens, centred on its axis.
        wavelength_m: wavelength in the medium, metres.
        focal_m: focal length in metres; negative for a diverging lens.

    Returns:
        Phase in radians, float64 (y, x), zero on the axis, not wrapped.
    """
    y, x = grid.coordinates_m()
    square = y**2 + x**2
    path = square / (torch.sqrt(square + focal_m**2) + abs(focal_m))
    return (-2.0 * math.pi / wavelength_m) * math.copysign(1.0, focal_m) * path


class ThinLens(Mask):
    """A lens of no thickness that images a plane wave along its axis to a point; see `lens_phase`.

    Args:
        grid: sampling of the field, centred on the axis.
        wavelength_m: wavelength in the medium, metres.
        focal_m: focal length in metres; negative for a diverging lens.
    """

    _transmission: Tensor

    def __init__(self, grid: Grid, wavelength_m: float, focal_m: float) -> None:
        super().__init__(grid)
        self.wavelength_m, self.focal_m = wavelength_m, focal_m
        fixed = phase_transmission(lens_phase(grid, wavelength_m, focal_m))
        self.register_buffer("_transmission", fixed, persistent=False)

    def transmission(self) -> Tensor:
        """Complex128 (y, x)."""
        return self._transmission
