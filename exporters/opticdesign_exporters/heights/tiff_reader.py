"""A strict reader of one-page, uncompressed, float32 TIFF images.

Adobe Developers Association, TIFF Revision 6.0 (1992).
"""

from __future__ import annotations

import struct
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["TiffImage", "read_tiff"]

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 256, 257, 258, 259, 262, 270
_STRIPS, _ORIENTATION, _SAMPLES, _STRIP_BYTES = 273, 274, 277, 279
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SAMPLE_FORMAT = 282, 283, 296, 339
_FORMS = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II"}  # BYTE, ASCII, SHORT, LONG, RATIONAL
_UNIT_M = {2: 0.0254, 3: 0.01}
_FIXED = {_BITS: 32, _COMPRESSION: 1, _PHOTOMETRIC: 1, _SAMPLES: 1, _SAMPLE_FORMAT: 3}
_TOP_LEFT = 1


class TiffImage(NamedTuple):
    """Pixels (rows, columns), size of a pixel along x and y in metres, and the description."""

    values: npt.NDArray[np.float32]
    pixel_m: tuple[float, float]
    description: str


class _Tag(NamedTuple):
    offset: int
    values: tuple[int, ...]
    text: bytes


def read_tiff(data: bytes, path: str, shape: tuple[int, int]) -> TiffImage:
    """Read a TIFF image of a known shape.

    Args:
        data: the bytes of the file.
        path: its name in messages.
        shape: expected rows and columns.

    Raises:
        VerificationError: anything else than such an image; names the byte.
    """
    return _Reader(data, path).image(shape)


class _Reader:
    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path = data, path

    def fail(self, offset: int, why: str) -> NoReturn:
        raise VerificationError(f"{self.path}: byte {offset}: {why}", remedy="export again")

    def slice(self, offset: int, size: int) -> bytes:
        if offset + size > len(self.data):
            self.fail(offset, f"{size} bytes are due, the file has {len(self.data)}")
        return self.data[offset : offset + size]

    def image(self, shape: tuple[int, int]) -> TiffImage:
        tags = self.tags()
        rows, columns = shape
        for key, value in {_LENGTH: rows, _WIDTH: columns, **_FIXED}.items():
            self.expect(tags, key, value)
        if _ORIENTATION in tags:
            self.expect(tags, _ORIENTATION, _TOP_LEFT)
        starts, sizes = self.tag(tags, _STRIPS).values, self.tag(tags, _STRIP_BYTES).values
        if len(starts) != len(sizes) or sum(sizes) != 4 * rows * columns:
            offset = self.tag(tags, _STRIP_BYTES).offset
            self.fail(offset, f"strips of {sum(sizes)} bytes, expected {4 * rows * columns}")
        pixels = b"".join(self.slice(start, size) for start, size in zip(starts, sizes, strict=True))
        values = np.frombuffer(pixels, "<f4").reshape(shape)
        description = self.tag(tags, _DESCRIPTION).text.rstrip(b"\0").decode("utf-8", "replace")
        return TiffImage(values, (self.pixel_m(tags, _X_RESOLUTION), self.pixel_m(tags, _Y_RESOLUTION)), description)

    def tags(self) -> dict[int, _Tag]:
        """The one image file directory."""
        if self.slice(0, 4) != b"II*\0":
            self.fail(0, "not a little-endian TIFF file")
        (start,) = struct.unpack("<I", self.slice(4, 4))
        (count,) = struct.unpack("<H", self.slice(start, 2))
        entries = self.slice(start + 2, 12 * count + 4)
        tags: dict[int, _Tag] = {}
        for offset in range(0, 12 * count, 12):
            key, form, length = struct.unpack_from("<HHI", entries, offset)
            if key in tags:
                self.fail(start + 2 + offset, f"a second tag {key}")
            tags[key] = self.value(start + 2 + offset, form, length)
        if entries[-4:] != bytes(4):
            self.fail(start + 2 + 12 * count, "a second page")
        return tags

    def value(self, entry: int, form: int, length: int) -> _Tag:
        """The values of one directory entry, which stand in it when they fit four bytes."""
        if form not in _FORMS:
            self.fail(entry, f"a tag of type {form}")
        size = length * struct.calcsize("<" + _FORMS[form])
        at = entry + 8 if size <= 4 else struct.unpack("<I", self.slice(entry + 8, 4))[0]
        raw = self.slice(at, size)
        if form == 2:
            return _Tag(entry, (), raw)
        return _Tag(entry, struct.unpack("<" + _FORMS[form] * length, raw), b"")

    def tag(self, tags: dict[int, _Tag], key: int) -> _Tag:
        if key not in tags:
            raise VerificationError(f"{self.path}: no tag {key}", remedy="export again")
        return tags[key]

    def expect(self, tags: dict[int, _Tag], key: int, value: int) -> None:
        tag = self.tag(tags, key)
        if tag.values != (value,):
            self.fail(tag.offset, f"tag {key} is {', '.join(map(str, tag.values[:4]))}, expected {value}")

    def pixel_m(self, tags: dict[int, _Tag], key: int) -> float:
        """Pixel size in metres from a resolution in pixels per unit."""
        unit, tag = self.tag(tags, _RESOLUTION_UNIT), self.tag(tags, key)
        if len(unit.values) != 1 or unit.values[0] not in _UNIT_M:
            self.fail(unit.offset, "a resolution without unit")
        if len(tag.values) != 2 or 0 in tag.values:
            self.fail(tag.offset, "a resolution that is no ratio of positive numbers")
        return _UNIT_M[unit.values[0]] * tag.values[1] / tag.values[0]
