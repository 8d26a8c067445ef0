"""A strict decoder of 8-bit grey PNG images.

W3C, Portable Network Graphics (PNG) Specification, third edition (2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["read_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY_8_BIT = bytes((8, 0, 0, 0, 0))  # bit depth, colour type, compression, filter method, not interlaced
_ANCILLARY = 0x20  # set in the first letter of chunks that a reader may pass over

Row = npt.NDArray[np.uint8]


class _Chunk(NamedTuple):
    offset: int
    kind: bytes
    data: bytes


def read_png(data: bytes, path: str, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Decode an image of a known shape to grey levels (rows, columns).

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shape: expected rows and columns.

    Raises:
        VerificationError: a damaged file, or another kind of image; names the byte.
    """
    rows, columns = shape
    head, *chunks = _chunks(data, path)
    expected = struct.pack(">II", columns, rows) + _GREY_8_BIT
    if head.kind != b"IHDR" or head.data != expected:
        _fail(path, head.offset, f"not an 8-bit grey image of {columns} by {rows} pixels")
    stream = b"".join(chunk.data for chunk in chunks if chunk.kind == b"IDAT")
    at = next((chunk.offset for chunk in chunks if chunk.kind == b"IDAT"), len(data))
    lines = np.frombuffer(_inflate(stream, rows * (columns + 1), path, at), np.uint8).reshape(rows, columns + 1)
    image = np.empty(shape, dtype=np.uint8)
    above = np.zeros(columns, dtype=np.uint8)
    for number, line in enumerate(lines):
        if line[0] > 4:
            _fail(path, at, f"row {number}: filter {line[0]}, expected 0 to 4")
        above = image[number] = _unfiltered(int(line[0]), line[1:], above)
    return image


def _fail(path: str, offset: int, why: str) -> NoReturn:
    raise VerificationError(f"{path}: byte {offset}: {why}", remedy="export again")


def _chunks(data: bytes, path: str) -> Iterator[_Chunk]:
    """All chunks up to IEND, which ends the file; the CRC of each is checked, unknown critical chunks are refused."""
    if not data.startswith(_SIGNATURE):
        _fail(path, 0, "not a PNG file")
    position, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        start = position
        if start + 12 > len(data):
            _fail(path, start, "the file ends where a chunk is due")
        (size,) = struct.unpack_from(">I", data, start)
        position = start + 12 + size
        if position > len(data):
            _fail(path, start, "the file ends inside a chunk")
        kind, body = data[start + 4 : start + 8], data[start + 8 : start + 8 + size]
        if zlib.crc32(kind + body) != struct.unpack_from(">I", data, position - 4)[0]:
            _fail(path, start, f"chunk {kind!r} is damaged (CRC)")
        if kind not in (b"IHDR", b"IDAT", b"IEND") and not kind[0] & _ANCILLARY:
            _fail(path, start, f"chunk {kind!r}, which a grey image does not need")
        yield _Chunk(start, kind, body)
    if position != len(data):
        _fail(path, position, "data after the end of the image")


def _inflate(stream: bytes, size: int, path: str, at: int) -> bytes:
    """Decompress exactly `size` bytes, never more."""
    inflater = zlib.decompressobj()
    try:
        lines = inflater.decompress(stream, size + 1)
    except zlib.error as error:
        _fail(path, at, f"damaged pixels: {error}")
    if len(lines) != size or not inflater.eof or inflater.unused_data:
        _fail(path, at, f"pixels of {len(lines)} bytes or more, expected {size}")
    return lines


def _unfiltered(kind: int, line: Row, above: Row) -> Row:
    """Undo the filter of one row; sums are modulo 256."""
    if kind == 0:
        return line
    if kind == 1:
        return np.add.accumulate(line, dtype=np.uint8)
    if kind == 2:
        return line + above
    return _averaged(line, above) if kind == 3 else _predicted(line, above)


def _averaged(line: Row, above: Row) -> Row:
    result, left = bytearray(len(line)), 0
    for column, (value, up) in enumerate(zip(line.tolist(), above.tolist(), strict=True)):
        result[column] = left = (value + (left + up) // 2) & 255
    return np.frombuffer(result, np.uint8)


def _predicted(line: Row, above: Row) -> Row:
    """Undo Paeth's filter: the nearest of left, up and corner to left + up − corner, in this order on a tie."""
    result, left, corner = bytearray(len(line)), 0, 0
    for column, (value, up) in enumerate(zip(line.tolist(), above.tolist(), strict=True)):
        guess = left + up - corner
        by_left, by_up, by_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
        nearest = left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner
        result[column] = left = (value + nearest) & 255
        corner = up
    return np.frombuffer(result, np.uint8)
