"""A small encoder of OASIS for tests: fields as the standard has them, to ask klayout and our reader about."""

from __future__ import annotations

import struct
import zlib

MAGIC = b"%SEMI-OASIS\r\n"


def unsigned(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def signed(value: int) -> bytes:
    return unsigned(abs(value) << 1 | (value < 0))


def text(value: bytes) -> bytes:
    return unsigned(len(value)) + value


def delta(x: int, y: int) -> bytes:
    """A general displacement in two numbers."""
    return unsigned(abs(x) << 2 | (x < 0) << 1 | 1) + unsigned(abs(y) << 1 | (y < 0))


def compass(magnitude: int, direction: int, bits: int = 3) -> bytes:
    """A displacement in one of four or eight directions; general ones have a zero below."""
    return unsigned(magnitude << bits | direction)


def start(per_micrometre: bytes = b"\x00" + unsigned(1000), tables: bytes = b"\x00" + bytes(12)) -> bytes:
    return MAGIC + b"\x01" + text(b"1.0") + per_micrometre + tables


def end(before: bytes, scheme: int = 0, tables: bytes = b"") -> bytes:
    """The END record that closes `before`, with its checksum, and the table offsets if START has none."""
    checked = 0 if scheme == 0 else 4
    head = b"\x02" + tables
    padding = 256 - len(head) - 1 - checked
    body = next(
        head + unsigned(size) + bytes(size) + bytes([scheme])
        for size in range(padding, 0, -1)
        if len(unsigned(size)) + size == padding
    )
    whole = before + body
    return body + (b"", struct.pack("<I", zlib.crc32(whole)), struct.pack("<I", sum(whole) & 0xFFFFFFFF))[scheme]


def block(records: bytes) -> bytes:
    """Records, deflated."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflate.compress(records) + deflate.flush()
    return b"\x22\x00" + unsigned(len(records)) + unsigned(len(data)) + data


def library(*records: bytes, cell: bytes = b"TOP", scheme: int = 0, head: bytes | None = None) -> bytes:
    """A file with one cell of these records."""
    before = (start() if head is None else head) + b"\x0e" + text(cell) + b"".join(records)
    return before + end(before, scheme)


def rectangle(
    x: int, y: int, width: int, height: int, repetition: bytes = b"", layer: int = 1, datatype: int = 2
) -> bytes:
    info = 0b01111011 | (0b100 if repetition else 0)
    sizes = unsigned(layer) + unsigned(datatype) + unsigned(width) + unsigned(height)
    return bytes([20, info]) + sizes + signed(x) + signed(y) + repetition


def polygon(x: int, y: int, points: bytes, repetition: bytes = b"") -> bytes:
    info = 0b00111011 | (0b100 if repetition else 0)
    return bytes([21, info]) + unsigned(1) + unsigned(2) + points + signed(x) + signed(y) + repetition
