"""A strict reader of NPZ archives of float64 arrays: members and shapes known beforehand, nothing evaluated.

The NPY header is that of the NumPy Enhancement Proposal 1, `A Simple File Format for NumPy Arrays`.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["read_npz"]

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(rb"\{'descr': '<f8', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on damaged archives; it documents only the first.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, IndexError,
    OverflowError, struct.error,
)  # fmt: skip


def read_npz(data: bytes, path: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.float64]]:
    """Read an archive that holds exactly the named arrays.

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shapes: expected shape of each array.

    Raises:
        VerificationError: a damaged archive, another set of arrays, another shape or type.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            expected = {f"{name}.npy" for name in shapes}
            if set(members) != expected or len(archive.infolist()) != len(expected):
                raise VerificationError(f"{path}: holds {sorted(members)}, expected {sorted(expected)}")
            return {
                name: _array(_member(archive, members[f"{name}.npy"], path, shape), f"{path}: {name}.npy", shape)
                for name, shape in shapes.items()
            }
    except _DAMAGE as error:
        raise VerificationError(f"{path}: a damaged archive: {error}", remedy="export again") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, shape: tuple[int, ...]) -> bytes:
    """The bytes of one member, CRC checked by zipfile; never more than the array needs."""
    limit = 8 * math.prod(shape) + 4096
    if info.compress_type not in _METHODS or info.flag_bits & 1:
        raise VerificationError(f"{path}: {info.filename}: neither stored nor deflated, or encrypted")
    with archive.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise VerificationError(f"{path}: {info.filename}: more than {limit} bytes")
    return data


def _array(data: bytes, place: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """A version 1.0 NPY array in C order."""
    size = int.from_bytes(data[8:10], "little")
    head = _HEADER.fullmatch(data[10 : 10 + size])
    if not data.startswith(_MAGIC) or head is None:
        raise VerificationError(f"{place}: byte 0: not a float64 array in C order")
    found = tuple(int(number) for number in re.findall(rb"\d+", head[1]))
    if found != shape:
        raise VerificationError(f"{place}: an array of shape {found}, expected {shape}")
    body = data[10 + size :]
    if len(body) != 8 * math.prod(shape):
        raise VerificationError(f"{place}: {len(body)} bytes of values, expected {8 * math.prod(shape)}")
    return np.frombuffer(body, "<f8").reshape(shape)
