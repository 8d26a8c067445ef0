"""Points in text: x, y and height of every pixel, as tables, plotting and metrology programs read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.manifest import read_exported
from opticdesign_exporters.level_reader import (
    check_number,
    heights_m,
    layer_files,
    levels_of_heights,
    refuse_first,
    with_designed_phase,
)
from opticdesign_exporters.text_reader import fail_line, numbers, text_lines
from opticdesign_exporters.text_writer import write_pixels

if TYPE_CHECKING:
    from opticdesign.manifest import FileRecord, Manifest

__all__ = ["XyzExporter"]

_NAMES = b"# x / um,y / um,height / um"  # what the reader expects
_HEAD = re.compile(rb"# \w+, layer (\d{1,5}), (\d{1,5}) rows of (\d{1,5}), pitch ([0-9.e+-]{1,30}) um")


class XyzExporter:
    """Writes `x,y,height` in micrometres; x to the right, y up, (0, 0) in the lower left corner of the mask."""

    name = "xyz"
    summary = "CSV of points: x, y and height of every pixel's centre (um)"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `xyz/layer1.csv` …; heights have all digits of their 64-bit numbers."""
        (folder / "xyz").mkdir()
        _, rows, columns = job.levels.shape
        pitch_um = job.pitch_m * 1e6
        height_um = (job.process.height_of_level(torch.arange(job.process.levels)) * 1e6).tolist()
        starts = [f"{(column + 0.5) * pitch_um:.12g}," for column in range(columns)]
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"xyz/layer{number}.csv"
            head = f"# {job.file_name}, layer {number}, {rows} rows of {columns}, pitch {pitch_um!r} um\n"
            head += "# x / um,y / um,height / um\n"
            y = (f"{(rows - row - 0.5) * pitch_um:.12g}" for row in range(rows))
            ends = ([f"{text},{height!r}\n" for height in height_um] for text in y)
            write_pixels(folder / path, head, plane, starts, ends)
            files.append(ExportedFile(path, f"x, y and height of layer {number}, the top row first", "um"))
        return WrittenFiles(files, {"unit": "um", "origin": "lower left corner", "points": "centres of pixels"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the points; every one must be where its pixel is."""
        files = layer_files(manifest, self.name, "CSV")
        table_um = heights_m(manifest.process.process) * 1e6
        levels = [_levels(folder, file, layer, manifest, table_um) for layer, file in enumerate(files, start=1)]
        return with_designed_phase(levels, files, manifest)


def _levels(
    folder: Path, file: FileRecord, layer: int, manifest: Manifest, table_um: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """The levels (rows, columns) of one file."""
    _, rows, columns = manifest.shape
    head, names, *lines = text_lines(read_exported(folder, file), file.path, 2 + rows * columns)
    said = _HEAD.fullmatch(head)
    if said is None or tuple(int(group) for group in said.groups()[:3]) != (layer, rows, columns):
        fail_line(file.path, 1, f"not the head of layer {layer} with {rows} rows of {columns}")
    if names != _NAMES:
        fail_line(file.path, 2, f"expected {_NAMES.decode()!r}")
    pitch_um = manifest.pitch_m * 1e6
    received_um = float(numbers([said[4]], file.path, 1, b",")[0, 0])
    check_number(received_um, pitch_um, f"{file.path}: line 1: pitch in um")
    points = numbers(lines, file.path, 3, b",", first=3).reshape(rows, columns, 3)
    x = (np.arange(columns) + 0.5) * pitch_um
    y = (np.arange(rows)[::-1, None] + 0.5) * pitch_um
    place = f"{file.path}: layer {layer}"
    off = (np.abs(points[..., 0] - x) > 1e-6 * pitch_um) | (np.abs(points[..., 1] - y) > 1e-6 * pitch_um)
    refuse_first(off, place, "x or y is not that of the pixel's centre")
    return levels_of_heights(points[..., 2], table_um, "um", place)
