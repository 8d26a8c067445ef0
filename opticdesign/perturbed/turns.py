"""Fields in a plane that is turned in itself against the one before.

A turn is three shears, and a shear of a field along x moves each row by its own way: a Fourier ramp between the two
one-dimensional transforms. All is done in the padded window, where the field goes on beyond the aperture: cut off, it
would ring as much as it is turned. For small angles two shears do: they leave out a stretch by ψ²/2 along one axis and
a squeeze along the other.

M. Unser, P. Thévenaz, L. Yaroslavsky, Convolution-based interpolation for fast, high-quality rotation of images, IEEE
Trans. Image Process. 4, 1371 (1995), Eq. 3, doi:10.1109/83.465096.

To turn the masks instead of the fields would be quicker, but wrong: the product of a field and a mask whose phases
change from sample to sample is more than the grid carries, and the error is as large as what a turn does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.optics.band import kept
from opticdesign.optics.field import Grid, phasor
from opticdesign.perturbed.transfers import times

__all__ = ["Turn", "turn_of"]

_SAMPLES = 1e-3  # that two shears may be wrong by at the rim


@dataclass(frozen=True)
class Turn:
    """Shears one after the other.

    Args:
        first: ramps of one along x, complex (n, 1, wy, f_x); None where two shears do.
        along_y: ramps of one along y, complex (n, 1, f_y, wx).
        last: ramps of one along x again, on the rows of the field, (n, 1, y, f_x).
        shape: rows and columns of the field, y and x.
    """

    first: Tensor | None
    along_y: Tensor
    last: Tensor
    shape: tuple[int, int]

    def field(self, spectrum: Tensor) -> Tensor:
        """Turned fields (n, images, y, x) of the unscaled spectra (n, images, cy, cx) of their windows in a band."""
        (ny, nx), window = self.shape, (self.along_y.shape[-2], self.along_y.shape[-1])
        spectrum = kept(kept(spectrum, window[0], -2), window[1], -1)
        if self.first is not None:
            spectrum = torch.fft.fft(times(torch.fft.ifft(spectrum, dim=-2), self.first), dim=-2)
        columns = times(torch.fft.ifft(spectrum, norm="forward"), self.along_y)
        rows = torch.fft.ifft(columns, dim=-2, norm="forward")[..., :ny, :]
        field: Tensor = torch.fft.ifft(times(torch.fft.fft(rows), self.last))[..., :nx]
        return field

    def of_draw(self, draw: int) -> Turn:
        """The turn of one of the draws."""
        part = slice(draw, draw + 1)
        first = None if self.first is None else self.first[part]
        return Turn(first, self.along_y[part], self.last[part], self.shape)


def turn_of(angle_rad: Tensor, grid: Grid, window: Grid, like: Tensor) -> Turn:
    """How fields look from planes that are turned, +x towards +y.

    Args:
        angle_rad: float64 (n,), well below a quarter turn.
        grid: sampling of the fields, in the first rows and columns of the window.
        window: sampling of their windows.
        like: gives type and device.
    """
    angle = angle_rad[:, None, None, None]
    fy, fx = window.frequencies_per_m()
    y, x = (
        _places(count, size) * pitch for count, size, pitch in zip(grid.shape, window.shape, grid.pitch_m, strict=True)
    )
    # a value at r is the one at (x cos − y sin, x sin + y cos)
    few = float(angle.abs().max()) ** 2 * max(grid.shape) / 4.0 < _SAMPLES
    along_x = -torch.tan(angle if few else angle / 2.0) * y[: grid.shape[0] if few else None, None]
    along_y = torch.sin(angle) * (torch.cos(angle) if few else 1.0) * x
    ramps, columns = (
        phasor((2.0 * math.pi * way).to(like.real) * frequency.to(like.real))
        for way, frequency in ((along_x, fx), (along_y, fy))
    )
    return Turn(None if few else ramps, columns, ramps[..., : grid.shape[0], :], grid.shape)


def _places(count: int, size: int) -> Tensor:
    """Places of a window's samples from the middle of its field, in samples; half of its margin is before it."""
    before = (size - count) // 2
    return (torch.arange(size, dtype=torch.float64) + before) % size - before - (count - 1) / 2.0
