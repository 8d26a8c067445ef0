"""Free-space propagation to a plane with another pitch and another number of samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.optics import transfer
from opticdesign.optics.bluestein import chirp_z
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.propagation import padded_grid

__all__ = ["ScaledAngularSpectrum", "ScaledFresnel", "scaled_fresnel"]


def scaled_fresnel(
    field: Tensor, grid: Grid, output: Grid, wavelength_m: transfer.Scalar, distance_m: transfer.Scalar
) -> Tensor:
    """The paraxial diffraction integral on another grid of the same axis, without the carrier e^{ikz}.

    U(x′) = e^{iπx′²/(λz)}/(iλz)·Σ U(x)·e^{iπx²/(λz)}·e^{−2πixx′/(λz)}·dx·dy, the last factor by the chirp-z transform.
    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 4-17; R. P. Muffoletto, J. M. Tyler, J. E. Tohline,
    Shifted Fresnel diffraction for computational holography, Opt. Express 15, 5631 (2007), doi:10.1364/OE.15.005631.

    Args:
        field: complex (…, y, x) on `grid`.
        grid: sampling of the field.
        output: sampling of the result.
        wavelength_m: wavelength in the medium in metres, a number or a scalar tensor with its gradient.
        distance_m: distance along z in metres, not zero, likewise; negative goes back.

    Returns:
        Complex (…, y, x) on `output`, same type.
    """
    scale = 1.0 / (wavelength_m * distance_m)
    result = field * _sphere(grid, scale, field)
    for dim in (-2, -1):
        turns = grid.pitch_m[dim] * output.pitch_m[dim] * scale
        result = chirp_z(result, turns, output.shape[dim], dim=dim)
    return result * (_sphere(output, scale, field) * (grid.pitch_m[0] * grid.pitch_m[1] * scale) * -1j)


def _sphere(grid: Grid, scale: transfer.Scalar, like: Tensor) -> Tensor:
    """exp(iπr²/(λz)) on a grid, in the type and place of a field."""
    y, x = (c.to(like.device) for c in grid.coordinates_m())
    phase = math.pi * scale * (y**2 + x**2)
    return phasor(phase).to(like.dtype)


class ScaledFresnel(nn.Module):
    """Paraxial propagation to any grid around the same axis, for long ways; see `scaled_fresnel`.

    Args:
        grid: sampling of the field.
        output: sampling of the result.
        wavelength_m: vacuum wavelength in metres.
        distance_m: distance along z in metres, not zero; a parameter is learned.
        index: refractive index of the medium.

    Raises:
        UsageError: a distance of zero.
    """

    def __init__(
        self, grid: Grid, output: Grid, wavelength_m: float, distance_m: float | nn.Parameter, *, index: float = 1.0
    ) -> None:
        super().__init__()
        if transfer.number(distance_m) == 0.0:
            raise UsageError(
                "a paraxial integral over no distance",
                expected="a distance that is not zero",
                remedy="use sampling.resampled for another grid in the same plane",
            )
        self.grid, self.output = grid, output
        self.wavelength_m, self.distance_m = wavelength_m / index, distance_m

    def turns_per_sample(self) -> float:
        """Most turns of the integrand from one sample to the next, along either axis; right below 0.5."""
        spread = self.wavelength_m * abs(transfer.number(self.distance_m))
        reach = zip(self.grid.pitch_m, self.grid.extent_m, self.output.extent_m, strict=True)
        return max(pitch_m * (inner + outer) / (2.0 * spread) for pitch_m, inner, outer in reach)

    def forward(self, field: Tensor) -> Tensor:
        """Propagate a complex field (…, y, x) from `grid` to `output`."""
        return scaled_fresnel(field, self.grid, self.output, self.wavelength_m, self.distance_m)


class ScaledAngularSpectrum(nn.Module):
    """The band-limited angular spectrum, its result read on any grid around the same axis, for short ways.

    Wide angles are exact. The wave is periodic in the padded window, so that the output has to lie inside it.

    M. Leutenegger, R. Rao, R. A. Leitgeb, T. Lasser, Fast focus field calculations, Opt. Express 14, 11277 (2006),
    doi:10.1364/OE.14.011277, for the zoomed inverse transform; `transfer.band_limited` for the transfer function.

    Args:
        grid: sampling of the field.
        output: sampling of the result.
        wavelength_m: vacuum wavelength in metres.
        distance_m: distance along z in metres; a parameter is learned.
        padding: width of the zero-padded window over the width of the field.
        index: refractive index of the medium.

    Raises:
        UsageError: the output reaches beyond the window.
    """

    def __init__(
        self,
        grid: Grid,
        output: Grid,
        wavelength_m: float,
        distance_m: float | nn.Parameter,
        *,
        padding: float = 2.0,
        index: float = 1.0,
    ) -> None:
        super().__init__()
        self.grid, self.output, self.window = grid, output, padded_grid(grid, padding)
        self.wavelength_m, self.distance_m = wavelength_m / index, distance_m
        if any(out > have * (1.0 + 1e-9) for out, have in zip(output.extent_m, self.window.extent_m, strict=True)):
            raise UsageError(
                f"an output of {output.extent_m} m from a window of {self.window.extent_m} m",
                expected="an output inside the padded window",
                remedy="raise padding, or use ScaledFresnel for long ways",
            )

    def forward(self, field: Tensor) -> Tensor:
        """Propagate a complex field (…, y, x) from `grid` to `output`."""
        window, grid = self.window, self.grid
        hop = transfer.band_limited(window.shape, window.pitch_m, self.wavelength_m, self.distance_m).to(field.device)
        spectrum = torch.fft.fft2(field, s=window.shape) * hop.to(field.dtype)
        result: Tensor = torch.fft.fftshift(spectrum, dim=(-2, -1)) / (window.shape[0] * window.shape[1])
        for dim in (-2, -1):
            size, count = window.shape[dim], self.output.shape[dim]
            # the transform counts positions from the first sample of the field, the output from its middle
            ratio = self.output.pitch_m[dim] / grid.pitch_m[dim]
            first = (count - 1) / 2.0 - (grid.shape[dim] - 1) / 2.0 / ratio
            result = chirp_z(result, -ratio / size, count, origin=float(size // 2), output_origin=first, dim=dim)
        return result
