"""Grid Sag and Grid Phase files of OpticStudio (Zemax): a head of seven numbers, then a line for each point.

The format is that of the OpticStudio help, page `Grid Sag`: nx, ny, delx, dely, unitflag (0 is mm), xdec and ydec; then
the value, its derivatives by x, y and both, and a flag of missing data. The first point is the upper left one (−x, +y),
the others follow row by row. Where all derivatives are zero, OpticStudio finds them itself. A Grid Phase file differs
only in that its values are radians. No OpticStudio was at hand to open the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import UsageError
from opticdesign.handover.export import ExportedFile, ExportJob, Extent, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.heights.text_writer import write_pixels
from opticdesign_exporters.level_reader import (
    check_number,
    heights_m,
    layer_files,
    levels_of_heights,
    refuse_first,
    with_designed_phase,
)
from opticdesign_exporters.text_reader import fail_line, numbers, text_lines

if TYPE_CHECKING:
    from opticdesign.handover.manifest import FileRecord, Manifest

__all__ = ["ZemaxExporter"]

_LEAST = 5  # points along a side that OpticStudio takes
_OPTIONS: Mapping[str, int | str] = MappingProxyType(
    {
        "rows": "the first line of data is the upper left corner (-x, +y), then row by row, left to right",
        "derivatives": "all 0: OpticStudio estimates them",
        "interpolation": "choose linear in OpticStudio: a spline rounds the steps",
        "sag": "height above the lowest level; the material of the mask lies before the surface, its medium behind",
        "phase": "2 pi (index - medium_index) height / wavelength, in radians",
        "unitflag": 0,
    }
)


class ZemaxExporter:
    """Writes the centres of pixels; the centre of the grid is the vertex of the surface."""

    name = "zemax"
    summary = "OpticStudio Grid Sag (mm) and Grid Phase (rad) .DAT files"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `zemax/layer1_sag.DAT` and `zemax/layer1_phase.DAT` …; values have all digits of their numbers.

        Raises:
            UsageError: fewer points along a side than OpticStudio takes.
        """
        _, rows, columns = job.levels.shape
        if min(rows, columns) < _LEAST:
            raise UsageError(
                f"a mask of {rows} by {columns} pixels as a grid of OpticStudio",
                expected=f"at least {_LEAST} along each side",
                remedy="choose another format",
            )
        (folder / "zemax").mkdir()
        every = torch.arange(job.process.levels)
        sag_mm = [repr(height) for height in (job.process.height_of_level(every) * 1e3).tolist()]
        phase_rad = [f"{phase:.9g}" for phase in job.process.phase_of_level(every).tolist()]
        dy_m, dx_m = job.pitch_m
        head = f"{columns} {rows} {dx_m * 1e3!r} {dy_m * 1e3!r} 0 0 0\r\n"
        files = []
        for number, plane in enumerate(job.levels, start=1):
            for kind, values, unit in (("sag", sag_mm, "mm"), ("phase", phase_rad, "rad")):
                path = f"zemax/layer{number}_{kind}.DAT"
                lines = [f"{value} 0 0 0 0\r\n" for value in values]
                write_pixels(folder / path, head, plane, [""] * columns, [lines] * rows)
                files.append(ExportedFile(path, f"Grid {kind.capitalize()} of layer {number}", unit))
        return WrittenFiles(files, _OPTIONS)

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read both files of every layer; they must hold the same levels."""
        files = layer_files(manifest, self.name, "DAT", extra=manifest.shape[0])
        process = manifest.process.process
        table_mm = heights_m(process) * 1e3
        table_rad = process.phase_of_level(torch.arange(process.levels)).numpy()
        levels, extents = [], []
        for layer, (sag, phase) in enumerate(zip(files[::2], files[1::2], strict=True), start=1):
            place = f"{sag.path}: layer {layer}"
            found_mm, extent = _values(folder, sag, manifest)
            extents.append(extent)
            levels.append(levels_of_heights(found_mm, table_mm, "mm", place))
            found_rad = _values(folder, phase, manifest)[0].astype(np.float32)
            bad = found_rad != table_rad[levels[-1]]
            refuse_first(bad, f"{phase.path}: layer {layer}", f"another phase than that of the sag in {sag.path}")
        return with_designed_phase(levels, files[::2], manifest, extents)


def _values(folder: Path, file: FileRecord, manifest: Manifest) -> tuple[npt.NDArray[np.float64], Extent]:
    """The values of one grid (rows, columns), whose middle is the vertex, and its size."""
    _, rows, columns = manifest.shape
    head, *lines = text_lines(read_exported(folder, file), file.path, 1 + rows * columns, end=b"\r\n")
    nx, ny, delx, dely, *others = numbers([head], file.path, 7, b" ")[0].tolist()
    if (nx, ny) != (columns, rows):
        fail_line(file.path, 1, f"a grid of {nx:g} by {ny:g} points, expected {columns} by {rows}")
    check_number(delx, manifest.pitch_m[1] * 1e3, f"{file.path}: line 1: delx in mm")
    check_number(dely, manifest.pitch_m[0] * 1e3, f"{file.path}: line 1: dely in mm")
    if any(others):
        fail_line(file.path, 1, "a unit flag or a decentre that is not 0")
    points = numbers(lines, file.path, 5, b" ", first=2)
    if points[:, 1:].any():
        fail_line(file.path, 2 + int(np.argmax(points[:, 1:].any(axis=1))), "a derivative or a flag that is not 0")
    return points[:, 0].reshape(rows, columns), Extent((rows * dely * 1e-3, columns * delx * 1e-3))
