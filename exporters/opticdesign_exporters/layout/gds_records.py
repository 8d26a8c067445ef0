"""GDSII records, bounds-checked: the subset that masks need; anything else is refused by name and byte offset.

Calma Company, GDSII Stream Format Manual, release 6.0 (1987): a record is its length (2 bytes, big-endian), its kind,
its data type and its data; lengths count the four bytes of the head.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import reduce
from itertools import pairwise
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError
from opticdesign_exporters.layout.library import Library, LibraryCell, Placed, Shapes

__all__ = ["read_library"]

_NAMES = (  # by record kind, from 0
    "HEADER", "BGNLIB", "LIBNAME", "UNITS", "ENDLIB", "BGNSTR", "STRNAME", "ENDSTR", "BOUNDARY", "PATH", "SREF",
    "AREF", "TEXT", "LAYER", "DATATYPE", "WIDTH", "XY", "ENDEL", "SNAME", "COLROW", "TEXTNODE", "NODE", "TEXTTYPE",
    "PRESENTATION", "SPACING", "STRING", "STRANS", "MAG", "ANGLE", "UINTEGER", "USTRING", "REFLIBS", "FONTS",
    "PATHTYPE", "GENERATIONS", "ATTRTABLE", "STYPTABLE", "STRTYPE", "ELFLAGS", "ELKEY", "LINKTYPE", "LINKKEYS",
    "NODETYPE", "PROPATTR", "PROPVALUE", "BOX", "BOXTYPE", "PLEX", "BGNEXTN", "ENDEXTN", "TAPENUM", "TAPECODE",
    "STRCLASS", "RESERVED", "FORMAT", "MASK", "ENDMASKS",
)  # fmt: skip
_NONE, _BITS, _INT16, _INT32, _REAL64, _ASCII = 0, 1, 2, 3, 5, 6
_TYPES = {
    "HEADER": _INT16, "BGNLIB": _INT16, "LIBNAME": _ASCII, "UNITS": _REAL64, "ENDLIB": _NONE, "BGNSTR": _INT16,
    "STRNAME": _ASCII, "ENDSTR": _NONE, "BOUNDARY": _NONE, "SREF": _NONE, "TEXT": _NONE, "LAYER": _INT16,
    "DATATYPE": _INT16, "XY": _INT32, "ENDEL": _NONE, "SNAME": _ASCII, "TEXTTYPE": _INT16, "PRESENTATION": _BITS,
    "STRING": _ASCII, "STRANS": _BITS, "MAG": _REAL64, "ANGLE": _REAL64,
}  # fmt: skip
# Most of a file is equal records one after another: rectangles in one 64-byte form, and placements of one cell. Those
# are read in bulk, the bytes that vary masked out.
_RECTANGLE = bytes.fromhex("0004080000060d02000000060e020000002c1003") + bytes(40) + bytes.fromhex("00041100")
_SAME_RECTANGLE = np.ones(64, dtype=bool)
_SAME_RECTANGLE[[8, 9, 14, 15]] = False
_SAME_RECTANGLE[20:60] = False
_PLACE = slice(-12, -4)  # of a placement: the point, before the end of the element
_MOST_AT_ONCE = 1 << 16

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class _Record(NamedTuple):
    offset: int
    name: str
    data: bytes


def read_library(data: bytes, path: str) -> Library:
    """Read a whole GDSII file.

    Args:
        data: the bytes of the file.
        path: its name in messages.

    Raises:
        VerificationError: anything but boundaries, plain placements and texts in well-formed records, or cells that
            do not fit together.
    """
    return _Reader(data, path).library()


class _Reader:
    """A position in the bytes; each method reads what the grammar allows next."""

    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path, self.position = data, path, 0

    def fail(self, offset: int, why: str) -> NoReturn:
        raise VerificationError(
            f"{self.path}: byte {offset}: {why}",
            expected="a whole GDSII file of boundaries, plain placements and texts",
            remedy="export again",
        )

    def record(self, *allowed: str) -> _Record:
        """The next record, which must be one of `allowed`."""
        start = self.position
        head = self.data[start : start + 4]
        if len(head) < 4:
            self.fail(start, f"the file ends where {' or '.join(allowed)} is due")
        length, kind, form = struct.unpack(">HBB", head)
        name = _NAMES[kind] if kind < len(_NAMES) else f"kind {kind}"
        if name not in allowed:
            self.fail(start, f"record {name}, expected {' or '.join(allowed)}")
        if form != _TYPES[name]:
            self.fail(start, f"record {name} has data type {form}, expected {_TYPES[name]}")
        if length < 4 or length % 2:
            self.fail(start, f"record {name} has length {length}")
        if start + length > len(self.data):
            self.fail(start, f"the file ends inside a record {name}")
        self.position = start + length
        return _Record(start, name, self.data[start + 4 : start + length])

    def sized(self, name: str, size: int) -> _Record:
        """The next record, of that name and with that many bytes of data."""
        record = self.record(name)
        if len(record.data) != size:
            self.fail(record.offset, f"record {name} holds {len(record.data)} bytes, expected {size}")
        return record

    def text(self, name: str) -> str:
        """The next record as ASCII text without its padding."""
        record = self.record(name)
        try:
            return record.data.rstrip(b"\0").decode("ascii")
        except UnicodeDecodeError:
            self.fail(record.offset, f"record {name} is not ASCII")

    def small(self, name: str) -> int:
        """The next record as one 16-bit integer."""
        return int(struct.unpack(">h", self.sized(name, 2).data)[0])

    def points(self, count: int | None = None) -> Ints:
        """The next record as points (count, 2)."""
        record = self.record("XY")
        if not record.data or len(record.data) % 8 or (count is not None and len(record.data) != 8 * count):
            self.fail(record.offset, f"record XY holds {len(record.data)} bytes")
        return np.frombuffer(record.data, ">i4").astype(np.int64).reshape(-1, 2)

    def library(self) -> Library:
        """The whole file; zero bytes may pad its end."""
        cells: dict[str, LibraryCell] = {}
        self.sized("HEADER", 2)
        self.sized("BGNLIB", 24)
        self.text("LIBNAME")
        units = self.sized("UNITS", 16)
        while self.record("BGNSTR", "ENDLIB").name == "BGNSTR":
            start = self.position
            cell = self.text("STRNAME")
            if cell in cells:
                self.fail(start, f"a second cell {cell!r}")
            cells[cell] = self.cell()
        if self.data[self.position :].strip(b"\0"):
            self.fail(self.position, "data after ENDLIB")
        return Library(self.path, _real(units.data[8:]), cells)

    def cell(self) -> LibraryCell:
        """The elements of one cell."""
        shapes: list[Shapes] = []
        placed: list[Placed] = []
        while True:
            shapes += self.rectangles()
            element = self.record("BOUNDARY", "SREF", "TEXT", "ENDSTR")
            if element.name == "ENDSTR":
                return LibraryCell(Shapes.joined(shapes), placed)
            if element.name == "BOUNDARY":
                shapes.append(self.boundary(element.offset))
            elif element.name == "SREF":
                placed.append(self.reference(element.offset))
                placed += self.references(placed[-1].child, self.data[element.offset : self.position])
            else:
                self.annotation()

    def copies(self, record: bytes, same: Bools) -> Iterator[tuple[Ints, Bytes]]:
        """What follows of one record, but for the bytes that vary: byte offsets, and bytes (count, size)."""
        size, most = len(record), 1
        head = np.frombuffer(record, np.uint8)[same]
        while True:
            count = min(most, (len(self.data) - self.position) // size)
            block = np.frombuffer(self.data, np.uint8, size * count, self.position).reshape(count, size)
            alike = (block[:, same] == head).all(axis=1)
            found = count if alike.all() else int(np.argmin(alike))
            if found:
                offset = self.position + size * np.arange(found)
                self.position += size * found
                yield offset, block[:found]
            if found < most:
                return
            most = min(2 * most, _MOST_AT_ONCE)

    def rectangles(self) -> Iterator[Shapes]:
        """All rectangles in the common form from here on."""
        for offset, block in self.copies(_RECTANGLE, _SAME_RECTANGLE):
            tags = np.ascontiguousarray(block[:, [8, 9, 14, 15]]).view(">i2").astype(np.int64)
            points = np.ascontiguousarray(block[:, 20:60]).view(">i4").astype(np.int64)
            yield self.polygons(offset, tags, points.reshape(-1, 5, 2))

    def references(self, child: str, record: bytes) -> Iterator[Placed]:
        """More placements of a cell, in the form of the one before."""
        same = np.ones(len(record), dtype=bool)
        same[_PLACE] = False
        for offset, block in self.copies(record, same):
            points = np.ascontiguousarray(block[:, _PLACE]).view(">i4").astype(np.int64)
            yield Placed(int(offset[0]), child, points)

    def boundary(self, offset: int) -> Shapes:
        """A polygon with any number of corners; its first point is repeated at the end."""
        tags = np.array([[self.small("LAYER"), self.small("DATATYPE")]])
        points = self.points()
        self.sized("ENDEL", 0)
        if len(points) < 4:
            self.fail(offset, f"a boundary of {len(points)} points")
        return self.polygons(np.array([offset]), tags, points[None])

    def polygons(self, offset: Ints, tags: Ints, points: Ints) -> Shapes:
        """Polygons (count, corners + 1, 2) with tags (count, 2)."""
        corners = [points[:, index] for index in range(points.shape[1])]
        rectangular = _rectangular(corners) if len(corners) == 5 else np.zeros(len(points), dtype=bool)
        for at in np.flatnonzero(~rectangular).tolist():
            if (points[at, 0] != points[at, -1]).any():
                self.fail(int(offset[at]), "a boundary that is not closed")
        low, high = reduce(np.minimum, corners), reduce(np.maximum, corners)
        return Shapes(offset, tags[:, 0], tags[:, 1], low, high, rectangular)

    def reference(self, offset: int) -> Placed:
        """A placement that neither turns, mirrors nor scales."""
        child = self.text("SNAME")
        record = self.record("STRANS", "XY")
        if record.name == "STRANS":
            if record.data != b"\0\0":
                self.fail(record.offset, "a placement that is mirrored, turned or scaled")
        else:
            self.position = record.offset
        point = self.points(1)
        self.sized("ENDEL", 0)
        return Placed(offset, child, point)

    def annotation(self) -> None:
        """A text, which prints nothing; it is only checked."""
        self.small("LAYER")
        self.small("TEXTTYPE")
        while (record := self.record("PRESENTATION", "STRANS", "MAG", "ANGLE", "XY")).name != "XY":
            pass
        self.position = record.offset
        self.points(1)
        self.text("STRING")
        self.sized("ENDEL", 0)


def _real(data: bytes) -> float:
    """An eight-byte GDSII real: sign, base-16 exponent less 64, 56-bit fraction."""
    fraction = int.from_bytes(data[1:]) / 2.0**56
    return (-1.0 if data[0] & 0x80 else 1.0) * fraction * 16.0 ** ((data[0] & 0x7F) - 64)


def _rectangular(corners: list[Ints]) -> Bools:
    """Whether each of five points in a row, all (count, 2), go around an upright rectangle: along x and y in turn."""
    steps = [before != after for before, after in pairwise(corners)]
    along_x = [step[:, 0] & ~step[:, 1] for step in steps]
    along_y = [step[:, 1] & ~step[:, 0] for step in steps]
    in_turn = reduce(np.logical_and, (along_x[0], along_y[1], along_x[2], along_y[3]))
    in_other_turn = reduce(np.logical_and, (along_y[0], along_x[1], along_y[2], along_x[3]))
    closed = (corners[0] == corners[-1]).all(axis=1)
    found: Bools = (in_turn | in_other_turn) & closed
    return found
