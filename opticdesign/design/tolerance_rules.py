"""Rules of [tolerance] that types alone cannot say; see `rules` for how they speak."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opticdesign.errors import DesignProblem
from opticdesign.units import format_length

if TYPE_CHECKING:
    from pydantic import BaseModel

    from opticdesign.design.learning import Stage
    from opticdesign.design.schema import Design
    from opticdesign.design.tolerancing import BlurError, Tolerance

__all__ = ["check_blur", "check_spread", "check_target", "check_tolerance", "check_vaccinated"]

_OF_BITS = ("overlay_shift", "overlay_rotation", "overlay_scale", "cd_bias", "edge_roughness")


def check_spread(error: BaseModel) -> list[DesignProblem]:
    """One spread, and not two."""
    given = [key for key in ("sigma", "range") if getattr(error, key) is not None]
    if len(given) == 1:
        return []
    message = "this error has two spreads" if given else "this error has no spread"
    remedy = "remove one of them" if given else "add sigma or range, or remove the table"
    expected = "sigma of a normal distribution, or range of a uniform one"
    return [DesignProblem("sigma, range" if given else "sigma", message, expected=expected, remedy=remedy)]


def check_blur(error: BlurError) -> list[DesignProblem]:
    """Widths from 0 on: one value is from 0 to it, two may not start below."""
    low, high = error.range
    if low >= 0 or low == -high:
        return []
    message = "no blur is narrower than nothing"
    remedy = 'for example range = ["50 nm", "100 nm"]'
    value = f"{format_length(low)} to {format_length(high)}"
    return [DesignProblem("range", message, value, "a range from 0 or more", remedy)]


def check_target(tolerance: Tolerance) -> list[DesignProblem]:
    """A limit, or a largest loss."""
    if tolerance.spec is None or tolerance.drop is None:
        return []
    message = "a limit of the metric leaves nothing for a loss against nominal to say"
    value = f"{tolerance.spec:g}, {tolerance.drop:g}"
    return [DesignProblem("spec, drop", message, value, "spec or drop", "remove one of them")]


def check_vaccinated(stage: Stage) -> list[DesignProblem]:
    """Errors of making for masks that are seen as made."""
    if not stage.vaccinated or stage.quantised:
        return []
    message = "errors befall masks as the process makes them"
    key, value = "vaccinated, quantised", "true, false"
    return [DesignProblem(key, message, value, "quantised = true beside it", "set quantised = true")]


def check_tolerance(design: Design) -> list[DesignProblem]:
    """Errors that this kind of optics, made by this process, can have."""
    tolerance = design.tolerance
    if tolerance is None:
        return []
    found = []
    for name in tolerance.errors:
        if problem := _of_bits(design, name) or design.optics.error_problem(name):
            found.append(replace(problem, key=f"tolerance.{name}, {problem.key}"))
    return found


def _of_bits(design: Design, name: str) -> DesignProblem | None:
    """Errors of binary masks: those of a process that has some."""
    made = design.fabrication
    etch = design.tolerance.etch_depth if design.tolerance else None
    per_bit = name == "etch_depth" and etch is not None and etch.per == "bit"
    if name not in _OF_BITS and not per_bit:
        return None
    if made.heights is not None:
        message, remedy = "heights of a table are not made by etch steps that halve", f"remove {name}"
        return DesignProblem("fabrication.heights", message, "", "equally spaced levels", remedy)
    if made.levels & (made.levels - 1):
        message, remedy = f"{made.levels} levels are not made by binary masks", f"remove {name}, or choose 8 levels"
        return DesignProblem("fabrication.levels", message, str(made.levels), "2, 4, 8, … levels", remedy)
    if name.startswith("overlay") and made.levels == 2:
        message, remedy = "2 levels are made by one mask, which lies on no other", f"remove {name}"
        return DesignProblem("fabrication.levels", message, "2", "4 levels or more", remedy)
    return None
