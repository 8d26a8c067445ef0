"""OASIS records, bounds-checked: the subset that masks need; anything else is refused by name and byte offset.

SEMI P39, OASIS — Open Artwork System Interchange Standard, clauses 13 to 35: records are a number and their fields;
fields left out repeat those of the record before (modal variables); a CBLOCK holds deflated records.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from opticdesign_exporters.layout.library import Library, LibraryCell, Placed, Shapes
from opticdesign_exporters.layout.oasis_lists import Points, points, repetition
from opticdesign_exporters.layout.oasis_numbers import Cursor, Ints

__all__ = ["read_library"]

_MAGIC = b"%SEMI-OASIS\r\n"
_NAMES = (  # by record number
    "PAD", "START", "END", "CELLNAME", "CELLNAME", "TEXTSTRING", "TEXTSTRING", "PROPNAME", "PROPNAME", "PROPSTRING",
    "PROPSTRING", "LAYERNAME", "LAYERNAME", "CELL", "CELL", "XYABSOLUTE", "XYRELATIVE", "PLACEMENT", "PLACEMENT",
    "TEXT", "RECTANGLE", "POLYGON", "PATH", "TRAPEZOID", "TRAPEZOID", "TRAPEZOID", "CTRAPEZOID", "CIRCLE", "PROPERTY",
    "PROPERTY", "XNAME", "XNAME", "XELEMENT", "XGEOMETRY", "CBLOCK",
)  # fmt: skip
_END_BYTES = 256  # of an END record
_LIMIT = 1 << 31  # of coordinates, as layout programs have it
_BYTES_A_SHAPE = 64  # that inflated records may hold, at most

T = TypeVar("T")


def read_library(data: bytes, path: str, most: int) -> Library:
    """Read a whole OASIS file.

    Args:
        data: the bytes of the file.
        path: its name in messages.
        most: largest number of shapes, and of placed cells; a few bytes may stand for any number of them.

    Raises:
        VerificationError: anything but rectangles, polygons, plain placements and texts in well-formed records, more
            than that many, a wrong checksum, or cells that do not fit together.
    """
    return _Reader(data, path, most).library()


class _Cells:
    """Cells by name or by the number that stands for one; names of numbers may come at the end of a file."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.shapes: dict[int | str, list[Shapes]] = {}
        self.placed: dict[int | str, list[tuple[int, int | str, Ints]]] = {}

    def library(self, cursor: Cursor, path: str, unit_m: float) -> Library:
        """All cells by name."""
        cells: dict[str, LibraryCell] = {}
        for key in list(self.shapes):
            name, parts = self.name(key, cursor), self.shapes.pop(key)  # taken out, to free them one by one
            if name in cells:
                cursor.fail(f"a second cell {name!r}")
            placed = [Placed(offset, self.name(child, cursor), origins) for offset, child, origins in self.placed[key]]
            cells[name] = LibraryCell(Shapes.joined(parts), placed)
        return Library(path, unit_m, cells)

    def name(self, key: int | str, cursor: Cursor) -> str:
        """The name that a number stands for."""
        if isinstance(key, str):
            return key
        if key not in self.names:
            cursor.fail(f"cell number {key} has no name")
        return self.names[key]


