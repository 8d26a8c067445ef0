"""A strict decoder of grey and palettised PNG images, 8 or 16 bits.

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

__all__ = ["read_palettised_png", "read_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # colour types
_NAMES = {_GREY: "grey", _PALETTE: "palettised"}
_ANCILLARY = 0x20  # set in the first letter of chunks that a reader may pass over

Row = npt.NDArray[np.uint8]


class _Chunk(NamedTuple):
    offset: int
    kind: bytes
    data: bytes


def read_png(data: bytes, path: str, shape: tuple[int, int], depth: int = 8) -> npt.NDArray[np.uint16]:
    """Decode a grey image of a known shape to grey levels (rows, columns).

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shape: expected rows and columns.
        depth: expected bits of a pixel, 8 or 16.

    Raises:
        VerificationError: a damaged file, or another kind of image; names the byte.
    """
    return _pixels(_image(data, path, shape, depth, _GREY), path, shape, depth // 8)


def read_palettised_png(data: bytes, path: str, shape: tuple[int, int], colours: int) -> npt.NDArray[np.uint16]:
    """Decode an 8-bit image of a known shape to indices into its palette (rows, columns).

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shape: expected rows and columns.
        colours: expected number of colours in the palette.

    Raises:
        VerificationError: a damaged file, or another kind of image; names the byte.
    """
    chunks = _image(data, path, shape, 8, _PALETTE)
    palettes = [chunk for chunk in chunks if chunk.kind == b"PLTE"]
    if [len(chunk.data) for chunk in palettes] != [3 * colours]:
        _fail(path, palettes[0].offset if palettes else len(data), f"no palette of {colours} colours")
    return _pixels(chunks, path, shape, 1)


def _image(data: bytes, path: str, shape: tuple[int, int], depth: int, colour: int) -> list[_Chunk]:
    """The chunks behind the head, which must be that of an image of a known shape, depth and colour type."""
    head, *chunks = _chunks(data, path, colour)
    rows, columns = shape
    if head.kind != b"IHDR" or head.data != struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0):
        article = "an" if depth == 8 else "a"
        why = f"not {article} {depth}-bit {_NAMES[colour]} image of {columns} by {rows} pixels"
        _fail(path, head.offset, why)
    return chunks


def _pixels(chunks: list[_Chunk], path: str, shape: tuple[int, int], size: int) -> npt.NDArray[np.uint16]:
    """The values of all pixels, of `size` bytes each."""
    rows, columns = shape
    stream = b"".join(chunk.data for chunk in chunks if chunk.kind == b"IDAT")
    at = next((chunk.offset for chunk in chunks if chunk.kind == b"IDAT"), chunks[-1].offset)
    width = size * columns
    lines = np.frombuffer(_inflate(stream, rows * (width + 1), path, at), np.uint8).reshape(rows, width + 1)
    image = np.empty((rows, width), dtype=np.uint8)
    above = np.zeros(width, dtype=np.uint8)
    for number, line in enumerate(lines):
        if line[0] > 4:
            _fail(path, at, f"row {number}: filter {line[0]}, expected 0 to 4")
        above = image[number] = _unfiltered(int(line[0]), line[1:], above, size)
    return image.view(f">u{size}").astype(np.uint16)


def _fail(path: str, offset: int, why: str) -> NoReturn:
    raise VerificationError(f"{path}: byte {offset}: {why}", remedy="export again")


def _chunks(data: bytes, path: str, colour: int) -> Iterator[_Chunk]:
    """All chunks up to IEND, which ends the file; the CRC of each is checked, unknown critical chunks are refused."""
    if not data.startswith(_SIGNATURE):
        _fail(path, 0, "not a PNG file")
    critical = (b"IHDR", b"IDAT", b"IEND", *((b"PLTE",) if colour == _PALETTE else ()))
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
        if kind not in critical and not kind[0] & _ANCILLARY:
            _fail(path, start, f"chunk {kind!r}, which a {_NAMES[colour]} image does not need")
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


def _unfiltered(kind: int, line: Row, above: Row, size: int) -> Row:
    """Undo the filter of one row of pixels of `size` bytes; sums are modulo 256."""
    if kind == 0:
        return line
    if kind == 1:
        return np.add.accumulate(line.reshape(-1, size), axis=0, dtype=np.uint8).ravel()
    if kind == 2:
        return line + above
    return _averaged(line, above, size) if kind == 3 else _predicted(line, above, size)


def _averaged(line: Row, above: Row, size: int) -> Row:
    result = bytearray(size + len(line))  # begins with the pixel of zeros left of the row
    for at, (value, up) in enumerate(zip(line.tolist(), above.tolist(), strict=True)):
        result[size + at] = (value + (result[at] + up) // 2) & 255
    return np.frombuffer(result, np.uint8)[size:]


def _predicted(line: Row, above: Row, size: int) -> Row:
    """Undo Paeth's filter: the nearest of left, up and corner to left + up − corner, in this order on a tie."""
    result, corners = bytearray(size + len(line)), bytes(size) + above.tobytes()
    for at, (value, up) in enumerate(zip(line.tolist(), above.tolist(), strict=True)):
        left, corner = result[at], corners[at]
        guess = left + up - corner
        by_left, by_up, by_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
        nearest = left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner
        result[size + at] = (value + nearest) & 255
    return np.frombuffer(result, np.uint8)[size:]
