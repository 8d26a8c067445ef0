"""A layout from elsewhere, read by gdstk in a process of its own, and flattened.

gdstk takes every record of GDSII and OASIS, and believes what they say: a small file can ask for all memory, or for
hours. So the process that holds it bounds its memory and its time, counts shapes before it unfolds them, and is all
that ends when a file is hostile. Nothing of the package is imported here, so that it starts quickly.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__: list[str] = []

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tag = tuple[int, int]

_AT_ONCE = 1 << 16  # polygons held as objects
_DIE = "DIE"  # the cell of one die in layouts of ours, of which there may be an array
_NAMED = 6  # cells that a refusal names
_LEAST_CORNERS = 3
_FARTHEST = 2.0**53  # database units
_CORNERS = 16  # for each shape that there may be


class _Refused(Exception):  # noqa: N818 (it ends the process with its words)
    """Why a layout cannot be read: what is wrong, what was expected, what to do."""


class _Polygons(NamedTuple):
    """Polygons: layer and datatype of each (count, 2), corners of each (count,), all corners (corners, 2)."""

    tags: Ints
    sizes: Ints
    points: Reals

    @classmethod
    def of(cls, parts: list[tuple[Tag, Reals]]) -> _Polygons:
        """Single polygons, each with its tag."""
        tags = np.array([tag for tag, _ in parts], np.int64).reshape(-1, 2)
        sizes = np.array([len(points) for _, points in parts], np.int64)
        return cls(tags, sizes, np.concatenate([np.zeros((0, 2)), *(points for _, points in parts)]))

    @classmethod
    def joined(cls, parts: list[_Polygons]) -> _Polygons:
        """The polygons of several groups."""
        return cls(*(np.concatenate(arrays) for arrays in zip(cls.of([]), *parts, strict=True)))

    def at(self, places: _Places) -> _Polygons:
        """All of them once at each place, on whole database units as KLayout rounds them."""
        count = len(places.origins)
        points = np.rint(np.einsum("pij,cj->pci", places.turns, self.points) + places.origins[:, None])
        return _Polygons(np.tile(self.tags, (count, 1)), np.tile(self.sizes, count), points.reshape(-1, 2))


class _Places(NamedTuple):
    """Where a cell is placed: turned, mirrored and scaled (count, 2, 2), then moved (count, 2)."""

    turns: Reals
    origins: Reals

    def below(self, other: _Places) -> _Places:
        """Each of another's places seen through each of these."""
        turns = np.einsum("pij,qjk->pqik", self.turns, other.turns).reshape(-1, 2, 2)
        origins = np.einsum("pij,qj->pqi", self.turns, other.origins) + self.origins[:, None]
        return _Places(turns, origins.reshape(-1, 2))


