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

_PARTS = 3  # training, validation and test


class Split(NamedTuple):
    """Fields to train on, to validate on while training, and to test on once."""

    train: list[PhaseField]
    val: list[PhaseField]
    test: list[PhaseField]


def split_fields(
    fields: Sequence[PhaseField],
    fractions: tuple[float, float, float],
    by: Literal["sector", "file", "map", "leaking"],
    patch: tuple[int, int],
) -> Split:
    """Deal the fields out to training, validation and test.

    By sector: the bounding box of the valid pixels of each field is cut; its upper rows train, and the rest is cut into
    columns, validation left, test right. By file: the files, ordered by a hash of their names, are dealt out whole, at
    least one to each part; a stack is one file. By map: every map by itself, also those of one file. Leaking: every map
    in all three parts, which is what comes of patches that are mirrored and turned first and dealt out at random then.

    Args:
        fields: the fields to split.
        fractions: shares of training, validation and test, each above 0, summing to 1.
        by: "sector", "file", "map" or "leaking".
        patch: rows and columns of the patches that will be cut; each part must hold one.

    Raises:
        UsageError: fractions that are no shares, or another `by`.
        DataError: a sector smaller than the patch, fewer than three files or maps, or a part without one valid patch.
    """
    if min(fractions) <= 0.0 or abs(sum(fractions) - 1.0) > 1e-6:
        raise UsageError(f"a split of {fractions}", expected="three shares above 0 that sum to 1")
    if not fields:
        raise UsageError("no fields to split", expected="at least one field")
    if by == "leaking":
        split = Split(list(fields), list(fields), list(fields))
    elif by in ("file", "map"):
        split = _dealt(fields, fractions, by)
    elif by == "sector":
        split = _by_sector(fields, fractions, patch)
    else:
        raise UsageError(f"a split by {by!r}", expected='"sector", "file", "map" or "leaking"')
    for what, part in zip(("training", "validation", "test"), split, strict=True):
        _require_patch(what, part, patch, _larger(fields))
    return split


def _by_sector(fields: Sequence[PhaseField], fractions: tuple[float, float, float], patch: tuple[int, int]) -> Split:
    split, remedy = Split([], [], []), _larger(fields)
    for field in fields:
        for part, sector in zip(split, _sectors(field, fractions, remedy), strict=True):
            _require_room(sector, patch, remedy)
            part.append(sector)
    return split


def _sectors(field: PhaseField, fractions: tuple[float, float, float], remedy: str) -> list[PhaseField]:
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
        raise DataError(field.name, f"its {empty[0]} sector has no pixel", expected="a larger field", remedy=remedy)
    return [field.crop(*part, label) for label, part in cuts.items()]


def _larger(fields: Sequence[PhaseField]) -> str:
    """What to do about sectors that are too small: the ways of dealing out that there are enough files or maps for."""
    files = len({_owner(field, "file") for field in fields})
    by = "file" if files >= _PARTS else "map" if len(fields) >= _PARTS else ""
    whole = (
        f'data.split_by = "{by}", which keeps maps whole' if by else 'three files or more with data.split_by = "file"'
    )
    return f"use {whole}, a larger field, or fewer neurons"


def _owner(field: PhaseField, by: str) -> str:
    """What stays together when fields are dealt out: the file, or the map."""
    return field.name if by == "map" else field.source or field.name


def _require_room(sector: PhaseField, patch: tuple[int, int], remedy: str) -> None:
    if sector.shape[0] < patch[0] or sector.shape[1] < patch[1]:
        raise DataError(
            sector.name,
            f"the sector has {sector.shape[0]} × {sector.shape[1]} pixels at the design's pitch",
            expected=f"at least one patch of {patch[0]} × {patch[1]}",
            remedy=remedy,
        )


def _require_patch(what: str, part: Sequence[PhaseField], patch: tuple[int, int], remedy: str) -> None:
    if not any(admissible_positions(field, patch).any() for field in part):
        raise DataError(
            part[0].name,
            f"the {what} data holds no valid patch",
            expected=f"at least one patch of {patch[0]} × {patch[1]} with 95 % valid pixels",
            remedy=remedy,
        )


def _dealt(fields: Sequence[PhaseField], fractions: tuple[float, float, float], by: Literal["file", "map"]) -> Split:
    """Files or maps, dealt out whole."""
    owners: dict[str, list[PhaseField]] = {}
    for field in fields:
        owners.setdefault(_owner(field, by), []).append(field)
    count = len(owners)
    if count < _PARTS:
        raise DataError(
            next(iter(owners)),
            f"{count} {by}{'s' * (count > 1)} cannot be dealt out to training, validation and test",
            expected=f"three {by}s or more",
            remedy=f'use data.split_by = "map", which deals out the {len(fields)} maps by themselves'
            if len(fields) >= _PARTS
            else 'use data.split_by = "sector"',
        )
    # A hash of the name, so that neither the order of acquisition nor a global random state decides.
    order = sorted(owners, key=lambda name: hashlib.sha256(name.encode()).digest())
    val = min(max(1, round(count * fractions[1])), count - 2)
    test = min(max(1, round(count * fractions[2])), count - 1 - val)
    train = count - val - test
    parts = order[:train], order[train : train + val], order[train + val :]
    return Split(*([field for name in part for field in owners[name]] for part in parts))
