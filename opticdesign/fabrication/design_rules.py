"""Design rules of masks made of pixels: widths, gaps, corner contacts, areas and aspect ratios of what is drawn.

A run is a longest stretch of drawn pixels along a row or a column, and its length is a width; a stretch of other pixels
between two runs of one row or column is a gap. Widths and gaps are therefore those along x and y, what layout programs
call projection metrics; a distance across a corner is none, and a corner contact is a class of its own. Runs of
neighbouring rows or columns that start and end alike are one violation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

__all__ = ["RULES", "Finding", "Limits", "Rule", "ShapeClass", "check_rules"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Pair = tuple[float, float]
Rule = Literal["width", "gap", "corner", "area", "aspect"]
RULES: tuple[Rule, ...] = get_args(Rule)

_SLACK = 1e-9  # relative: a pitch that equals the limit is no violation, whatever its last digit
_SIDE_BITS, _LEVEL_BITS = 17, 8  # of the number that sorts runs: sides up to 65536 pixels, levels up to 255


@dataclass(frozen=True)
class Limits:
    """What a process can make.

    Args:
        width_m: smallest width and gap, metres; its square is the smallest area.
        aspect: largest height of a wall over the width of what it bounds.
    """

    width_m: float
    aspect: float


@dataclass(frozen=True)
class ShapeClass:
    """One class of shapes of a mask.

    Args:
        name: what it is called.
        levels: level of each pixel of the mask, 0 … 255 (rows, columns).
        own: the level of its pixels.
        heights_m: height of each level in metres (levels,).
        ground: level outside the mask.
        drawn: false for what drawn shapes leave free: then only its aspect ratio is judged, and what reaches the edge
            of the mask has no width.
    """

    name: str
    levels: npt.NDArray[np.integer]
    own: int
    heights_m: npt.NDArray[np.float64]
    ground: int = 0
    drawn: bool = True


@dataclass(frozen=True)
class Finding:
    """One rule on one class of shapes.

    Args:
        rule: which rule.
        shapes: name of the class.
        limit: smallest length (m) or area (m²) allowed, or largest ratio; of corner contacts none is.
        total: number of violations.
        worst: the worst value that was met, violation or not; None where there was nothing to measure.
        boxes: first row, end row, first column, end column of the first violations in reading order (kept, 4).
        values: their lengths (m), areas (m²) or ratios (kept,).
    """

    rule: Rule
    shapes: str
    limit: float
    total: int
    worst: float | None
    boxes: Ints
    values: npt.NDArray[np.floating]


def check_rules(shapes: ShapeClass, pitch_m: tuple[float, float], limits: Limits, kept: int) -> Iterator[Finding]:
    """All rules on one class of shapes.

    Args:
        shapes: the class.
        pitch_m: sides of a pixel along y and x, metres.
        limits: what is allowed.
        kept: number of violations of a rule that are placed.
    """
    region = shapes.levels == shapes.own
    runs = [_runs(region), _runs(region.T)]
    along_m = pitch_m[::-1]  # runs along rows measure x
    if shapes.drawn:
        yield _short("width", shapes.name, runs, along_m, limits.width_m, kept)
        yield _short("gap", shapes.name, [_between(found) for found in runs], along_m, limits.width_m, kept)
        yield _corners(shapes.name, region, kept)
        yield _areas(shapes.name, region, pitch_m, limits.width_m**2, kept)
    yield _aspects(shapes, runs, along_m, limits.aspect, kept)


def _runs(region: Bools) -> Ints:
    """Row, start and end of every run along the rows (count, 3), in reading order."""
    edges = np.diff(region, axis=1, prepend=False, append=False)
    row, column = np.divmod(np.flatnonzero(edges), region.shape[1] + 1)
    return np.stack((row[::2], column[::2], column[1::2]), axis=1)


def _between(runs: Ints) -> Ints:
    """Row, start and end of what lies between neighbouring runs of a row (count, 3)."""
    gaps = np.stack((runs[1:, 0], runs[:-1, 2], runs[1:, 1]), axis=1)
    same_row: Ints = gaps[runs[1:, 0] == runs[:-1, 0]]
    return same_row


def _length(runs: Ints) -> Ints:
    return runs[:, 2] - runs[:, 1]


def _short(rule: Rule, name: str, runs: list[Ints], along_m: Pair, limit: float, kept: int) -> Finding:
    """Runs along rows and along columns against the smallest length allowed."""
    least = limit * (1.0 - _SLACK)
    short = [_merged(found[_length(found) * side_m < least]) for found, side_m in zip(runs, along_m, strict=True)]
    boxes, length_m, _ = _placed(short, along_m, kept)
    lengths_m = (int(_length(found).min()) * side for found, side in zip(runs, along_m, strict=True) if len(found))
    return Finding(rule, name, limit, sum(map(len, short)), min(lengths_m, default=None), boxes, length_m)


def _corners(name: str, region: Bools, kept: int) -> Finding:
    """Points where two pixels of the class touch and the other two are not of it; boxes are of all four."""
    here, right, below, across = region[:-1, :-1], region[:-1, 1:], region[1:, :-1], region[1:, 1:]
    row, column = np.nonzero((here == across) & (right == below) & (here != right))
    boxes = np.stack((row, row + 2, column, column + 2), axis=1)[:kept]
    return Finding("corner", name, 0.0, len(row), 0.0 if len(row) else None, boxes, np.zeros(len(boxes)))


def _areas(name: str, region: Bools, pitch_m: Pair, limit: float, kept: int) -> Finding:
    """Pieces of the class that hang together by sides of pixels."""
    from scipy import ndimage

    pieces, count = ndimage.label(region)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:] * (pitch_m[0] * pitch_m[1])
    small = np.flatnonzero(areas < limit * (1.0 - _SLACK))
    numbers = np.zeros(count + 1, dtype=np.int64)
    numbers[small[:kept] + 1] = np.arange(1, len(small[:kept]) + 1)
    extents = ndimage.find_objects(numbers[pieces])  # of the few that are placed: of all it takes seconds
    sides = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in extents]
    boxes = np.array(sides, dtype=np.int64).reshape(-1, 4)
    worst = float(areas.min()) if count else None
    return Finding("area", name, limit, len(small), worst, boxes, areas[small[:kept]])


def _aspects(shapes: ShapeClass, runs: list[Ints], along_m: Pair, limit: float, kept: int) -> Finding:
    """The taller of the walls at both ends of each run over its length."""
    walls_m = np.abs(shapes.heights_m - shapes.heights_m[shapes.own])
    worst, steep = [], []
    for found, levels, side_m in zip(runs, (shapes.levels, shapes.levels.T), along_m, strict=True):
        inside = found if shapes.drawn else found[(found[:, 1] > 0) & (found[:, 2] < levels.shape[1])]
        beside = _taller_end(inside, levels, shapes.ground, walls_m)
        ratio = walls_m[beside] / (_length(inside) * side_m)
        worst += [float(ratio.max())] if len(ratio) else []
        too_steep = ratio > limit * (1.0 + _SLACK)
        steep.append(_merged(inside[too_steep], beside[too_steep]))
    boxes, length_m, beside = _placed(steep, along_m, kept)
    values, count = walls_m[beside] / length_m, sum(map(len, steep))
    return Finding("aspect", shapes.name, limit, count, max(worst, default=None), boxes, values)


def _taller_end(
    runs: Ints, levels: npt.NDArray[np.integer], ground: int, walls_m: npt.NDArray[np.float64]
) -> npt.NDArray[np.integer]:
    """Level beside each run, at the end with the taller wall (count,)."""
    around = np.pad(levels, ((0, 0), (1, 1)), constant_values=ground)
    row, start, end = runs.T
    before, behind = around[row, start], around[row, end + 1]
    taller: npt.NDArray[np.integer] = np.where(walls_m[before] >= walls_m[behind], before, behind)
    return taller


def _merged(runs: Ints, beside: npt.NDArray[np.integer] | None = None) -> Ints:
    """Runs joined with those of the next rows that start and end alike, beside equal levels, if levels are given.

    Start, end, level and row of a run make one number, the row last: the run below continues it where the number is one
    more.

    Returns:
        First row, end row, start, end and level (count, 5).
    """
    row, start, end = runs.T
    level = 0 if beside is None else beside.astype(np.int64)
    key = np.sort((((((start << _SIDE_BITS) | end) << _LEVEL_BITS) | level) << _SIDE_BITS) | row)
    first = np.flatnonzero(np.diff(key, prepend=-2) != 1)
    last = np.append(first[1:], len(key))[: len(first)] - 1
    side, levels, ends = (1 << _SIDE_BITS) - 1, key[first] >> _SIDE_BITS, key[first] >> (_SIDE_BITS + _LEVEL_BITS)
    rows = key[first] & side, (key[last] & side) + 1
    return np.stack((*rows, ends >> _SIDE_BITS, ends & side, levels & ((1 << _LEVEL_BITS) - 1)), axis=1)


def _placed(merged: list[Ints], along_m: Pair, kept: int) -> tuple[Ints, npt.NDArray[np.float64], Ints]:
    """The first merged runs along rows and along columns in reading order.

    Returns:
        Boxes (kept, 4), lengths in metres and levels (kept,).
    """
    rows, columns = merged
    rows, columns = rows[_first(rows[:, 0], rows[:, 2], kept)], columns[_first(columns[:, 2], columns[:, 0], kept)]
    boxes = np.concatenate((rows[:, :4], columns[:, [2, 3, 0, 1]]))
    runs = np.concatenate((rows, columns))
    order = _first(boxes[:, 0], boxes[:, 2], kept)
    side_m = np.repeat(along_m, (len(rows), len(columns)))
    return boxes[order], ((runs[:, 3] - runs[:, 2]) * side_m)[order], runs[order, 4]


def _first(row: Ints, column: Ints, kept: int) -> Ints:
    """Indices of the first places in reading order (kept,)."""
    key = (row << _SIDE_BITS) | column
    some = np.argpartition(key, kept)[:kept] if len(key) > kept else np.arange(len(key))
    chosen: Ints = some[np.argsort(key[some], kind="stable")]
    return chosen
