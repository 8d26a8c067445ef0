"""Splitting fields into training, validation and test data that share no pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from opticdesign.data.patches import admissible_positions
from opticdesign.data.phase_field import PhaseField
from opticdesign.errors import DataError, UsageError

__all__ = ["Split", "split_fields"]


class Split(NamedTuple):
    """Fields to train on, to validate on while training, and to test on once."""

    train: list[PhaseField]
    val: list[PhaseField]
    test: list[PhaseField]


def split_fields(
    fields: Sequence[PhaseField],
    fractions: tuple[float, float, float],
    by: Literal["sector", "file"],
    patch: tuple[int, int],
) -> Split:
    """Deal the fields out to training, validation and test.

    By sector: the bounding box of the valid pixels of each field is cut; its upper rows train, and the rest is cut into
    columns, validation left, test right. By file: the files, ordered by a hash of their names, are dealt out whole, at
    least one to each part; a stack is one file.

    Args:
        fields: the fields to split.
        fractions: shares of training, validation and test, each above 0, summing to 1.
        by: "sector" or "file".
        patch: rows and columns of the patches that will be cut; each part must hold one.

    Raises:
        UsageError: fractions that are no shares, or another `by`.
        DataError: a sector smaller than the patch, fewer than three files, or a part without one valid patch.
    """
    if min(fractions) <= 0.0 or abs(sum(fractions) - 1.0) > 1e-6:
        raise UsageError(f"a split of {fractions}", expected="three shares above 0 that sum to 1")
    if not fields:
        raise UsageError("no fields to split", expected="at least one field")
    if by not in ("sector", "file"):
        raise UsageError(f"a split by {by!r}", expected='"sector" or "file"')
    split = _by_sector(fields, fractions, patch) if by == "sector" else _by_file(fields, fractions)
    for what, part in zip(("training", "validation", "test"), split, strict=True):
        _require_patch(what, part, patch)
    return split


def _by_sector(fields: Sequence[PhaseField], fractions: tuple[float, float, float], patch: tuple[int, int]) -> Split:
    split = Split([], [], [])
    for field in fields:
        for part, sector in zip(split, _sectors(field, fractions), strict=True):
            _require_room(sector, patch)
            part.append(sector)
    return split


def _sectors(field: PhaseField, fractions: tuple[float, float, float]) -> list[PhaseField]:
    """The training, validation and test sector of one field."""
    rows, columns = np.flatnonzero(field.valid.any(1)), np.flatnonzero(field.valid.any(0))
    if rows.size == 0:
        raise DataError(field.name, "no valid pixel", expected="a mask that leaves pixels to learn from")
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    row = top + round((bottom - top) * fractions[0])
    column = left + round((right - left) * fractions[1] / (fractions[1] + fractions[2]))
    cuts = {
        "train": (slice(top, row), slice(left, right)),
        "val": (slice(row, bottom), slice(left, column)),
        "test": (slice(row, bottom), slice(column, right)),
    }
    empty = [label for label, part in cuts.items() if any(edge.start >= edge.stop for edge in part)]
    if empty:
        raise DataError(field.name, f"its {empty[0]} sector has no pixel", expected="a larger field", remedy=_REMEDY)
    return [field.crop(*part, label) for label, part in cuts.items()]


_REMEDY = 'use data.split_by = "file" with three files or more, a larger field, or fewer neurons'


def _require_room(sector: PhaseField, patch: tuple[int, int]) -> None:
    if sector.shape[0] < patch[0] or sector.shape[1] < patch[1]:
        raise DataError(
            sector.name,
            f"the sector has {sector.shape[0]} × {sector.shape[1]} pixels at the design's pitch",
            expected=f"at least one patch of {patch[0]} × {patch[1]}",
            remedy=_REMEDY,
        )


def _require_patch(what: str, part: Sequence[PhaseField], patch: tuple[int, int]) -> None:
    if not any(admissible_positions(field, patch).any() for field in part):
        raise DataError(
            part[0].name,
            f"the {what} data holds no valid patch",
            expected=f"at least one patch of {patch[0]} × {patch[1]} with 95 % valid pixels",
            remedy=_REMEDY,
        )


def _by_file(fields: Sequence[PhaseField], fractions: tuple[float, float, float]) -> Split:
    files: dict[str, list[PhaseField]] = {}
    for field in fields:
        files.setdefault(field.source or field.name, []).append(field)
    count = len(files)
    if count < 3:
        raise DataError(
            next(iter(files)),
            f"{count} file{'s' * (count > 1)} cannot be dealt out to training, validation and test",
            expected="three files or more",
            remedy='use data.split_by = "sector"',
        )
    # A hash of the name, so that neither the order of acquisition nor a global random state decides.
    order = sorted(files, key=lambda name: hashlib.sha256(name.encode()).digest())
    val = min(max(1, round(count * fractions[1])), count - 2)
    test = min(max(1, round(count * fractions[2])), count - 1 - val)
    train = count - val - test
    parts = order[:train], order[train : train + val], order[train + val :]
    return Split(*([field for name in part for field in files[name]] for part in parts))
