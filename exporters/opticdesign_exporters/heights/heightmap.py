"""Height maps: one float32 TIFF per layer in nanometres, and all layers in one NPZ in metres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.data.tiff import write_tiff
from opticdesign.errors import VerificationError
from opticdesign.handover.export import ExportedFile, ExportJob, Extent, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.heights.npz_reader import read_npz
from opticdesign_exporters.heights.tiff_reader import read_tiff
from opticdesign_exporters.level_reader import (
    heights_m,
    layer_files,
    levels_of_heights,
    refuse_first,
    with_designed_phase,
)

if TYPE_CHECKING:
    from opticdesign.handover.manifest import FileRecord, Manifest

__all__ = ["HeightMapExporter"]

_NPZ = "heightmap/heights.npz"


class HeightMapExporter:
    """Writes heights above the lowest level, in real units: nothing is scaled to the range of the data."""

    name = "heightmap"
    summary = "height maps: float32 TIFF per layer (nm) and one NPZ (m)"
    usual = True

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `heightmap/layer1.tif` … and `heightmap/heights.npz`."""
        (folder / "heightmap").mkdir()
        height_m = job.process.height_of_level(torch.from_numpy(job.levels.copy())).numpy()
        files = []
        for number, plane in enumerate(height_m, start=1):
            path = f"heightmap/layer{number}.tif"
            said = {"quantity": "height", "unit": "nm", "layer": number, "pitch_m": job.pitch_m, "name": job.file_name}
            write_tiff(folder / path, [(plane * 1e9).astype(np.float32)], said, job.pitch_m)
            files.append(ExportedFile(path, f"height of layer {number}, float32, row 0 at the top", "nm"))
        np.savez(
            folder / _NPZ,
            height_m=height_m,
            pitch_m=np.array(job.pitch_m),
            wavelength_m=np.float64(job.process.wavelength_m),
            index=np.float64(job.process.index),
            medium_index=np.float64(job.process.medium_index),
        )
        files.append(
            ExportedFile(_NPZ, "height_m (layers, rows, columns), pitch_m (y, x), wavelength_m and indices", "m")
        )
        return WrittenFiles(files, {"tiff_unit": "nm", "npz_unit": "m"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read both forms; they must hold the same levels."""
        *images, archive = layer_files(manifest, self.name, "TIFF", extra=1)
        table_m = heights_m(manifest.process.process)
        table_nm = (table_m * 1e9).astype(np.float32)
        levels, extents = [], []
        for layer, image in enumerate(images, start=1):
            height_nm, extent = _tiff_heights(folder, image, layer, manifest)
            extents.append(extent)
            levels.append(levels_of_heights(height_nm, table_nm, "nm", f"{image.path}: layer {layer}"))
        for layer, plane in enumerate(_npz_heights(folder, archive, manifest), start=1):
            other = levels_of_heights(plane, table_m, "m", f"{archive.path}: layer {layer}")
            _must_agree(other, levels[layer - 1], f"{archive.path}: layer {layer}", images[layer - 1].path)
        return with_designed_phase(levels, images, manifest, extents)


def _tiff_heights(
    folder: Path, file: FileRecord, layer: int, manifest: Manifest
) -> tuple[npt.NDArray[np.float32], Extent]:
    """The heights of one image in nanometres, and its size by its resolution."""
    image = read_tiff(read_exported(folder, file), file.path, manifest.shape[1:])
    try:
        said: Any = json.loads(image.description)
    except (ValueError, RecursionError):
        said = None
    expected = {"quantity": "height", "unit": "nm", "layer": layer, "pitch_m": list(manifest.pitch_m)}
    for key, value in expected.items():
        received = said.get(key) if isinstance(said, dict) else None
        if received != value:
            raise VerificationError(f"{file.path}: description: {key} is {received!r}, expected {value!r}")
    for found_m, side_m, axis in zip(image.pixel_m, manifest.pitch_m[::-1], "xy", strict=True):
        if not abs(found_m - side_m) <= 1e-6 * side_m:
            raise VerificationError(f"{file.path}: pixels of {found_m:.6g} m along {axis}, expected {side_m:.6g} m")
    rows, columns = image.values.shape
    return image.values, Extent((rows * image.pixel_m[1], columns * image.pixel_m[0]))


def _npz_heights(folder: Path, file: FileRecord, manifest: Manifest) -> npt.NDArray[np.float64]:
    process = manifest.process
    scalars = {
        "wavelength_m": process.wavelength_m,
        "index": process.index,
        "medium_index": process.medium_index,
    }
    shapes: dict[str, tuple[int, ...]] = {"height_m": manifest.shape, "pitch_m": (2,), **dict.fromkeys(scalars, ())}
    arrays = read_npz(read_exported(folder, file), file.path, shapes)
    for key, value in scalars.items():
        if float(arrays[key]) != value:
            raise VerificationError(f"{file.path}: {key} is {float(arrays[key])!r}, expected {value!r}")
    if (sides := tuple(arrays["pitch_m"].tolist())) != manifest.pitch_m:
        raise VerificationError(f"{file.path}: pitch_m is {sides}, expected {manifest.pitch_m}")
    return arrays["height_m"]


def _must_agree(received: npt.NDArray[np.int64], expected: npt.NDArray[np.int64], place: str, other: str) -> None:
    bad = received != expected
    if bad.any():
        refuse_first(bad, place, f"level {received[bad][0]}, but {other} holds level {expected[bad][0]}")
