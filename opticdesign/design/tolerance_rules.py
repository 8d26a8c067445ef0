"""Rules that tie [tolerance] to optics and process; see `rules`."""

from __future__ import annotations

from opticdesign.design.instrument import Fabrication, Optics
from opticdesign.design.tolerancing import Tolerance
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem

__all__ = ["check_tolerance"]

_OF_BITS = ("overlay_shift", "overlay_rotation", "overlay_scale", "cd_bias", "edge_roughness")
_OF_PANELS = ("lut", "crosstalk", "flicker", "flatness")


def check_tolerance(optics: Optics, made: Fabrication, tolerance: Tolerance | None) -> list[DesignProblem]:
    """Errors that this kind of optics, made by this process, can have."""
    if tolerance is None:
        return []
    found = []
    for name in tolerance.errors:
        key = f"tolerance.{name}"
        if problem := _of_bits(made, tolerance, name) or _of_optics(optics, name):
            message, keys, value, expected, remedy = problem
            found.append(DesignProblem(", ".join((key, *keys)), message, value, expected, remedy))
    return found


_Problem = tuple[str, tuple[str, ...], str, str, str]


def _of_bits(made: Fabrication, tolerance: Tolerance, name: str) -> _Problem | None:
    """Errors of binary masks: those of a process that has some."""
    etch = tolerance.etch_depth
    per_bit = name == "etch_depth" and etch is not None and etch.per == "bit"
    if name not in _OF_BITS and not per_bit:
        return None
    if made.heights is not None:
        message, remedy = "heights of a table are not made by etch steps that halve", f"remove {name}"
        return message, ("fabrication.heights",), "", "equally spaced levels", remedy
    if made.levels & (made.levels - 1):
        message, remedy = f"{made.levels} levels are not made by binary masks", f"remove {name}, or choose 8 levels"
        return message, ("fabrication.levels",), str(made.levels), "2, 4, 8, … levels", remedy
    if name.startswith("overlay") and made.levels == 2:
        message, remedy = "2 levels are made by one mask, which lies on no other", f"remove {name}"
        return message, ("fabrication.levels",), "2", "4 levels or more", remedy
    return None


def _of_optics(optics: Optics, name: str) -> _Problem | None:
    """Errors that the kind of optics can have."""
    if optics.kind == "fourier-filter" and name == "tilt":
        message = "the tilt of a filter in a pupil changes nothing to first order"
        return message, ("optics.kind",), toml_value(optics.kind), "layers", "remove tilt"
    if optics.kind == "d2nn" and optics.model == "bpm" and name in _OF_PANELS:
        message = "a relief that light is marched through is no panel"
        return message, ("optics.model",), toml_value(optics.model), 'model = "thin"', f"remove {name}"
    return None
