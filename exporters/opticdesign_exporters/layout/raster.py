"""Where pixel edges lie on the integer grid of a layout file, and the rectangles that cover a plane of pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from opticdesign.errors import UsageError

__all__ = ["Ints", "Raster", "rectangles"]

Ints = npt.NDArray[np.int64]

_UNITS_M = (1e-9, 0.5e-9, 0.2e-9, 0.1e-9)


class Raster(NamedTuple):
    """The grid of a file: database unit in metres, sides of a pixel along y and x in database units."""

    unit_m: float
    pitch: tuple[float, float]

    @classmethod
    def of(cls, pitch_m: tuple[float, float], parts: int = 1) -> Raster:
        """The coarsest unit that divides both sides of a pixel, else 1 nm.

        Args:
            pitch_m: sides of a pixel along y and x, metres.
            parts: number of cells along a side of a pixel.

        Raises:
            UsageError: a pixel, or a cell of it, is smaller than two database units.
        """
        rasters = [cls(unit, (pitch_m[0] / unit, pitch_m[1] / unit)) for unit in _UNITS_M]
        raster = next(filter(None, map(cls._whole, rasters)), rasters[0])
        if min(raster.pitch) < 2 * parts:
            noun, remedy = (
                ("a pitch", "") if parts == 1 else ("halftone cells", "use fewer cells (export.layout.halftone)")
            )
            raise UsageError(
                f"{noun} of {min(pitch_m) / parts:.6g} m",
                expected=f"at least two database units of {raster.unit_m * 1e9:g} nm",
                remedy=remedy,
            )
        return raster

    def edges(self, axis: int, count: int, parts: int = 1) -> Ints:
        """Edges of `count` pixels of `parts` cells each, in database units (count · parts + 1,).

        Each edge is rounded by itself, so that errors never add up.

        Args:
            axis: 0 for edges along y, which points up, 1 for those along x.
            count: number of pixels.
            parts: cells along a side of a pixel.
        """
        edges: Ints = np.floor(self._ideal(axis, count, parts) + 0.5).astype(np.int64)
        return edges

    def edge_error_m(self, shape: tuple[int, int], parts: int = 1) -> float:
        """Largest distance between an edge of rows and columns, so many, and its rounded place."""
        errors = (
            np.abs(self.edges(axis, count, parts) - self._ideal(axis, count, parts)).max()
            for axis, count in enumerate(shape)
        )
        return float(max(errors) * self.unit_m)

    def _whole(self) -> Raster | None:
        """The same grid with sides of whole units, where they are but for rounding."""
        if any(abs(side - round(side)) >= 1e-9 * side for side in self.pitch):
            return None
        return Raster(self.unit_m, (float(round(self.pitch[0])), float(round(self.pitch[1]))))

    def _ideal(self, axis: int, count: int, parts: int) -> npt.NDArray[np.float64]:
        ideal: npt.NDArray[np.float64] = np.arange(count * parts + 1) * self.pitch[axis] / parts
        return ideal


def rectangles(plane: npt.NDArray[np.uint8]) -> Ints:
    """Cover each value above 0 with rectangles that do not overlap: runs along rows, merged downwards.

    Args:
        plane: values (rows, columns).

    Returns:
        Rectangles (count, 5): first row, end row, first column, end column, value; ordered by first column and row.
    """
    rows, columns = plane.shape
    begins = np.ones(plane.shape, dtype=bool)
    begins[:, 1:] = plane[:, 1:] != plane[:, :-1]
    starts = np.flatnonzero(begins)
    ends = np.zeros(rows * columns, dtype=np.int32)  # the column behind the run that starts here, else 0
    ends[starts] = np.append(starts[1:], rows * columns) - starts // columns * columns
    ends[plane.ravel() == 0] = 0
    end = ends.reshape(plane.shape)
    run = end > 0
    goes_on = run[1:] & (end[1:] == end[:-1]) & (plane[1:] == plane[:-1])  # the run of the row above
    first, last = run.copy(), run
    first[1:] &= ~goes_on
    last[:-1] &= ~goes_on
    # In each column first and last rows of stacked runs alternate, so that column by column they pair up by themselves.
    column, row = np.divmod(np.flatnonzero(first.T), rows)
    end_row = np.flatnonzero(last.T) % rows + 1
    return np.stack((row, end_row, column, end[row, column], plane[row, column])).T
