"""Rules that tie [tolerance] to optics and process; see `rules`."""

from __future__ import annotations

from dataclasses import replace

from opticdesign.design.instrument import Fabrication
from opticdesign.design.optics_spec import OpticsSpec
from opticdesign.design.tolerancing import Tolerance
from opticdesign.errors import DesignProblem

__all__ = ["check_tolerance"]

_OF_BITS = ("overlay_shift", "overlay_rotation", "overlay_scale", "cd_bias", "edge_roughness")


def check_tolerance(optics: OpticsSpec, made: Fabrication, tolerance: Tolerance | None) -> list[DesignProblem]:
    """Errors that this kind of optics, made by this process, can have."""
    if tolerance is None:
        return []
    found = []
    for name in tolerance.errors:
        if problem := _of_bits(made, tolerance, name) or optics.error_problem(name):
            found.append(replace(problem, key=f"tolerance.{name}, {problem.key}"))
    return found


def _of_bits(made: Fabrication, tolerance: Tolerance, name: str) -> DesignProblem | None:
    """Errors of binary masks: those of a process that has some."""
    etch = tolerance.etch_depth
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
