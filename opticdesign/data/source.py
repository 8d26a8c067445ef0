"""The fields that a design asks for, split into training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from opticdesign.data.conventions import Conventions
from opticdesign.data.files import data_files
from opticdesign.data.fingerprint import record_of
from opticdesign.data.folder import Asked, load_file
from opticdesign.data.phase_field import PhaseField
from opticdesign.data.record import FileRecord
from opticdesign.data.sectors import Split, split_fields
from opticdesign.data.stacks import load_pairs
from opticdesign.data.synthetic import synthetic_field
from opticdesign.design import Design, FolderData, StackData, SyntheticData
from opticdesign.randomness import stream_seed

__all__ = ["LoadedData", "asked_of", "load_data", "load_split"]

_SYNTHETIC_SIZE = 1.5  # synthetic field over patch: room for random positions, and tiles to blend in a full field


@dataclass(frozen=True)
class LoadedData:
    """The data of a design.

    Args:
        split: its fields.
        files: how each file was understood; none of synthetic data.
    """

    split: Split
    files: tuple[FileRecord, ...] = ()


def load_split(design: Design) -> Split:
    """The split of `load_data`."""
    return load_data(design).split


def load_data(design: Design) -> LoadedData:
    """Synthesise or read the fields of a design, sampled at its pitch, and split them.

    Raises:
        DataError: the files cannot be read, are too small for the design's patches, or their meaning is not certain.
    """
    data, optics = design.data, design.optics
    if isinstance(data, SyntheticData):
        fields = list(_synthetic(design, data))
        held_out = max(1, data.fields // 6)
        return LoadedData(Split(fields[2 * held_out :], fields[:held_out], fields[held_out : 2 * held_out]))
    if isinstance(data, StackData):
        pairs = [pair for file in data_files(Path(data.path)) for pair in load_pairs(file, data, design)]
        return LoadedData(split_fields(pairs, data.split, data.split_by, optics.shape))
    asked, records, fields = asked_of(data, design), [], []
    for file in data_files(Path(data.path)):
        records.append(record_of(file))
        fields += load_file(file, asked, records[-1])
    return LoadedData(split_fields(fields, data.split, data.split_by, optics.shape), tuple(records))


def _synthetic(design: Design, data: SyntheticData) -> Iterator[PhaseField]:
    optics = design.optics
    shape = (int(_SYNTHETIC_SIZE * optics.shape[0]), int(_SYNTHETIC_SIZE * optics.shape[1]))
    for i in range(data.fields):
        seed = stream_seed(design.training.seed, "field", i)
        field = synthetic_field(shape, optics.sample_pitch, design.light.wavelength, seed)
        yield replace(field, name=f"synthetic {i + 1}")


def asked_of(data: FolderData, design: Design | None) -> Asked:
    """How a design's files are to be read; without a design, at their own pitch and without a wavelength."""
    conventions = Conventions(
        unit=data.unit,
        complex_kind=data.complex,
        wrapped=data.wrapped,
        phase_range_rad=data.phase_range,
        wavelength_m=None if design is None else design.light.wavelength,
    )
    return Asked(data.pitch, None if design is None else design.optics.sample_pitch, data.key, conventions)
