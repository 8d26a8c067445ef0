"""Repetitions and point lists of OASIS as arrays of places; counts are checked before they take memory.

SEMI P39, OASIS — Open Artwork System Interchange Standard, clauses 7.6 (repetitions) and 7.7 (point lists).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from opticdesign_exporters.layout.oasis_numbers import Cursor, Ints

__all__ = ["Points", "points", "repetition"]

_LIMIT = 1 << 31  # of coordinates, as layout programs have it


class Points(NamedTuple):
    """The box around a polygon whose first point is the origin, and whether it is an upright rectangle."""

    low: Ints
    high: Ints
    rectangular: bool


def repetition(cursor: Cursor, kind: int, most: int) -> Ints:
    """Where the elements of a repetition are, seen from the first (count, 2).

    Args:
        cursor: stands behind the kind.
        kind: 1 … 11.
        most: largest number of elements.

    Raises:
        VerificationError: another kind, more elements, or places out of range.
    """
    start = cursor.position
    if kind == 1:
        columns, rows = cursor.unsigned() + 2, cursor.unsigned() + 2
        steps = np.array(((cursor.distance(), 0), (0, cursor.distance())))
        return _lattice(cursor, (columns, rows), steps, most, start)
    if kind in (2, 3):
        count, step = cursor.unsigned() + 2, cursor.distance()
        steps = np.array(((step, 0), (0, 0)) if kind == 2 else ((0, step), (0, 0)))
        return _lattice(cursor, (count, 1), steps, most, start)
    if kind in (8, 9):
        counts = (cursor.unsigned() + 2, cursor.unsigned() + 2 if kind == 8 else 1)
        steps = np.concatenate((cursor.deltas(2 if kind == 8 else 1), np.zeros((1, 2), np.int64)))[:2]
        return _lattice(cursor, counts, steps, most, start)
    if kind not in (4, 5, 6, 7, 10, 11):
        cursor.fail(f"a repetition of kind {kind}", start)
    count = cursor.unsigned() + 1
    grid = cursor.distance() if kind % 2 else 1
    if kind > 7:
        moves = cursor.deltas(count, grid)
    else:
        moves = np.zeros((count if count <= len(cursor.data) else 0, 2), dtype=np.int64)
        moves[:, 0 if kind < 6 else 1] = cursor.distances(count, grid)
    places = np.concatenate((np.zeros((1, 2), np.int64), moves.cumsum(axis=0)))
    if np.abs(places).max() >= _LIMIT:
        cursor.fail("a repetition out of the range of coordinates", start)
    return places


def _lattice(cursor: Cursor, counts: tuple[int, int], steps: Ints, most: int, start: int) -> Ints:
    """A regular array: `counts` elements along two displacements (2, 2)."""
    if counts[0] * counts[1] > most:
        cursor.fail(f"a repetition of {counts[0]} by {counts[1]} elements, more than the design can hold", start)
    if any(int(abs(part)) * (count - 1) >= _LIMIT for count, step in zip(counts, steps, strict=True) for part in step):
        cursor.fail("a repetition out of the range of coordinates", start)
    first, second = (np.arange(count)[:, None] * step for count, step in zip(counts, steps, strict=True))
    places: Ints = (second[:, None] + first).reshape(-1, 2)
    return places


def points(cursor: Cursor) -> Points:
    """A point list: its kind, the number of points, and the steps from each to the next.

    Raises:
        VerificationError: another kind, or points out of range.
    """
    start = cursor.position
    kind, count = cursor.unsigned(), cursor.unsigned()
    if kind > 5 or not 1 <= count <= len(cursor.data):
        cursor.fail(f"a list of {count} points of kind {kind}", start)
    steps = np.zeros((count, 2), dtype=np.int64)
    if kind < 2:  # along x and y in turn, or along y and x; the last corner, which closes it, is not given
        index = np.arange(count)
        steps[index, (index + kind) % 2] = cursor.coordinates(count)
    elif kind < 4:
        steps = cursor.compass(count, kind)
    else:
        steps = cursor.deltas(count)
        steps = steps.cumsum(axis=0) if kind == 5 else steps
    corners = np.concatenate((np.zeros((1, 2), np.int64), steps.cumsum(axis=0)))
    if np.abs(corners).max() >= _LIMIT:
        cursor.fail("a polygon out of the range of coordinates", start)
    rectangular = kind < 2 and count == 2 and bool(steps.any(axis=1).all())
    return Points(corners.min(axis=0), corners.max(axis=0), rectangular)
