"""A strict reader of NPZ archives of float64 arrays: members and shapes known beforehand, nothing evaluated.

The NPY header is that of the NumPy Enhancement Proposal 1, `A Simple File Format for NumPy Arrays`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError
from opticdesign_exporters.zip_reader import read_members

__all__ = ["read_npz"]

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(rb"\{'descr': '<f8', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n")


def read_npz(data: bytes, path: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.float64]]:
    """Read an archive that holds exactly the named arrays.

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shapes: expected shape of each array.

    Raises:
        VerificationError: a damaged archive, another set of arrays, another shape or type.
    """
    members = read_members(data, path, {f"{name}.npy": 8 * math.prod(shape) + 4096 for name, shape in shapes.items()})
    return {name: _array(members[f"{name}.npy"], f"{path}: {name}.npy", shape) for name, shape in shapes.items()}


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
