"""A strict reader of GDSII masks in the layout `levels`; shares no code with the writer."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import VerificationError
from opticdesign.export import ReadBack
from opticdesign.manifest import Manifest, read_exported
from opticdesign_exporters.gds_records import Library, Shapes, read_library

__all__ = ["read_layout"]

Ints = npt.NDArray[np.int64]


def read_layout(folder: Path, manifest: Manifest) -> ReadBack:
    """Rebuild the levels from the rectangles of a layout.

    Raises:
        VerificationError: the file is damaged, or a rectangle is off the pixel grid, overlaps another or has no level.
    """
    files = manifest.record("gds").files
    if len(files) != 1:
        raise VerificationError(f"manifest.json: {len(files)} GDSII files, expected one")
    path = files[0].path
    library = read_library(read_exported(folder, files[0]), path)
    _check_structure(library, path)
    if not 1e-11 <= library.unit_m <= 1e-7:
        raise VerificationError(f"{path}: a database unit of {library.unit_m:.3g} m, expected 1e-11 m to 1e-7 m")
    levels = _rasterise(library, manifest, path)
    phase = manifest.process.process.phase_of_level(torch.from_numpy(levels)).numpy()
    return ReadBack(levels, phase, (path,) * len(levels))


def _check_structure(library: Library, path: str) -> None:
    """One top cell that places every other cell once, unmoved: then the cells simply add up."""
    placed = [reference.child for reference in library.references]
    tops = sorted(set(library.cells) - set(placed))
    if len(tops) != 1:
        raise VerificationError(f"{path}: {len(tops)} top cells, expected one")
    for reference in library.references:
        place = f"{path}: byte {reference.offset}: cell {reference.child!r} in {reference.parent!r}"
        if reference.child not in library.cells:
            raise VerificationError(f"{place} is not in the file")
        if reference.parent != tops[0] or placed.count(reference.child) > 1:
            raise VerificationError(f"{place}, expected once in the top cell {tops[0]!r}")
        if reference.origin != (0, 0):
            raise VerificationError(f"{place} is moved by {reference.origin} database units, expected no move")


def _rasterise(library: Library, manifest: Manifest, path: str) -> Ints:
    layers, rows, columns = manifest.shape
    pitch = manifest.pitch_m / library.unit_m
    shapes = library.shapes
    _check_marks(shapes, manifest, pitch, path)
    array = shapes.only(shapes.layer <= layers)
    _check_drawn(array, manifest.process.levels, path)
    left, right = _edges(array, 0, pitch, columns, path)
    low, high = _edges(array, 1, pitch, rows, path)
    levels = np.zeros(manifest.shape, dtype=np.int64)
    for plane in range(layers):
        here = array.layer == plane + 1
        box = (rows - high[here], rows - low[here], left[here], right[here])
        covers = _painted(box, np.ones(int(here.sum()), dtype=np.int64), (rows, columns))
        if covers.max() > 1:
            row, column = (int(index) for index in np.argwhere(covers > 1)[0])
            raise VerificationError(
                f"{path}: layer {plane + 1} row {row} column {column}: covered by {covers[row, column]} rectangles"
            )
        levels[plane] = _painted(box, array.datatype[here], (rows, columns))
    return levels


def _painted(box: tuple[Ints, Ints, Ints, Ints], value: Ints, shape: tuple[int, int]) -> Ints:
    """Sum of rectangles (first row, end row, first column, end column), each with its value, by corner differences."""
    canvas = np.zeros((shape[0] + 1, shape[1] + 1), dtype=np.int64)
    first_row, end_row, first_column, end_column = box
    for row, column, sign in (
        (first_row, first_column, 1),
        (first_row, end_column, -1),
        (end_row, first_column, -1),
        (end_row, end_column, 1),
    ):
        np.add.at(canvas, (row, column), sign * value)
    painted: Ints = canvas.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    return painted


def _check_marks(shapes: Shapes, manifest: Manifest, pitch: float, path: str) -> None:
    """Beside the masks only marks and labels may be drawn: on layers 101 and up, and outside the array."""
    layers, rows, columns = manifest.shape
    marks = shapes.only(shapes.layer > layers)
    known = (marks.layer > 100) & (marks.layer <= 100 + layers) & (marks.datatype == 0)
    if not known.all():
        at = int(np.argmin(known))
        _refuse(path, marks, at, f"GDS layer {marks.layer[at]} datatype {marks.datatype[at]} stands for nothing")
    low, high = marks.low, marks.high
    within = (high > 0.5).all(axis=1) & (low[:, 0] < columns * pitch - 0.5) & (low[:, 1] < rows * pitch - 0.5)
    if within.any():
        _refuse(path, marks, int(np.argmax(within)), "a mark lies over the array")


def _check_drawn(array: Shapes, levels: int, path: str) -> None:
    good = (array.layer >= 1) & (array.datatype >= 1) & (array.datatype < levels)
    if not good.all():
        at = int(np.argmin(good))
        _refuse(path, array, at, f"GDS layer {array.layer[at]} datatype {array.datatype[at]} is no level of a mask")
    if not array.rectangular.all():
        _refuse(path, array, int(np.argmin(array.rectangular)), "not a rectangle")


def _edges(array: Shapes, axis: int, pitch: float, count: int, path: str) -> tuple[Ints, Ints]:
    """The pixel edges on which rectangles begin and end; every edge must be its ideal place rounded to the grid."""
    found = []
    for coordinate in (array.low[:, axis], array.high[:, axis]):
        edge = np.rint(coordinate / pitch)
        off = np.abs(coordinate - edge * pitch) > 0.5 + 1e-6
        outside = (edge < 0) | (edge > count)
        for bad, why in ((outside, "outside the array"), (off, "off the pixel grid")):
            if bad.any():
                at = int(np.argmax(bad))
                _refuse(path, array, at, f"an edge at {'xy'[axis]} = {coordinate[at]} database units is {why}")
        found.append(edge.astype(np.int64))
    return found[0], found[1]


def _refuse(path: str, shapes: Shapes, at: int, why: str) -> NoReturn:
    raise VerificationError(f"{path}: byte {shapes.offset[at]}: {why}")
