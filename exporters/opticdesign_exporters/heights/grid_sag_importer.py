"""Masks from the Grid Sag files of OpticStudio, one a mask.

Ansys, OpticStudio user guide, Grid Sag, Importing Grid Data: a line `nx ny delx dely unitflag xdec ydec`, then for each
point `z dz/dx dz/dy d2z/dxdy nodata`, the last one optional, row by row from the upper left corner. Lines that begin
with ! are comments.
"""

from __future__ import annotations

import io
import math

import numpy as np

from opticdesign.errors import DataError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, check_samples, masks_of_heights
from opticdesign.handover.source_file import SourceFile

__all__ = ["GridSagImporter"]

_UNITS_M = (1e-3, 1e-2, 0.0254, 1.0)  # by unitflag
_HEADER = 7


class GridSagImporter:
    """Reads the sag as height; its derivatives, which follow from a smooth surface only, are left out.

    A Grid Phase differs only in that its values are radians, which it does not say: the user does.
    """

    name = "grid-sag"
    summary = "Grid Sag of OpticStudio, or Grid Phase with --unit rad: a .DAT file for each mask"
    suffixes = (".dat",)
    options = frozenset({"unit", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is damaged, or does not fit the design.
        """
        maps, notes = zip(*(_map(file, job) for file in job.files), strict=True)
        masks = masks_of_heights(maps, job)
        return masks._replace(notes=(*masks.notes, *(note for some in notes for note in some)))


def _map(file: SourceFile, job: ImportJob) -> tuple[HeightMap, list[str]]:
    """The height map of a file, and what was left out of it."""
    lines = [line for line in file.data.splitlines() if line.strip() and not line.lstrip().startswith(b"!")]
    head = _numbers(lines[:1], file)
    if head.shape != (1, _HEADER):
        raise _refused(file, f"{head.shape[1]} numbers in the first line", "nx ny delx dely unitflag xdec ydec")
    columns, rows, dx, dy, unit, x, y = head[0].tolist()
    sound = all(side >= 1 and side % 1 == 0 for side in (rows, columns)) and unit in range(len(_UNITS_M))
    if not sound or not all(math.isfinite(step) and step != 0.0 for step in (dx, dy)):
        expected = "whole nx and ny, steps that are not zero, a unitflag of 0, 1, 2 or 3"
        raise _refused(file, "a first line that describes no grid", expected)
    if len(lines) - 1 != rows * columns:
        raise _refused(file, f"{len(lines) - 1} points of {int(rows)} × {int(columns)}", "a line for each point")
    check_samples(file, (int(rows), int(columns)), job)
    table = _numbers(lines[1:], file)
    unit_m = _UNITS_M[int(unit)]
    sag = table[:, 0].reshape(int(rows), int(columns)) * _height_m(unit_m, file, job)
    notes = ["its decentre is left out"] if x or y else []
    if table.shape[1] > 4 and table[:, 4].any():
        notes.append(f"{int((table[:, 4] != 0).sum())} points without data are taken as their sag says")
    pitch_m = abs(dy) * unit_m, abs(dx) * unit_m
    return HeightMap(sag, pitch_m, str(file.path)), [f"{file.path.name}: {note}" for note in notes]


def _height_m(unit_m: float, file: SourceFile, job: ImportJob) -> float:
    """The height of the number 1: the unit of the grid, or a phase that is said."""
    if job.said.unit is None:
        return unit_m
    if not job.said.unit.phase:
        raise _refused(file, "--unit of a length, which its first line says", "--unit rad for a Grid Phase, or none")
    return job.said.unit.height_m(job.process)


def _numbers(lines: list[bytes], file: SourceFile) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The numbers of lines, the same count in each (lines, numbers)."""
    if not lines:
        raise _refused(file, "an empty file", "a header and a line for each point")
    try:
        table: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.loadtxt(io.BytesIO(b"\n".join(lines)), ndmin=2)
    except ValueError as error:
        raise _refused(file, f"not a table of numbers: {error}", "a header and a line for each point") from None
    return table


def _refused(file: SourceFile, message: str, expected: str) -> DataError:
    return DataError(file.path, message, expected=expected, remedy="write the file again as a Grid Sag")
