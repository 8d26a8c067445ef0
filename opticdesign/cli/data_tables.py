"""Data as it was understood, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opticdesign.cli.tables import new_table
from opticdesign.units import format_length

if TYPE_CHECKING:
    from rich.table import Table

    from opticdesign.data.record import FileRecord
    from opticdesign.runs.data_report import DataReport

__all__ = ["data_lines", "data_tables"]

_FILES = 20  # that are listed one by one
_ARRAYS = 12  # of a file that are


def data_tables(report: DataReport) -> Iterator[Table]:
    """What each file holds, what is made of it, and the parts of the split."""
    from rich.markup import escape

    holds = new_table("what the files hold", "file", "array", "shape", "type", "taken as", "why")
    meant = new_table("how it is understood", "file", "maps", "numbers", "they are", "phase / rad", "wrapped", "valid")
    sized = new_table("pixels", "file", "shape", "stated", "used", "said by", "at the design's pitch")
    for one in report.files[:_FILES]:
        for cells in _arrays(one):
            holds.add_row(*map(escape, cells))
        if one.values:
            meant.add_row(*map(escape, _meaning(one)))
        if one.shape:
            sized.add_row(*map(escape, _pixels(one, report.design_pitch_m is not None)))
    yield holds
    yield from (table for table in (meant, sized) if table.row_count)
    if report.parts:
        title = "split by {}, patches of {} × {}".format(report.settings["split_by"], *(report.patch or (0, 0)))
        parts = new_table(title, "part", "fields", "places for a patch", "patches apart")
        for part in report.parts:
            parts.add_row(part.part, f"{len(part.fields):,}", f"{part.places:,}", f"{part.apart:,}")
        yield parts


def _arrays(one: FileRecord) -> Iterator[tuple[str, ...]]:
    shown = sorted(one.arrays, key=lambda array: not array.taken)[:_ARRAYS]
    for index, array in enumerate(shown):
        shape = " × ".join(map(str, array.shape)) or "one number"
        why = one.why if array.taken == "map" else ""
        yield "" if index else one.file, array.name or "–", shape, array.type, array.taken or "left out", why
    if len(one.arrays) > len(shown):
        yield "", f"… {len(one.arrays) - len(shown)} more", "", "", "", ""
    if not one.arrays:
        yield one.file, "–", "", "", "cannot be read", ""


def _meaning(one: FileRecord) -> tuple[str, ...]:
    return (
        one.file,
        str(one.maps or ""),
        f"{one.type}, {_span(one.values)}",
        f"{one.kind} in {one.unit} ({one.unit_said})" if one.kind else "refused",
        _span(one.phase_rad),
        one.wrapped,
        "" if one.valid is None else f"{one.valid:.1%}",
    )


def _pixels(one: FileRecord, design: bool) -> tuple[str, ...]:
    stated = f"{_size(one.stated_pitch_m)} by {one.stated_by}" if one.stated_pitch_m else "nothing"
    sampled = "" if one.sampled is None or not design else f"{one.sampled[0]} × {one.sampled[1]}"
    shape = "" if one.shape is None else f"{one.shape[0]} × {one.shape[1]}"
    return one.file, shape, stated, _size(one.used_pitch_m), one.used_by or "nobody: set data.pitch", sampled


def data_lines(report: DataReport) -> Iterator[str]:
    """What stands below the tables."""
    if len(report.files) > _FILES:
        yield f"{len(report.files) - _FILES} more files: --json lists them"
    notes: dict[str, list[str]] = {}
    for one in report.files:
        for note in one.notes:
            notes.setdefault(note, []).append(one.file)
    for note, files in notes.items():
        yield f"note: {files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}: {note}"
    if report.left_out:
        names = ", ".join(report.left_out[:8]) + (", …" if len(report.left_out) > 8 else "")
        yield f"left out: {names}"


def _span(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.4g} … {ends[1]:.4g}"


def _size(pitch: tuple[float, float] | None) -> str:
    if pitch is None:
        return "unknown"
    y, x = map(format_length, pitch)
    return x if x == y else f"{y} × {x}"
