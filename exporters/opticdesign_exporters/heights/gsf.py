"""Gwyddion Simple Field: a head in text, then float32 heights in metres, for Gwyddion and what reads its files.

Gwyddion user guide, Simple Field Files: a magic line, `name = value` lines, one to four NUL bytes up to a multiple of
four, and the values row by row from the top left, little-endian.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import VerificationError
from opticdesign.handover.export import ExportedFile, ExportJob, Extent, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.level_reader import (
    check_number,
    heights_m,
    layer_files,
    levels_of_heights,
    with_designed_phase,
)

if TYPE_CHECKING:
    from opticdesign.handover.manifest import FileRecord, Manifest

__all__ = ["GsfExporter"]

_MAGIC = b"Gwyddion Simple Field 1.0"  # what the reader expects
_FIELDS = {"XRes", "YRes", "XReal", "YReal", "XYUnits", "ZUnits", "Title"}


class GsfExporter:
    """Writes one field for each layer, all lengths in metres."""

    name = "gsf"
    summary = "Gwyddion Simple Field: float32 heights per layer (m)"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `gsf/layer1.gsf` …."""
        (folder / "gsf").mkdir()
        (_, rows, columns), (dy_m, dx_m) = job.levels.shape, job.pitch_m
        height_m = job.process.height_of_level(torch.arange(job.process.levels)).numpy().astype("<f4")
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"gsf/layer{number}.gsf"
            head = (
                f"Gwyddion Simple Field 1.0\nXRes = {columns}\nYRes = {rows}\n"
                f"XReal = {columns * dx_m!r}\nYReal = {rows * dy_m!r}\n"
                f"XYUnits = m\nZUnits = m\nTitle = {job.file_name} layer {number}\n"
            ).encode()
            padding = bytes(4 - len(head) % 4)
            (folder / path).write_bytes(head + padding + height_m[plane].tobytes())
            files.append(ExportedFile(path, f"height of layer {number}, float32, row 0 at the top", "m"))
        return WrittenFiles(files, {"unit": "m"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the fields; heights must be those of levels, bit for bit in float32."""
        files = layer_files(manifest, self.name, "GSF")
        table_m = heights_m(manifest.process.process).astype(np.float32)
        fields = [_field(folder, file, layer, manifest) for layer, file in enumerate(files, start=1)]
        levels = [
            levels_of_heights(height_m, table_m, "m", f"{file.path}: layer {layer}")
            for layer, (file, (height_m, _)) in enumerate(zip(files, fields, strict=True), start=1)
        ]
        return with_designed_phase(levels, files, manifest, [extent for _, extent in fields])


def _field(folder: Path, file: FileRecord, layer: int, manifest: Manifest) -> tuple[npt.NDArray[np.float32], Extent]:
    """The heights (rows, columns) of one field, float32, and its size."""
    data = read_exported(folder, file)
    said = _head(data, file.path)
    _, rows, columns = manifest.shape
    expected = {"XRes": str(columns), "YRes": str(rows), "XYUnits": "m", "ZUnits": "m"}
    for key, value in expected.items():
        if said[key] != value:
            raise VerificationError(f"{file.path}: {key} is {said[key]!r}, expected {value!r}")
    if not said["Title"].endswith(f" layer {layer}"):
        raise VerificationError(f"{file.path}: Title is {said['Title']!r}, expected that of layer {layer}")
    sizes_m = []
    for key, count, side_m in (("YReal", rows, manifest.pitch_m[0]), ("XReal", columns, manifest.pitch_m[1])):
        try:
            size_m = float(said[key])
        except ValueError:
            raise VerificationError(f"{file.path}: {key} is {said[key]!r}, expected a number") from None
        check_number(size_m, count * side_m, f"{file.path}: {key}")
        sizes_m.append(size_m)
    start = (data.index(0) // 4 + 1) * 4
    if any(data[data.index(0) : start]) or len(data) != start + 4 * rows * columns:
        raise VerificationError(
            f"{file.path}: byte {data.index(0)}: {len(data) - start} bytes of heights behind the padding, "
            f"expected {4 * rows * columns}",
            remedy="export again",
        )
    heights = np.frombuffer(data, "<f4", offset=start).reshape(rows, columns)
    return heights, Extent((sizes_m[0], sizes_m[1]))


def _head(data: bytes, path: str) -> dict[str, str]:
    """The fields of the head by name."""
    magic, *lines = data.partition(b"\0")[0].split(b"\n")
    fields = [line.decode("ascii", "replace").partition("=") for line in lines if line]
    said = {name.strip(): value.strip() for name, _, value in fields}
    if magic != _MAGIC or b"\0" not in data:
        raise VerificationError(f"{path}: byte 0: not a Gwyddion Simple Field", remedy="export again")
    if set(said) != _FIELDS or len(fields) != len(said):
        raise VerificationError(f"{path}: a head with {sorted(said)}, expected {sorted(_FIELDS)}")
    return said
