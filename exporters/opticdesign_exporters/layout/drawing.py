"""What a layout from elsewhere draws: read by `worker` in a process of its own, within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opticdesign.errors import DataError
from opticdesign.handover.importing import ImportJob
from opticdesign_exporters.layout.polygon_raster import Outlines

__all__ = ["Drawing", "read_drawing"]

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Tag = tuple[int, int]

_UNITS_M = (1e-11, 1e-7)
_MOST_MARKS = 1 << 18
# What a process may take beyond that of a small design, for each shape that masks of a large one can have.
_MEMORY, _MEMORY_A_SHAPE = 768 << 20, 1200
_SECONDS, _SECONDS_A_SHAPE = 4.0, 20e-6
_WAIT = 5.0  # by the clock, over the time of the processor: machines are shared
_HARMLESS = "is not supported"  # of records such as ELFLAGS and PLEX
_AGAIN = "check the file, save it again, or name a design of its size"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Drawing:
    """Polygons of one cell and all below it, ordered by layer and datatype.

    Args:
        cell: name of the cell.
        unit_m: database unit, metres.
        tags: layer and datatype of each polygon (count, 2).
        sizes: corners of each (count,).
        points: all corners in database units (corners, 2), the first of a polygon not repeated.
        others: layers and datatypes that were not asked for, and how many shapes they have.
    """

    cell: str
    unit_m: float
    tags: Ints
    sizes: Ints
    points: Reals
    others: dict[Tag, int]

    @cached_property
    def first(self) -> Ints:
        """Index of the first corner of each polygon (count,)."""
        return np.asarray(np.cumsum(self.sizes) - self.sizes, np.int64)

    @cached_property
    def following(self) -> Ints:
        """Index of the corner behind each, which of the last one of a polygon is its first (corners,)."""
        following = np.arange(1, len(self.points) + 1)
        following[self.first + self.sizes - 1] = self.first
        return following

    def box(self) -> tuple[Reals, Reals]:
        """Smallest and largest x and y of each polygon (count, 2)."""
        if not len(self.first):
            return np.zeros((0, 2)), np.zeros((0, 2))
        return np.minimum.reduceat(self.points, self.first), np.maximum.reduceat(self.points, self.first)

    @cached_property
    def groups(self) -> dict[Tag, slice]:
        """Which polygons are on each layer and datatype that has some."""
        begins = np.flatnonzero((np.diff(self.tags, axis=0, prepend=-1) != 0).any(axis=1))
        ends = np.append(begins, len(self.tags))[1:].tolist()
        tags = map(tuple, self.tags[begins].tolist())
        return {tag: slice(*both) for tag, both in zip(tags, zip(begins.tolist(), ends, strict=True), strict=True)}

    def drawn(self) -> set[Tag]:
        """Layers and datatypes that have polygons."""
        return set(self.groups)

    def without(self, tags: Iterable[Tag]) -> Drawing:
        """The drawing without some layers and datatypes."""
        kept = np.ones(len(self.tags), bool)
        for tag in tags:
            kept &= (self.tags != tag).any(axis=1)
        points = self.points[np.repeat(kept, self.sizes)]
        return replace(self, tags=self.tags[kept], sizes=self.sizes[kept], points=points)

    def on(self, tag: Tag) -> Outlines:
        """The polygons of one layer and datatype."""
        here = self.groups.get(tag, slice(0, 0))
        first, sizes = self.first[here], self.sizes[here]
        start = int(first[0]) if len(first) else 0
        return Outlines(self.points[start : start + int(sizes.sum())], first - start)


def read_drawing(job: ImportJob, tags: Iterable[Tag], values: int) -> Drawing:
    """The polygons of a job's one layout on some layers and datatypes.

    Args:
        job: the layout, and the masks that bound what it may hold.
        tags: layers and datatypes.
        values: masks of bits, or one mask of levels, for each mask that light passes.

    Raises:
        DataError: it cannot be read, asks for more than masks of the design need, or has no one cell of masks.
    """
    file, (masks, rows, columns) = job.files[0], job.shape
    shapes = 4 * masks * rows * columns * (values + (job.halftone or 0) ** 2)
    oasis = file.path.suffix.lower().startswith(".oas")
    request = {
        "oasis": oasis,
        "cell": job.said.cell,
        "tags": sorted(tags),
        "most": shapes + _MOST_MARKS,
        "memory": _MEMORY + _MEMORY_A_SHAPE * shapes,
        "seconds": int(_SECONDS + _SECONDS_A_SHAPE * shapes),
    }
    arrays = _answer(request, file.data, file.path)
    facts = json.loads(str(arrays["facts"]))
    if not _UNITS_M[0] <= facts["unit_m"] <= _UNITS_M[1]:
        raise DataError(
            file.path,
            f"a database unit of {facts['unit_m']:.3g} m",
            expected=f"{_UNITS_M[0]:g} m to {_UNITS_M[1]:g} m",
            remedy="save the layout with a database unit of 1 nm (dbu = 0.001 µm, gdstk: precision=1e-9)",
        )
    others = {(layer, datatype): count for layer, datatype, count in facts["others"]}
    return _ordered(facts["cell"], facts["unit_m"], arrays["tags"], arrays["sizes"], arrays["points"], others)


def _ordered(cell: str, unit_m: float, tags: Ints, sizes: Ints, points: Reals, others: dict[Tag, int]) -> Drawing:
    """The drawing with its polygons in order of layer and datatype."""
    order = np.lexsort((tags[:, 1], tags[:, 0]))
    first, size = (np.cumsum(sizes) - sizes)[order], sizes[order]
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return Drawing(cell, unit_m, tags[order], size, points[np.repeat(first, size) + within], others)


def _answer(request: dict[str, Any], data: bytes, path: Path) -> dict[str, Any]:
    """What the process says of the bytes of a file."""
    limits = f"within {request['memory'] >> 20} MiB and {request['seconds']} s"
    with tempfile.TemporaryDirectory(prefix="opticdesign-") as folder:
        asked, result, copy, heard = (Path(folder) / name for name in ("asked.json", "result.npz", "layout", "heard"))
        copy.write_bytes(data)  # what is read is what was hashed
        asked.write_text(json.dumps(request | {"path": str(copy)}), "utf-8")
        # -P: what lies in the working folder is not imported
        line = [sys.executable, "-P", "-m", "opticdesign_exporters.layout.worker", str(asked), str(result)]
        try:
            with heard.open("wb") as stream:
                done = subprocess.run(  # noqa: S603 (the line is ours)
                    line,
                    env=os.environ | _ONE_THREAD,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stream,
                    timeout=request["seconds"] * _WAIT,
                    check=False,
                )
            code, why = done.returncode, f"reading it ended with code {done.returncode}, {limits}"
        except subprocess.TimeoutExpired:
            code, why = 1, f"reading it did not end, {limits}"
        if code == 0:
            with np.load(result, allow_pickle=False) as arrays:
                answer = dict(arrays)
            why, told = _complaint(heard), json.loads(str(answer.get("refused", "[]")))
            if not told and not why:
                return answer
            if told:
                raise DataError(path, f"{told[0]} {why}".strip(), expected=told[1], remedy=told[2] or _AGAIN)
    expected = "a whole layout, no larger than masks of the design need"
    raise DataError(path, f"cannot be read: {why}", expected=expected, remedy=_AGAIN)


def _complaint(heard: Path) -> str:
    """The first thing that gdstk says beside warning of records that hold no shapes; nothing where there is none."""
    with heard.open("r", encoding="utf-8", errors="replace") as lines:
        said = (line.strip()[:200] for line in lines if line.startswith("[GDSTK]") and _HARMLESS not in line)
        return next(said, "")
