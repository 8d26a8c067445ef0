"""PNG files built by hand from the specification, to try the reader on."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encoded(lines: bytes, shape: tuple[int, int], *extra: bytes, form: bytes = bytes((8, 0, 0, 0, 0))) -> bytes:
    """A PNG file around filtered lines; `form` begins with the bits of a grey."""
    head = chunk(b"IHDR", struct.pack(">II", shape[1], shape[0]) + form)
    return SIGNATURE + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def filtered(image: np.ndarray, kinds: list[int]) -> bytes:
    """Lines filtered by the definition in the specification, byte by byte, whatever the bytes of a grey."""
    size = image.itemsize
    raw = image.astype(image.dtype.newbyteorder(">")).view(np.uint8).astype(int)
    padded = np.pad(raw, ((1, 0), (size, 0)))
    result = bytearray()
    for row, kind in enumerate(kinds, start=1):
        result.append(kind)
        for column in range(size, padded.shape[1]):
            left, up, corner = padded[row, column - size], padded[row - 1, column], padded[row - 1, column - size]
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda value: abs(guess - value))
            predicted = (0, left, up, (left + up) // 2, paeth)[kind]
            result.append((padded[row, column] - predicted) % 256)
    return bytes(result)
