"""Rules that tie the masks to light, process and training; see `rules`."""

from __future__ import annotations

from opticdesign.design.instrument import Fabrication, Light, Optics
from opticdesign.design.learning import Training
from opticdesign.errors import DesignProblem
from opticdesign.optics.materials import material
from opticdesign.units import format_length

__all__ = ["check_feature", "check_relief"]


def check_relief(light: Light, optics: Optics, made: Fabrication) -> list[DesignProblem]:
    """Heights of a table that stay below a phase of 2π, on masks that are thin."""
    if made.heights is None:
        return []
    problems, wavelength = [], light.wavelength
    full = wavelength / (material(made.material).index(wavelength) - material(made.medium).index(wavelength))
    if made.heights[-1] >= full:
        value, expected = format_length(made.heights[-1]), f"less than {format_length(full)}, the height of 2π"
        message = "the highest level is a whole turn or more above the lowest"
        remedy = "take whole turns off the heights, and sort them"
        problems.append(DesignProblem("fabrication.heights", message, value, expected, remedy))
    if optics.kind == "d2nn" and optics.model == "bpm":
        message = "light is marched through slices of one height, one for each level of equal ones"
        value, expected = f'{len(made.heights)} heights, "bpm"', 'model = "thin" with a table of heights'
        remedy = 'leave fabrication.heights out, or set optics.model = "thin"'
        problems.append(DesignProblem("fabrication.heights, optics.model", message, value, expected, remedy))
    return problems


def check_feature(optics: Optics, made: Fabrication, training: Training) -> list[DesignProblem]:
    """A smallest feature of more than one neuron, where a stage weighs features."""
    stages = [name for name, stage in training.stages.items() if stage.feature is not None]
    if not stages or optics.kind != "d2nn" or made.min_feature > optics.pitch:
        return []
    message = "each neuron is as wide as the smallest feature, so that no part can be too narrow"
    key = f"training.stages.{stages[0]}.feature, fabrication.min_feature, optics.pitch"
    weight = training.stages[stages[0]].feature
    value = f"{weight:g}, {format_length(made.min_feature)}, {format_length(optics.pitch)}"
    expected = f"a min_feature of more than {format_length(optics.pitch)}"
    return [DesignProblem(key, message, value, expected, "remove feature, or correct min_feature")]
