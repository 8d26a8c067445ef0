"""Polygons as pixels: a pixel belongs to a polygon that its centre lies in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Outlines", "covers"]

Ints = npt.NDArray[np.int64]


class Outlines(NamedTuple):
    """Closed polygons of any number of corners.

    Args:
        points: the corners of all polygons one after the other (corners, 2), x and y.
        first: index of the first corner of each polygon (polygons,).
    """

    points: Ints
    first: Ints

    @property
    def sizes(self) -> Ints:
        """Corners of each polygon (polygons,)."""
        return np.diff(self.first, append=len(self.points))


def covers(outlines: Outlines, shape: tuple[int, int], pitch: tuple[float, float]) -> Ints:
    """How many of the polygons the centre of each pixel lies in (rows, columns), row 0 at the top.

    Inside is where a ray has crossed the outline an odd number of times; a centre on an outline belongs to what lies
    right of it or above. Polygons may reach beyond the pixels.

    Args:
        outlines: the polygons, a pixel has the sides `pitch` in their units; the lower left one begins at 0, 0, y up.
        shape: rows and columns.
        pitch: height and width of a pixel.
    """
    rows, columns = shape
    polygon, row, column = _crossings(outlines, shape, pitch)
    order = np.lexsort((column, row, polygon))
    row, column = row[order], column[order]
    # in each row of a polygon crossings come in pairs: one where it begins, one where it ends
    canvas = np.zeros(rows * (columns + 1), dtype=np.int64)
    place = (rows - 1 - row) * (columns + 1) + column
    for side, sign in ((place[::2], 1), (place[1::2], -1)):
        canvas += sign * np.bincount(side, minlength=len(canvas))
    inside: Ints = canvas.reshape(rows, columns + 1)[:, :-1].cumsum(axis=1)
    return inside


def _crossings(outlines: Outlines, shape: tuple[int, int], pitch: tuple[float, float]) -> tuple[Ints, Ints, Ints]:
    """Where outlines cross the middle of rows: polygon, row from below, and the first column whose centre is behind."""
    sizes = outlines.sizes
    start = outlines.points
    following = np.arange(1, len(start) + 1)
    following[outlines.first + sizes - 1] = outlines.first  # the last corner of a polygon joins its first
    end = start[following]
    polygon = np.repeat(np.arange(len(sizes)), sizes)
    low, high = (np.ceil(side / pitch[0] - 0.5).clip(0, shape[0]).astype(np.int64) for side in _ordered(start, end))
    count = high - low
    edge = np.repeat(np.arange(len(start)), count)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    row = low[edge] + within
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + ((row + 0.5) * pitch[0] - y0) * (x1 - x0) / (y1 - y0)
    column = np.ceil(x / pitch[1] - 0.5).clip(0, shape[1]).astype(np.int64)
    return polygon[edge], row, column


def _ordered(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The lower and the higher y of edges."""
    return np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
