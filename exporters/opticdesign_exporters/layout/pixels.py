"""The pixels of one mask layer as rectangles: its relief, and its half-toned chrome.

Planes are (rows, columns) as they lie in the file: row 0 at the top, y up, already reversed where the die is mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from opticdesign_exporters.layout.cell import Boxes, Cell, Placements
from opticdesign_exporters.layout.raster import Ints, Raster, rectangles

__all__ = ["all_steps", "chrome", "one_bit"]

Plane = npt.NDArray[np.uint8]


def all_steps(steps: Plane, layer: int, raster: Raster) -> Boxes:
    """Pixels above 0 with their number of steps as the datatype."""
    values, corners = _boxes(steps, raster)
    return Boxes(np.stack((np.full(len(values), layer), values), axis=1), corners)


def one_bit(steps: Plane, weight: int, layer: int, datatype: int, raster: Raster) -> Boxes:
    """Pixels whose number of steps has the bit of a weight, 1, 2, 4 and so on."""
    return Boxes.of(layer, datatype, _boxes((steps & weight).astype(bool).view(np.uint8), raster)[1])


def chrome(
    openings: npt.NDArray[np.uint16], closed: npt.NDArray[np.bool_], layer: int, raster: Raster, name: str
) -> Iterator[tuple[Cell, Placements]]:
    """Cells of pixels that look alike in database units, and where they are placed.

    A pixel at another place of the grid may be rounded in another way; so every edge is where it would be if it were
    drawn by itself, and a file is as small as its kinds of pixels allow.

    Args:
        openings: open cells of each pixel (rows, columns).
        closed: by number of open cells, which cells of a pixel are drawn (side² + 1, side, side).
        layer: layout layer; the datatype is 0.
        raster: the grid of the file.
        name: what the names of the cells begin with.
    """
    side = closed.shape[1]
    (y, y_kind, y_steps), (x, x_kind, x_steps) = (
        _kinds(axis, count, side, raster) for axis, count in enumerate(openings.shape)
    )
    kinds = (openings.astype(np.int64) * len(y_steps) + y_kind[::-1, None]) * len(x_steps) + x_kind
    found, first = np.unique(kinds, return_inverse=True)
    order = np.argsort(first.ravel(), kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(first.ravel()[order])) + 1)
    for index, (kind, pixels) in enumerate(zip(found.tolist(), groups, strict=True)):
        rest, across = divmod(kind, len(x_steps))
        count, up = divmod(rest, len(y_steps))
        corners = _corners(rectangles(closed[count].view(np.uint8)), x_steps[across], y_steps[up])
        if len(corners) > 0:
            row, column = np.divmod(pixels, openings.shape[1])
            cell = Cell(f"{name}_{index}", Boxes.of(layer, 0, corners))
            yield cell, Placements(cell.name, np.stack((x[column], y[::-1][row]), axis=1))


def _boxes(plane: Plane, raster: Raster) -> tuple[Ints, Ints]:
    """Values and corners of the rectangles that cover the pixels above 0."""
    found = rectangles(plane)
    rows, columns = plane.shape
    return found[:, 4], _corners(found, raster.edges(1, columns), raster.edges(0, rows))


def _corners(found: Ints, x: Ints, y: Ints) -> Ints:
    """Left, bottom, right and top of rectangles of rows and columns with these edges."""
    rows = len(y) - 1
    return np.stack((x[found[:, 2]], y[rows - found[:, 1]], x[found[:, 3]], y[rows - found[:, 0]]), axis=1)


def _kinds(axis: int, count: int, side: int, raster: Raster) -> tuple[Ints, Ints, Ints]:
    """Along one axis: low edge and kind of each pixel (count,), edges of the cells of each kind (kinds, side + 1)."""
    edges = raster.edges(axis, count, side)
    inside = np.lib.stride_tricks.sliding_window_view(edges, side + 1)[::side]
    steps, kind = np.unique(inside - inside[:, :1], axis=0, return_inverse=True)
    return edges[:-1:side], kind.ravel(), steps
