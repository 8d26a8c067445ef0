"""Scalar free-space propagation between parallel planes.

Each propagator is a transfer function on a zero-padded window, built in float64 and applied by two FFTs. The carrier
e^{ikz} is left out everywhere, so that a plane wave along z keeps its phase; it is removed analytically, through
k_z − k = −k·s/(1 + √(1 − s)) with s = (λf)², because the difference of two large numbers would cost the float32 phase.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.field import Grid

__all__ = [
    "PROPAGATORS",
    "AngularSpectrum",
    "BandLimitedAngularSpectrum",
    "Fresnel",
    "Propagator",
    "RayleighSommerfeld",
    "convolve",
    "padded_grid",
]


_ZONES = 4.0  # Fresnel zones that a cut kernel must hold; with fewer even waves along the axis change their power


def convolve(field: Tensor, transfer: Tensor) -> Tensor:
    """Apply a transfer function to a field on its zero-padded window.

    Args:
        field: complex (…, y, x).
        transfer: complex (wy, wx) in FFT order, at least as large as the field.

    Returns:
        The whole window (…, wy, wx); the field's own area is its first y rows and x columns.
    """
    spectrum = torch.fft.fft2(field, s=transfer.shape[-2:])
    window: Tensor = torch.fft.ifft2(spectrum * transfer)
    return window


def padded_grid(grid: Grid, padding: float) -> Grid:
    """The window of a grid: at least `padding` times as many samples, rounded up to a size that an FFT likes."""
    from scipy.fft import next_fast_len

    ny, nx = (next_fast_len(math.ceil(n * padding)) for n in grid.shape)
    return grid.with_shape((ny, nx))


def _excess_phase(grid: Grid, wavelength_m: float, distance_m: float) -> tuple[Tensor, Tensor]:
    """(k_z − k)·z in radians and the propagating band s < 1, both (ny, nx)."""
    fy, fx = grid.frequencies_per_m()
    s = wavelength_m**2 * (fy**2 + fx**2)
    band = s < 1.0
    root = torch.sqrt(torch.where(band, 1.0 - s, torch.zeros_like(s)))
    return (-2.0 * math.pi / wavelength_m * distance_m) * s / (1.0 + root), band


class Propagator(nn.Module, ABC):
    """Propagation over one distance, from a grid to the same grid in a parallel plane.

    Args:
        grid: sampling of the field.
        wavelength_m: vacuum wavelength in metres.
        distance_m: distance along z in metres; a negative one undoes the positive one on the propagating band.
        padding: width of the zero-padded window over the width of the field, 1 or more; 1 wraps around.
        index: refractive index of the medium.
        dtype: complex64 or complex128, the type the transfer function is kept in.

    Raises:
        UsageError: a wavelength, padding or index out of range, or a distance that is not finite.
    """

    name: ClassVar[str]
    transfer: Tensor

    def __init__(
        self,
        grid: Grid,
        wavelength_m: float,
        distance_m: float,
        *,
        padding: float = 1.5,
        index: float = 1.0,
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        super().__init__()
        if not (wavelength_m > 0.0 and padding >= 1.0 and index >= 1.0 and math.isfinite(distance_m)):
            raise UsageError(
                f"a propagator with λ = {wavelength_m} m, z = {distance_m} m, padding = {padding}, index = {index}",
                expected="λ > 0, finite z, padding ≥ 1, index ≥ 1",
                remedy="correct the value out of range",
            )
        self.grid, self.window = grid, padded_grid(grid, padding)
        self.wavelength_m, self.distance_m = wavelength_m / index, distance_m
        self.register_buffer("transfer", self.transfer_function().to(dtype), persistent=False)

    @abstractmethod
    def transfer_function(self) -> Tensor:
        """The transfer function on the window, complex128 (wy, wx) in FFT order."""

    def forward(self, field: Tensor) -> Tensor:
        """Propagate a complex field (…, y, x) to the other plane, same shape."""
        ny, nx = self.grid.shape
        return convolve(field, self.transfer)[..., :ny, :nx]


class AngularSpectrum(Propagator):
    """Exact transfer function H = exp(i(k_z − k)z), evanescent waves dropped.

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 3-74.
    """

    name = "angular-spectrum"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        phase, band = _excess_phase(self.window, self.wavelength_m, self.distance_m)
        return torch.polar(band.to(torch.float64), phase)


class BandLimitedAngularSpectrum(Propagator):
    """Angular spectrum cut where the window samples its phase too coarsely, |f| ≤ 1/(λ√((2z/L)² + 1)).

    K. Matsushima, T. Shimobaba, Band-limited angular spectrum method for numerical simulation of free-space propagation
    in far and near fields, Opt. Express 17, 19662 (2009), Eq. 13 and 20, doi:10.1364/OE.17.019662.
    """

    name = "band-limited"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        phase, band = _excess_phase(self.window, self.wavelength_m, self.distance_m)
        for frequency, limit in zip(self.window.frequencies_per_m(), self.limits_per_m(), strict=True):
            band = band & (frequency.abs() <= limit)
        return torch.polar(band.to(torch.float64), phase)

    def limits_per_m(self) -> tuple[float, float]:
        """Largest frequencies kept along y and x in 1/m."""
        height, width = self.window.extent_m
        z = abs(self.distance_m)
        return (
            1.0 / (self.wavelength_m * math.hypot(2.0 * z / height, 1.0)),
            1.0 / (self.wavelength_m * math.hypot(2.0 * z / width, 1.0)),
        )


class Fresnel(Propagator):
    """Paraxial transfer function H = exp(−iπλz f²), for small angles only.

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 4-21.
    """

    name = "fresnel"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        fy, fx = self.window.frequencies_per_m()
        phase = -math.pi * self.wavelength_m * self.distance_m * (fy**2 + fx**2)
        return torch.polar(torch.ones_like(phase), phase)


class RayleighSommerfeld(Propagator):
    """FFT of the sampled first Rayleigh–Sommerfeld kernel h = z/(2πr²)·(1/r − ik)·e^{ik(r−z)}·dx·dy.

    The kernel is kept where the window turns the circular convolution into a linear one, and where the pitch samples
    its phase; at a cut it ends in a squared-cosine edge. So the result is free of wrap-around at any padding above 1,
    at the price of the steepest rays across the aperture. With 16 zones left in a cut kernel, waves in the inner half
    of the band are right to some percent, with 64 to 0.1 %; an uncut one holds the whole field from z = λ on.

    Raises:
        UsageError: what is left of the kernel holds fewer than 4 Fresnel zones, or z is below λ/2.

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 3-43; F. Shen, A. Wang, Fast-Fourier-transform based
    numerical integration method for the Rayleigh–Sommerfeld diffraction formula, Appl. Opt. 45, 1102 (2006),
    doi:10.1364/AO.45.001102.
    """

    name = "rayleigh-sommerfeld"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        if self.distance_m == 0.0:
            return torch.ones(self.window.shape, dtype=torch.complex128)
        if abs(self.distance_m) < self.wavelength_m / 2.0 or self.zones() < _ZONES:
            raise UsageError(
                f"the sampled Rayleigh–Sommerfeld kernel cannot carry light over z = {self.distance_m:.4g} m: "
                f"{self.zones():.2g} Fresnel zones of it are left",
                expected=f"|z| ≥ λ/2, and {_ZONES:g} zones or a window twice as wide as the field",
                remedy='set optics.propagator to "band-limited" for short ways, optics.padding to 2 for long ones',
            )
        y, x = self.window.offsets_m()
        z, k = abs(self.distance_m), 2.0 * math.pi / self.wavelength_m
        across = y**2 + x**2
        r = torch.sqrt(across + z * z)
        area = self.grid.pitch_m[0] * self.grid.pitch_m[1]
        amplitude = (area * z / (2.0 * math.pi)) / r**2 * self._kept(y, 0) * self._kept(x, 1)
        # r − z without the difference of nearly equal numbers
        carrier = torch.polar(torch.ones_like(r), k * across / (r + z))
        transfer = torch.fft.fft2(amplitude * torch.complex(1.0 / r, torch.full_like(r, -k)) * carrier)
        result: Tensor = transfer if self.distance_m > 0.0 else transfer.conj()
        return result

    def zones(self) -> float:
        """Fresnel zones that the kept part of the kernel holds along its shorter axis; infinite when none is cut."""
        cut = [
            (reach * pitch_m) ** 2 / (self.wavelength_m * abs(self.distance_m))
            for reach, count, pitch_m in zip(self._reach(), self.grid.shape, self.grid.pitch_m, strict=True)
            if reach < count - 1
        ]
        return min(cut, default=math.inf)

    def _reach(self) -> tuple[float, float]:
        """Samples of the kernel kept to either side along y and x: those that stay linear and are sampled finely."""
        reach = []
        for window, count, pitch_m in zip(self.window.shape, self.grid.shape, self.grid.pitch_m, strict=True):
            sine = self.wavelength_m / (2.0 * pitch_m)
            tangent = sine / math.sqrt(1.0 - sine * sine) if sine < 1.0 else math.inf
            reach.append(min(float(window - count), abs(self.distance_m) * tangent / pitch_m))
        return reach[0], reach[1]

    def _kept(self, offset_m: Tensor, axis: int) -> Tensor:
        """Weight 0 … 1 of the kernel along one axis, same shape as the offsets."""
        reach = self._reach()[axis]
        if reach >= self.grid.shape[axis] - 1:
            return torch.ones_like(offset_m)
        edge = max(reach / 8.0, 1.0)
        ramp = torch.clamp((reach + 0.5 - offset_m.abs() / self.grid.pitch_m[axis]) / edge, 0.0, 1.0)
        return torch.sin(0.5 * math.pi * ramp) ** 2


PROPAGATORS: dict[str, type[Propagator]] = {
    kind.name: kind for kind in (RayleighSommerfeld, AngularSpectrum, BandLimitedAngularSpectrum, Fresnel)
}
