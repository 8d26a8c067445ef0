"""Polygons as pixels: a pixel belongs to a polygon that its centre lies in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Outlines", "covers"]

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

_CROSSINGS = 1 << 22  # of edges and rows, held at a time
_SAME = 1e-6  # of a pixel: an outline as near to a centre runs through it, whichever way numbers were rounded


class Outlines(NamedTuple):
    """Closed polygons of any number of corners.

    Args:
        points: the corners of all polygons one after the other (corners, 2), x and y; whole numbers or not.
        first: index of the first corner of each polygon (polygons,).
    """

    points: Reals
    first: Ints

    @property
    def sizes(self) -> Ints:
        """Corners of each polygon (polygons,)."""
        return np.diff(self.first, append=len(self.points))


def covers(outlines: Outlines, shape: tuple[int, int], pitch: tuple[float, float]) -> Ints:
    """How many of the polygons the centre of each pixel lies in (rows, columns), row 0 at the top.

    Inside is where an outline winds around, as layout programs merge them; a centre on an outline belongs to what lies
    right of it or above. Polygons may reach beyond the pixels.

    Args:
        outlines: the polygons, a pixel has the sides `pitch` in their units; the lower left one begins at 0, 0, y up.
        shape: rows and columns.
        pitch: height and width of a pixel.
    """
    rows, columns = shape
    canvas = np.zeros(rows * (columns + 1), dtype=np.int64)
    for some in _batches(outlines, rows, pitch[0]):
        polygon, row, column, turn = _crossings(some, shape, pitch)
        order = np.lexsort((column, row, polygon))
        place = ((rows - 1 - row) * (columns + 1) + column)[order]
        after = np.cumsum(turn[order])  # around the centres behind; in each row of a polygon it comes back to 0
        before = after - turn[order]
        for side, sign in ((place[(before == 0) & (after != 0)], 1), (place[(before != 0) & (after == 0)], -1)):
            canvas += sign * np.bincount(side, minlength=len(canvas))
    inside: Ints = canvas.reshape(rows, columns + 1)[:, :-1].cumsum(axis=1)
    return inside


def _batches(outlines: Outlines, most: int, height: float) -> Iterator[Outlines]:
    """Polygons some at a time, by the rows, `most` at most, that their edges cross, so that memory is bounded."""
    if len(outlines.first):
        y = outlines.points[:, 1]
        rows = np.add.reduceat(np.minimum(np.abs(np.roll(y, -1) - y) / height, most) + 1.0, outlines.first)
        batch = (np.cumsum(rows) // _CROSSINGS).astype(np.int64)
        cuts = [0, *(np.flatnonzero(np.diff(batch)) + 1).tolist(), len(rows)]
        ends = np.append(outlines.first, len(outlines.points))
        for start, stop in pairwise(cuts):
            yield Outlines(outlines.points[ends[start] : ends[stop]], ends[start:stop] - ends[start])


def _crossings(outlines: Outlines, shape: tuple[int, int], pitch: tuple[float, float]) -> tuple[Ints, Ints, Ints, Ints]:
    """Where outlines cross the middle of rows: polygon, row from below, first column behind, and up (1) or down."""
    sizes = outlines.sizes
    start = outlines.points
    following = np.arange(1, len(start) + 1)
    following[outlines.first + sizes - 1] = outlines.first  # the last corner of a polygon joins its first
    end = start[following]
    polygon = np.repeat(np.arange(len(sizes)), sizes)
    low, high = (_first_behind(side / pitch[0], shape[0]) for side in _ordered(start, end))
    count = high - low
    edge = np.repeat(np.arange(len(start)), count)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    row = low[edge] + within
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + ((row + 0.5) * pitch[0] - y0) * (x1 - x0) / (y1 - y0)
    return polygon[edge], row, _first_behind(x / pitch[1], shape[1]), np.where(y1 > y0, 1, -1)


def _first_behind(places: Reals, count: int) -> Ints:
    """The first of some pixels whose centre lies at or behind each place, in sides of pixels."""
    first: Ints = np.ceil(places - (0.5 + _SAME)).clip(0, count).astype(np.int64)
    return first


def _ordered(start: Reals, end: Reals) -> tuple[Reals, Reals]:
    """The lower and the higher y of edges."""
    return np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
