"""From the shapes of a layout back to levels and open cells; shares no code with the writers.

Which layer stands for what is said by the manifest: mask layer k is on layout layer k, its marks on 100 + k, its chrome
on 200 + k. Places in messages are those of the design, whether or not the die is mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opticdesign.errors import VerificationError
from opticdesign.handover.export import Extent, ReadBack
from opticdesign.handover.manifest import FileRecord, Manifest
from opticdesign_exporters.layout.library import Library, Shapes

__all__ = ["layout_file", "most_shapes", "read_layout"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_MARKS, _CHROME = 100, 200
_MOST_MARKS = 1 << 20
_LOOSE = 0.05  # of a pixel
_COUNT_BITS = 32  # of a painted number: how many rectangles; above them, the sum of their values


class _Options(BaseModel):
    """What the writer recorded about a layout; lengths are database units."""

    model_config = ConfigDict(frozen=True, strict=True)

    layout: Literal["levels", "bits"]
    tone: Literal["keep", "etch"]
    mirror: bool
    die_rows: Annotated[int, Field(ge=1, le=1000)]
    die_columns: Annotated[int, Field(ge=1, le=1000)]
    die_step_x: Annotated[int, Field(ge=1, lt=2**31)]
    die_step_y: Annotated[int, Field(ge=1, lt=2**31)]
    mask_step_x: Annotated[int, Field(ge=0, lt=2**31)] = 0


@dataclass
class _Fit:
    """A straight line through the coordinates of edges, along one axis: number · pitch + start, in database units."""

    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    first: float = math.inf
    last: float = -math.inf

    def add(self, number: npt.NDArray[np.float64], coordinate: Ints) -> None:
        """Take in edges by their number in pixels and where they are."""
        if len(number):
            at = coordinate.astype(np.float64)
            self.sums += np.array((len(at), number.sum(), at.sum(), number @ number, number @ at))
            self.first, self.last = min(self.first, number.min()), max(self.last, number.max())

    def line(self, count: int) -> tuple[float, float] | None:
        """Pitch and start; None where rounded edges of what is drawn leave the far end open by 5 % of a pixel."""
        total, numbers, places, squares, products = self.sums.tolist()
        if self.last <= self.first:
            return None
        pitch = (total * products - numbers * places) / (total * squares - numbers**2)
        if count / (self.last - self.first) > _LOOSE * pitch:
            return None
        return pitch, (places - pitch * numbers) / total


class _Die(NamedTuple):
    """What one die holds."""

    levels: Ints
    openings: Ints | None


def layout_file(manifest: Manifest, exporter: str) -> FileRecord:
    """The file of an exporter that holds the layout: its first; the others are tables for people and programs.

    Raises:
        VerificationError: that exporter wrote nothing here.
    """
    return manifest.record(exporter).files[0]


def most_shapes(manifest: Manifest, exporter: str) -> int:
    """Number of shapes in a die that no layout of this design exceeds: each rectangle covers pixels or cells once.

    Raises:
        VerificationError: the manifest says nothing of a layout, or that of another process.
    """
    layers, rows, columns = manifest.shape
    options = _options(manifest, exporter)
    masks = _bits(manifest) if options.layout == "bits" else 1
    dies = options.die_rows * options.die_columns
    return layers * rows * columns * (masks + (manifest.halftone or 0) ** 2 + 1) + dies + _MOST_MARKS


def read_layout(library: Library, path: str, manifest: Manifest, exporter: str) -> ReadBack:
    """Rebuild what every die holds.

    Raises:
        VerificationError: a shape is off the pixel grid, overlaps another or stands for nothing, or a die is out of
            place or differs from the first.
    """
    reader = _Reader(library, path, manifest, exporter)
    first, *others = reader.dies()
    die = reader.die(first[0])
    for cell, place in others:
        reader.compare(reader.die(cell), die, place)
    phase = manifest.process.process.phase_of_level(torch.from_numpy(die.levels)).numpy()
    extents = tuple(reader.extent(number) for number in range(1, len(die.levels) + 1))
    return ReadBack(die.levels, phase, (path,) * len(die.levels), die.openings, extents)


def _options(manifest: Manifest, exporter: str) -> _Options:
    try:
        options = _Options.model_validate(manifest.record(exporter).options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise VerificationError(
            f"manifest.json: options of {exporter}: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            remedy="export again",
        ) from None
    most = 255 - (_MARKS if manifest.halftone is None else _CHROME)
    if manifest.shape[0] > min(most, 99):
        raise VerificationError(f"manifest.json: {manifest.shape[0]} mask layers, which no layout holds")
    if options.layout == "bits" and manifest.process.levels != 1 << _bits(manifest):
        raise VerificationError(f"manifest.json: {manifest.process.levels} levels, which no layout of bits holds")
    return options


def _bits(manifest: Manifest) -> int:
    return (manifest.process.levels - 1).bit_length()


class _Reader:
    """One layout and what it should hold."""

    def __init__(self, library: Library, path: str, manifest: Manifest, exporter: str) -> None:
        self.library, self.path, self.manifest = library, path, manifest
        self.options = _options(manifest, exporter)
        self.most = most_shapes(manifest, exporter)
        self.layers, self.rows, self.columns = manifest.shape
        dy_m, dx_m = manifest.pitch_m
        self.pitch = dx_m / library.unit_m, dy_m / library.unit_m  # along x and y, as shapes have it
        self.fits: dict[tuple[int, int], _Fit] = {}
        self.values = _bits(manifest) if self.options.layout == "bits" else manifest.process.levels

    def dies(self) -> list[tuple[str, tuple[int, int]]]:
        """Each cell that is a die, with the first place (row, column) it stands at; the first of all comes first."""
        top, options = self.library.top, self.options
        if (options.die_rows, options.die_columns) == (1, 1):
            return [(top, (0, 0))]
        cell = self.library.cells[top]
        if len(cell.shapes):
            self.refuse(cell.shapes, 0, "a shape beside the dies, in the top cell")
        seen = np.zeros((options.die_rows, options.die_columns), dtype=np.int64)
        found: dict[str, tuple[int, int]] = {}
        for placed in cell.placed:
            at, off = np.divmod(placed.origins, (options.die_step_x, options.die_step_y))
            place = np.stack((options.die_rows - 1 - at[:, 1], at[:, 0]), axis=1)
            bad = off.any(axis=1) | (place < 0).any(axis=1) | (place >= seen.shape).any(axis=1)
            if bad.any():
                x, y = placed.origins[np.argmax(bad)].tolist()
                raise VerificationError(f"{self.path}: byte {placed.offset}: no die has its place at ({x}, {y})")
            np.add.at(seen, (place[:, 0], place[:, 1]), 1)
            row, column = min(map(tuple, place.tolist()))
            found[placed.child] = min(found.get(placed.child, (row, column)), (row, column))
        if (seen != 1).any():
            row, column = np.argwhere(seen != 1)[0].tolist()
            raise VerificationError(
                f"{self.path}: die row {row} column {column}: placed {seen[row, column]} times, expected once"
            )
        return sorted(found.items(), key=lambda item: item[1])

    def compare(self, die: _Die, first: _Die, place: tuple[int, int]) -> None:
        """Refuse a die that differs from the first."""
        for received, expected, noun in (
            (die.levels, first.levels, "level"),
            (die.openings, first.openings, "open cells"),
        ):
            if received is not None and expected is not None and (received != expected).any():
                layer, row, column = np.argwhere(received != expected)[0].tolist()
                raise VerificationError(
                    f"{self.path}: die row {place[0]} column {place[1]}: layer {layer + 1} row {row} column {column}: "
                    f"{noun} {received[layer, row, column]}, but {expected[layer, row, column]} in the first die"
                )

    def die(self, cell: str) -> _Die:
        """Read one die, layer by layer, so that memory does not grow with their number."""
        self.check_marks(cell)
        levels = np.stack([self.levels(cell, number) for number in range(1, self.layers + 1)])
        if self.manifest.halftone is None:
            return _Die(levels, None)
        side = self.manifest.halftone
        return _Die(levels, np.stack([self.openings(cell, number, side) for number in range(1, self.layers + 1)]))

    def levels(self, cell: str, layer: int) -> Ints:
        """Levels (rows, columns) of one mask layer."""
        if self.options.layout == "levels":
            steps = self.painted(cell, layer, None, 1)
        else:
            bits = range(self.values)
            steps = sum(
                (self.painted(cell, layer, bit, 1) << (self.values - 1 - bit) for bit in bits),
                start=np.zeros((self.rows, self.columns), np.int64),
            )
        return steps if self.options.tone == "keep" else self.manifest.process.levels - 1 - steps

    def openings(self, cell: str, layer: int, side: int) -> Ints:
        """Open cells (rows, columns) of one chrome layer of `side` cells along a pixel."""
        cells = self.painted(cell, _CHROME + layer, 0, side).reshape(self.rows, side, self.columns, side)
        drawn: Ints = cells.sum(axis=(1, 3))
        return side * side - drawn if self.options.tone == "keep" else drawn

    def painted(self, cell: str, layer: int, datatype: int | None, parts: int) -> Ints:
        """What is drawn in each pixel, or in each of `parts`² cells of it: 1, or the datatype where none is given."""
        shape = self.rows * parts, self.columns * parts
        canvas = np.zeros((shape[0] + 1) * (shape[1] + 1), dtype=np.int64)

        def chosen(shapes: Shapes) -> Bools:
            if layer not in shapes.layers:
                return np.zeros(len(shapes), dtype=bool)
            wanted: Bools = (shapes.layer == layer) & ((datatype is None) | (shapes.datatype == datatype))
            return wanted

        for shapes in self.flat(cell, chosen):
            if not shapes.rectangular.all():
                self.refuse(shapes, int(np.argmin(shapes.rectangular)), "not a rectangle")
            values = np.ones_like(shapes.layer) if datatype is not None else shapes.datatype
            self.paint(canvas, shapes, (values << _COUNT_BITS) + 1, parts)
            self.fit(layer % 100, shapes, parts)
        lattice = canvas.reshape(shape[0] + 1, shape[1] + 1)
        np.cumsum(lattice, axis=0, out=lattice)
        np.cumsum(lattice, axis=1, out=lattice)
        covers = lattice[:-1, :-1] & ((1 << _COUNT_BITS) - 1)
        if covers.max() > 1:
            row, column = np.argwhere(covers > 1)[0].tolist()
            place = f"layer {layer % 100} row {row // parts} column {column // parts}"
            raise VerificationError(f"{self.path}: {place}: covered by {covers[row, column]} rectangles")
        return lattice[:-1, :-1] >> _COUNT_BITS

    def flat(self, cell: str, chosen: Callable[[Shapes], Bools]) -> Iterator[Shapes]:
        """Chosen shapes of a die, seen from where the array of their own mask begins."""
        for shapes in self.library.flat(cell, self.most, chosen):
            moved = np.zeros_like(shapes.low)
            moved[:, 0] = (shapes.layer % 100 - 1) * self.options.mask_step_x
            yield replace(shapes, low=shapes.low - moved, high=shapes.high - moved)

    def paint(self, canvas: Ints, shapes: Shapes, weights: Ints, parts: int) -> None:
        """Add the corner differences of rectangles, whose sums along both axes are what covers a cell."""
        left, right = self.edges(shapes, 0, self.columns, parts)
        low, high = self.edges(shapes, 1, self.rows, parts)
        if self.options.mirror:
            left, right = self.columns * parts - right, self.columns * parts - left
        top, bottom, width = self.rows * parts - high, self.rows * parts - low, self.columns * parts + 1
        for row, column, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
            np.add.at(canvas, row * width + column, sign * weights)

    def fit(self, layer: int, shapes: Shapes, parts: int) -> None:
        """Take the edges of rectangles into what says where a mask layer lies."""
        for axis in (0, 1):
            one = self.fits.setdefault((layer, axis), _Fit())
            for coordinate in (shapes.low[:, axis], shapes.high[:, axis]):
                one.add(np.rint(coordinate * (parts / self.pitch[axis])) / parts, coordinate)

    def extent(self, layer: int) -> Extent | None:
        """Where a mask layer lies, by its edges; the array begins at the origin, y points up."""
        along_x = self.fits.get((layer, 0), _Fit()).line(self.columns)
        along_y = self.fits.get((layer, 1), _Fit()).line(self.rows)
        if along_x is None or along_y is None:
            return None
        (dx, left), (dy, below) = along_x, along_y
        unit_m = self.library.unit_m
        offset_m = -below * unit_m, (-left if self.options.mirror else left) * unit_m
        return Extent((self.rows * dy * unit_m, self.columns * dx * unit_m), offset_m)

    def edges(self, shapes: Shapes, axis: int, count: int, parts: int) -> tuple[Ints, Ints]:
        """The edges on which rectangles begin and end; each must be its ideal place rounded to the grid."""
        pitch, found = self.pitch[axis] / parts, []
        for coordinate in (shapes.low[:, axis], shapes.high[:, axis]):
            edge = np.rint(coordinate / pitch)
            off = np.abs(coordinate - edge * pitch) > 0.5 + 1e-6
            outside = (edge < 0) | (edge > count * parts)
            for bad, why in ((outside, "outside the array"), (off, "off the pixel grid")):
                if bad.any():
                    at = int(np.argmax(bad))
                    self.refuse(shapes, at, f"an edge at {'xy'[axis]} = {coordinate[at]} database units is {why}")
            found.append(edge.astype(np.int64))
        return found[0], found[1]

    def check_marks(self, cell: str) -> None:
        """Beside the masks only marks may be drawn, on the layers for marks and outside the array."""
        step = self.options.mask_step_x
        for shapes in self.flat(cell, lambda shapes: ~self.is_mask(shapes)):
            known = self.is_mark(shapes)
            if not known.all():
                at = int(np.argmin(known))
                tag = f"layout layer {shapes.layer[at]} datatype {shapes.datatype[at]}"
                self.refuse(shapes, at, f"{tag} stands for nothing")
            end = np.array((self.columns, self.rows)) * np.array(self.pitch)
            within = ((shapes.high > 0.5) & (shapes.low < end - 0.5)).all(axis=1)
            if within.any():
                self.refuse(shapes, int(np.argmax(within)), "a mark lies over the array")
            others = (shapes.low[:, 0] < end[0] - step - 0.5) | (shapes.high[:, 0] > step + 0.5)
            if step and others.any():
                self.refuse(shapes, int(np.argmax(others)), "a mark reaches the mask beside it")

    def is_mask(self, shapes: Shapes) -> Bools:
        """Whether each shape is part of a mask."""
        first = 0 if self.options.layout == "bits" else 1
        relief = self.within(shapes.layer, 0) & (shapes.datatype >= first) & (shapes.datatype < self.values)
        return relief | self.is_chrome(shapes, 0)

    def is_mark(self, shapes: Shapes) -> Bools:
        """Whether each shape is a mark."""
        datatypes = self.values if self.options.layout == "bits" else 1
        relief = self.within(shapes.layer, _MARKS) & (shapes.datatype >= 0) & (shapes.datatype < datatypes)
        return relief | self.is_chrome(shapes, 1)

    def is_chrome(self, shapes: Shapes, datatype: int) -> Bools:
        """Whether each shape is on a chrome layer, of which there are none where masks do not absorb."""
        chrome = self.within(shapes.layer, _CHROME) & (shapes.datatype == datatype)
        return chrome if self.manifest.halftone is not None else np.zeros_like(chrome)

    def within(self, layer: Ints, offset: int) -> Bools:
        """Whether each layout layer is that of a mask layer, moved by an offset."""
        inside: Bools = (layer > offset) & (layer <= offset + self.layers)
        return inside

    def refuse(self, shapes: Shapes, at: int, why: str) -> NoReturn:
        """Refuse a shape."""
        raise VerificationError(f"{self.path}: byte {shapes.offset[at]}: {why}", remedy="export again")
