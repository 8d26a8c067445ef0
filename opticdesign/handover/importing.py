"""Masks from elsewhere: what an importer is, and how heights in files become the phases of a design's masks.

Importers are found through the entry-point group `opticdesign.importers`, so that a laboratory can add its own reader.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from opticdesign.design import Layout
from opticdesign.errors import DataError, UsageError, VerificationError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.mask_levels import check_levels
from opticdesign.handover.said import Said
from opticdesign.handover.source_file import SourceFile
from opticdesign.plugins import Plugins, instance
from opticdesign.units import format_length

__all__ = [
    "HeightMap",
    "ImportJob",
    "Importer",
    "Masks",
    "check_samples",
    "importers",
    "masks_of_heights",
    "read_masks",
]

_MOST_TURNS = 1000  # of phase in a mask: more is a mistaken unit
_HIGHEST_M = 1e3  # and no height at all
_FINEST = 64  # samples along a pixel of the design
_MOST_SAMPLES = 1 << 26  # of a file, where masks have no more pixels
_PITCHES_M = (1e-12, 1.0)


@dataclass(frozen=True)
class ImportJob:
    """What is to be read, and the masks that it should fit.

    Args:
        files: the files, in the order in which light meets their masks.
        shape: masks, rows and columns of the design.
        pitch_m: sides of a pixel along y and x in metres.
        process: the process of the design, which heights and levels are those of.
        layout: kind, tone and mirroring of a layout, as the design says.
        halftone: cells along a pixel of half-toned chrome; None where the masks of the design absorb nothing.
        said: what the user says of the files.
    """

    files: tuple[SourceFile, ...]
    shape: tuple[int, int, int]
    pitch_m: tuple[float, float]
    process: FabricationProcess
    layout: Layout
    halftone: int | None = None
    said: Said = field(default_factory=Said)


class Masks(NamedTuple):
    """Masks as files hold them.

    Args:
        phase_rad: phases (masks, rows, columns), radians, float32, not wrapped.
        notes: what was assumed or left out, one sentence each.
        amplitudes: amplitude transmissions, same shape, 0 … 1; None where the files hold none.
    """

    phase_rad: npt.NDArray[np.float32]
    notes: tuple[str, ...] = ()
    amplitudes: npt.NDArray[np.float32] | None = None


class HeightMap(NamedTuple):
    """One height map of a file.

    Args:
        height_m: heights in metres (rows, columns), row 0 at the top.
        pitch_m: distance of its samples along y and x in metres; None where the file does not say.
        place: where it is, for messages.
    """

    height_m: npt.NDArray[np.float64]
    pitch_m: tuple[float, float] | None
    place: str


class Importer(Protocol):
    """A file format that masks can be read from.

    Attributes:
        name: what it is called.
        summary: what it reads, in a line.
        suffixes: how its files end, with the dot, in small letters.
        options: the fields of `Said` that mean something for its files.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    options: frozenset[str]

    def read(self, job: ImportJob) -> Masks:
        """Read the files of a job.

        Raises:
            DataError: a file cannot be read, or does not fit the masks of the design.
            VerificationError: a file is damaged.
        """


_IMPORTERS: Plugins[Importer] = Plugins(
    "opticdesign.importers", "importer", instance("summary", "suffixes", "options", "read")
)


def importers() -> dict[str, Importer]:
    """All installed importers by name.

    Raises:
        UsageError: none is installed, or one cannot be loaded.
    """
    return _IMPORTERS.installed()


def read_masks(job: ImportJob) -> tuple[Masks, str]:
    """Read the files of a job by the importer for their suffix; says which that is.

    Raises:
        UsageError: no importer is installed, there is no file, or something is said that means nothing for its format.
        DataError: a file that no importer reads, that cannot be read or that does not fit, files of several formats, or
            masks that are flat.
    """
    importer = _importer(job)
    job.said.refuse_all_but({*importer.options, "flat"}, f"a file of type {job.files[0].path.suffix}")
    try:
        masks = importer.read(job)
        return masks._replace(notes=(*masks.notes, *check_levels(masks, job))), importer.name
    except VerificationError as error:  # of a reader that exports share; here it is the user's file that is wrong
        path = job.files[0].path
        message = error.message.removeprefix(f"{path}: ")
        raise DataError(path, message, expected=error.expected, remedy="check the file, or save it again") from None


def _importer(job: ImportJob) -> Importer:
    """The one importer for all files of a job."""
    if not job.files:
        raise UsageError("nothing to import", expected="one or more files")
    known = {suffix: importer for importer in importers().values() for suffix in importer.suffixes}
    chosen = [known.get(file.path.suffix.lower()) for file in job.files]
    for file, importer in zip(job.files, chosen, strict=True):
        if importer is None or importer is not chosen[0]:
            message = f"a file of type {file.path.suffix or '(none)'}" + (" among others" if importer else "")
            expected = f"one or more files of one of {', '.join(known)}"
            raise DataError(file.path, message, expected=expected, remedy="name files of one format")
    return known[job.files[0].path.suffix.lower()]


