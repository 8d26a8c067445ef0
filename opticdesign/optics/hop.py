"""Free space between two planes that are sampled differently: light in one band, planes as fine as they need."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.optics.band import Plane, band_frequencies, from_band, kept, to_band
from opticdesign.optics.cascade import PreparedTransfer, prepared
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.propagation import Propagator, fast_length

__all__ = ["Hop", "light_grid", "light_window", "opened", "to_first_sample"]

_FINEST = 256  # denominator of the ratio of two pitches


def light_grid(plane: Grid, pitch_m: tuple[float, float]) -> Grid:
    """The samples at which light of a band ±1/2·pitch is known all over a plane, at least as wide as it."""
    rows, columns = (
        max(1, math.ceil(extent / pitch * (1.0 - 1e-9))) for extent, pitch in zip(plane.extent_m, pitch_m, strict=True)
    )
    return Grid((rows, columns), pitch_m)


def light_window(
    source: Grid, target: Grid, pitch_m: tuple[float, float], padding: float, rims: tuple[Grid, ...] = ()
) -> tuple[int, int]:
    """Rows and columns of a window for light from one plane to another.

    Args:
        source: the one plane.
        target: the other one.
        pitch_m: between samples of the light.
        padding: width of the window over the mean of both planes' widths; 2 holds the whole linear convolution.
        rims: the planes with rims that hold next to no light, but have to be inside.
    """
    sides = []
    for axis in (0, 1):
        widths = [light_grid(plane, pitch_m).shape[axis] for plane in (source, target)]
        inside = [light_grid(plane, pitch_m).shape[axis] for plane in rims]
        least = max(math.ceil(padding * sum(widths) / 2.0), *widths, *inside)
        sides.append(_length(least, [pitch_m[axis] / plane.pitch_m[axis] for plane in (source, target)]))
    return sides[0], sides[1]


def _length(least: int, ratios: list[float]) -> int:
    """A length of the window in samples of the light that has whole samples of either plane, and a fast transform."""
    denominators = [Fraction(ratio).limit_denominator(_FINEST).denominator for ratio in ratios]
    return fast_length(least, math.lcm(*denominators))


def opened(transfer: Tensor, band: tuple[int, int]) -> Tensor:
    """A transfer function (…, wy, wx) of a window in a band one wider where that is even, the rest left as it is.

    The highest frequency of an even window then stands on both sides, half on each.
    """
    for dim, count in zip((-2, -1), band, strict=True):
        size = transfer.shape[dim]
        if count == size + 1:
            low, high = transfer.narrow(dim, 0, size // 2 + 1), transfer.narrow(dim, size // 2, size // 2)
            ends = torch.ones(count, dtype=transfer.real.dtype, device=transfer.device)
            ends[size // 2 : size // 2 + 2] = 0.5
            transfer = torch.cat([low, high], dim) * (ends[:, None] if dim == -2 else ends)
    return transfer


class Hop(nn.Module):
    """Light's way from samples of one plane to samples of another one, parallel to it and around the same axis.

    Either plane may be finer than the light asks for: masks and cameras multiply light, and of the product, and of what
    a finer mask adds to it, only what the band carries goes on.

    Args:
        propagator: the way, for light on its own grid.
        source: samples of the plane that light comes from.
        target: samples of the plane that it goes to.

    Raises:
        UsageError: the propagator's window holds no whole number of samples of a plane.
    """

    _ramp: Tensor
    _fixed: Tensor

    def __init__(self, propagator: Propagator, source: Grid | None = None, target: Grid | None = None) -> None:
        super().__init__()
        self.propagator = propagator
        self.source_grid, self.target_grid = source or propagator.grid, target or propagator.grid
        self.source, self.target = (_plane(propagator.window, grid) for grid in (self.source_grid, self.target_grid))
        window = propagator.window.shape
        full = window == self.source.window == self.target.window
        rows, columns = (
            sides[0] if full else min(side + 1 - side % 2 for side in sides)  # of an even number both ends count
            for sides in zip(window, self.source.window, self.target.window, strict=True)
        )
        self.band = rows, columns
        self.full = full
        ramp = to_first_sample(self.source_grid, self.target_grid, propagator.window.extent_m, self.band)
        self.register_buffer("_ramp", ramp, persistent=False)
        if not isinstance(propagator.distance_m, nn.Parameter):
            self.register_buffer("_fixed", self.placed(propagator.transfer), persistent=False)

    @property
    def transfer(self) -> Tensor:
        """The transfer function in the band, complex (cy, cx) in FFT order."""
        if isinstance(self.propagator.distance_m, nn.Parameter):
            return self.placed(self.propagator.transfer)
        return self._fixed

    def ready(self) -> PreparedTransfer:
        """As a cascade takes it."""
        return prepared(self.transfer, self.source, self.target)

    def forward(self, field: Tensor) -> Tensor:
        """A complex field (…, y, x) of the source in the target, (…, y, x) of that."""
        spectrum = to_band(field, self.source.window, self.band) * self.transfer.to(field.dtype)
        return from_band(spectrum, self.target) / (self.source.window[0] * self.source.window[1])

    def placed(self, transfer: Tensor) -> Tensor:
        """A transfer function (…, wy, wx) of the propagator's window in the band, from first sample to first sample."""
        if self.full:
            moved = self.source_grid != self.target_grid
            return transfer * self._ramp.to(transfer.device, transfer.dtype) if moved else transfer
        rows, columns = transfer.shape[-2:]
        transfer = opened(transfer, (rows + 1 - rows % 2, columns + 1 - columns % 2))
        for axis, (dim, count) in enumerate(zip((-2, -1), self.band, strict=True)):
            if count < transfer.shape[dim]:
                transfer = kept(transfer, count, dim)
                if self.source.window[axis] < count:  # the highest frequency of an even number of samples
                    transfer.narrow(dim, count // 2, 2).mul_(0.5)
        return transfer * self._ramp.to(transfer.dtype)

    @property
    def learned(self) -> bool:
        """Whether the transfer function has a gradient."""
        return isinstance(self.propagator.distance_m, nn.Parameter)


def to_first_sample(source: Grid, target: Grid, extent_m: tuple[float, float], band: tuple[int, int]) -> Tensor:
    """e^{2πi f·(x₁ − x₀)} in a band of a window, complex128 (cy, cx).

    Transforms count from the first sample of either plane, which lie x₀ and x₁ from the axis.
    """
    fy, fx = band_frequencies(band, extent_m)
    first, second = (
        [-(n - 1) / 2.0 * pitch for n, pitch in zip(grid.shape, grid.pitch_m, strict=True)] for grid in (source, target)
    )
    return phasor(2.0 * math.pi * (fy * (second[0] - first[0]) + fx * (second[1] - first[1])))


def _plane(window: Grid, grid: Grid) -> Plane:
    sides = []
    for axis in (0, 1):
        samples = window.extent_m[axis] / grid.pitch_m[axis]
        if abs(samples - round(samples)) > 1e-6 * samples or round(samples) < grid.shape[axis]:
            raise UsageError(
                f"a window of {window.shape[axis]} samples of {window.pitch_m[axis]:.6g} m holds {samples:.6g} samples "
                f"of {grid.pitch_m[axis]:.6g} m, for a plane of {grid.shape[axis]}",
                expected="a whole number of them, and the plane inside",
                remedy="take the window from light_window",
            )
        sides.append(round(samples))
    return Plane(grid.shape, (sides[0], sides[1]))
