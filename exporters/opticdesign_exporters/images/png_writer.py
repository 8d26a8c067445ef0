"""Writes grey and palettised PNG images, whose bytes depend on nothing but the pixels.

W3C, Portable Network Graphics (PNG) Specification, third edition (2025). Rows are not filtered: the few values of a
mask compress best as they are.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["write_png"]

_GREY, _PALETTE = 0, 3  # colour types
_MOST_PER_M = 2**31 - 1  # pixels a metre, the most a PNG integer holds


def write_png(
    path: Path,
    image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    palette: npt.NDArray[np.uint8] | None = None,
    pitch_m: tuple[float, float] | None = None,
) -> None:
    """Write an image (rows, columns) of 8 or 16 bits.

    Args:
        path: the file.
        image: grey values, or 8-bit indices into the palette.
        palette: red, green and blue of each index (count, 3).
        pitch_m: sides of a pixel along y and x, metres, by which viewers give a picture its true shape.
    """
    rows, columns = image.shape
    depth = 8 * image.dtype.itemsize
    lines = np.zeros((rows, 1 + columns * image.dtype.itemsize), np.uint8)  # the first byte of a line is its filter
    lines[:, 1:] = np.ascontiguousarray(image, image.dtype.newbyteorder(">")).view(np.uint8)
    head = struct.pack(">IIBBBBB", columns, rows, depth, _GREY if palette is None else _PALETTE, 0, 0, 0)
    colours = b"" if palette is None else _chunk(b"PLTE", palette.tobytes())
    if pitch_m is not None:
        per_m = [min(max(1, round(1.0 / side_m)), _MOST_PER_M) for side_m in reversed(pitch_m)]
        colours += _chunk(b"pHYs", struct.pack(">IIB", *per_m, 1))
    pixels = _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + colours + pixels + _chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