def masks_of_heights(maps: Sequence[HeightMap], job: ImportJob) -> Masks:
    """Phases 2π(n − n₀)h/λ of height maps, at the pitch of the design.

    A map of coarser samples is repeated and one of finer samples averaged, by whole numbers of samples.

    Args:
        maps: one for each mask.
        job: the masks they should fit.

    Raises:
        DataError: another number of maps, another size, a pitch that is no multiple or whole part of the design's, or
            a height that is no number.
    """
    if len(maps) != job.shape[0]:
        raise DataError(
            job.files[0].path,
            f"{len(maps)} height maps in {len(job.files)} files, for {job.shape[0]} masks",
            expected=f"{job.shape[0]} maps, one for each mask that light passes",
            remedy="name one file for each mask in the order of the light, or one file that holds them all",
        )
    height_m = np.stack([_at_design_pitch(one, job) for one in maps])
    low_m, high_m = float(height_m.min()), float(height_m.max())
    turns = (high_m - low_m) / job.process.full_height_m
    if turns > _MOST_TURNS:
        raise DataError(
            job.files[0].path,
            f"heights from {format_length(low_m)} to {format_length(high_m)}, {turns:.4g} times that of 2π",
            expected=f"a span of at most {_MOST_TURNS} times {format_length(job.process.full_height_m)}",
            remedy=f"check the unit and whether these are heights or phases{job.said.other_units(turns, job.process)}",
        )
    phase = height_m * (2.0 * math.pi / job.process.full_height_m)
    return Masks(phase.astype(np.float32), (f"heights span {turns:.4g} of 2π", *_pitch_notes(maps, job)))


def _pitch_notes(maps: Sequence[HeightMap], job: ImportJob) -> tuple[str, ...]:
    """What is assumed of the distance of samples."""
    if job.said.pitch_m is not None or all(one.pitch_m is not None for one in maps):
        return ()
    return (f"the files do not say how far samples are apart: {_sides(job.pitch_m)}, as the design's pixels",)


def check_samples(file: SourceFile, shape: Sequence[int], job: ImportJob) -> None:
    """Refuse a map far larger than the masks, before it is unpacked.

    Raises:
        DataError: it has more samples than all masks have pixels, and than so many fine ones in each, or in a file.
    """
    pixels = math.prod(job.shape)
    if math.prod(map(int, shape)) > max(pixels, min(pixels * _FINEST**2, _MOST_SAMPLES)):
        raise DataError(
            file.path,
            f"{' × '.join(map(str, shape))} samples",
            expected=f"maps of {' × '.join(map(str, job.shape))} pixels, each of at most {_FINEST}² samples",
            remedy="resample the map to the pitch of the design, or name a design of its size",
        )


def _at_design_pitch(one: HeightMap, job: ImportJob) -> npt.NDArray[np.float64]:
    """Heights (rows, columns) of the design's pixels."""
    _, rows, columns = job.shape
    wrong = ~(np.abs(one.height_m) <= _HIGHEST_M)  # nor is what is not a number
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        height_m = float(one.height_m[row, column])
        found = f"{height_m:.3g} m high" if math.isfinite(height_m) else "no number"
        raise DataError(one.place, f"row {row} column {column} is {found}", expected="the height of a mask everywhere")
    down, across = _ratios(one, job)
    size = one.height_m.shape[0] * down, one.height_m.shape[1] * across
    if size != (rows, columns):  # before anything is repeated: a wrong pitch can ask for any amount of memory
        found = " × ".join(map(str, one.height_m.shape))
        raise DataError(
            one.place,
            f"{found} samples" + ("" if down == across == 1.0 else f", {size[0]:g} × {size[1]:g} pixels of the design"),
            expected=f"{rows} × {columns} pixels of {_sides(job.pitch_m)}",
            remedy="cut or pad the map, name a design of its size, or say the distance of its samples with --pitch",
        )
    parts = [max(1, round(1.0 / ratio)) for ratio in (down, across)]  # samples that make a pixel, or one
    mean = one.height_m.reshape(-1, parts[0], one.height_m.shape[1] // parts[1], parts[1]).mean(axis=(1, 3))
    wide: npt.NDArray[np.float64] = mean.repeat(max(1, round(down)), axis=0).repeat(max(1, round(across)), axis=1)
    return wide


def _ratios(one: HeightMap, job: ImportJob) -> tuple[float, float]:
    """Pitch of the map over that of the design along y and x: whole numbers, or one over whole numbers."""
    told = None if job.said.pitch_m is None else (job.said.pitch_m, job.said.pitch_m)
    pitch_m = told or one.pitch_m or job.pitch_m
    if not all(_PITCHES_M[0] <= side <= _PITCHES_M[1] for side in pitch_m):
        expected = f"{format_length(_PITCHES_M[0])} to {format_length(_PITCHES_M[1])}"
        raise DataError(one.place, f"samples {pitch_m} m apart", expected=expected, remedy="say it with --pitch")
    ratios = [found / wanted for found, wanted in zip(pitch_m, job.pitch_m, strict=True)]
    whole = [max(1, round(ratio)) if ratio >= 0.75 else 1.0 / max(1, round(1.0 / ratio)) for ratio in ratios]
    if all(abs(a / b - 1.0) <= 1e-4 for a, b in zip(ratios, whole, strict=True)):
        return whole[0], whole[1]
    raise DataError(
        one.place,
        f"samples of {_sides(pitch_m)} on pixels of {_sides(job.pitch_m)}",
        expected="the design's pitch, a multiple or a whole part of it",
        remedy="resample the map, set optics.pitch to its pitch, or correct what the file says with --pitch",
    )


def _sides(pitch_m: tuple[float, float]) -> str:
    """The sides of a pixel for people: one length where it is square."""
    return " × ".join(dict.fromkeys(format_length(side) for side in pitch_m))
