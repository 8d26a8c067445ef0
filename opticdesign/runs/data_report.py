"""What a design learns from, as it was understood: every file, each part of the split, and a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opticdesign.data import PhaseField, Split, split_fields
from opticdesign.data.files import data_files, left_out
from opticdesign.data.fingerprint import record_of
from opticdesign.data.folder import load_file
from opticdesign.data.patches import admissible_positions
from opticdesign.data.record import FileRecord
from opticdesign.data.source import LoadedData, asked_of
from opticdesign.design import Design, FolderData
from opticdesign.errors import DataError
from opticdesign.figures import FieldPicture, draw_fields
from opticdesign.storage import write_json
from opticdesign.units import format_length

__all__ = ["DataReport", "PartReport", "draw_data", "inspect_data", "report_of"]

_NAME = "data.json"
_ROWS = 2  # fields of each part that the picture shows
_ALONE = 6  # fields that it shows without a design
_SAID = 3  # notes that are printed while training
_PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class PartReport:
    """One part of the split.

    Args:
        part: "training", "validation" or "test".
        fields: names of its fields.
        places: places at which a patch fits.
        apart: patches that would lie side by side on its valid pixels.
    """

    part: str
    fields: tuple[str, ...]
    places: int
    apart: int


@dataclass(frozen=True)
class DataReport:
    """Data as it was understood.

    Args:
        path: the file or folder.
        settings: the table [data] that it was read by.
        design_pitch_m: distance of samples that the design asks for, None without a design.
        patch: rows and columns of a patch, None without a design.
        files: every file.
        left_out: what else the folder holds.
        parts: the split; none without a design, or where it is refused.
        problem: why the split is refused, "" where it is not.
    """

    path: str
    settings: dict[str, Any]
    design_pitch_m: float | None
    patch: tuple[int, int] | None
    files: tuple[FileRecord, ...]
    left_out: tuple[str, ...] = ()
    parts: tuple[PartReport, ...] = ()
    problem: str = ""

    @property
    def problems(self) -> list[str]:
        """Everything that is refused."""
        return [*(one.problem for one in self.files if one.problem), *([self.problem] if self.problem else [])]

    def plain(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def keep(self, folder: Path, split: Split) -> None:
        """Write the report into a run folder, and a picture beside the others."""
        write_json(folder / _NAME, self.plain())
        draw_data(folder / "figures" / "data.png", self, split)

    def lines(self) -> Iterator[str]:
        """The report in three lines, and one for each thing that should be known."""
        maps, files = sum(one.maps for one in self.files), len(self.files)
        kinds = _each(f"{one.kind} in {one.unit} ({one.unit_said})" for one in self.files)
        wrapped = _each(f"wrapped: {one.wrapped}" for one in self.files)
        held = f"{self.path}: {_count(maps, 'map')} in {_count(files, 'file')}"
        yield f"data: {held}, {kinds}, {_phases(self.files)}, {wrapped}"
        pitches = _each(f"{_pitch(one.used_pitch_m)} ({one.used_by})" for one in self.files)
        sizes = _each(_shape(one.shape) for one in self.files)
        yield f"data: {sizes} pixels of {pitches}, samples of {format_length(self.design_pitch_m or 0.0)} in the design"
        yield "data: " + "; ".join(
            f"{part.part} {_count(len(part.fields), 'field')}, {part.places:,} places for a patch ({part.apart} apart)"
            for part in self.parts
        )
        notes = list(dict.fromkeys(f"{one.file}: {note}" for one in self.files for note in one.notes))
        yield from (f"data: note: {note}" for note in notes[:_SAID])
        if len(notes) > _SAID:
            yield f"data: {len(notes) - _SAID} more notes in {_NAME}"


def report_of(design: Design, loaded: LoadedData) -> DataReport | None:
    """The report of data that was loaded for a design; none of synthetic data."""
    if not isinstance(design.data, FolderData):
        return None
    return _report(design.data, design, loaded.files, loaded.split)


def inspect_data(data: FolderData, design: Design | None) -> tuple[DataReport, Split]:
    """Read data as a design would, but go on where a file is refused; without a design at the files' own pixels.

    Returns:
        The report, and the fields that could be read: split with a design, all of them for training without.

    Raises:
        DataError: there is no file.
    """
    asked, records, fields = asked_of(data, design), [], []
    for path in data_files(Path(data.path)):
        records.append(record_of(path))
        try:
            fields += load_file(path, asked, records[-1])
        except DataError as error:
            records[-1].problem = str(error)
    every = Split(fields, [], [])
    if design is None or any(one.problem for one in records):
        return _report(data, design, records, None), every
    try:
        split = split_fields(fields, data.split, data.split_by, design.optics.shape)
    except DataError as error:
        return _report(data, design, records, None, str(error)), every
    return _report(data, design, records, split), split


def _report(
    data: FolderData, design: Design | None, records: Sequence[FileRecord], split: Split | None, problem: str = ""
) -> DataReport:
    optics = None if design is None else design.optics
    return DataReport(
        path=data.path,
        settings=data.model_dump(mode="json", exclude_none=True),
        design_pitch_m=None if optics is None else optics.sample_pitch,
        patch=None if optics is None else optics.shape,
        files=tuple(records),
        left_out=tuple(left_out(Path(data.path))),
        parts=() if split is None or optics is None else tuple(_parts(split, optics.shape)),
        problem=problem,
    )


def _parts(split: Split, patch: tuple[int, int]) -> Iterator[PartReport]:
    for name, fields in zip(_PARTS, split, strict=True):
        places = sum(int(admissible_positions(one, patch).sum()) for one in fields)
        apart = sum(int(one.valid.sum()) // math.prod(patch) for one in fields)
        yield PartReport(name, tuple(one.name for one in fields), places, apart)


def draw_data(path: Path, report: DataReport, split: Split) -> Path:
    """A picture of the first fields of each part, or of all where there is no split, a patch outlined in each."""
    shown = [(f"{name}: ", fields[:_ROWS]) for name, fields in zip(_PARTS, split, strict=True)]
    if not report.parts:
        shown = [("", [one]) for fields in split for one in fields][:_ALONE]
    labels = {one.file: "phase / rad" if one.phase_rad else f"optical path / {one.unit}" for one in report.files}
    own = {one.file: one.used_pitch_m for one in report.files}
    pictures = [
        _picture(name, one, labels[one.source or one.name], _bar_pitch(report, own[one.source or one.name]), report)
        for row in range(_ROWS)
        for name, fields in shown
        for one in fields[row : row + 1]
    ]
    return draw_fields(path, pictures, f"data: {Path(report.path).name}")


def _bar_pitch(report: DataReport, own: tuple[float, float] | None) -> float | None:
    """Distance of samples along x, for a scale bar."""
    return report.design_pitch_m or (own[1] if own else None)


def _picture(part: str, one: PhaseField, label: str, pitch_m: float | None, report: DataReport) -> FieldPicture:
    values = torch.from_numpy(np.where(one.valid, one.phase_rad, np.float32(np.nan)))
    box = None
    if report.patch is not None and len(places := np.argwhere(admissible_positions(one, report.patch))):
        nearest = np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()
        row, column = map(int, places[nearest])
        box = (row, column, *report.patch)
    low, high = (float(end) for end in (one.phase_rad[one.valid].min(), one.phase_rad[one.valid].max()))
    unit = label.rpartition(" ")[2]
    size = f"{one.shape[0]} × {one.shape[1]}, {low:.3g} … {high:.3g} {unit}, {one.valid.mean():.0%} valid"
    return FieldPicture(f"{part}{one.name}", size, values, label, pitch_m, box)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _each(texts: Iterator[str]) -> str:
    """What all files have in common, or the first of several."""
    found = list(dict.fromkeys(texts))
    return found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} other"


def _phases(files: Sequence[FileRecord]) -> str:
    ends = [one.phase_rad for one in files if one.phase_rad]
    return f"{min(low for low, _ in ends):.3g} … {max(high for _, high in ends):.3g} rad" if ends else "no phase"


def _pitch(pitch: tuple[float, float] | None) -> str:
    if pitch is None:
        return "unknown size"
    y, x = map(format_length, pitch)
    return x if x == y else f"{y} × {x}"


def _shape(shape: tuple[int, int] | None) -> str:
    return "no" if shape is None else f"{shape[0]} × {shape[1]}"
