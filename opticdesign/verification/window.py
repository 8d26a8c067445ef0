"""Windows of samples that repeat, and squares at their samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, sparse

from opticdesign.verification.mask_in_file import Fields, MaskInFile, Reals, places_of

__all__ = ["Axis", "series"]


@dataclass(frozen=True)
class Axis:
    """Samples of the light along one axis, at x₀ + j·step, j = 0 … count − 1, in a window that repeats.

    Args:
        step: between samples, metres.
        count: of them.
        first: x₀, metres.
        image: index of the first sample in the image.
    """

    step: float
    count: int
    first: float
    image: int

    @classmethod
    def of(cls, image: int, pitch: float, fine: int, least: float) -> Axis:
        """`fine` samples across each of `image` samples of a pitch, whose borders are borders here too.

        The window is at least so wide, and an odd number of image samples: none of their frequencies is then its own
        negative.
        """
        coarse = fft.next_fast_len(math.ceil(least / pitch * (1.0 - 1e-12)))
        while coarse % 2 == 0:
            coarse = fft.next_fast_len(coarse + 1)
        count, step = coarse * fine, pitch / fine
        start = (count - image * fine) // 2
        return cls(step, count, (0.5 - start) * step - image * pitch / 2.0, start)

    @property
    def extent(self) -> float:
        """Width of the window."""
        return self.count * self.step

    @property
    def frequencies(self) -> Reals:
        """In FFT order, per metre."""
        return fft.fftfreq(self.count, self.step)

    def shares(self, low: Reals, high: Reals) -> sparse.csr_matrix:
        """Share of each sample's width that lies between each low and high place (count, places)."""
        edges = self.first + (np.arange(self.count + 1) - 0.5) * self.step
        columns, rows, values = [], [], []
        for column, (start, end) in enumerate(zip(low, high, strict=True)):
            first, last = np.searchsorted(edges, (start, end))
            inside = np.arange(max(first - 1, 0), min(last + 1, self.count))
            share = (np.minimum(edges[inside + 1], end) - np.maximum(edges[inside], start)) / self.step
            rows.append(inside[share > 0.0])
            values.append(share[share > 0.0])
            columns.append(np.full(len(values[-1]), column))
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return sparse.csr_matrix(entries, shape=(self.count, len(low)))


def series(axes: Sequence[Axis], mask: MaskInFile, values: Fields, width: float) -> Fields:
    """Fourier series of squares of these values (rows, columns), summed up at the samples of a window."""
    sides = []
    for axis, samples in enumerate(axes):
        middles, side = squares_of(mask, axis, width)
        frequency = samples.frequencies
        turns = np.exp(-2j * np.pi * frequency[:, None] * (middles - samples.first))
        turns *= (np.sinc(frequency * side) * (side / samples.step))[:, None]
        if samples.count % 2 == 0:
            turns[samples.count // 2] = 0.0  # a frequency that is its own negative
        sides.append(turns)
    sampled: Fields = fft.ifft2(sides[0] @ values @ sides[1].T, overwrite_x=True)
    return sampled


def squares_of(mask: MaskInFile, axis: int, width: float) -> tuple[Reals, float]:
    """Middles of a mask's squares along an axis, and their side, of a width over that of a pixel."""
    pitch = mask.size_m[axis] / mask.phase_rad.shape[axis]
    return places_of(mask.phase_rad.shape[axis], pitch) + mask.offset_m[axis], width * pitch
