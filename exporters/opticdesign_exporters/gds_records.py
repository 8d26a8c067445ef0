"""GDSII records, bounds-checked: the subset that masks need; anything else is refused by name and byte offset.

Calma Company, GDSII Stream Format Manual, release 6.0 (1987): a record is its length (2 bytes, big-endian), its kind,
its data type and its data; lengths count the four bytes of the head.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["Library", "Reference", "Shapes", "read_library"]

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
# Most of a file is rectangles in one 64-byte form; those are read in bulk. Fields that vary are masked out.
_HEADS = bytes.fromhex("0004080000060d02000000060e020000002c1003") + bytes(40) + bytes.fromhex("00041100")
_FIXED = np.ones(64, dtype=bool)
_FIXED[[8, 9, 14, 15]] = False
_FIXED[20:60] = False
_HEADS_FIXED = np.frombuffer(_HEADS, np.uint8)[_FIXED]


@dataclass(frozen=True)
class Shapes:
    """Polygons by their bounding boxes, in database units.

    Args:
        offset: byte of each in the file (count,).
        layer: GDS layers (count,).
        datatype: GDS datatypes (count,).
        low: smallest x and y (count, 2).
        high: largest x and y (count, 2).
        rectangular: whether each is an upright rectangle with an area (count,).
    """

    offset: npt.NDArray[np.int64]
    layer: npt.NDArray[np.int64]
    datatype: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    rectangular: npt.NDArray[np.bool_]

    def only(self, chosen: npt.NDArray[np.bool_]) -> Shapes:
        """The chosen shapes."""
        return Shapes(*(getattr(self, entry.name)[chosen] for entry in fields(self)))

    @classmethod
    def joined(cls, parts: list[Shapes]) -> Shapes:
        """All shapes of several groups."""
        return cls(*(np.concatenate([getattr(part, entry.name) for part in parts]) for entry in fields(cls)))


class Reference(NamedTuple):
    """A cell placed in another, neither turned nor scaled: byte offset, both names, origin in database units."""

    offset: int
    parent: str
    child: str
    origin: tuple[int, int]


@dataclass
class Library:
    """What a file holds: database unit in metres, cell names, placements, and the polygons of all cells."""

    unit_m: float = 0.0
    cells: list[str] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    shapes: Shapes = field(default_factory=lambda: _no_shapes())


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
        VerificationError: anything but boundaries, plain placements and texts in well-formed records.
    """
    return _Reader(data, path).library()


class _Reader:
    """A position in the bytes; each method reads what the grammar allows next."""

    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path, self.position = data, path, 0

    def fail(self, offset: int, why: str) -> NoReturn:
        raise VerificationError(f"{self.path}: byte {offset}: {why}", remedy="export again")

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

    def points(self, count: int | None = None) -> npt.NDArray[np.int64]:
        """The next record as points (count, 2)."""
        record = self.record("XY")
        if not record.data or len(record.data) % 8 or (count is not None and len(record.data) != 8 * count):
            self.fail(record.offset, f"record XY holds {len(record.data)} bytes")
        return np.frombuffer(record.data, ">i4").astype(np.int64).reshape(-1, 2)

    def library(self) -> Library:
        """The whole file; zero bytes may pad its end."""
        library, parts = Library(), []
        self.sized("HEADER", 2)
        self.sized("BGNLIB", 24)
        self.text("LIBNAME")
        units = self.sized("UNITS", 16)
        library.unit_m = _real(units.data[8:])
        while self.record("BGNSTR", "ENDLIB").name == "BGNSTR":
            start = self.position
            cell = self.text("STRNAME")
            if cell in library.cells:
                self.fail(start, f"a second cell {cell!r}")
            library.cells.append(cell)
            parts += list(self.cell(cell, library))
        if self.data[self.position :].strip(b"\0"):
            self.fail(self.position, "data after ENDLIB")
        if parts:
            library.shapes = Shapes.joined(parts)
        return library

    def cell(self, cell: str, library: Library) -> Iterator[Shapes]:
        """The elements of one cell; placements go to the library."""
        while True:
            yield from self.rectangles()
            element = self.record("BOUNDARY", "SREF", "TEXT", "ENDSTR")
            if element.name == "ENDSTR":
                return
            if element.name == "BOUNDARY":
                yield self.boundary(element.offset)
            elif element.name == "SREF":
                library.references.append(self.reference(element.offset, cell))
            else:
                self.annotation()

    def rectangles(self) -> Iterator[Shapes]:
        """All rectangles in the common form from here on, in chunks that double while they last."""
        size = 1
        while True:
            count = min(size, (len(self.data) - self.position) // 64)
            block = np.frombuffer(self.data, np.uint8, 64 * count, self.position).reshape(count, 64)
            common = (block[:, _FIXED] == _HEADS_FIXED).all(axis=1)
            found = count if common.all() else int(np.argmin(common))
            if found:
                offset = self.position + 64 * np.arange(found)
                tags = block[:found, [8, 9, 14, 15]].copy().view(">i2").astype(np.int64)
                points = block[:found, 20:60].copy().view(">i4").astype(np.int64).reshape(found, 5, 2)
                self.position += 64 * found
                yield _shapes(offset, tags, points)
            if found < size:
                return
            size = min(2 * size, 1 << 16)

    def boundary(self, offset: int) -> Shapes:
        """A polygon with any number of corners; its first point is repeated at the end."""
        tags = np.array([[self.small("LAYER"), self.small("DATATYPE")]])
        points = self.points()
        self.sized("ENDEL", 0)
        if len(points) < 4 or (points[0] != points[-1]).any():
            self.fail(offset, "a boundary that is not closed")
        return _shapes(np.array([offset]), tags, points[None])

    def reference(self, offset: int, cell: str) -> Reference:
        """A placement that neither turns, mirrors nor scales."""
        child = self.text("SNAME")
        record = self.record("STRANS", "XY")
        if record.name == "STRANS":
            if record.data != b"\0\0":
                self.fail(record.offset, "a placement that is mirrored, turned or scaled")
        else:
            self.position = record.offset
        x, y = self.points(1)[0].tolist()
        self.sized("ENDEL", 0)
        return Reference(offset, cell, child, (x, y))

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


def _shapes(offset: npt.NDArray[np.int64], tags: npt.NDArray[np.int64], points: npt.NDArray[np.int64]) -> Shapes:
    """Shapes of polygons (count, corners + 1, 2) with tags (count, 2): layer and datatype."""
    same = points[:, :-1] == points[:, 1:]  # (count, corners, axis): the step keeps that coordinate
    upright = np.zeros(len(points), dtype=bool)
    if points.shape[1] == 5:
        turns = np.arange(4) % 2 == 0
        ways = [(same[:, :, 0] == want) & (same[:, :, 1] == ~want) for want in (turns, ~turns)]
        upright = (ways[0].all(axis=1) | ways[1].all(axis=1)) & (points[:, 0] == points[:, -1]).all(axis=1)
    return Shapes(offset, tags[:, 0], tags[:, 1], points.min(axis=1), points.max(axis=1), upright)


def _no_shapes() -> Shapes:
    return _shapes(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros((0, 5, 2), np.int64))
