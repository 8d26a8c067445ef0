"""What the numbers of a map stand for: said by its file, or by the user; never taken for granted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from opticdesign.data.pixel_size import length_unit_m
from opticdesign.errors import DataError
from opticdesign.handover.importing import ImportJob
from opticdesign.handover.said import Scale, usual_units
from opticdesign.handover.source_file import SourceFile

__all__ = ["full_scale", "heights", "unit_of"]

_UNITS = "nm, um, mm, m, rad or waves"


def unit_of(text: object) -> Scale | None:
    """The scale that a file's own name of a unit stands for; None where it is no length and no phase."""
    name = str(text).strip().rstrip(".")
    if name in ("rad", "radian", "radians"):
        return Scale(1.0, phase=True)
    length_m = length_unit_m(name)
    return None if length_m is None else Scale(length_m)


def heights(
    values: npt.NDArray[np.generic], file: SourceFile, job: ImportJob, told: Scale | None = None
) -> npt.NDArray[np.float64]:
    """The heights that the numbers of one map stand for, metres, same shape.

    Args:
        values: floating-point numbers, or unsigned integers.
        file: where they are from.
        job: what the user says, and the process by which a phase is a height.
        told: what the file itself says that the number 1 stands for.

    Raises:
        DataError: neither the file nor the user says it, both do and differ, or numbers of another kind.
    """
    if values.dtype.kind == "f":
        job.said.refuse_all_but({"unit", "pitch_m", "flat"}, f"the {values.dtype} numbers of {file.path.name}")
        number = _unit(values, file, job, told)
    elif values.dtype.kind in "ub":
        number = told.height_m(job.process) if told and not job.said.full_scale else _of_integers(values, file, job)
    else:
        raise DataError(
            file.path,
            f"numbers of type {values.dtype}",
            expected="heights or phases as floating-point numbers, or unsigned integers with --full-scale",
            remedy="save them as one of these",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what is no height is refused by its place
        return values.astype(np.float64) * number


def _unit(values: npt.NDArray[np.generic], file: SourceFile, job: ImportJob, told: Scale | None) -> float:
    """The height of the number 1."""
    said = job.said.unit
    if told is not None and said is not None and told != said:
        raise DataError(
            file.path,
            f"--unit is not the unit that the file says, of which 1 is {told.height_m(job.process):g} m of height",
            expected="one unit",
            remedy="leave --unit out, or correct the file",
        )
    scale = told or said
    if scale is None:
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        raise DataError(
            file.path,
            f"numbers from {low:.6g} to {high:.6g}, of which the file does not say the unit",
            expected=f"--unit {_UNITS}",
            remedy=f"say it{usual_units(high - low, job.process)}",
        )
    return scale.height_m(job.process)


def _of_integers(values: npt.NDArray[np.generic], file: SourceFile, job: ImportJob) -> float:
    """The height of the number 1 where the greatest possible one is said."""
    top = 1 if values.dtype.kind == "b" else 2 ** (8 * values.dtype.itemsize) - 1
    return full_scale(top, int(values.max(initial=0)), file, job)


def full_scale(top: int, highest: int, file: SourceFile, job: ImportJob) -> float:
    """The height of the integer 1.

    Args:
        top: the largest integer that the format can hold.
        highest: the largest that is there.
        file: where they are from.
        job: what the user says.

    Raises:
        DataError: the user does not say it.
        UsageError: the user says a unit.
    """
    job.said.refuse_all_but({"full_scale", "pitch_m", "flat"}, f"the integers of {file.path.name}")
    if job.said.full_scale is None:
        raise DataError(
            file.path,
            f"grey values, up to {highest} of {top}, which by themselves stand for no height and no phase",
            expected=f"--full-scale: the height or phase that {top} stands for",
            remedy=f'say --full-scale "1.2 um" for heights, or --full-scale 2pi for phases, of {top}',
        )
    return job.said.full_scale.height_m(job.process) / top
