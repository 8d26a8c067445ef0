"""Rules about masks that types alone cannot say: the heights of levels, and how masks learn; see `rules`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from opticdesign.design.rules import refuse
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem
from opticdesign.optics.materials import material
from opticdesign.units import format_length

if TYPE_CHECKING:
    from opticdesign.design.instrument import Fabrication
    from opticdesign.design.learning import Stage
    from opticdesign.design.schema import Design

__all__ = ["check_heights", "check_masks", "check_relief", "check_temperature"]


def check_temperature(ends: tuple[float, float]) -> tuple[float, float]:
    """Temperatures that do not rise."""
    if ends[0] < ends[1]:
        message = "the last temperature lies above the first"
        refuse([DesignProblem("", message, expected="two falling temperatures", remedy="for example [1.0, 0.005]")])
    return ends


def check_heights(made: Fabrication) -> list[DesignProblem]:
    """Heights that rise from zero, one for each level."""
    if made.heights is None:
        return []
    if len(made.heights) != made.levels:
        value, expected = f"{len(made.heights)} heights, {made.levels}", f"{made.levels} heights"
        remedy = f"set fabrication.levels = {len(made.heights)}, or give one height for each level"
        return [DesignProblem("heights, levels", "there is not one height for each level", value, expected, remedy)]
    if made.heights[0] == 0.0 and all(lower < upper for lower, upper in pairwise(made.heights)):
        return []
    value = toml_value([format_length(height) for height in made.heights])
    message, remedy = "the heights do not rise from zero", "sort them, and count them from the lowest"
    return [DesignProblem("heights", message, value, 'rising heights, the first "0 nm"', remedy)]


def check_masks(stage: Stage) -> list[DesignProblem]:
    """Keys about how masks learn, in stages that train masks."""
    problems = []
    trains = "optics" in stage.train
    if stage.rounding != "straight-through" and not (stage.quantised and trains):
        value = f"{toml_value(stage.rounding)}, {toml_value(stage.quantised)}, {toml_value(stage.train)}"
        message = "this rounding is for optics that learn to be quantised"
        expected, remedy = 'quantised = true and "optics" in train', "remove rounding, or change quantised and train"
        problems.append(DesignProblem("rounding, quantised, train", message, value, expected, remedy))
    for key, weight in (("variation", stage.variation), ("feature", stage.feature)):
        if weight is not None and not trains:
            message = f"{key} is a weight on masks, which this stage does not train"
            value = f"{weight:g}, {toml_value(stage.train)}"
            remedy = f"remove {key}, or change train"
            problems.append(DesignProblem(f"{key}, train", message, value, '"optics" in train', remedy))
    return problems


def check_relief(design: Design) -> list[DesignProblem]:
    """Heights of a table that stay below a phase of 2π."""
    made, wavelength = design.fabrication, design.light.wavelength
    if made.heights is None:
        return []
    full = wavelength / (material(made.material).index(wavelength) - material(made.medium).index(wavelength))
    if made.heights[-1] < full:
        return []
    value, expected = format_length(made.heights[-1]), f"less than {format_length(full)}, the height of 2π"
    message = "the highest level is a whole turn or more above the lowest"
    remedy = "take whole turns off the heights, and sort them"
    return [DesignProblem("fabrication.heights", message, value, expected, remedy)]
