"""From one sampling to another by area: what a sample is the mean of, and masks on another grid."""

from __future__ import annotations

import torch
from torch import Tensor

from opticdesign.optics.field import Grid, phasor

__all__ = ["covered_share", "resampled", "resampled_phase"]


def covered_share(centre_m: Tensor, pitch_m: float, low_m: Tensor | float, high_m: Tensor | float) -> Tensor:
    """Share 0 … 1 of samples of width `pitch_m` around `centre_m` that the interval from low to high covers.

    Args:
        centre_m: middles of the samples in metres, any shape.
        pitch_m: their width in metres.
        low_m: lower end of the interval in metres, broadcast against the middles.
        high_m: upper end, likewise.
    """
    below, above = torch.clamp(centre_m - pitch_m / 2.0, min=low_m), torch.clamp(centre_m + pitch_m / 2.0, max=high_m)
    return torch.clamp((above - below) / pitch_m, min=0.0)


def resampled(values: Tensor, grid: Grid, output: Grid) -> Tensor:
    """Values of square pixels on another grid of the same centre, each the mean over its area; zero outside.

    For what adds up over an area: heights, intensities, complex transmissions and fields. A wrapped phase does not,
    since the mean of 0 and 2π is π: see `resampled_phase`.

    Args:
        values: real or complex (…, y, x) on `grid`.
        grid: sampling of the values.
        output: sampling of the result.

    Returns:
        Same type, (…, y, x) on `output`.
    """
    rows, columns = (_overlaps(grid, output, axis).to(values) for axis in (0, 1))
    return rows @ values @ columns.mT


def resampled_phase(phase_rad: Tensor, grid: Grid, output: Grid) -> Tensor:
    """A phase on another grid through its complex transmission, so that whole turns make no difference.

    Args:
        phase_rad: radians (…, y, x) on `grid`, wrapped or not.
        grid: sampling of the phase.
        output: sampling of the result.

    Returns:
        Radians in (−π, π], (…, y, x) on `output`; zero outside the grid.
    """
    return resampled(phasor(phase_rad), grid, output).angle()


def _overlaps(grid: Grid, output: Grid, axis: int) -> Tensor:
    """Share of each output sample (rows) that each input sample (columns) covers along one axis."""
    old, new = (each.coordinates_m()[axis].flatten() for each in (grid, output))
    half = grid.pitch_m[axis] / 2.0
    return covered_share(new[:, None], output.pitch_m[axis], old - half, old + half)
