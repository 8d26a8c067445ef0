"""What a design's levels make of masks from elsewhere: flat ones are refused, rounding is told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import DataError
from opticdesign.units import format_length

if TYPE_CHECKING:
    from opticdesign.handover.importing import ImportJob, Masks

__all__ = ["check_levels"]

_FEWEST_TURNS = 0.01  # in any mask: less is a mistaken unit
_EXACT, _FAR = 0.01, 0.25  # of a step: what is no rounding, and what is much


def check_levels(masks: Masks, job: ImportJob) -> tuple[str, ...]:
    """What is to be said of masks that the levels of the design round.

    Raises:
        DataError: masks that delay all light alike at these levels, or hold the numbers of levels, and no one says
            that flat ones are meant.
    """
    place = job.process.place_of_phase(torch.from_numpy(masks.phase_rad)).numpy()
    if not job.said.flat and masks.amplitudes is None:
        _refuse_flat(masks, np.rint(place) % job.process.levels, job)
    off = np.abs(place - np.rint(place))
    if off.max() <= _EXACT:
        return ()
    return (
        f"the {job.process.levels} levels of the design round heights by up to {off.max():.2g} of a step, "
        f"and {(off > _FAR).mean():.2g} of all pixels by more than {_FAR:g}",
    )


def _refuse_flat(masks: Masks, levels: npt.NDArray[np.float32], job: ImportJob) -> None:
    """Refuse masks of one level each, of hardly any span, or of the numbers of levels within one step."""
    step = 1.0 / job.process.levels
    turns = float(np.ptp(masks.phase_rad, axis=(1, 2)).max()) / (2.0 * math.pi)
    alike = bool((levels == levels[:, :1, :1]).all())
    fit = _fitting_scale(masks, job) if alike or turns < step else ""
    if not (alike or fit or turns < _FEWEST_TURNS):
        return
    raise DataError(
        job.files[0].path,
        f"flat masks: all phases lie within {turns:.4g} of 2π{', and all pixels at one level' if alike else ''}",
        expected=f"several of the {job.process.levels} levels of the design, a step being {step:.4g} of 2π",
        remedy=f"check the file, and units{job.said.other_units(turns, job.process)}{fit}; "
        "say --flat if they are meant",
    )


def _fitting_scale(masks: Masks, job: ImportJob) -> str:
    """What would make levels of masks that hold their numbers, as part of a remedy; nothing where they do not."""
    values = np.unique(masks.phase_rad.astype(np.float64))
    if job.process.heights_m is not None or not 2 <= len(values) <= job.process.levels:
        return ""
    least = float(np.diff(values).min())
    numbers = values / least
    if numbers[-1] > job.process.levels - 0.5 or (np.abs(numbers - np.rint(numbers)) > _EXACT).any():
        return ""
    full, unit, factor = job.said.full_scale, job.said.unit, job.process.step_phase_rad / least
    if full is not None:
        size, name = (full.size / (2.0 * math.pi), "waves") if full.phase else (full.size, "m")
        fit = f'say --full-scale "{size * factor:.7g} {name}"'
    elif unit is not None and abs(unit.height_m(job.process) / job.process.step_height_m * factor - 1.0) <= _EXACT:
        fit = f"save them times the height of a step, {format_length(job.process.step_height_m)}"
    else:
        return ""
    return f"; {fit}, if these are the numbers of levels"
