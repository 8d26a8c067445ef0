"""Masks from NumPy's files: heights in an archive, or one array by itself."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from opticdesign.errors import DataError, OpticDesignError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, check_samples, masks_of_heights
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.number_scale import heights

__all__ = ["NpzImporter"]

_HEIGHTS, _PITCH = "height_m", "pitch_m"


class NpzImporter:
    """Reads the array `height_m` in metres and its `pitch_m` from NPZ, numbers in a unit that is said from NPY."""

    name = "npz"
    summary = "NumPy: NPZ with height_m (masks, rows, columns) and pitch_m; NPY of any numbers"
    suffixes = (".npz", ".npy")
    options = frozenset({"unit", "full_scale", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is damaged, holds no heights, or does not fit the design.
        """
        return masks_of_heights([one for file in job.files for one in _maps(file, job)], job)


def _maps(file: SourceFile, job: ImportJob) -> Iterator[HeightMap]:
    try:
        if file.path.suffix.lower() == ".npy":
            yield from _bare(file, job)
        else:
            job.said.refuse_all_but({"pitch_m", "flat"}, f"{_HEIGHTS} in {file.path.name}, in metres")
            yield from _archived(file, job)
    except OpticDesignError:
        raise
    except Exception as error:  # zipfile and numpy raise whatever a damaged file leads them to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        expected = f"a whole {file.path.suffix[1:].upper()} file without objects"
        raise DataError(file.path, f"cannot be read: {reason}", expected=expected) from None


def _bare(file: SourceFile, job: ImportJob) -> Iterator[HeightMap]:
    """The maps of an NPY file."""
    values = _array(io.BytesIO(file.data), file, job)
    if values.ndim not in (2, 3):
        raise DataError(file.path, f"an array of shape {values.shape}", expected="(rows, columns), or masks of them")
    for number, plane in enumerate(values.reshape(-1, *values.shape[-2:]), start=1):
        yield HeightMap(heights(plane, file, job), None, f"{file.path}: mask {number}")


def _archived(file: SourceFile, job: ImportJob) -> Iterator[HeightMap]:
    """The maps of an NPZ file."""
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        for name in {f"{key}.npy" for key in (_HEIGHTS, _PITCH)} & set(archive.namelist()):
            with archive.open(name) as stream:
                arrays[name.removesuffix(".npy")] = _array(stream, file, job)
    height_m, pitch_m = arrays.get(_HEIGHTS), arrays.get(_PITCH)
    if height_m is None or height_m.dtype.kind != "f" or height_m.ndim not in (2, 3):
        found = "no array height_m" if height_m is None else f"height_m of {height_m.dtype} and shape {height_m.shape}"
        expected = "height_m in metres, floating-point, (rows, columns) or (masks, rows, columns)"
        raise DataError(file.path, found, expected=expected, remedy="save heights in metres under that name")
    if pitch_m is not None and not (
        pitch_m.shape in ((), (2,)) and pitch_m.dtype.kind == "f" and bool((pitch_m > 0.0).all())
    ):
        expected = "one positive number in metres, or two, along y and x"
        raise DataError(file.path, f"pitch_m of {pitch_m!r}", expected=expected)
    sides = None if pitch_m is None else tuple(np.broadcast_to(pitch_m, 2).tolist())
    for number, plane in enumerate(height_m.reshape(-1, *height_m.shape[-2:]), start=1):
        yield HeightMap(plane.astype(np.float64), sides, f"{file.path}: mask {number}")


def _array(stream: IO[bytes], file: SourceFile, job: ImportJob) -> np.ndarray[Any, np.dtype[Any]]:
    """One array, its size checked before it is unpacked: a few kilobytes can claim any."""
    head = io.BytesIO(stream.read(1 << 16))
    version = np.lib.format.read_magic(head)
    read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_head(head)
    if dtype.hasobject:
        raise DataError(file.path, "cannot be read: Object arrays", expected="an array of numbers")
    check_samples(file, shape, job)
    count = math.prod(shape)
    size = count * dtype.itemsize
    data = head.read() + stream.read(max(0, size - (1 << 16)) + (1 << 16))
    if len(data) < size:
        raise DataError(file.path, f"cannot be read: {len(data)} bytes of {size}", expected="a whole file")
    found = np.frombuffer(data, dtype, count)
    return found.reshape(shape, order="F" if fortran else "C")
