"""Masks from solids, STL or 3MF, one a mask: the height of their upper side at the middle of each pixel."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from opticdesign.errors import DataError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, masks_of_heights
from opticdesign.handover.source_file import SourceFile
from opticdesign.units import format_length
from opticdesign_exporters.solids.threemf_reader import read_mesh

__all__ = ["SolidImporter"]

Reals = npt.NDArray[np.float64]

_FACET = 50  # bytes of a triangle, behind 84 of the head
_MICROMETRE = 1e-6  # the unit of 3MF packages of ours
_OFF = 0.1  # of a pixel by which a solid may be wider or narrower than the masks
_AT_ONCE = 1 << 22  # pixels of triangles held at a time


class SolidImporter:
    """Reads x to the right, y up and z out of the plate; a pitch that is said is that of a magnified solid."""

    name = "solid"
    summary = "solids, STL and our own 3MF: a file for each mask, with --unit"
    suffixes = (".stl", ".3mf")
    options = frozenset({"unit", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is damaged, of no unit, does not fit the design or has a pixel without upper side.
            VerificationError: a package that is not as we write it.
        """
        maps = [_map(file, job) for file in job.files]
        masks = masks_of_heights(
            maps, replace(job, said=replace(job.said, pitch_m=None))
        )  # which it has been asked for
        return masks._replace(notes=(*masks.notes, "heights are those above the lowest pixel, in its middle"))


def _map(file: SourceFile, job: ImportJob) -> HeightMap:
    corners, unit_m = _corners(file, job)
    _, rows, columns = job.shape
    sides_m = job.pitch_m if job.said.pitch_m is None else (job.said.pitch_m, job.said.pitch_m)
    scale = np.array((unit_m / sides_m[1], unit_m / sides_m[0]))
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    size = (high - low)[:2] * scale  # in pixels
    if (np.abs(size - (columns, rows)) > _OFF).any():
        found, wanted = (
            " × ".join(format_length(float(side)) for side in sides)
            for sides in ((high - low)[:2] * unit_m, (columns * sides_m[1], rows * sides_m[0]))
        )
        raise DataError(
            file.path,
            f"a solid of {found}",
            expected=f"{wanted}, {columns} × {rows} pixels",
            remedy="check --unit; if it is magnified, say the length of its pixels with --pitch",
        )
    top = _tops((corners[..., :2] - low[:2]) * scale, corners[..., 2], (rows, columns))
    if not np.isfinite(top).all():
        row, column = np.argwhere(~np.isfinite(top))[0].tolist()
        raise DataError(file.path, f"row {row} column {column} has no upper side", expected="a closed solid")
    magnified = sides_m[1] / job.pitch_m[1]
    return HeightMap((top - top.min()) * (unit_m / magnified), job.pitch_m, str(file.path))


def _corners(file: SourceFile, job: ImportJob) -> tuple[Reals, float]:
    """The corners of all triangles (count, 3, 3), those seen from outside anticlockwise, and their unit in metres."""
    if file.path.suffix.lower() == ".3mf":
        job.said.refuse_all_but({"pitch_m", "flat"}, f"{file.path.name}, which says its unit")
        return read_mesh(file.data, str(file.path), job.shape[1:]), _MICROMETRE
    if job.said.unit is None or job.said.unit.phase:
        raise DataError(
            file.path,
            "an STL file, which names no unit of length",
            expected="--unit mm, as most programs take it, or nm, um or m",
            remedy="say it",
        )
    corners = _text_corners(file) if file.data[:5].lower() == b"solid" else _binary_corners(file)
    if not len(corners) or not np.isfinite(corners).all():
        raise DataError(file.path, "no triangles, or corners that are nowhere", expected="a closed solid")
    inside_out = np.linalg.det(corners - corners.mean(axis=(0, 1))).sum() < 0.0
    return corners[:, ::-1] if inside_out else corners, job.said.unit.size


def _binary_corners(file: SourceFile) -> Reals:
    count = int.from_bytes(file.data[80:84], "little")
    if len(file.data) != 84 + _FACET * count:
        raise DataError(
            file.path,
            f"byte 80: {count} triangles in {len(file.data)} bytes",
            expected=f"{84 + _FACET * count} bytes of a binary STL file, or a text that begins with solid",
            remedy="save it again",
        )
    records = np.frombuffer(file.data, np.uint8)[84:].reshape(-1, _FACET)
    corners = np.ascontiguousarray(records[:, 12:48]).view("<f4")
    with np.errstate(invalid="ignore"):  # damaged files may hold anything
        return corners.astype(np.float64).reshape(-1, 3, 3)


def _text_corners(file: SourceFile) -> Reals:
    lines = [line.split(None, 1)[1] for line in file.data.splitlines() if line.lstrip().startswith(b"vertex ")]
    try:
        return np.loadtxt(io.BytesIO(b"\n".join(lines)), ndmin=2).reshape(-1, 3, 3)
    except ValueError as error:
        raise DataError(file.path, f"no triangles: {str(error)[:120]}", expected="lines of vertex x y z") from None


def _tops(at: Reals, z: Reals, shape: tuple[int, int]) -> Reals:
    """The highest point of a surface over the middle of each pixel (rows, columns); −∞ where there is none.

    Args:
        at: x and y of triangles in pixels (count, 3, 2), y up.
        z: their heights (count, 3).
        shape: rows and columns.
    """
    rows, columns = shape
    first, second = at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    up = area > 1e-9  # seen from above; those below cannot be the highest
    at, z = at[up], z[up]
    found = np.full(rows * columns, -np.inf)
    edge = 1e-6  # of a pixel: a middle on an edge belongs to both triangles
    begin = np.ceil(at.min(axis=1) - 0.5 - edge).clip(0, (columns, rows)).astype(np.int64)
    end = (np.floor(at.max(axis=1) - 0.5 + edge) + 1).clip(0, (columns, rows)).astype(np.int64)
    wide, tall = (end - begin).clip(0).T
    for some in _batches(wide * tall):
        triangle = np.repeat(some, (wide * tall)[some])
        within = np.arange(len(triangle)) - np.repeat(
            np.cumsum((wide * tall)[some]) - (wide * tall)[some], (wide * tall)[some]
        )
        up_row, right = np.divmod(within, wide[triangle])
        column, row = begin[triangle, 0] + right, begin[triangle, 1] + up_row
        shares = _shares(np.stack((column, row), axis=1) + 0.5, at[triangle])
        inside = (shares >= -edge).all(axis=1)
        heights = (shares * z[triangle]).sum(axis=1)[inside]
        np.maximum.at(found, ((rows - 1 - row) * columns + column)[inside], heights)
    return found.reshape(shape)


def _shares(points: Reals, corners: Reals) -> Reals:
    """How much each corner of a triangle (count, 3, 2) counts at a point (count, 2): barycentric (count, 3)."""
    first, second, to = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    one = (to[:, 0] * second[:, 1] - to[:, 1] * second[:, 0]) / area
    two = (first[:, 0] * to[:, 1] - first[:, 1] * to[:, 0]) / area
    return np.stack((1.0 - one - two, one, two), axis=1)


def _batches(sizes: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of triangles some at a time, by the pixels that they may cover."""
    batch = np.cumsum(sizes) // _AT_ONCE
    yield from np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(batch)) + 1)
