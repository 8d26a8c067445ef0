"""What a layout file holds, as both record readers give it: cells of shapes and placed cells, in database units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["Library", "LibraryCell", "Placed", "Shapes"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_CHUNK = 1 << 18  # shapes in memory at a time


@dataclass(frozen=True)
class Shapes:
    """Polygons by their bounding boxes.

    Args:
        offset: byte of each in the file (count,).
        layer: layout layers (count,).
        datatype: datatypes (count,).
        low: smallest x and y (count, 2).
        high: largest x and y (count, 2).
        rectangular: whether each is an upright rectangle with an area (count,).
    """

    offset: Ints
    layer: Ints
    datatype: Ints
    low: Ints
    high: Ints
    rectangular: Bools

    def __len__(self) -> int:
        return len(self.offset)

    @cached_property
    def layers(self) -> frozenset[int]:
        """All layers there are."""
        return frozenset(np.unique(self.layer).tolist())

    def only(self, chosen: Bools) -> Shapes:
        """The chosen shapes."""
        return Shapes(*(getattr(self, entry.name)[chosen] for entry in fields(self)))

    def at(self, origins: Ints) -> Shapes:
        """All shapes once at each origin (places, 2)."""
        if len(origins) == 1 and not origins.any():
            return self
        offset, layer, datatype = (np.tile(one, len(origins)) for one in (self.offset, self.layer, self.datatype))
        low, high = ((origins[:, None] + corner).reshape(-1, 2) for corner in (self.low, self.high))
        return Shapes(offset, layer, datatype, low, high, np.tile(self.rectangular, len(origins)))

    @classmethod
    def joined(cls, parts: list[Shapes]) -> Shapes:
        """All shapes of several groups."""
        flat, pairs = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        none = cls(flat, flat, flat, pairs, pairs, np.zeros(0, bool))
        return cls(*(np.concatenate([getattr(part, entry.name) for part in (none, *parts)]) for entry in fields(cls)))


class Placed(NamedTuple):
    """A cell placed in another, neither turned nor scaled: byte offset, its name, its origins (count, 2)."""

    offset: int
    child: str
    origins: Ints


@dataclass
class LibraryCell:
    """What a cell holds by itself, and the cells placed in it."""

    shapes: Shapes = field(default_factory=lambda: Shapes.joined([]))
    placed: list[Placed] = field(default_factory=list)


class Library:
    """A whole file.

    Args:
        path: its name in messages.
        unit_m: database unit, metres.
        cells: cells by name.

    Raises:
        VerificationError: a cell is placed that is not there, or in itself, or the unit is out of range.
    """

    def __init__(self, path: str, unit_m: float, cells: dict[str, LibraryCell]) -> None:
        self.path, self.unit_m, self.cells = path, unit_m, cells
        if not 1e-11 <= unit_m <= 1e-7:
            raise VerificationError(f"{path}: a database unit of {unit_m:.3g} m, expected 1e-11 m to 1e-7 m")
        for name, cell in cells.items():
            for placed in cell.placed:
                if placed.child not in cells:
                    raise VerificationError(
                        f"{path}: byte {placed.offset}: cell {placed.child!r} in {name!r} is not in the file"
                    )
        children = {name: dict.fromkeys(placed.child for placed in cell.placed) for name, cell in cells.items()}
        try:
            self._parents_first = list(TopologicalSorter(children).static_order())[::-1]
        except CycleError as error:
            raise VerificationError(f"{path}: cell {error.args[1][0]!r} is placed in itself") from None

    @property
    def top(self) -> str:
        """The one cell that is placed nowhere.

        Raises:
            VerificationError: there is another number of such cells.
        """
        tops = set(self.cells) - {placed.child for cell in self.cells.values() for placed in cell.placed}
        if len(tops) != 1:
            raise VerificationError(f"{self.path}: {len(tops)} top cells, expected one")
        return tops.pop()

    def flat(self, root: str, most: int, chosen: Callable[[Shapes], Bools]) -> Iterator[Shapes]:
        """Chosen shapes of a cell and of all below it, in the coordinates of the cell, some at a time.

        Args:
            root: the cell.
            most: largest number of shapes, and of placed cells, that are looked at: files may hold cells in cells.
            chosen: which shapes of a cell are wanted.

        Raises:
            VerificationError: more than that.
        """
        wanted = {name: self.cells[name].shapes for name in self._count(root, most)}
        origins = {root: [np.zeros((1, 2), np.int64)]}
        for name in self._parents_first:
            if name not in wanted:
                continue
            places = np.concatenate(origins.pop(name))
            for placed in self.cells[name].placed:
                moved = (places[:, None] + placed.origins).reshape(-1, 2)
                origins.setdefault(placed.child, []).append(moved)
            shapes = wanted[name].only(chosen(wanted[name]))
            size = max(1, _CHUNK // max(1, len(shapes)))
            for start in range(0, len(places) if len(shapes) else 0, size):
                yield shapes.at(places[start : start + size])

    def _count(self, root: str, most: int) -> dict[str, int]:
        """How often each cell below a cell is placed, itself included."""
        counts = {root: 1}
        total = 0
        for name in self._parents_first:
            if name not in counts:
                continue
            total += counts[name] * (1 + len(self.cells[name].shapes))
            if total > most:
                raise VerificationError(f"{self.path}: more than {most} shapes and placed cells in cell {root!r}")
            for placed in self.cells[name].placed:
                counts[placed.child] = counts.get(placed.child, 0) + counts[name] * len(placed.origins)
        return counts
