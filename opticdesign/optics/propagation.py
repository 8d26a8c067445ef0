"""Scalar free-space propagation between parallel planes: a transfer function on a zero-padded window, and two FFTs."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.optics import transfer
from opticdesign.optics.field import Grid
from opticdesign.optics.transfer import Fold

__all__ = [
    "FEWEST_ZONES",
    "PROPAGATORS",
    "AngularSpectrum",
    "BandLimitedAngularSpectrum",
    "Fresnel",
    "FresnelImpulse",
    "ImpulseResponse",
    "Propagator",
    "RayleighSommerfeld",
    "convolve",
    "cut_edge",
    "fast_length",
    "fresnel_zones",
    "padded_grid",
    "sampled_reach",
    "suitable_propagator",
]

FEWEST_ZONES = 4.0  # Fresnel zones that a cut kernel must hold; with fewer, waves along the axis change their power
_WIDEST = 16  # half a window for an impulse response, over its largest offset
_SHORT = 2.0  # wavelengths; over less, evanescent waves of a sampled kernel fold back


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
        target: rows and columns of the other plane, around the same axis, as far as they are wanted; the same as of
            the field where left out.
        window: rows and columns of the window, in the place of padding.

    Raises:
        UsageError: a wavelength, padding or index out of range, or a distance that is not finite.
    """

    name: ClassVar[str]
    why: str = ""  # this kind, where it was chosen
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
        target: tuple[int, int] | None = None,
        window: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        _check(wavelength_m, transfer.number(distance_m), padding, index)
        self.grid = grid
        self.window = padded_grid(grid, padding) if window is None else grid.with_shape(window)
        self.target = grid.shape if target is None else target
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

    @property
    def farthest(self) -> tuple[int, int]:
        """Offsets in samples between the two planes along y and x, the largest ones."""
        (ny, nx), (ty, tx) = self.grid.shape, self.target
        return math.ceil((ny + ty) / 2) - 1, math.ceil((nx + tx) / 2) - 1

    def fold(self, axis: int) -> Fold:
        """Offsets between samples of both planes along an axis and their weights, as `transfer.folded` gives them."""
        return transfer.folded(self.grid.shape[axis], self.window.shape[axis], self.target[axis])

    def forward(self, field: Tensor) -> Tensor:
        """Propagate a complex field (…, y, x) to the other plane, same shape."""
        ny, nx = self.grid.shape
        return convolve(field, self.transfer)[..., :ny, :nx]


def _check(wavelength_m: float, distance_m: float, padding: float, index: float) -> None:
    """Refuse what no light travels by; arguments as for `Propagator`."""
    if not (wavelength_m > 0.0 and padding >= 1.0 and index >= 1.0 and math.isfinite(distance_m)):
        raise UsageError(
            f"a propagator with λ = {wavelength_m} m, z = {distance_m} m, padding = {padding}, index = {index}",
            expected="λ > 0, finite z, padding ≥ 1, index ≥ 1",
            remedy="correct the value out of range",
        )


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
    squared-cosine edge, of the distance and wavelength that it is made for. With 16 zones left in a kernel cut so,
    waves in the inner half of the band are right to some
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
        folds = self.fold(0), self.fold(1)
        return transfer.rayleigh_sommerfeld(folds, self.window.pitch_m, self.wavelength_m, self.distance_m)

    def zones(self) -> float:
        """Fresnel zones that the linear part of the kernel holds along its shorter axis; infinite when it is whole."""
        return fresnel_zones(self.grid, self.window, self.wavelength_m, transfer.number(self.distance_m))

    def fold(self, axis: int) -> Fold:
        """As of any propagator, cut where the pitch samples the kernel too coarsely."""
        fold = super().fold(axis)
        reach = sampled_reach(self.grid.pitch_m[axis], self.wavelength_m, transfer.number(self.distance_m))
        if reach >= self.farthest[axis]:
            return fold
        return [(offset, share * cut_edge(offset, torch.tensor(reach, dtype=torch.float64))) for offset, share in fold]


