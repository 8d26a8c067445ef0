"""Fields and the frequencies that a hop carries: samples in an aperture, a window around it, a band of its spectrum.

A hop goes from one plane to another, and the two may be sampled differently and be of different size; what they share
is the length of the window, and so the distance of their frequencies. A plane has as many samples across the window as
its pitch asks, all transforms are of that many, and of the spectrum only the band is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Plane", "band_frequencies", "from_band", "kept", "to_band"]


@dataclass(frozen=True)
class Plane:
    """How the field in one plane of a hop is sampled.

    Args:
        shape: rows and columns of the aperture, which lies in the first rows and columns of the window.
        window: rows and columns of the window.
    """

    shape: tuple[int, int]
    window: tuple[int, int]


def band_frequencies(band: tuple[int, int], extent_m: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Frequencies of a band in FFT order along y (cy, 1) and x (1, cx), 1/m, float64.

    Args:
        band: frequencies kept along y and x.
        extent_m: height and width of the window in metres.
    """
    fy, fx = (
        torch.fft.fftfreq(count, 1.0 / count, dtype=torch.float64) / extent
        for count, extent in zip(band, extent_m, strict=True)
    )
    return fy[:, None], fx[None, :]


def to_band(field: Tensor, window: tuple[int, int], band: tuple[int, int]) -> Tensor:
    """The spectrum of a field (…, y, x) in a zero-padded window, unscaled, as far as the band goes: (…, cy, cx)."""
    rows = kept(torch.fft.fft(field, window[1]), band[1], -1)
    return kept(torch.fft.fft(rows, window[0], dim=-2), band[0], -2)


def from_band(spectrum: Tensor, plane: Plane) -> Tensor:
    """The field (…, y, x) of the unscaled spectrum (…, cy, cx) of its window; the inverse transform is unscaled too."""
    tall = kept(spectrum, plane.window[0], -2)
    columns = torch.fft.ifft(tall, dim=-2, norm="forward")[..., : plane.shape[0], :]
    field: Tensor = torch.fft.ifft(kept(columns, plane.window[1], -1), norm="forward")[..., : plane.shape[1]]
    return field


def kept(spectrum: Tensor, count: int, dim: int) -> Tensor:
    """So many frequencies of a spectrum in FFT order along an axis: the lowest, or all and zeros for those above.

    The highest frequency of an even number stands for both sides: it is copied to either, or is the sum of both.
    """
    size = spectrum.shape[dim]
    if count == size:
        return spectrum
    fewer = min(size, count)
    low, high = fewer // 2 + 1, fewer // 2  # of an even number both hold the highest
    first, last = spectrum.narrow(dim, 0, low), spectrum.narrow(dim, size - high, high)
    if count > size:
        gap = list(spectrum.shape)
        gap[dim] = count - low - high
        return torch.cat([first, spectrum.new_zeros(gap), last], dim)
    if fewer % 2 == 0:
        first = first.clone()
        first.narrow(dim, low - 1, 1).add_(last.narrow(dim, 0, 1))
        last = last.narrow(dim, 1, high - 1)
    return torch.cat([first, last], dim)
