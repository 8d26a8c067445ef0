"""Phase images from files, brought to the design's pitch, and a record of how each file was understood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.choice import Choice, choose
from opticdesign.data.conventions import Conventions, Meaning, meaning_of
from opticdesign.data.files import data_files
from opticdesign.data.phase_field import PhaseField
from opticdesign.data.pixel_size import StatedPitch
from opticdesign.data.readers import open_contents
from opticdesign.data.record import ArrayRecord, FileRecord
from opticdesign.data.resampling import resample, resample_mask, resampled_shape
from opticdesign.data.wrapping import looks_wrapped, unwrapped
from opticdesign.errors import DataError, UsageError
from opticdesign.units import format_length

__all__ = ["Asked", "load_fields", "load_file"]

MAX_AMPLITUDE = 1e9
MAX_PIXELS = 2**28  # of one resampled image, 1 GiB of float32
_CLEAR = (0.2, 5.0)  # the median of an amplitude, of which 1 is a clear field


@dataclass(frozen=True)
class Asked:
    """How files are to be read.

    Args:
        pitch_m: distance of samples in the files, whatever they say; None for what they say, or the design's.
        design_pitch_m: distance of samples of the result; None for that of each file.
        key: name of the array in npz, mat and h5 files, or a pattern.
        conventions: what the numbers mean.

    Raises:
        UsageError: a pitch that is not positive.
    """

    pitch_m: float | None = None
    design_pitch_m: float | None = None
    key: str | None = None
    conventions: Conventions = field(default_factory=Conventions)

    def __post_init__(self) -> None:
        if any(pitch is not None and not pitch > 0.0 for pitch in (self.pitch_m, self.design_pitch_m)):
            raise UsageError(f"pitches of {self.pitch_m} m and {self.design_pitch_m} m", expected="pitches above 0")


def load_fields(path: Path | str, asked: Asked) -> list[PhaseField]:
    """Read a file, or every file of a known type in a folder (by name, without subfolders); stacks give several fields.

    Raises:
        DataError: no file, an unknown or damaged one, or data whose meaning is not certain; names file, key and remedy.
    """
    return [found for file in data_files(Path(path)) for found in load_file(file, asked, FileRecord(file.name))]


def load_file(path: Path, asked: Asked, record: FileRecord) -> list[PhaseField]:
    """The fields of one file.

    Floats are a phase, in radians where nothing else is said; complex numbers a field A·exp(iφ), resampled as such and
    unwrapped then, or amplitude and phase; whole numbers grey values. The lowest phase of what is unwrapped becomes 0,
    since no detector sees a constant phase. Pixels that are not finite, or outside the mask, are not valid.

    Args:
        path: the file.
        asked: how it is to be read.
        record: filled in as far as reading gets.

    Raises:
        DataError: a file that cannot be read, or whose meaning is not certain.
    """
    with open_contents(path) as contents:
        record.arrays = tuple(
            ArrayRecord(name, array.stored_shape, str(array.dtype)) for name, array in contents.arrays.items()
        )
        choices = choose(path, contents, asked.key)
        record.why, record.arrays = choices[0].why, _marked(record.arrays, choices)
        for note in contents.notes:
            record.note(note)
        stacks = [_stack(path, choice, len(choices) > 1) for choice in choices]
        sizes = [contents.pitch_of(choice.taken.name) for choice in choices]
        pitches = [_pitch(path, size, asked, record) for size in reversed(sizes)][::-1]  # the record is of the first
        unit = _unit(path, [contents.unit_of(choice.taken.name) for choice in choices], asked.conventions.unit)
    meaning = _meaning(path, stacks, asked.conventions, unit, record)
    record.maps = sum(len(stack.values) for stack in stacks)
    return [
        found
        for stack, pitch in zip(stacks, pitches, strict=True)
        for found in _fields(stack, meaning, pitch, asked, record)
    ]


def _unit(path: Path, stated: Sequence[str | None], told: str | None) -> str | None:
    """The unit that all maps of a file state."""
    if told is None and len(set(stated)) > 1:
        words = ", ".join(sorted({"none" if word is None else repr(word) for word in stated}))
        raise DataError(
            path,
            f"its maps state several units: {words}",
            expected="one unit, or data.unit",
            remedy="set data.unit, or a narrower data.key",
        )
    return stated[0]


@dataclass(frozen=True)
class _Stack:
    """Maps of one array as they stand in a file: numbers, amplitude beside them, validity (n, y, x), and names."""

    path: Path
    values: NDArray[Any]
    amplitude: NDArray[Any] | None
    valid: NDArray[np.bool_]
    names: Sequence[str]


def _marked(arrays: Sequence[ArrayRecord], choices: Sequence[Choice]) -> tuple[ArrayRecord, ...]:
    taken = {choice.taken.name: "map" for choice in choices}
    beside = {stored.name: "mask" for choice in choices if (stored := choice.mask)}
    beside |= {stored.name: "amplitude" for choice in choices if (stored := choice.amplitude)}
    roles = beside | taken
    return tuple(ArrayRecord(one.name, one.shape, one.type, roles.get(one.name, "")) for one in arrays)


def _stack(path: Path, choice: Choice, several: bool) -> _Stack:
    values = choice.taken.maps(path)
    amplitude = None if choice.amplitude is None else np.broadcast_to(choice.amplitude.values(), values.shape)
    valid = np.isfinite(values)
    if amplitude is not None:
        valid &= np.isfinite(amplitude)
    if choice.mask is not None:
        valid &= np.broadcast_to(choice.mask.values().astype(np.bool_), values.shape)
    name = f"{path.name}:{choice.taken.name}" if several else path.name
    numbered = len(choice.taken.shape) > values.ndim - 1
    return _Stack(path, values, amplitude, valid, [f"{name}[{i}]" for i in range(len(values))] if numbered else [name])


def _meaning(path: Path, stacks: Sequence[_Stack], told: Conventions, unit: str | None, record: FileRecord) -> Meaning:
    """What the numbers of a file mean, all its maps seen together, so that a flat one among others is no matter."""
    kinds = {stack.values.dtype.kind for stack in stacks}
    if len(kinds) > 1:
        types = ", ".join(sorted({str(stack.values.dtype) for stack in stacks}))
        raise DataError(path, f"maps of several types: {types}", expected="one type", remedy="set a narrower data.key")
    inside = np.concatenate([stack.values[stack.valid] for stack in stacks])
    if inside.size == 0:
        raise DataError(path, "no valid pixel", expected="finite numbers inside the mask")
    record.shape = (stacks[0].values.shape[1], stacks[0].values.shape[2])
    record.type = str(inside.dtype)
    record.valid = inside.size / sum(stack.values.size for stack in stacks)
    shown = inside.imag if np.iscomplexobj(inside) and told.complex_kind == "amplitude+phase" else inside
    shown = np.angle(shown) if np.iscomplexobj(shown) else shown
    record.values = (float(shown.min()), float(shown.max()))
    meaning = meaning_of(path, inside, told, unit)
    record.kind, record.unit, record.unit_said = meaning.kind, meaning.unit, meaning.said
    for note in meaning.notes:
        record.note(note)
    return meaning


def _pitch(path: Path, stated: StatedPitch | None, asked: Asked, record: FileRecord) -> tuple[float, float] | None:
    """The pixel size that is used, along y and x; None where none is known and no design has one."""
    if stated is not None and stated.certain:
        record.stated_pitch_m, record.stated_by = (stated.y, stated.x), stated.where
    if asked.pitch_m is not None:
        record.used_pitch_m, record.used_by = (asked.pitch_m, asked.pitch_m), "data.pitch"
        if stated is not None and not stated.agrees(asked.pitch_m):
            record.note(f"{stated.where} says {stated.text}: data.pitch = {format_length(asked.pitch_m)} is used")
    elif stated is not None:
        if not stated.certain:
            raise DataError(
                path,
                f"{stated.where} states a pixel size of {stated.text}",
                expected="data.pitch, the distance of samples in the file",
                remedy=f'set data.pitch = "{stated.x:g} um" if these are micrometres'
                if stated.bare
                else f'set data.pitch, for example "{format_length(stated.x)}"',
            )
        record.used_pitch_m, record.used_by = (stated.y, stated.x), stated.where
    elif asked.design_pitch_m is not None:
        record.used_pitch_m, record.used_by = (asked.design_pitch_m, asked.design_pitch_m), "the design"
    return record.used_pitch_m


def _fields(
    stack: _Stack, meaning: Meaning, pitch: tuple[float, float] | None, asked: Asked, record: FileRecord
) -> Iterator[PhaseField]:
    for i, name in enumerate(stack.names):
        path, valid = stack.path.parent / name, stack.valid[i]
        if not valid.any():
            raise DataError(path, "no valid pixel", expected="finite numbers inside the mask")
        values, held = meaning.parts(stack.values[i])
        amplitude = held if held is not None else _amplitude(stack, i, values)
        low, high = float(amplitude[valid].min()), float(amplitude[valid].max())
        if low < 0.0 or high > MAX_AMPLITUDE:
            found = low if low < 0.0 else high
            raise DataError(path, f"an amplitude of {found:.4g}", expected="0 or more; 1 is a clear field")
        values, amplitude = _tamed(values, valid), np.clip(_tamed(amplitude, valid), 0.0, high)
        if not np.iscomplexobj(values):
            values = _unwrapped_as_asked(path, values, valid, asked.conventions, record)
        scale = _scale(path, valid.shape, pitch, asked.design_pitch_m)
        valid = resample_mask(valid, scale)
        if not valid.any():
            raise DataError(path, "no valid pixel", expected="finite numbers inside the mask")
        values, amplitude = resample(values, scale), resample(amplitude, scale)
        if np.iscomplexobj(values):
            values, amplitude = unwrapped(np.angle(values), valid), np.abs(values)
            record.wrapped = "unwrapped"
        made = PhaseField(name, values.astype(np.float32), amplitude.astype(np.float32), valid, stack.path.name)
        _tell(record, made, meaning)
        yield made


def _tamed(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """The values, 0 where they are neither valid nor of the size of those that are: splines carry them far."""
    with np.errstate(invalid="ignore"):
        return np.where(valid | (np.abs(values) <= 10.0 * np.abs(values[valid]).max()), values, 0.0)


def _amplitude(stack: _Stack, i: int, values: NDArray[Any]) -> NDArray[Any]:
    """Amplitude of a map whose numbers do not hold it beside a phase."""
    if np.iscomplexobj(values):
        return np.asarray(np.abs(values))
    return np.ones(values.shape) if stack.amplitude is None else stack.amplitude[i].astype(np.float64)


def _unwrapped_as_asked(
    path: Path, phase: NDArray[np.float64], valid: NDArray[np.bool_], told: Conventions, record: FileRecord
) -> NDArray[np.float64]:
    """A real phase as data.wrapped says: refused, put together, or taken as it is where it looks wrapped."""
    if told.wrapped == "unwrap":
        record.wrapped = "unwrapped"
        if not looks_wrapped(phase, valid):
            record.note('data.wrapped = "unwrap", though no jumps of 2π are seen')
        return unwrapped(phase, valid)
    if not looks_wrapped(phase, valid):
        return phase
    if told.wrapped == "accept":
        record.wrapped = "accepted"
        record.note('it looks wrapped: data.wrapped = "accept" takes it as it is')
        return phase
    record.wrapped = "refused"
    raise DataError(
        path,
        f"the phase, {phase[valid].min():.4g} … {phase[valid].max():.4g} rad, jumps by about 2π between neighbours: "
        "it looks wrapped",
        expected="an unwrapped phase, or data.wrapped",
        remedy='set data.wrapped = "unwrap", or "accept" if the sample has such steps; '
        "a complex field A·exp(iφ) is unwrapped on loading",
    )


def _tell(record: FileRecord, found: PhaseField, meaning: Meaning) -> None:
    """Add a field to the record of its file."""
    phase, amplitude = found.phase_rad[found.valid], found.amplitude[found.valid]
    if meaning.kind != "optical path":
        record.phase_rad = _joined(record.phase_rad, phase)
    record.amplitude = _joined(record.amplitude, amplitude)
    record.sampled = record.sampled or found.shape
    middle = float(np.median(amplitude))
    if not _CLEAR[0] <= middle <= _CLEAR[1]:
        record.note(f"the median of the amplitude is {middle:.3g}; 1 is a clear field, of which exposures are reckoned")


def _joined(ends: tuple[float, float] | None, values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = ends or (math.inf, -math.inf)
    return min(low, float(values.min())), max(high, float(values.max()))


def _scale(
    path: Path, shape: tuple[int, ...], pitch: tuple[float, float] | None, design_pitch_m: float | None
) -> tuple[float, float]:
    """The pitch along y and x over the design's."""
    rows, columns = shape
    if pitch is None or design_pitch_m is None:
        return 1.0, 1.0
    scale = pitch[0] / design_pitch_m, pitch[1] / design_pitch_m
    new = resampled_shape((rows, columns), scale)
    if new[0] * new[1] > MAX_PIXELS:
        raise DataError(
            path,
            f"{rows} × {columns} pixels become {new[0]} × {new[1]} at the design's pitch",
            expected=f"at most {MAX_PIXELS} pixels",
            remedy="check data.pitch, or cut the image",
        )
    return scale
