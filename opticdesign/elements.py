"""Thin optical elements: what multiplies a field in one plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.fabrication import FabricationProcess, fabricated_phase
from opticdesign.field import Grid

__all__ = ["DiffractiveElement", "lens_phase", "phase_transmission"]


def phase_transmission(phase_rad: Tensor) -> Tensor:
    """Transmission e^{iφ} of a phase mask: complex, same shape."""
    return torch.complex(torch.cos(phase_rad), torch.sin(phase_rad))


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


class DiffractiveElement(nn.Module):
    """A thin phase mask whose phase is learned.

    Args:
        grid: sampling of the mask.
        phase_rad: initial phase in radians, (y, x); zero when left out.

    Raises:
        UsageError: the initial phase does not have the grid's shape.
    """

    def __init__(self, grid: Grid, phase_rad: Tensor | None = None) -> None:
        super().__init__()
        start = torch.zeros(grid.shape) if phase_rad is None else phase_rad
        if tuple(start.shape) != grid.shape:
            raise UsageError(
                f"an initial phase of shape {tuple(start.shape)}",
                expected=f"the mask's shape {grid.shape}",
                remedy="resample the phase to the grid of the mask",
            )
        self.grid = grid
        self.phase_rad = nn.Parameter(start.to(torch.float32).clone())

    def forward(self, field: Tensor, process: FabricationProcess | None = None) -> Tensor:
        """Multiply a complex field (…, y, x) by the mask, as designed or, given a process, as fabricated."""
        return field * self.transmission(process)

    def transmission(self, process: FabricationProcess | None = None) -> Tensor:
        """Complex transmission (y, x) of the mask, as designed or as fabricated."""
        phase = self.phase_rad if process is None else fabricated_phase(self.phase_rad, process)
        return phase_transmission(phase)
