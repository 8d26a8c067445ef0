"""Camera frames of a cell-like bump in and out of focus, shared by the tests of what is done with measured frames."""

from __future__ import annotations

import numpy as np
import torch

from opticdesign.optics.field import Grid
from opticdesign.optics.free_space import propagate

WAVELENGTH_M, PITCH_M, SIDE = 550e-9, 400e-9, 96


def cell_phase() -> np.ndarray:
    """Phase (y, x) of the bump, radians."""
    y, x = Grid.square(SIDE, PITCH_M).coordinates_m()
    return (1.5 * torch.exp(-((y - 2e-6) ** 2 + x**2) / (2.0 * (4e-6) ** 2))).numpy()


def defocused(z_m: float, counts: float = 30_000.0) -> np.ndarray:
    """What a camera counts there, uint16, about `counts` where there is no bump."""
    phase = torch.from_numpy(cell_phase())
    field = propagate(torch.polar(torch.ones_like(phase), phase), z_m, Grid.square(SIDE, PITCH_M), WAVELENGTH_M)
    return np.round(counts * (field.real**2 + field.imag**2).numpy()).astype(np.uint16)
