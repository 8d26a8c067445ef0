"""MATLAB files of version 5 (up to -v7): the numeric arrays, read with every length checked.

SciPy's reader ends the process on some damaged files; a data folder must never do that. Source: MathWorks, MAT-File
Format, chapter "MAT-File Level 5".
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.bounds import most_bytes

__all__ = ["read_mat5"]

HEADER = 128
MATRIX, COMPRESSED = 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
LOGICAL, COMPLEX = 0x200, 0x800
CHARACTERS = 4
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
LONGEST_TEXT = 256


def read_mat5(path: Path) -> dict[str, NDArray[Any]]:
    """The numeric and logical arrays and short texts of a file by name, axes as in MATLAB; the rest is passed over.

    Raises:
        ValueError: not a MATLAB file of version 5, or a damaged one.
    """
    content = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("not a MATLAB file of version 5, 7 or 7.3")
    arrays: dict[str, NDArray[Any]] = {}
    for kind, data in _elements(memoryview(content)[HEADER:], order):
        if kind == COMPRESSED:
            kind, data = next(_elements(_inflated(data, order), order))
        if kind == MATRIX:
            arrays.update(_matrix(data, order))
    return arrays


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element; short ones keep their length in the upper half of the type."""
    at = 0
    while at < len(data):
        first, length = (int(n) for n in np.frombuffer(_part(data, at, 8), order + "u4"))
        kind, start = first, at + 8
        if first >> 16:
            kind, length, start = first & 0xFFFF, first >> 16, at + 4
            if length > 4:
                raise ValueError(f"a short element of {length} bytes")
        yield kind, _part(data, start, length)
        # Elements start at multiples of 8 bytes, but nothing pads a compressed one.
        end = start + length
        at = end if kind == COMPRESSED else -(-end // 8) * 8


def _part(data: memoryview, start: int, length: int) -> memoryview:
    if start + length > len(data):
        raise ValueError(f"an element of {length} bytes where {max(0, len(data) - start)} are left")
    return data[start : start + length]


def _inflated(data: memoryview, order: str) -> memoryview:
    """The one element inside a compressed one; its own tag says how long it may become."""
    stream = zlib.decompressobj()
    tag = stream.decompress(data, 8)
    length = int(np.frombuffer(_part(memoryview(tag), 0, 8), order + "u4")[1])
    if length > most_bytes(len(data)):
        raise ValueError(f"{len(data):,} bytes would unpack to {length / 2**30:.3g} GiB")
    # One byte of room lets zlib reach its checksum.
    body = stream.decompress(stream.unconsumed_tail, length + 1)
    if not stream.eof:
        raise ValueError("a compressed element does not end where it should")
    return memoryview(tag + body)


def _matrix(data: memoryview, order: str) -> dict[str, NDArray[Any]]:
    """Name and values of an array element, nothing where it is not numeric."""
    elements = _elements(data, order)
    try:
        flags = int(np.frombuffer(next(elements)[1], order + "u4")[0])
        shape = tuple(int(n) for n in np.frombuffer(next(elements)[1], order + "i4"))
        name = bytes(next(elements)[1]).decode("ascii")
        if flags & 0xFF == CHARACTERS:
            return _text(name, *next(elements), order)
        if flags & 0xFF not in CLASSES:
            return {}
        values = _values(*next(elements), shape, order)
        if flags & COMPLEX:
            parts = values, _values(*next(elements), shape, order)
            return {name: parts[0] + 1j * parts[1]}
    except StopIteration:
        raise ValueError("an array lacks one of its parts") from None
    return {name: values.astype(np.bool_ if flags & LOGICAL else CLASSES[flags & 0xFF])}


def _text(name: str, kind: int, data: memoryview, order: str) -> dict[str, NDArray[Any]]:
    """A short text by its name, nothing where it is longer."""
    if kind not in ENCODINGS or len(data) > LONGEST_TEXT:
        return {}
    encoding = ENCODINGS[kind] + ("" if ENCODINGS[kind] in ("latin-1", "utf-8") else "-le" if order == "<" else "-be")
    return {name: np.array(bytes(data).decode(encoding, "replace"))}


def _values(kind: int, data: memoryview, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    """Numbers of an array, stored column by column, in a type that may be narrower than the array's."""
    if kind not in STORED:
        raise ValueError(f"numbers of the unknown type {kind}")
    flat = np.frombuffer(data, order + STORED[kind])
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != flat.size:
        raise ValueError(f"{flat.size} numbers for an array of shape {shape}")
    return flat.reshape(shape, order="F").astype(flat.dtype.newbyteorder("="))
