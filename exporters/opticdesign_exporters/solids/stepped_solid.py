"""The surface of a stepped relief on a plate as triangles: closed, and every edge between exactly two of them.

Heights are whole numbers here, so that nothing is rounded: 0 is the underside of the plate, 2 (l + 1) the top of level
l, and the odd number above it the middle between that top and the next.

Two high pixels that touch only along the vertical edge between two low ones would share that edge between four
triangles. There the triangles are joined around each low pixel, and the two sides divide the edge at other heights:
they lie on one line, but no two of them have both ends in common. Nothing moves, so shape and volume stay exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Solid", "stepped_solid"]

Ints = npt.NDArray[np.int64]


class Solid(NamedTuple):
    """A surface.

    Args:
        vertices: place of each vertex in half pixels right of the left edge and below the top one, and its height
            (n, 3).
        triangles: three vertices each, anticlockwise seen from outside (m, 3).
    """

    vertices: Ints
    triangles: Ints

    def placed(self, rows: int, pitch: tuple[float, float], tops: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Coordinates (n, 3): x right of the left edge, y above the bottom one, z above the underside.

        Args:
            rows: rows of the mask.
            pitch: sides of a pixel along y and x, in the unit wanted.
            tops: z of the top of each level.
        """
        heights = np.zeros(2 * len(tops) + 2)
        heights[2::2] = tops
        heights[3:-1:2] = 0.5 * (tops[1:] + tops[:-1])
        right, below, height = self.vertices.T
        return np.stack((right * (0.5 * pitch[1]), (2 * rows - below) * (0.5 * pitch[0]), heights[height]), axis=1)


class _End(NamedTuple):
    """One vertical edge of walls between first and second pixels.

    Args:
        beside_first: height of the pixel across this edge from the first.
        beside_second: height of the one across from the second.
        corner: corner of the grid on which the edge stands.
        northern: whether the low pixel of the wall is the northern one of two across this corner.
    """

    beside_first: Ints
    beside_second: Ints
    corner: Ints
    northern: npt.NDArray[np.bool_]


def stepped_solid(levels: npt.NDArray[np.uint8]) -> Solid:
    """The surface of a mask (rows, columns)."""
    rows, columns = levels.shape
    heights = np.zeros((rows + 2, columns + 2), np.int64)  # with the air around, which reaches down to the underside
    heights[1:-1, 1:-1] = 2 * (levels.astype(np.int64) + 1)
    corner = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)
    span = 2 * (int(levels.max()) + 2)  # corner and height make one number, the key of a vertex
    pieces = [_tops(heights, corner, span), _walls_between_columns(heights, corner, span)]
    pieces += [_walls_between_rows(heights, corner, span), _underside(corner, span)]
    keys, triangles = np.unique(np.concatenate(pieces), return_inverse=True)
    at, height = np.divmod(keys, span)
    row, column = np.divmod(at, columns + 1)
    vertices = np.stack((2 * column, 2 * row, height), axis=1)
    vertices[-1] = columns, rows, 0  # the middle of the underside has the greatest key
    return Solid(vertices, triangles.reshape(-1, 3))


def _tops(heights: Ints, corner: Ints, span: int) -> Ints:
    """Two triangles on each pixel."""
    height = heights[1:-1, 1:-1]
    north_west, north_east = corner[:-1, :-1] * span + height, corner[:-1, 1:] * span + height
    south_west, south_east = corner[1:, :-1] * span + height, corner[1:, 1:] * span + height
    found = np.stack((south_west, south_east, north_east, south_west, north_east, north_west), axis=-1)
    return found.reshape(-1, 3)


def _underside(corner: Ints, span: int) -> Ints:
    """A fan around the middle: the underside is flat, and only its rim has to meet the walls."""
    rim = np.concatenate((corner[0, :-1], corner[:-1, -1], corner[-1, :0:-1], corner[:0:-1, 0]))  # clockwise from above
    middle = np.full(len(rim), corner.size)
    return np.stack((middle, rim, np.roll(rim, -1)), axis=1) * span


def _walls_between_columns(heights: Ints, corner: Ints, span: int) -> Ints:
    west, east = heights[1:-1, :-1], heights[1:-1, 1:]
    nothing = np.zeros(west.shape, bool)
    north = _End(heights[:-2, :-1], heights[:-2, 1:], corner[:-1], nothing)
    south = _End(heights[2:, :-1], heights[2:, 1:], corner[1:], ~nothing)
    return _walls(west, east, north, south, span)


def _walls_between_rows(heights: Ints, corner: Ints, span: int) -> Ints:
    north, south = heights[:-1, 1:-1], heights[1:, 1:-1]
    low_is_north = north < south
    east = _End(heights[:-1, 2:], heights[1:, 2:], corner[:, 1:], low_is_north)
    west = _End(heights[:-1, :-2], heights[1:, :-2], corner[:, :-1], low_is_north)
    return _walls(north, south, east, west, span)


def _walls(first: Ints, second: Ints, right: _End, left: _End, span: int) -> Ints:
    """Walls between the first and the second pixels of pairs; `right` and `left` are as seen from the second."""
    here = first != second
    one, two = first[here], second[here]
    right_keys, left_keys = (_edge(one, two, _End(*(part[here] for part in end)), span) for end in (right, left))
    turned = (one < two)[:, None]  # a wall is seen from its low pixel
    rights, lefts = np.where(turned, left_keys, right_keys), np.where(turned, right_keys, left_keys)
    found = []
    for step in range(3):  # from the foot on the left up the right edge, then from its head up the left edge
        up_right = np.stack((lefts[:, 0], rights[:, step], rights[:, step + 1]), axis=1)
        up_left = np.stack((rights[:, 3], lefts[:, step + 1], lefts[:, step]), axis=1)
        found += [up_right[rights[:, step] < rights[:, step + 1]], up_left[lefts[:, step] < lefts[:, step + 1]]]
    return np.concatenate(found)


def _edge(one: Ints, two: Ints, end: _End, span: int) -> Ints:
    """Keys of the vertices on one vertical edge of each wall (walls, 4), rising, repeated where there are fewer."""
    low, high = np.minimum(one, two), np.maximum(one, two)
    low_is_one = one < two
    beside_low = np.where(low_is_one, end.beside_first, end.beside_second)
    beside_high = np.where(low_is_one, end.beside_second, end.beside_first)
    # Around the corner stand low, high, beside_high and beside_low: do only the two high ones of these touch?
    touching = np.minimum(high, beside_low) > np.maximum(low, beside_high)
    apart = np.where(end.northern & (low == beside_high), low + 1, high)  # one of two equal sides gets a vertex more
    cuts = [
        np.where((low < cut) & (cut < high), cut, high) for cut in (beside_low, np.where(touching, apart, beside_high))
    ]
    keys: Ints = end.corner[:, None] * span + np.stack((low, np.minimum(*cuts), np.maximum(*cuts), high), axis=1)
    return keys