class ImpulseResponse(Propagator):
    """The impulse response of free space within the band of the grid; see `transfer.impulse_response`.

    What a window of unlimited size gives by the angular spectrum, folded into this one as that of `RayleighSommerfeld`:
    the convolution is linear in a window as wide as both planes together. For ways that are too short, or pitches too
    wide, for a sampled spherical wave; light steeper than the pitch carries is left out.
    """

    name = "impulse-response"

    def transfer_function(self) -> Tensor:  # noqa: D102 (documented on the base)
        if transfer.number(self.distance_m) == 0.0:
            return torch.ones(self.window.shape, dtype=torch.complex128)
        quarter = self.quarter(self.wavelength_m, transfer.number(self.distance_m))
        kernel = torch.zeros(self.window.shape, dtype=torch.complex128)
        for (y, share_y), (x, share_x) in itertools.product(self.fold(0), self.fold(1)):
            rows, columns = (o.abs().long().clamp(max=n - 1) for o, n in zip((y, x), quarter.shape, strict=True))
            kernel += quarter[rows][:, columns] * (share_y[:, None] * share_x)
        spectrum: Tensor = torch.fft.fft2(kernel)
        return spectrum

    def quarter(self, wavelength_m: float, distance_m: float) -> Tensor:
        """The kernel at offsets that are not negative, complex128, for a wavelength in the medium and a distance."""
        counts, wide = [], []
        for axis in (0, 1):
            most = max(self.farthest[axis], self.window.shape[axis] // 2)
            reach = sampled_reach(self.grid.pitch_m[axis], wavelength_m, distance_m)
            counts.append(most + 1)
            # all that light reaches has room, and ripples of the band's edge have died
            wide.append(2 * fast_length(max(math.ceil(min(4.0 * (reach + most), _WIDEST * most)), 16)))
        pitch_m, both = self.grid.pitch_m, (wide[0], wide[1])
        return transfer.impulse_response((counts[0], counts[1]), pitch_m, wavelength_m, distance_m, both)


def fast_length(least: int, multiple: int = 1) -> int:
    """A length of fast Fourier transforms, at least so long and a multiple of some number, that takes the least time.

    Transforms of much of a power of two are so much faster that a longer one may take less time than a shorter one.
    """
    from scipy.fft import next_fast_len

    length: int = next_fast_len(least)
    lengths: list[int] = []
    while not lengths or length <= 1.15 * lengths[0]:
        if length % multiple == 0:
            lengths.append(length)
        length = next_fast_len(length + 1)
    return min(lengths, key=lambda n: n * _slowness(n))


def _slowness(length: int) -> float:
    """Time of a transform for each sample, against that of a power of two, as measured roughly."""
    twos = (length & -length).bit_length() - 1
    odd = length >> twos
    return 1.0 + 0.06 * math.log2(odd) + 0.15 * max(0, 4 - twos) + 0.1 * (odd % 7 == 0 or odd % 11 == 0)


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
    for kind in (
        RayleighSommerfeld,
        ImpulseResponse,
        AngularSpectrum,
        BandLimitedAngularSpectrum,
        Fresnel,
        FresnelImpulse,
    )
}


def suitable_propagator(
    grid: Grid,
    wavelength_m: float,
    distance_m: float,
    *,
    index: float = 1.0,
    target: tuple[int, int] | None = None,
) -> tuple[type[Propagator], str]:
    """The kind of propagator whose kernel is right for a distance, and why; arguments as for `Propagator`.

    The sampled Rayleigh–Sommerfeld kernel where the pitch samples its phase at all offsets between the two planes; else
    the impulse response within the band of the pitch. Both are exact convolutions in a window that is wide enough.
    """
    _check(wavelength_m, distance_m, 1.0, index)
    wavelength, z = wavelength_m / index, abs(distance_m)
    if z < _SHORT * wavelength:
        return ImpulseResponse, f"z = {z / wavelength:.3g} λ: evanescent waves still count"
    for axis, name in enumerate("yx"):
        farthest = ((grid.shape if target is None else target)[axis] + grid.shape[axis]) / 2.0 - 1.0
        reach = sampled_reach(grid.pitch_m[axis], wavelength, z)
        if reach < farthest:
            found = f"along {name} the pitch samples a spherical wave as far as {reach:.3g} of {farthest:.3g} samples"
            return ImpulseResponse, found
    return RayleighSommerfeld, "the pitch samples the spherical wave all over the aperture"
