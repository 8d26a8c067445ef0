"""Points in text: x, y and height of every pixel, as tables, plotting and metrology programs read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

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

__all__ = ["XyzExporter"]

_NAMES = b"# x / um,y / um,height / um"  # what the reader expects
_HEAD = re.compile(
    rb"# \w+, layer (\d{1,5}), (\d{1,5}) rows of (\d{1,5}), pitch ([0-9.e+-]{1,30}) x ([0-9.e+-]{1,30}) um"
)


class XyzExporter:
    """Writes `x,y,height` in micrometres; x to the right, y up, (0, 0) in the lower left corner of the mask."""

    name = "xyz"
    summary = "CSV of points: x, y and height of every pixel's centre (um)"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `xyz/layer1.csv` …; heights have all digits of their 64-bit numbers."""
        (folder / "xyz").mkdir()
        _, rows, columns = job.levels.shape
        dy_um, dx_um = (side_m * 1e6 for side_m in job.pitch_m)
        height_um = (job.process.height_of_level(torch.arange(job.process.levels)) * 1e6).tolist()
        starts = [f"{(column + 0.5) * dx_um:.12g}," for column in range(columns)]
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"xyz/layer{number}.csv"
            head = f"# {job.file_name}, layer {number}, {rows} rows of {columns}, pitch {dy_um!r} x {dx_um!r} um\n"
            head += "# x / um,y / um,height / um\n"
            y = (f"{(rows - row - 0.5) * dy_um:.12g}" for row in range(rows))
            ends = ([f"{text},{height!r}\n" for height in height_um] for text in y)
            write_pixels(folder / path, head, plane, starts, ends)
            files.append(ExportedFile(path, f"x, y and height of layer {number}, the top row first", "um"))
        return WrittenFiles(files, {"unit": "um", "origin": "lower left corner", "points": "centres of pixels"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the points; every one must be where its pixel is."""
        files = layer_files(manifest, self.name, "CSV")
        table_um = heights_m(manifest.process.process) * 1e6
        found = [_levels(folder, file, layer, manifest, table_um) for layer, file in enumerate(files, start=1)]
        levels, extents = zip(*found, strict=True)
        return with_designed_phase(levels, files, manifest, extents)


def _levels(
    folder: Path, file: FileRecord, layer: int, manifest: Manifest, table_um: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], Extent]:
    """The levels (rows, columns) of one file, and where its points lie."""
    _, rows, columns = manifest.shape
    head, names, *lines = text_lines(read_exported(folder, file), file.path, 2 + rows * columns)
    said = _HEAD.fullmatch(head)
    if said is None or tuple(int(group) for group in said.groups()[:3]) != (layer, rows, columns):
        fail_line(file.path, 1, f"not the head of layer {layer} with {rows} rows of {columns}")
    if names != _NAMES:
        fail_line(file.path, 2, f"expected {_NAMES.decode()!r}")
    dy_um, dx_um = (side_m * 1e6 for side_m in manifest.pitch_m)
    told_um = [float(numbers([text], file.path, 1, b",")[0, 0]) for text in said.groups()[3:]]
    for received_um, side_um, axis in zip(told_um, (dy_um, dx_um), "yx", strict=True):
        check_number(received_um, side_um, f"{file.path}: line 1: pitch along {axis} in um")
    points = numbers(lines, file.path, 3, b",", first=3).reshape(rows, columns, 3)
    x = (np.arange(columns) + 0.5) * dx_um
    y = (np.arange(rows)[::-1, None] + 0.5) * dy_um
    place = f"{file.path}: layer {layer}"
    off = (np.abs(points[..., 0] - x) > 1e-6 * dx_um) | (np.abs(points[..., 1] - y) > 1e-6 * dy_um)
    refuse_first(off, place, "x or y is not that of the pixel's centre")
    return levels_of_heights(points[..., 2], table_um, "um", place), _extent(points, told_um)


def _extent(points_um: npt.NDArray[np.float64], pitch_um: list[float]) -> Extent:
    """Where points (rows, columns, 3) lie; a single row or column is as wide as the head says."""
    rows, columns, _ = points_um.shape
    (x, y), (height_um, width_um) = (points_um[..., axis] for axis in (0, 1)), pitch_um
    if columns > 1:
        width_um = float(np.ptp(x)) / (columns - 1)
    if rows > 1:
        height_um = float(np.ptp(y)) / (rows - 1)
    size_m = rows * height_um * 1e-6, columns * width_um * 1e-6
    # the lower left corner of the mask is the origin, y points up
    return Extent(size_m, (0.5 * size_m[0] - float(y.mean()) * 1e-6, float(x.mean()) * 1e-6 - 0.5 * size_m[1]))
