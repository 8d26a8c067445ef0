"""Reads the levels of a mask from triangles: a closed stepped solid, upright walls, one flat top on each pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError
from opticdesign.handover.export import Extent
from opticdesign.handover.manifest import Manifest
from opticdesign_exporters.level_reader import heights_m, levels_of_heights, refuse_first

__all__ = ["SolidReader"]

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_OFF_GRID = 0.02  # half pixels that a corner may lie off the grid
_OFF_LEVEL = 0.01  # of the least step between levels
_MOST_KEYS = 3 * 10**9  # two numbers below this make one of 64 bits


class SolidReader:
    """Reads solids of one export.

    Args:
        manifest: the manifest of the folder.
        exporter: name of the exporter, whose record holds the plate and the magnification.
        unit_m: unit of the coordinates in metres.

    Raises:
        VerificationError: the record has no plate or magnification.
    """

    def __init__(self, manifest: Manifest, exporter: str, unit_m: float) -> None:
        options = manifest.record(exporter).options
        base_m, magnification = options.get("base_m"), options.get("magnification")
        if not isinstance(base_m, float) or not isinstance(magnification, float):
            raise VerificationError(f"manifest.json: {exporter}: no base_m or magnification", remedy="export again")
        if not (0.0 < base_m <= 1e3 and 0.0 < magnification <= 1e6):
            raise VerificationError(f"manifest.json: {exporter}: base_m {base_m!r} or magnification {magnification!r}")
        self._rows, self._columns = manifest.shape[1:]
        self._scale, self._base_m, self._pitch_m = magnification / unit_m, base_m, manifest.pitch_m
        self._table_m = heights_m(manifest.process.process)

    def levels(self, corners: Reals, path: str, layer: int) -> Ints:
        """The levels (rows, columns) of one solid.

        Args:
            corners: corners of its triangles (m, 3, 3), in the unit of the file.
            path: the file, for messages.
            layer: number of the layer, for messages.

        Raises:
            VerificationError: it is no such solid; names the first triangle or pixel that is wrong.
        """
        x, y, z = np.ascontiguousarray(corners.T)  # (corner, triangle) each
        finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
        _refuse(~finite.all(axis=0), path, "has a corner that is nowhere")
        right, up = self._half_pixels(x, 1, path), self._half_pixels(y, 0, path)
        heights = np.unique(z)
        _check_closed((right * (2 * self._rows + 1) + up) * len(heights) + np.searchsorted(heights, z), path)
        flat = _all_equal(z)
        _refuse(~(flat | _all_equal(right) | _all_equal(up)), path, "slopes")
        # Twice the area in half pixels, above 0 where the triangle is seen from above.
        turn = (right[1] - right[0]) * (up[2] - up[0]) - (up[1] - up[0]) * (right[2] - right[0])
        _refuse(flat & (turn <= 0) & ~((turn < 0) & (z[0] == 0.0)), path, "faces down above the underside")
        top = flat & (turn > 0)
        half = (np.ptp(right, axis=0) == 2) & (np.ptp(up, axis=0) == 2) & ((right | up) % 2 == 0).all(axis=0)
        _refuse(top & ~half, path, "is not half of the top of a pixel")
        place = f"{path}: layer {layer}"
        row, column = self._rows - 1 - up[:, top].min(axis=0) // 2, right[:, top].min(axis=0) // 2
        height_m = self._tops(row * self._columns + column, z[0, top], place)
        slack_m = _OFF_LEVEL * float(np.diff(self._table_m).min())
        return levels_of_heights(height_m, self._table_m, "m", place, slack_m)

    def extent(self, corners: Reals) -> Extent:
        """Where a solid of triangles (m, 3, 3) lies, not magnified; its lower left corner is the origin."""
        low, high = (edge[:2] / self._scale for edge in (corners.min(axis=(0, 1)), corners.max(axis=(0, 1))))
        (width, height), (left, below) = (high - low).tolist(), low.tolist()
        return Extent((height, width), (-below, left))

    def _half_pixels(self, coordinate: Reals, axis: int, path: str) -> Ints:
        """Whole numbers of half pixels, at most twice the number of pixels along an axis, 0 for y (3, m)."""
        count = (self._rows, self._columns)[axis]
        half = coordinate * (2.0 / (self._scale * self._pitch_m[axis]))
        near = np.rint(half)
        off = (np.abs(half - near) > _OFF_GRID) | (near < 0) | (near > 2 * count)
        _refuse(off[0] | off[1] | off[2], path, "has a corner off the pixel grid")
        return near.astype(np.int64)

    def _tops(self, pixel: Ints, z: Reals, where: str) -> Reals:
        """Height of each pixel above the plate (rows, columns), metres, from the halves of its top."""
        shape = (self._rows, self._columns)
        halves = np.bincount(pixel, minlength=self._rows * self._columns).reshape(shape)
        refuse_first(halves != 2, where, "not covered once")
        pairs = z[np.argsort(pixel, kind="stable")].reshape(*shape, 2)
        refuse_first(pairs[..., 0] != pairs[..., 1], where, "a top of two heights")
        height_m: Reals = pairs[..., 0] / self._scale - self._base_m
        return height_m


def _all_equal(values: npt.NDArray[np.float64 | np.int64]) -> Bools:
    """Whether the three corners of each triangle agree."""
    equal: Bools = (values[0] == values[1]) & (values[1] == values[2])
    return equal


def _check_closed(start: Ints, path: str) -> None:
    """Every edge joins one triangle to one other, which runs along it the other way; corners are numbers (3, m)."""
    count = int(start.max(initial=0)) + 1
    if count > _MOST_KEYS:
        vertices, start = np.unique(start, return_inverse=True)
        count = len(vertices)
    end = np.roll(start, -1, axis=0)
    there, back = start * count + end, end * count + start
    edges = np.sort(there, axis=None)
    if np.array_equal(edges, np.sort(back, axis=None)) and (np.diff(edges) > 0).all():
        return
    edges, counts = np.unique(there, return_counts=True)
    at = np.searchsorted(edges, back).clip(max=len(edges) - 1)
    single = (edges[at] == back) & (counts[at] == 1)
    _refuse(~single.all(axis=0), path, "has an edge that it does not share with one other")


def _refuse(bad: Bools, path: str, why: str) -> None:
    if bad.any():
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        raise VerificationError(f"{path}: triangle {int(np.argmax(bad)) + 1} {why}{more}", remedy="export again")
