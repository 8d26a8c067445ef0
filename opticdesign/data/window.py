"""What is cut from a field at once: a patch, and what surrounds it on the stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import UsageError

__all__ = ["Window"]

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """A patch and the margin around it, in pixels along y and x.

    The margin holds the neighbours of the patch, or the patch again and again. Where the field ends it is continued by
    reflection about its outermost pixels, as often as need be; so a window never holds a pixel of another field, and
    only the patch decides whether a position is admissible.

    Args:
        patch: rows and columns of the patch.
        margin: rows above and below it, columns left and right of it.
        repeated: whether the margin holds the patch itself instead of its neighbours.
        least_edges: share of a patch's pixels that lie on edges at least, or it is empty and left out.
        edge_rad: phase in radians by which an edge rises from pixel to pixel.

    Raises:
        UsageError: a patch without pixels, or a negative margin.
    """

    patch: tuple[int, int]
    margin: tuple[int, int] = (0, 0)
    repeated: bool = False
    least_edges: float = 0.0
    edge_rad: float = 0.0

    def __post_init__(self) -> None:
        if min(self.patch) < 1 or min(self.margin) < 0:
            raise UsageError(
                f"patches of {self.patch} pixels with margins of {self.margin}",
                expected="at least one pixel along each axis, and margins from 0",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of patch and margin together."""
        return self.patch[0] + 2 * self.margin[0], self.patch[1] + 2 * self.margin[1]

    @property
    def square(self) -> bool:
        """Whether a quarter turn leaves patch and margin in place."""
        return self.patch[0] == self.patch[1] and self.margin[0] == self.margin[1]

    def cut(self, image: NDArray[_Pixel], row: int, column: int) -> NDArray[_Pixel]:
        """Patch and margin of an image (rows, columns), `shape` large; `row` and `column` are the patch's first."""
        rows, columns = (self._pixels(axis, first, image.shape[axis]) for axis, first in enumerate((row, column)))
        part: NDArray[_Pixel] = image[rows[:, None], columns]
        return part

    def _pixels(self, axis: int, first: int, length: int) -> NDArray[np.int64]:
        """Which of the `length` pixels of a field along an axis the window holds, its patch beginning at `first`."""
        patch, margin = self.patch[axis], self.margin[axis]
        pixels = np.arange(-margin, patch + margin)
        if self.repeated:
            pixels %= patch
        pixels += first
        if length == 1:
            return np.zeros_like(pixels)
        period = 2 * (length - 1)
        pixels %= period
        return np.minimum(pixels, period - pixels)