class _File:
    """A library in database units, and what of it is asked for."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.most: int = request["most"]
        self.corners_left = _CORNERS * self.most
        self.tags = {(int(layer), int(datatype)) for layer, datatype in request["tags"]}
        self.library = _read(request["path"], request["oasis"])
        self.scale = self.library.unit / self.library.precision
        self.cells = {cell.name: cell for cell in self.library.cells}
        self.order = self._parents_first()
        self.counted: dict[str, dict[Tag, int]] = {name: self._own(name) for name in self.cells}
        self.root = self._root(request["cell"])

    def _parents_first(self) -> list[str]:
        """The names of all cells, each before those that are placed in it."""
        if len(self.cells) < len(self.library.cells):
            raise _Refused("two cells of one name", "a cell for each name", "rename one of them")
        children = {
            name: dict.fromkeys(reference.cell_name for reference in cell.references)
            for name, cell in self.cells.items()
        }
        try:
            return list(TopologicalSorter(children).static_order())[::-1]
        except CycleError as error:
            raise _Refused(f"cell {error.args[1][0]!r} is placed in itself", "cells in a tree", "") from None

    def _own(self, name: str) -> dict[Tag, int]:
        """How many shapes a cell itself has on each layer and datatype."""
        found: dict[Tag, int] = {}
        for polygon in self.cells[name].polygons:
            tag = polygon.layer, polygon.datatype
            found[tag] = found.get(tag, 0) + _times(polygon)
        for path in self.cells[name].paths:
            for tag in zip(path.layers, path.datatypes, strict=True):
                found[tag] = found.get(tag, 0) + _times(path)
        return found

    def _root(self, told: str | None) -> str:
        """The cell to read: the one that is named, else DIE, else the one top cell that draws masks."""
        if told is not None:
            if told not in self.cells:
                raise _Refused(f"no cell {told!r}", f"one of {_listed(self.cells)}", "correct --cell")
            return told
        if _DIE in self.cells:
            return _DIE
        tops = sorted(cell.name for cell in self.library.top_level())
        drawn = [name for name in tops if self.tags & set(self.below(name))]
        if len(drawn) > 1:
            raise _Refused(
                f"{len(drawn)} top cells that draw masks: {_listed(drawn)}", "one of them", "name it with --cell NAME"
            )
        if not self.cells:
            raise _Refused("a layout without cells", "a layout of masks", "")
        return str((drawn or tops)[0])

    def below(self, root: str) -> dict[Tag, int]:
        """How many shapes a cell draws in all on each layer and datatype; refused beyond the bound."""
        counts, found, total = {root: 1}, dict[Tag, int](), 0
        for name in self.order:
            here = counts.get(name, 0)
            for tag, count in self.counted[name].items() if here else ():
                found[tag] = found.get(tag, 0) + here * count
            for reference in self.cells[name].references if here else ():
                child = reference.cell_name
                counts[child] = counts.get(child, 0) + here * _times(reference)
            total += here
            if max(total, sum(found.values())) > self.most:
                raise _Refused(
                    f"more than {self.most} shapes and placed cells in cell {root!r}",
                    "as many as masks of the design can have",
                    "name a design of its size, or merge the shapes of the layout",
                )
        return found

    def flat(self) -> _Polygons:
        """The polygons that are asked for, in the coordinates of the root."""
        places = {self.root: [_Places(np.eye(2)[None], np.zeros((1, 2)))]}
        parts = []
        for name in self.order:
            if name in places:
                here = _Places(*(np.concatenate(arrays) for arrays in zip(*places.pop(name), strict=True)))
                for reference in self.cells[name].references:
                    places.setdefault(reference.cell_name, []).append(here.below(self._placed(reference)))
                for polygons in self._polygons(name):
                    self._take(len(here.origins) * len(polygons.points))
                    parts.append(polygons.at(here))
                    if not (np.abs(parts[-1].points) < _FARTHEST).all():  # nor where it is not a number
                        raise _Refused("corners that no number holds", "coordinates of masks", "")
        return _Polygons.joined(parts)

    def _take(self, corners: int) -> None:
        """Count corners down, and refuse more than are left."""
        self.corners_left -= corners
        if self.corners_left < 0:
            raise _Refused(
                f"more than {_CORNERS * self.most} corners", "outlines of pixels", "simplify the outlines of the layout"
            )

    def _placed(self, reference: Any) -> _Places:
        """The places of one reference."""
        c, s = math.cos(reference.rotation), math.sin(reference.rotation)
        c, s = (round(one) if abs(one - round(one)) < 1e-12 else one for one in (c, s))  # a quarter turn is exact
        turn = reference.magnification * np.array(((c, -s), (s, c)))
        if reference.x_reflection:
            turn = turn @ np.diag((1.0, -1.0))
        origins = np.rint((np.array(reference.origin) + _offsets(reference)) * self.scale)
        return _Places(np.broadcast_to(turn, (len(origins), 2, 2)), origins)

    def _polygons(self, name: str) -> Iterator[_Polygons]:
        """The polygons of a cell itself that are asked for, some at a time."""
        single: list[tuple[Tag, Reals]] = []
        for tag, points, offsets in self._shapes(name):
            if offsets is None:
                single.append((tag, points))
            else:
                self._take(len(offsets) * len(points))
                yield self._rounded(_Polygons.of([(tag, points)]), offsets)
            if len(single) >= _AT_ONCE:
                yield self._rounded(_Polygons.of(single))
                single = []
        yield self._rounded(_Polygons.of(single))

    def _rounded(self, polygons: _Polygons, offsets: Reals | None = None) -> _Polygons:
        """Polygons in whole database units, once at each of some places."""
        whole = polygons._replace(points=np.rint(polygons.points * self.scale))
        if offsets is None:
            return whole
        return whole.at(_Places(np.broadcast_to(np.eye(2), (len(offsets), 2, 2)), np.rint(offsets * self.scale)))

    def _shapes(self, name: str) -> Iterator[tuple[Tag, Reals, Reals | None]]:
        """Tag, corners and places, if it is repeated, of every polygon and path of a cell that is asked for."""
        for polygon in self.cells[name].polygons:
            tag = polygon.layer, polygon.datatype
            if tag in self.tags and polygon.size >= _LEAST_CORNERS:
                yield tag, polygon.points, None if polygon.repetition.size == 0 else _offsets(polygon)
        for path in self.cells[name].paths:
            if self.tags & set(zip(path.layers, path.datatypes, strict=True)):
                offsets = _offsets(path)
                path.repetition = None
                for polygon in path.to_polygons():
                    yield (polygon.layer, polygon.datatype), polygon.points, offsets


def _read(path: str, oasis: bool) -> Any:
    import gdstk

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "Unsupported record")  # it names them, and whoever asks judges them
            if oasis and gdstk.oas_validate(path)[0] is False:
                raise _Refused("its checksum is wrong", "a whole OASIS file", "save it again")
            return gdstk.read_oas(path) if oasis else gdstk.read_gds(path)
    except (OSError, RuntimeError, ValueError, Warning) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise _Refused(f"cannot be read: {reason}", f"a whole {'OASIS' if oasis else 'GDSII'} file", "") from None


def _times(element: Any) -> int:
    """How often an element is repeated."""
    return max(1, int(element.repetition.size))


def _offsets(element: Any) -> Reals:
    """Where an element is repeated (count, 2)."""
    return np.zeros((1, 2)) if _times(element) == 1 else np.asarray(element.repetition.get_offsets())


def _listed(names: Any) -> str:
    """Names for people, a few of them."""
    chosen = [repr(name) for name in sorted(names)]
    return ", ".join(chosen[:_NAMED]) + (f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else "")


def _limit(memory: int, seconds: int) -> None:
    """Bound this process, where the system can."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Arrays of polygons, and what else the layout says as JSON."""
    file = _File(request)
    others = {tag: count for tag, count in file.below(file.root).items() if tag not in file.tags}
    facts = {"cell": file.root, "unit_m": file.library.precision, "others": [[*tag, n] for tag, n in others.items()]}
    polygons = file.flat()
    return {"facts": json.dumps(facts), **polygons._asdict()}


def _main(request: Path, result: Path) -> None:
    asked = json.loads(request.read_text("utf-8"))
    _limit(asked["memory"], asked["seconds"])
    try:
        arrays = _answer(asked)
    except _Refused as refused:
        arrays = {"refused": json.dumps(refused.args)}
    except MemoryError:
        arrays = {"refused": json.dumps(("asks for more memory than masks of the design need", "", ""))}
    np.savez(result, **arrays)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
