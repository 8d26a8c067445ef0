"""Light through one relief, marched slice by slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import fft

from opticdesign.verification.mask_in_file import Fields, MaskInFile, Pair
from opticdesign.verification.window import Axis, series

__all__ = ["Heights", "Relief"]

_BEYOND = 1.25  # width over which light is marched through a relief, over that of the mask


class Heights(NamedTuple):
    """Phases as heights.

    Args:
        wavelength: in vacuum, metres.
        indices: of the medium and of the material.
        depth: height of a phase of 2π, metres.
        slices: in it.
        absorption: by how much an amplitude falls for each radian of phase.
    """

    wavelength: float
    indices: Pair
    depth: float
    slices: int
    absorption: float = 0.0


class Relief:
    """The way through one relief, from its base plane to the plane above its highest place.

    Args:
        mask: its phases.
        axes: the window that light is given in, along y and x.
        width: of the squares over the pitch.
        outlines: what light meets on the base plane.
        heights: what becomes of phases.
    """

    def __init__(
        self, mask: MaskInFile, axes: Sequence[Axis], width: float, outlines: Fields, heights: Heights
    ) -> None:
        self.mask, self.width, self.outlines, self.slices = mask, width, outlines, heights.slices
        turns = np.mod(mask.phase_rad, 2.0 * np.pi) / (2.0 * np.pi)
        self.heights = np.where(turns > 1.0 - 1e-7, 0.0, turns) * self.slices  # float32 phases may end a turn high
        self.axes, self.parts, above = [], [], []
        for axis, samples in enumerate(axes):
            reach = min(samples.count, fft.next_fast_len(math.ceil(_BEYOND * mask.size_m[axis] / samples.step)))
            middle = (mask.offset_m[axis] - samples.first) / samples.step
            start = max(0, min(samples.count - reach, round(middle) - reach // 2))
            self.axes.append(Axis(samples.step, reach, samples.first + start * samples.step, 0))
            self.parts.append(slice(start, start + reach))
            edge = mask.offset_m[axis] + mask.size_m[axis] * np.array([[-0.5], [0.5]])
            above.append(self.axes[axis].shares(*edge).toarray())
        self.above = above[0] @ above[1].T
        self.indices, self.absorption = heights.indices, heights.absorption
        self.turns = heights.depth / self.slices / heights.wavelength  # of light in vacuum, in a slice
        self.square = heights.wavelength**2 * (self.axes[0].frequencies[:, None] ** 2 + self.axes[1].frequencies ** 2)

    def __call__(self, waves: Sequence[Fields]) -> list[Fields]:
        """The fields in the window, behind the relief; what leaves it through its sides is lost."""
        rows, columns = self.parts
        parts = [(wave * self.outlines)[rows, columns] for wave in waves]
        low, high = self.indices
        for number in range(self.slices):
            filled = np.clip(self.heights - number, 0.0, 1.0)
            there = series(self.axes, self.mask, filled.astype(np.complex128), self.width).real
            screen = np.exp(2.0 * np.pi * (1j - self.absorption) * (high - low) * self.turns * there)
            half = self._half(low + (high - low) * float(filled.mean()))
            for index, part in enumerate(parts):
                middle = fft.ifft2(fft.fft2(part, overwrite_x=True) * half, overwrite_x=True)
                middle *= screen
                parts[index] = fft.ifft2(fft.fft2(middle, overwrite_x=True) * half, overwrite_x=True)
        behind = [np.zeros_like(wave) for wave in waves]
        for wave, part in zip(behind, parts, strict=True):
            wave[rows, columns] = part * self.above
        return behind

    def _half(self, index: float) -> Fields:
        """Transfer function of half a slice at an index, without its carrier."""
        root = np.sqrt((index**2 - self.square).astype(np.complex128))
        transfer: Fields = np.exp(-1j * np.pi * self.turns * self.square / (index + root))
        return transfer
