"""Scalar free-space propagation between parallel planes: a transfer function on a zero-padded window, and two FFTs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from opticdesign import transfer
from opticdesign.errors import UsageError
from opticdesign.field import Grid

__all__ = [
    "FEWEST_ZONES",
    "PROPAGATORS",
    "AngularSpectrum",
    "BandLimitedAngularSpectrum",
    "Fresnel",
    "FresnelImpulse",
    "Propagator",
    "RayleighSommerfeld",
    "convolve",
    "cut_edge",
    "fresnel_zones",
    "padded_grid",
    "sampled_reach",
    "suitable_propagator",
]

FEWEST_ZONES = 4.0  # Fresnel zones that a cut kernel must hold; with fewer, waves along the axis change their power
_GOOD_ZONES = 32.0  # with as many the inner half of the band is right to 1 %
_GOOD_BAND = 0.9


def convolve(field: Tensor, transfer_function: Tensor) -> Tensor:
    """Apply a transfer function to a field on its zero-padded window.

    Args:
        field: complex (…, y, x).
        transfer_function: complex (wy, wx) in FFT order, at least as large as the field.

    Returns:
        The whole window (…, wy, wx); the field's own area is its first y rows and x columns.
    """
    spectrum = torch.fft.fft2(field, s=transfer_function.shape[-2:])
    window: Tensor = torch.fft.ifft2(spectrum * transfer_function)
    return window


def padded_grid(grid: Grid, padding: float) -> Grid:
    """The window of a grid: at least `padding` times as many samples, rounded up to a size that an FFT likes."""
    from scipy.fft import next_fast_len

    ny, nx = (next_fast_len(math.ceil(n * padding)) for n in grid.shape)
    return grid.with_shape((ny, nx))


class Propagator(nn.Module, ABC):
    """Propagation over one distance, from a grid to the same grid in a parallel plane.

    Args:
        grid: sampling of the field.
        wavelength_m: vacuum wavelength in metres.
        distance_m: distance along z in metres; a negative one undoes the positive one on the propagating band. A
            parameter is learned, and the transfer function then made anew in every call.
        padding: width of the zero-padded window over the width of the field, 1 or more; 1 wraps around.
        index: refractive index of the medium.
        dtype: complex64 or complex128, the type the transfer function is kept in.

    Raises:
        UsageError: a wavelength, padding or index out of range, or a distance that is not finite.
    """

    name: ClassVar[str]
    distance_m: float | nn.Parameter
    _fixed: Tensor

    def __init__(
        self,
        grid: Grid,
        wavelength_m: float,
        distance_m: float | nn.Parameter,
        *,
        padding: float = 1.5,
        index: float = 1.0,
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        super().__init__()
        if not (wavelength_m > 0.0 and padding >= 1.0 and index >= 1.0 and math.isfinite(transfer.number(distance_m))):
            raise UsageError(
                f"a propagator with λ = {wavelength_m} m, z = {distance_m} m, padding = {padding}, index = {index}",
                expected="λ > 0, finite z, padding ≥ 1, index ≥ 1",
                remedy="correct the value out of range",
            )
        self.grid, self.window = grid, padded_grid(grid, padding)
        self.wavelength_m, self.distance_m = wavelength_m / index, distance_m
        self.dtype = dtype
        if not isinstance(distance_m, nn.Parameter):
            self.register_buffer("_fixed", self.transfer_function().to(dtype), persistent=False)

    @property
    def transfer(self) -> Tensor:
        """The transfer function as it is applied: complex (wy, wx) in FFT order."""
        if isinstance(self.distance_m, nn.Parameter):
            return self.transfer_function().to(self.distance_m.device, self.dtype)
        return self._fixed

    @abstractmethod
    def transfer_function(self) -> Tensor:
        """The transfer function on the window, complex128 (wy, wx) in FFT order."""

    def forward(self, field: Tensor) -> Tensor:
        """Propagate a complex field (…, y, x) to the other plane, same shape."""
        ny, nx = self.grid.shape
        return convolve(field, self.transfer)[..., :ny, :nx]


class AngularSpectrum(Propagator):
    """The exact transfer function of free space; see `transfer.angular_spectrum`."""

    name = "angular-spectrum"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        return transfer.angular_spectrum(self.window.shape, self.window.pitch_m, self.wavelength_m, self.distance_m)


class BandLimitedAngularSpectrum(Propagator):
    """The angular spectrum cut where the window samples its phase too coarsely; see `transfer.band_limited`."""

    name = "band-limited"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        return transfer.band_limited(self.window.shape, self.window.pitch_m, self.wavelength_m, self.distance_m)

    def limits_per_m(self) -> tuple[float, float]:
        """Largest frequencies kept along y and x in 1/m."""
        return transfer.band_limits_per_m(
            self.window.shape, self.window.pitch_m, self.wavelength_m, transfer.number(self.distance_m)
        )

    def kept_share(self) -> float:
        """Share of the band that the pitch and free space carry which is kept, 0 … 1."""
        shares = []
        for limit, pitch_m in zip(self.limits_per_m(), self.grid.pitch_m, strict=True):
            shares.append(min(limit / min(1.0 / (2.0 * pitch_m), 1.0 / self.wavelength_m), 1.0))
        return math.prod(shares)


class Fresnel(Propagator):
    """The paraxial transfer function, for small angles and short ways; see `transfer.fresnel`."""

    name = "fresnel"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        return transfer.fresnel(self.window.shape, self.window.pitch_m, self.wavelength_m, self.distance_m)


class FresnelImpulse(Propagator):
    """The sampled paraxial impulse response, for small angles and long ways; see `transfer.fresnel_impulse`."""

    name = "fresnel-impulse"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        if transfer.number(self.distance_m) == 0.0:
            return torch.ones(self.window.shape, dtype=torch.complex128)
        return transfer.fresnel_impulse(self.window.shape, self.window.pitch_m, self.wavelength_m, self.distance_m)


class RayleighSommerfeld(Propagator):
    """The sampled Rayleigh–Sommerfeld kernel; see `transfer.rayleigh_sommerfeld`.

    Up to the free width of the window the convolution is linear. Offsets beyond it, the steepest rays across the
    aperture, meet others in the window and take a mean of both (`transfer.folded`), which is the least error that a
    window of this size allows; a doubled one has none. Where the pitch cannot sample the kernel's phase it ends in a
    squared-cosine edge. With 16 zones left in a kernel cut so, waves in the inner half of the band are right to some
    percent, with 64 to 0.1 %; an uncut one holds the whole field from z = λ on.

    Raises:
        UsageError: what is right of the kernel holds fewer than 4 Fresnel zones, or z is below λ/2.
    """

    name = "rayleigh-sommerfeld"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        if transfer.number(self.distance_m) == 0.0:
            return torch.ones(self.window.shape, dtype=torch.complex128)
        z = transfer.number(self.distance_m)
        if abs(z) < self.wavelength_m / 2.0 or self.zones() < FEWEST_ZONES:
            raise UsageError(
                f"the sampled Rayleigh–Sommerfeld kernel cannot carry light over z = {z:.4g} m: "
                f"{self.zones():.2g} Fresnel zones of it are left",
                expected=f"|z| ≥ λ/2, and {FEWEST_ZONES:g} zones or a window twice as wide as the field",
                remedy='set optics.propagator to "band-limited" for short ways, optics.padding to 2 for long ones',
            )
        folds = self._fold(0), self._fold(1)
        return transfer.rayleigh_sommerfeld(folds, self.window.pitch_m, self.wavelength_m, self.distance_m)

    def zones(self) -> float:
        """Fresnel zones that the linear part of the kernel holds along its shorter axis; infinite when it is whole."""
        return fresnel_zones(self.grid, self.window, self.wavelength_m, transfer.number(self.distance_m))

    def _fold(self, axis: int) -> transfer.Fold:
        """Offsets along an axis and their weights, cut where the pitch samples the kernel too coarsely."""
        fold = transfer.folded(self.grid.shape[axis], self.window.shape[axis])
        reach = sampled_reach(self.grid.pitch_m[axis], self.wavelength_m, transfer.number(self.distance_m))
        if reach >= self.grid.shape[axis] - 1:
            return fold
        return [(offset, share * cut_edge(offset, torch.tensor(reach, dtype=torch.float64))) for offset, share in fold]


def sampled_reach(pitch_m: float, wavelength_m: float, distance_m: float) -> float:
    """Samples to either side within which a pitch samples the phase of the spherical wave e^{ikr} finely enough."""
    sine = wavelength_m / (2.0 * pitch_m)
    tangent = sine / math.sqrt(1.0 - sine * sine) if sine < 1.0 else math.inf
    return abs(distance_m) * tangent / pitch_m


def cut_edge(offset: Tensor, reach: Tensor) -> Tensor:
    """Weights 0 … 1 of a kernel that ends in a squared-cosine edge at so many samples; they broadcast."""
    ramp = torch.clamp((reach + 0.5 - offset.abs()) / torch.clamp(reach / 8.0, min=1.0), 0.0, 1.0)
    return torch.sin(0.5 * math.pi * ramp) ** 2


def fresnel_zones(grid: Grid, window: Grid, wavelength_m: float, distance_m: float) -> float:
    """Fresnel zones that the linear part of a sampled kernel holds along its shorter axis; infinite when it is whole.

    Args:
        grid: sampling of the field.
        window: its zero-padded window.
        wavelength_m: wavelength in the medium, metres.
        distance_m: distance in metres.
    """
    found = [math.inf]
    for across, count, pitch_m in zip(window.shape, grid.shape, grid.pitch_m, strict=True):
        samples = min(float(across - count), sampled_reach(pitch_m, wavelength_m, distance_m))
        if samples < count - 1:
            found.append((samples * pitch_m) ** 2 / (wavelength_m * abs(distance_m)))
    return min(found)


PROPAGATORS: dict[str, type[Propagator]] = {
    kind.name: kind
    for kind in (RayleighSommerfeld, AngularSpectrum, BandLimitedAngularSpectrum, Fresnel, FresnelImpulse)
}


def suitable_propagator(
    grid: Grid, wavelength_m: float, distance_m: float, *, padding: float = 1.5, index: float = 1.0
) -> tuple[type[Propagator], str]:
    """The kind of propagator that is right for a distance, and why; arguments as for `Propagator`.

    The Rayleigh–Sommerfeld kernel when enough of it can be kept, unless the pitch cuts it and the band-limited angular
    spectrum keeps the whole band; the latter when enough of its band is; else the paraxial impulse response: so far
    away only small angles reach the window.
    """
    share = BandLimitedAngularSpectrum(grid, wavelength_m, distance_m, padding=padding, index=index).kept_share()
    try:
        zones = RayleighSommerfeld(grid, wavelength_m, distance_m, padding=padding, index=index).zones()
    except UsageError:
        zones = 0.0
    if zones >= _GOOD_ZONES and share < 1.0:
        return RayleighSommerfeld, "enough of its kernel is kept"
    if share >= _GOOD_BAND:
        return BandLimitedAngularSpectrum, f"too little of the sampled kernel, but {share:.1%} of the band is kept"
    ratio = abs(distance_m) * wavelength_m / index / (min(grid.shape) * padding * min(grid.pitch_m) ** 2)
    if ratio >= 1.0:
        return FresnelImpulse, f"z·λ/(N·pitch²) = {ratio:.3g}: only the impulse response is still sampled"
    return BandLimitedAngularSpectrum, f"{share:.1%} of the band is kept; more padding would keep more"
