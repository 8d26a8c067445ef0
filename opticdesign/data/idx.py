"""Files of the idx format, plain or packed with gzip: the arrays that MNIST and its relatives are published as.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, section "the IDX file format".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import DataError

__all__ = ["read_idx"]

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_MOST_BYTES = 2**30  # four times the largest set of the MNIST family
_EXPECTED = "an idx file, such as MNIST's t10k-images-idx3-ubyte, plain or .gz"


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an idx file, in the machine's byte order.

    Whether it is packed is seen from its first bytes. No more is unpacked than the header promises.

    Raises:
        DataError: a file that is missing, of another format, damaged or larger than 1 GiB.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                return _array(path, file)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _array(path, unpacked)
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(path, f"damaged: {problem}", expected="a whole .gz file", remedy="fetch it again") from problem
    except (OSError, ValueError) as problem:  # ValueError: a null character in the path
        reason = getattr(problem, "strerror", None) or str(problem)
        raise DataError(path, f"cannot be read: {reason}", expected=_EXPECTED, remedy="check the path") from problem


def _array(path: Path, file: BinaryIO | gzip.GzipFile) -> NDArray[Any]:
    """Two zeros, type, number of axes; then the axes as 32-bit numbers; then the values, last axis fastest."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or head[3] == 0:
        raise DataError(path, f"begins with the bytes {head.hex(' ') or '(none)'}", expected=_EXPECTED)
    sides = file.read(4 * head[3])
    if len(sides) < 4 * head[3]:
        raise _cut(path, len(sides), 4 * head[3])
    shape = tuple(int(side) for side in np.frombuffer(sides, ">u4"))
    kind = np.dtype(_TYPES[head[2]])
    length = math.prod(shape) * kind.itemsize
    if length > _MOST_BYTES or len(shape) > 8:
        raise DataError(path, f"an array of {' × '.join(map(str, shape[:8]))} values", expected="at most 1 GiB")
    values = file.read(length + 1)
    if len(values) != length:
        raise _cut(path, len(values), length)
    return np.frombuffer(values, kind).astype(kind.newbyteorder("=")).reshape(shape)


def _cut(path: Path, found: int, length: int) -> DataError:
    held = f"{found} bytes are left" if found < length else "more follow"
    return DataError(path, f"{length} bytes are due where {held}", expected="a whole file", remedy="fetch it again")
