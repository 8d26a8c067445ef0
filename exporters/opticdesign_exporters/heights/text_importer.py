"""Masks from points in text, one file a mask: x, y and height of every pixel, in any order."""

from __future__ import annotations

import io
import re

import numpy as np
import numpy.typing as npt

from opticdesign.errors import DataError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, check_samples, masks_of_heights
from opticdesign.handover.said import Scale
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.number_scale import heights, unit_of

__all__ = ["TextImporter"]

Reals = npt.NDArray[np.float64]

_COMMENTS = (b"#", b"!", b"%", b"//")
_UNITS = re.compile(r"[/\[(]\s*(nm|um|µm|mm|cm|m|rad)\b")  # as heads of tables name them: x / um, z [nm]
_LONGEST_HEAD = 20  # lines
_OFF = 0.02  # of the distance of points, by which one may lie beside its grid


class TextImporter:
    """Reads x to the right, y up and a height, in the units of the head of the table or in one that is said."""

    name = "text"
    summary = "points in text, CSV or XYZ: x, y and height, a file for each mask"
    suffixes = (".csv", ".xyz", ".txt")
    options = frozenset({"unit", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is no table of points, whose points are no whole grid, or that does not fit.
        """
        masks = masks_of_heights([_map(file, job) for file in job.files], job)
        return masks._replace(notes=(*masks.notes, "x points to the right and y up"))


def _map(file: SourceFile, job: ImportJob) -> HeightMap:
    head, points = _table(file, job)
    told = [unit_of(unit) for unit in _UNITS.findall(head)]
    across, along, above = told if len(told) == points.shape[1] else (job.said.unit, job.said.unit, None)
    (column, dx), (row, dy) = _places(points[:, 0], "x", file), _places(points[:, 1], "y", file)
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    check_samples(file, (rows, columns), job)
    where = (rows - 1 - row) * columns + column
    if len(points) != rows * columns or len(np.unique(where)) != len(points):
        raise _refused(file, f"{len(points)} points on a grid of {rows} × {columns}", "one point at each place")
    values = np.empty(rows * columns)
    values[where] = points[:, 2]
    pitch_m = _pitch_m(dy or dx, along), _pitch_m(dx or dy, across)
    sides_m = None if None in pitch_m else (pitch_m[0] or 0.0, pitch_m[1] or 0.0)
    return HeightMap(heights(values.reshape(rows, columns), file, job, above), sides_m, str(file.path))


def _table(file: SourceFile, job: ImportJob) -> tuple[str, Reals]:
    """The lines before the numbers, and the numbers (points, 3)."""
    lines = [line.strip() for line in file.data.splitlines() if line.strip()]
    first = next((at for at, line in enumerate(lines) if line[:1] in b"+-.0123456789"), len(lines))
    if first == len(lines) or first > _LONGEST_HEAD:
        raise _refused(file, "no table of numbers", "lines of x, y and height")
    check_samples(file, (len(lines) - first,), job)
    text = b"\n".join(line for line in lines[first:] if not line.startswith(_COMMENTS))
    for sign in (b",", b";", b"\t"):
        text = text.replace(sign, b" ")
    try:
        points: Reals = np.loadtxt(io.BytesIO(text), ndmin=2, comments=None)
    except ValueError as error:
        raise _refused(file, f"no table of numbers: {str(error)[:120]}", "lines of x, y and height") from None
    if points.shape[1] != 3 or not np.isfinite(points[:, :2]).all():
        raise _refused(file, f"{points.shape[1]} numbers in a line", "x, y and height, all finite")
    return b"\n".join(lines[:first]).decode("utf-8", "replace"), points


def _places(coordinate: Reals, axis: str, file: SourceFile) -> tuple[npt.NDArray[np.int64], float | None]:
    """Which line of the grid each point lies on, and how far they are apart; None where there is one."""
    low, span = float(coordinate.min()), float(np.ptp(coordinate))
    gaps = np.diff(np.unique(coordinate))
    gaps = gaps[gaps > 1e-6 * span]
    if span == 0.0 or not len(gaps):
        return np.zeros(len(coordinate), np.int64), None
    step = span / round(span / float(gaps.min()))
    places = np.rint((coordinate - low) / step)
    if (np.abs((coordinate - low) / step - places) > _OFF).any():
        at = int(np.argmax(np.abs((coordinate - low) / step - places)))
        raise _refused(file, f"a point at {axis} = {coordinate[at]:g}, beside a grid of {step:g}", "points on a grid")
    return places.astype(np.int64), step


def _pitch_m(step: float | None, scale: Scale | None) -> float | None:
    """A distance of points in metres, where its unit is a length that is known."""
    return None if step is None or scale is None or scale.phase else step * scale.size


def _refused(file: SourceFile, message: str, expected: str) -> DataError:
    return DataError(file.path, message, expected=expected, remedy="write x, y and height of every pixel in a line")