class _Reader:
    """A position in the records; each method reads one kind of record."""

    def __init__(self, data: bytes, path: str, most: int) -> None:
        self.file = self.cursor = Cursor(data, path)
        self.path, self.left, self.bytes_left = path, most, _BYTES_A_SHAPE * most
        self.offset = 0  # in the file, of the record or of the CBLOCK it is in
        self.cells = _Cells()
        self.next_number: dict[str, int] = defaultdict(int)
        self.cell: int | str | None = None
        self.relative = False
        self.modal: dict[str, object] = {}
        self.handlers: dict[int, Callable[[int, int], None]] = {
            **dict.fromkeys((0, 29), self.nothing),
            **dict.fromkeys(range(3, 11), self.named),
            **dict.fromkeys((11, 12), self.layer_name),
            **dict.fromkeys((13, 14), self.begin_cell),
            **dict.fromkeys((15, 16), self.mode),
            17: self.placement,
            19: self.annotation,
            **dict.fromkeys((20, 21), self.shape),
            28: self.property,
            34: self.block,
        }

    def library(self) -> Library:
        """The whole file."""
        if self.file.take(min(len(_MAGIC), len(self.file.data))) != _MAGIC:
            self.file.fail("not an OASIS file", 0)
        if self.file.byte() != 1:
            self.file.fail("no record START", len(_MAGIC))
        unit_m, tables_at_end = self.start()
        while True:
            cursor = self.cursor = self.file if self.cursor.ended else self.cursor
            if cursor is self.file:
                self.offset = cursor.position
            at = cursor.position
            kind = cursor.unsigned()
            name = _NAMES[kind] if kind < len(_NAMES) else f"number {kind}"
            if kind == 2 and cursor is self.file:
                self.end(at, tables_at_end)
                return self.cells.library(self.file, self.path, unit_m)
            self.record(kind, name, at)

    def start(self) -> tuple[float, bool]:
        """Version, database unit, and whether the table offsets are in the END record."""
        cursor = self.file
        if (version := cursor.text()) != "1.0":
            cursor.fail(f"version {version!r}, expected '1.0'")
        at = cursor.position
        per_micrometre = cursor.real()
        if not (math.isfinite(per_micrometre) and per_micrometre > 0):
            cursor.fail(f"a resolution of {per_micrometre} steps in a micrometre", at)
        tables_at_end = cursor.unsigned() != 0
        if not tables_at_end:
            cursor.many(12)
        return 1e-6 / per_micrometre, tables_at_end

    def end(self, at: int, tables_at_end: bool) -> None:
        """The record END: 256 bytes, the last of the file, with a checksum of what is before it."""
        cursor = self.file
        if len(cursor.data) != at + _END_BYTES:
            cursor.fail(f"record END, {len(cursor.data) - at} bytes before the end of the file, expected 256", at)
        if tables_at_end:
            cursor.many(12)
        cursor.text()
        scheme = cursor.unsigned()
        checked = cursor.data[: cursor.position]
        if scheme > 2:
            cursor.fail(f"a checksum of kind {scheme}", at)
        if scheme > 0:
            wanted = zlib.crc32(checked) if scheme == 1 else sum(checked) & 0xFFFFFFFF
            if int.from_bytes(cursor.take(4), "little") != wanted:
                cursor.fail("the checksum differs: the file is damaged", at)
        if not cursor.ended:
            cursor.fail("data after the end of record END")

    def record(self, kind: int, name: str, at: int) -> None:
        """One record other than START and END."""
        if kind not in self.handlers or (kind == 34 and self.cursor is not self.file):
            self.cursor.fail(f"record {name}, which a layout of masks does not need", at)
        self.handlers[kind](kind, at)

    def nothing(self, _kind: int, _at: int) -> None:
        """Padding, or the property before once more: a number without fields."""

    def mode(self, kind: int, _at: int) -> None:
        """Whether coordinates count from the ones before."""
        self.relative = kind == 16

    def named(self, kind: int, at: int) -> None:
        """A name, whose number is counted or given; only those of cells are kept."""
        text, name = self.cursor.text(), _NAMES[kind]
        number = self.cursor.unsigned() if kind % 2 == 0 else self.next_number[name]
        self.next_number[name] += 1
        if name == "CELLNAME":
            if number in self.cells.names:
                self.cursor.fail(f"a second name for cell number {number}", at)
            self.cells.names[number] = text
        self.cell = None

    def layer_name(self, _kind: int, at: int) -> None:
        """A name of layers and datatypes, each an interval of which one, both or no end is given."""
        self.cursor.text()
        for _ in range(2):
            interval = self.cursor.unsigned()
            if interval > 4:
                self.cursor.fail(f"an interval of kind {interval}", at)
            self.cursor.many((0, 1, 1, 1, 2)[interval])
        self.cell = None

    def begin_cell(self, kind: int, at: int) -> None:
        """A cell: modal variables begin anew."""
        self.cell = self.cursor.unsigned() if kind == 13 else self.cursor.text()
        if self.cell in self.cells.shapes:
            self.cursor.fail(f"a second cell {self.cell!r}", at)
        self.cells.shapes[self.cell], self.cells.placed[self.cell] = [], []
        self.relative, self.modal = False, {}

    def inside(self, at: int) -> int | str:
        """The cell that elements belong to."""
        if self.cell is None:
            self.cursor.fail("an element outside a cell", at)
        return self.cell

    def recall(self, name: str, kind: type[T], at: int) -> T:
        """A modal variable, which must have been given before."""
        value = self.modal.get(name)
        if not isinstance(value, kind):
            self.cursor.fail(f"no {name} given so far", at)
        return value

    def number(self, name: str, given: int, at: int) -> int:
        """An unsigned field, or what it was before."""
        if given:
            self.modal[name] = self.cursor.distance()
        return self.recall(name, int, at)

    def point(self, noun: str, x_given: int, y_given: int) -> tuple[int, int]:
        """A place, each coordinate given, relative to the one before, or the same."""
        found = []
        for axis, given in (("x", x_given), ("y", y_given)):
            before = self.modal.get(f"{noun} {axis}", 0)
            value = before if isinstance(before, int) else 0
            if given:
                value = self.cursor.signed() + (value if self.relative else 0)
            if abs(value) >= _LIMIT:
                self.cursor.fail(f"a coordinate of {value} database units")
            self.modal[f"{noun} {axis}"] = value
            found.append(value)
        return found[0], found[1]

    def places(self, x: int, y: int, repeated: int, at: int) -> Ints:
        """Where an element is (count, 2), each within reach."""
        places: Ints = np.array([(x, y)]) + (self.repetition(at) if repeated else np.zeros((1, 2), np.int64))
        if np.abs(places).max() >= _LIMIT:
            self.cursor.fail("a repetition out of the range of coordinates", at)
        self.spend(len(places), at)
        return places

    def spend(self, count: int, at: int) -> None:
        """Count shapes and placements against the largest number of them, before they take memory."""
        if count > self.left:
            self.cursor.fail("more shapes than a layout of this design can hold", at)
        self.left -= count

    def placement(self, _kind: int, at: int) -> None:
        """A cell placed in another; a mirrored or turned one is refused."""
        cell, info = self.inside(at), self.cursor.byte()
        if info & 0b111:
            self.cursor.fail("a placement that is mirrored or turned", at)
        if info & 0x80:
            self.modal["placed cell"] = self.cursor.unsigned() if info & 0x40 else self.cursor.text()
        child = self.modal.get("placed cell")
        if not isinstance(child, int | str):
            self.cursor.fail("no placed cell given so far", at)
        x, y = self.point("placement", info & 0x20, info & 0x10)
        self.cells.placed[cell].append((self.offset, child, self.places(x, y, info & 0x08, at)))

    def annotation(self, _kind: int, at: int) -> None:
        """A text, which prints nothing; it is only checked."""
        self.inside(at)
        info = self.cursor.byte()
        if info & 0x40:
            self.modal["text"] = str(self.cursor.unsigned()) if info & 0x20 else self.cursor.text()
        self.recall("text", str, at)
        self.number("text layer", info & 0x01, at)
        self.number("text type", info & 0x02, at)
        x, y = self.point("text", info & 0x10, info & 0x08)
        self.places(x, y, info & 0x04, at)

    def shape(self, kind: int, at: int) -> None:
        """A rectangle or a polygon."""
        cell, info = self.inside(at), self.cursor.byte()
        layer = self.number("layer", info & 0x01, at)
        datatype = self.number("datatype", info & 0x02, at)
        low, high, rectangular = self.rectangle(info, at) if kind == 20 else self.polygon(info, at)
        x, y = self.point("geometry", info & 0x10, info & 0x08)
        places = self.places(x, y, info & 0x04, at)
        ones = np.ones(len(places), dtype=np.int64)
        offset = self.offset * ones
        shapes = Shapes(offset, layer * ones, datatype * ones, places + low, places + high, rectangular & (ones > 0))
        if (np.abs(shapes.low) >= _LIMIT).any() or (np.abs(shapes.high) >= _LIMIT).any():
            self.cursor.fail("a shape out of the range of coordinates", at)
        self.cells.shapes[cell].append(shapes)

    def rectangle(self, info: int, at: int) -> Points:
        """Corners of a rectangle at the origin, and whether it has an area."""
        width = self.number("width", info & 0x40, at)
        if info & 0x80:  # a square: width and height are one
            if info & 0x20:
                self.cursor.fail("a square with a height", at)
            self.modal["height"] = width
        height = self.number("height", info & 0x20, at)
        return Points(np.zeros(2, np.int64), np.array((width, height)), width > 0 and height > 0)

    def polygon(self, info: int, at: int) -> Points:
        """Corners of the box around a polygon whose first point is the origin, and whether it is a rectangle."""
        if info & 0x20:
            self.modal["points"] = points(self.cursor)
        return self.recall("points", Points, at)

    def repetition(self, at: int) -> Ints:
        """Where a repeated element is, seen from its first place (count, 2)."""
        kind = self.cursor.unsigned()
        if kind:
            self.modal["repetition"] = repetition(self.cursor, kind, self.left)
        places: Ints = self.recall("repetition", np.ndarray, at)
        return places

    def property(self, _kind: int, at: int) -> None:
        """A property, of which only the form is checked."""
        info = self.cursor.byte()
        if info & 0x04:
            self.cursor.unsigned() if info & 0x02 else self.cursor.text()
        if info & 0x08:  # the values of the property before
            return
        count = info >> 4
        for _ in range(self.cursor.unsigned() if count == 15 else count):
            form = self.cursor.unsigned()
            if form < 8:
                self.cursor.real(form)
            elif form in (10, 11, 12):
                self.cursor.text()
            elif form < 16:
                self.cursor.unsigned()
            else:
                self.cursor.fail(f"a property of kind {form}", at)

    def block(self, _kind: int, at: int) -> None:
        """A CBLOCK: deflated records, which are read next."""
        form, size, deflated = (self.cursor.unsigned() for _ in range(3))
        if form != 0 or size > self.bytes_left:
            self.cursor.fail(f"a block of {size} bytes in compression {form}", at)
        self.bytes_left -= size
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflate.decompress(self.cursor.take(deflated), size + 1)
        except zlib.error as error:
            self.cursor.fail(f"a damaged block: {error}", at)
        if len(data) != size or not inflate.eof or inflate.unused_data:
            self.cursor.fail(f"a block that does not hold {size} bytes", at)
        self.cursor = Cursor(data, f"{self.path}: byte {at}, inflated")
