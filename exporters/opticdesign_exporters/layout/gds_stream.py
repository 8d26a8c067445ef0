"""Writes GDSII by the million records: rectangles and placements are copies of one record, their numbers filled in.

Calma Company, GDSII Stream Format Manual, release 6.0 (1987).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opticdesign_exporters.layout.cell import Boxes, Cell, Placements, Polygon

__all__ = ["write_gds"]

_NONE, _INT16, _INT32, _REAL64, _TEXT = 0, 2, 3, 5, 6  # data types of records
_HEADER, _BGNLIB, _LIBNAME, _UNITS, _ENDLIB, _BGNSTR, _STRNAME, _ENDSTR = range(8)
_BOUNDARY, _SREF, _LAYER, _DATATYPE, _XY, _ENDEL, _SNAME = 0x08, 0x0A, 0x0D, 0x0E, 0x10, 0x11, 0x12
_VERSION = 600
_CREATED = struct.pack(">12h", *(2000, 1, 1, 0, 0, 0) * 2)  # fixed: equal designs give equal bytes
_CHUNK = 1 << 16  # records made at a time
_AROUND = [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]  # corners of left, bottom, right, top, with the first repeated


def write_gds(path: Path, library: str, unit_m: float, cells: Iterable[Cell]) -> None:
    """Write cells as they come; memory does not grow with their number.

    Args:
        path: the file.
        library: name of the library, ASCII.
        unit_m: database unit, metres; the user unit is a micrometre.
        cells: cells; those placed in others may come later.
    """
    with path.open("wb") as file:
        units = _real(unit_m * 1e6) + _real(unit_m)
        head = (_HEADER, _INT16, struct.pack(">h", _VERSION)), (_BGNLIB, _INT16, _CREATED)
        for kind, form, data in (*head, (_LIBNAME, _TEXT, _text(library)), (_UNITS, _REAL64, units)):
            file.write(_record(kind, form, data))
        for cell in cells:
            file.write(_record(_BGNSTR, _INT16, _CREATED) + _record(_STRNAME, _TEXT, _text(cell.name)))
            file.writelines(_elements(cell))
            file.write(_record(_ENDSTR))
        file.write(_record(_ENDLIB))


def _elements(cell: Cell) -> Iterator[bytes]:
    for start in range(0, len(cell.boxes.tags), _CHUNK):
        yield _rectangles(Boxes(*(array[start : start + _CHUNK] for array in cell.boxes)))
    for polygon in cell.polygons:
        yield _polygon(polygon)
    for placements in cell.placements:
        for start in range(0, len(placements.origins), _CHUNK):
            yield _references(placements._replace(origins=placements.origins[start : start + _CHUNK]))


def _rectangles(boxes: Boxes) -> bytes:
    """Boundaries of 64 bytes each."""
    records = _copies(_boundary(0, 0, bytes(40)), len(boxes.tags))
    tags = boxes.tags.astype(">i2")
    records[:, 8:10], records[:, 14:16] = _octets(tags[:, :1]), _octets(tags[:, 1:])
    records[:, 20:60] = _octets(boxes.corners.astype(">i4")[:, _AROUND])
    return records.tobytes()


def _references(placements: Placements) -> bytes:
    name = _record(_SNAME, _TEXT, _text(placements.cell))
    one = _record(_SREF) + name + _record(_XY, _INT32, bytes(8)) + _record(_ENDEL)
    records = _copies(one, len(placements.origins))
    records[:, -12:-4] = _octets(placements.origins.astype(">i4"))
    return records.tobytes()


def _polygon(polygon: Polygon) -> bytes:
    closed = np.concatenate((polygon.points, polygon.points[:1]))
    return _boundary(polygon.layer, polygon.datatype, closed.astype(">i4").tobytes())


def _boundary(layer: int, datatype: int, points: bytes) -> bytes:
    tags = _record(_LAYER, _INT16, struct.pack(">h", layer)) + _record(_DATATYPE, _INT16, struct.pack(">h", datatype))
    return _record(_BOUNDARY) + tags + _record(_XY, _INT32, points) + _record(_ENDEL)


def _copies(record: bytes, count: int) -> npt.NDArray[np.uint8]:
    """Copies of a record (count, bytes)."""
    return np.tile(np.frombuffer(record, np.uint8), (count, 1))


def _octets(values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """The bytes of the values of each row."""
    return np.ascontiguousarray(values).view(np.uint8)


def _record(kind: int, form: int = _NONE, data: bytes = b"") -> bytes:
    return struct.pack(">HBB", len(data) + 4, kind, form) + data


def _text(text: str) -> bytes:
    """ASCII, padded to an even length."""
    data = text.encode("ascii")
    return data + bytes(len(data) % 2)


def _real(value: float) -> bytes:
    """A positive number as sign, base-16 exponent less 64, and 56-bit fraction: exact for any double near 1."""
    exponent = 0
    while value >= 1:
        value, exponent = value / 16, exponent + 1
    while value < 1 / 16:
        value, exponent = value * 16, exponent - 1
    return struct.pack(">Q", (exponent + 64) << 56 | round(value * 2**56))
