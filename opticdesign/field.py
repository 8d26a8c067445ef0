"""Where a field is sampled: pitch, shape, coordinates and frequencies.

Conventions, for the whole package: lengths are metres, arrays are (…, y, x), pixel centres lie at
(i − (N − 1)/2)·pitch, the time factor is e^{−iωt} so that e^{+ikz} travels forward, and a thicker mask delays the wave:
φ = 2π(n − n₀)h/λ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.errors import UsageError

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """A rectangular sampling of a plane.

    Args:
        shape: rows and columns (ny, nx).
        pitch_m: distance between samples (dy, dx) in metres.

    Raises:
        UsageError: a shape or a pitch that is not positive.
    """

    shape: tuple[int, int]
    pitch_m: tuple[float, float]

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(self.pitch_m) <= 0.0:
            raise UsageError(
                f"a grid of {self.shape} samples at {self.pitch_m} m",
                expected="at least one sample along each axis and a positive pitch",
                remedy="check the shape and the pitch",
            )

    @classmethod
    def square(cls, size: int, pitch_m: float) -> Grid:
        """A grid of size × size samples with the same pitch along both axes."""
        return cls((size, size), (pitch_m, pitch_m))

    @property
    def extent_m(self) -> tuple[float, float]:
        """Height and width of the sampled area in metres."""
        return self.shape[0] * self.pitch_m[0], self.shape[1] * self.pitch_m[1]

    def with_shape(self, shape: tuple[int, int]) -> Grid:
        """The same pitch over another number of samples."""
        return Grid(shape, self.pitch_m)

    def coordinates_m(self) -> tuple[Tensor, Tensor]:
        """Pixel centres y of shape (ny, 1) and x of shape (1, nx), metres, float64."""
        (ny, nx), (dy, dx) = self.shape, self.pitch_m
        y = (torch.arange(ny, dtype=torch.float64) - (ny - 1) / 2) * dy
        x = (torch.arange(nx, dtype=torch.float64) - (nx - 1) / 2) * dx
        return y[:, None], x[None, :]

    def frequencies_per_m(self) -> tuple[Tensor, Tensor]:
        """Spatial frequencies fy of shape (ny, 1) and fx of shape (1, nx) in FFT order, 1/m, float64."""
        (ny, nx), (dy, dx) = self.shape, self.pitch_m
        fy = torch.fft.fftfreq(ny, dy, dtype=torch.float64)
        fx = torch.fft.fftfreq(nx, dx, dtype=torch.float64)
        return fy[:, None], fx[None, :]

    def offsets_m(self) -> tuple[Tensor, Tensor]:
        """Signed circular offsets from sample 0 in FFT order: y (ny, 1) and x (1, nx), metres, float64."""
        (ny, nx), (dy, dx) = self.shape, self.pitch_m
        y = torch.fft.fftfreq(ny, 1.0 / ny, dtype=torch.float64) * dy
        x = torch.fft.fftfreq(nx, 1.0 / nx, dtype=torch.float64) * dx
        return y[:, None], x[None, :]
