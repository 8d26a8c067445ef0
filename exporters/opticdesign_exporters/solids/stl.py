"""Binary STL for prints: a stepped relief on a plate, a closed solid for each layer, in millimetres."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.level_reader import layer_files, with_designed_phase
from opticdesign_exporters.solids.solid_reader import SolidReader
from opticdesign_exporters.solids.stepped_solid import stepped_solid

if TYPE_CHECKING:
    from opticdesign.handover.manifest import FileRecord, Manifest

__all__ = ["StlExporter"]

_UNIT_M = 1e-3  # STL names no unit; programs take millimetres
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_ROUNDING = 1e-3  # of the pitch, and of the least step between levels


class StlExporter:
    """Writes x to the right, y up and z out of the plate, with the underside of the plate at z = 0."""

    name = "stl"
    summary = "solids for printing: binary STL per layer (mm)"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `stl/layer1.stl` ….

        Raises:
            UsageError: the 32-bit numbers of the format cannot tell the levels or the pixels apart.
        """
        (folder / "stl").mkdir()
        scale = job.spec.print.magnification / _UNIT_M
        heights_m = job.process.height_of_level(torch.arange(job.process.levels)).numpy()
        tops = (job.spec.print.base + heights_m) * scale
        sides = job.pitch_m[0] * scale, job.pitch_m[1] * scale
        _check_rounding(job, tops, sides)
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"stl/layer{number}.stl"
            solid = stepped_solid(plane)
            points = solid.placed(len(plane), sides, tops)
            head = f"layer {number} of {job.file_name}, mm".encode().ljust(80)
            (folder / path).write_bytes(
                head + struct.pack("<I", len(solid.triangles)) + _facets(points[solid.triangles])
            )
            files.append(ExportedFile(path, f"solid of layer {number}, z = 0 under the plate", "mm"))
        options = {"base_m": job.spec.print.base, "magnification": job.spec.print.magnification, "unit_m": _UNIT_M}
        return WrittenFiles(files, options)

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the solids: closed, stepped on the pixel grid, each pixel as high as a level."""
        files = layer_files(manifest, self.name, "STL")
        reader = SolidReader(manifest, self.name, _UNIT_M)
        levels, extents = [], []
        for layer, file in enumerate(files, start=1):
            corners = _corners(read_exported(folder, file), file)
            levels.append(reader.levels(corners, file.path, layer))
            extents.append(reader.extent(corners))
        return with_designed_phase(levels, files, manifest, extents)


def _check_rounding(job: ExportJob, tops: npt.NDArray[np.float64], sides: tuple[float, float]) -> None:
    """Refuse what 32-bit numbers would blur."""
    step = float(np.diff(tops).min())
    for what, coordinates, least in (
        ("levels", tops, step),
        ("pixels", np.arange(job.levels.shape[1] + 1) * sides[0], sides[0]),
        ("pixels", np.arange(job.levels.shape[2] + 1) * sides[1], sides[1]),
    ):
        error = float(np.abs(coordinates.astype(np.float32) - coordinates).max())
        if error > _ROUNDING * least:
            raise UsageError(
                f"{what} {least:.3g} mm apart in a solid {coordinates[-1]:.3g} mm long, in numbers of 32 bits",
                expected=f"rounding below {_ROUNDING:g} of that distance, not {error / least:.2g}",
                remedy="choose a thinner plate (export.print.base) or the format 3mf",
            )


def _facets(corners: npt.NDArray[np.float64]) -> bytes:
    """The records of triangles (m, 3, 3), with their normals."""
    facets = np.zeros(len(corners), _FACET)
    along = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    facets["normal"] = np.rint(along) + 0.0  # along an axis; no −0
    facets["corners"] = corners
    return facets.tobytes()


def _corners(data: bytes, file: FileRecord) -> npt.NDArray[np.float64]:
    """The corners of the triangles (m, 3, 3) of an STL file, millimetres."""
    count = int.from_bytes(data[80:84], "little")
    if len(data) != 84 + 50 * count or data[:5] == b"solid":
        raise VerificationError(
            f"{file.path}: byte 80: not a binary STL file of {count} triangles, which has {84 + 50 * count} bytes, "
            f"found {len(data)}",
            remedy="export again",
        )
    records = np.frombuffer(data, np.uint8)[84:].reshape(-1, 50)
    corners = np.ascontiguousarray(records[:, 12:48]).view("<f4")  # behind the normal
    with np.errstate(invalid="ignore"):  # damaged files may hold anything
        return corners.astype(np.float64).reshape(-1, 3, 3)
