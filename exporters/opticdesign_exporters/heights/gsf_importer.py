"""Masks from Gwyddion Simple Field files, one a mask.

Gwyddion user guide, Simple Field Files: a magic line, `name = value` lines, one to four NUL bytes up to a multiple of
four, and float32 values row by row from the top left, little-endian.
"""

from __future__ import annotations

import numpy as np

from opticdesign.data.pixel_size import length_unit_m
from opticdesign.errors import DataError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, check_samples, masks_of_heights
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.number_scale import heights, unit_of

__all__ = ["GsfImporter"]

_MAGIC = b"Gwyddion Simple Field 1.0\n"
_LONGEST_HEAD = 1 << 20


class GsfImporter:
    """Reads the values of the field as heights."""

    name = "gsf"
    summary = "Gwyddion Simple Field: a file for each mask"
    suffixes = (".gsf",)
    options = frozenset({"unit", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is damaged, of no unit, or does not fit the design.
        """
        return masks_of_heights([_map(file, job) for file in job.files], job)


def _map(file: SourceFile, job: ImportJob) -> HeightMap:
    end = file.data.find(b"\0", 0, _LONGEST_HEAD)
    if not file.data.startswith(_MAGIC) or end < 0:
        raise _refused(file, "byte 0: not a Gwyddion Simple Field", "its magic line, a head and a NUL byte")
    lines = file.data[len(_MAGIC) : end].decode("utf-8", "replace").splitlines()
    said = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    try:
        columns, rows = int(said["XRes"]), int(said["YRes"])
        width, height = float(said.get("XReal", "nan")), float(said.get("YReal", "nan"))
    except (KeyError, ValueError) as error:
        raise _refused(file, f"a head without its numbers: {error}", "XRes and YRes, XReal and YReal") from None
    start = (end // 4 + 1) * 4
    if rows < 1 or columns < 1 or len(file.data) != start + 4 * rows * columns:
        raise _refused(file, f"{len(file.data) - start} bytes of values", f"4 × {columns} × {rows} of them")
    check_samples(file, (rows, columns), job)
    values = np.frombuffer(file.data, "<f4", offset=start).reshape(rows, columns)
    unit_m = length_unit_m(said.get("XYUnits", ""))
    sides_m = None if unit_m is None or not (width > 0 < height) else (height * unit_m / rows, width * unit_m / columns)
    return HeightMap(heights(values, file, job, unit_of(said.get("ZUnits", ""))), sides_m, str(file.path))


def _refused(file: SourceFile, message: str, expected: str) -> DataError:
    return DataError(file.path, message, expected=expected, remedy="save it again as a Gwyddion Simple Field")
