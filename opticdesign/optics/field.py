"""Where and at which wavelengths a field is sampled: pitch, shape, coordinates, frequencies, spectrum.

Conventions, for the whole package: lengths are metres, arrays are (…, y, x) or, of more than one wavelength,
(…, wavelength, y, x), pixel centres lie at (i − (N − 1)/2)·pitch, the time factor is e^{−iωt} so that e^{+ikz} travels
forward, and a thicker mask delays the wave: φ = 2π(n − n₀)h/λ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.errors import UsageError

__all__ = ["Grid", "Spectrum", "middle", "phasor", "shifted"]


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


@dataclass(frozen=True)
class Spectrum:
    """Light of several wavelengths that do not interfere with one another.

    Args:
        wavelengths_m: vacuum wavelengths in metres, one or more.
        weights: share of the power at each of them; they sum to 1.

    Raises:
        UsageError: no wavelength, one that is not positive, or weights that are negative or do not sum to 1.
    """

    wavelengths_m: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        right = len(self.wavelengths_m) == len(self.weights) > 0 and min(self.wavelengths_m) > 0.0
        if not (right and min(self.weights) >= 0.0 and math.isclose(sum(self.weights), 1.0, rel_tol=1e-9)):
            raise UsageError(
                f"a spectrum of {len(self.wavelengths_m)} wavelengths with weights {self.weights}",
                expected="positive wavelengths, as many weights, none negative, their sum 1",
                remedy="divide the weights by their sum",
            )

    @classmethod
    def uniform(cls, centre_m: float, width_m: float, count: int) -> Spectrum:
        """Equal power between centre ± width/2, in the middles of `count` equal intervals."""
        wavelengths = tuple(centre_m + width_m * ((i + 0.5) / count - 0.5) for i in range(count))
        return cls(wavelengths, (1.0 / count,) * count)

    @classmethod
    def gaussian(cls, centre_m: float, fwhm_m: float, count: int) -> Spectrum:
        """A Gaussian line of a full width at half maximum, in `count` equal intervals over three such widths."""
        wavelengths = cls.uniform(centre_m, 3.0 * fwhm_m, count).wavelengths_m
        powers = [math.exp(-4.0 * math.log(2.0) * ((w - centre_m) / fwhm_m) ** 2) for w in wavelengths]
        return cls(wavelengths, tuple(power / sum(powers) for power in powers))


def middle(values: Tensor, shape: tuple[int, int]) -> Tensor:
    """The middle (…, y, x) of values on a larger grid that reaches as far beyond it on opposite sides; a view."""
    top, left = ((whole - part) // 2 for whole, part in zip(values.shape[-2:], shape, strict=True))
    return values[..., top : top + shape[0], left : left + shape[1]]


def phasor(phase_rad: Tensor) -> Tensor:
    """e^{iφ} of phases in radians: complex, same shape. For phases that learn see `elements.phase_transmission`."""
    return torch.complex(torch.cos(phase_rad), torch.sin(phase_rad))


def shifted(field: Tensor, dy_m: float | Tensor, dx_m: float | Tensor, grid: Grid) -> Tensor:
    """A field moved by any distance, exact for what the grid carries, differentiable in the distances: a Fourier ramp.

    What leaves one side of the grid enters the other. Whole pitches move samples without changing them.

    Args:
        field: complex (…, y, x).
        dy_m: way towards +y in metres, a number or a tensor of the field's batch shape (…).
        dx_m: way towards +x in metres, likewise.
        grid: sampling of the field.

    Returns:
        Complex field (…, y, x).
    """
    fy, fx = (f.to(field.device) for f in grid.frequencies_per_m())
    dy, dx = (torch.as_tensor(d, dtype=torch.float64, device=field.device)[..., None, None] for d in (dy_m, dx_m))
    turn = -2.0 * math.pi * (fy * dy + fx * dx)
    ramp = phasor(turn).to(field.dtype)
    result: Tensor = torch.fft.ifft2(torch.fft.fft2(field) * ramp)
    return result
