"""What types alone cannot say about one value of a design, and how its problems reach pydantic."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise

from pydantic_core import PydanticCustomError

from opticdesign.errors import DesignProblem
from opticdesign.optics.materials import MATERIALS

__all__ = [
    "PROBLEMS",
    "check_contrast",
    "check_data_split",
    "check_material",
    "check_milestones",
    "check_odd",
    "check_phase_range",
    "check_power_of_two",
    "check_scale",
    "check_temperature",
    "refuse",
]

_LONGEST_LIST = 200
PROBLEMS = "design_problems"
"""Type of the pydantic error that carries our own problems in its context."""


def refuse(problems: Sequence[DesignProblem]) -> None:
    """Hand problems, if any, to pydantic, which adds the path to the table they stand in."""
    if problems:
        raise PydanticCustomError(PROBLEMS, "{message}", {"message": problems[0].message, "problems": list(problems)})


def check_material(name: str) -> str:
    """The name of a known material."""
    if name not in MATERIALS:
        near = get_close_matches(name, MATERIALS, n=1, cutoff=0.5)
        own = 'choose one of docs/materials.md, or your own: { index = 1.52 }, or { table = "my.csv" }'
        remedy = f'did you mean "{near[0]}"?' if near else own
        known = textwrap.shorten("one of " + ", ".join(MATERIALS), _LONGEST_LIST, placeholder=" …")
        refuse([DesignProblem("", "unknown material", expected=known, remedy=remedy)])
    return name


def check_power_of_two(binning: int) -> int:
    """A binning that a stack of 2 × 2 means can do."""
    if binning < 1 or binning & (binning - 1):
        message = "binning is a stack of 2 × 2 means"
        refuse([DesignProblem("", message, expected="1, 2, 4, 8, 16 or 32", remedy="choose a power of two")])
    return binning


def check_odd(count: int) -> int:
    """An odd number, which has a middle."""
    if count % 2 == 0:
        refuse([DesignProblem("", "an even number has no middle", expected="an odd number", remedy=f"set {count + 1}")])
    return count


def check_contrast(points: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """A contrast curve that can be read backwards: none, or two points or more, greys rising, heights monotonic."""
    greys, heights = [point[0] for point in points], [point[1] for point in points]
    rises = [second > first for first, second in pairwise(heights)]
    level = any(first == second for first, second in pairwise(heights))
    wrong = len(points) == 1 or any(second <= first for first, second in pairwise(greys))
    if wrong or level or (any(rises) and not all(rises)) or any(height < 0 for height in heights):
        expected = "two points or more, grey values rising, heights above 0 that all rise or all fall"
        remedy = 'for example [[0, "0 nm"], [255, "1400 nm"]]'
        refuse([DesignProblem("", "no curve that can be read backwards", expected=expected, remedy=remedy)])
    return points


def check_phase_range(ends: tuple[float, float]) -> tuple[float, float]:
    """A phase range that rises."""
    if not ends[0] < ends[1]:
        message = "the phase of full scale does not lie above the phase of zero"
        refuse([DesignProblem("", message, expected="two rising angles", remedy='for example ["0 rad", "6.28 rad"]')])
    return ends


def check_scale(ends: tuple[float, float]) -> tuple[float, float]:
    """Factors that do not fall."""
    if ends[0] > ends[1]:
        message = "the smallest factor lies above the largest"
        refuse([DesignProblem("", message, expected="two rising factors", remedy="for example [0.8, 1.4]")])
    return ends


def check_data_split(fractions: tuple[float, float, float]) -> tuple[float, float, float]:
    """Fractions that sum to 1."""
    total = math.fsum(fractions)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        message = f"the fractions sum to {total:.6g}"
        refuse([DesignProblem("", message, expected="a sum of 1", remedy="for example [0.5, 0.25, 0.25]")])
    return fractions


def check_milestones(steps: tuple[int, ...]) -> tuple[int, ...]:
    """Steps that rise."""
    if any(later <= earlier for earlier, later in pairwise(steps)):
        remedy = "for example [50, 400, 650]"
        refuse([DesignProblem("", "the milestones do not rise", expected="rising steps", remedy=remedy)])
    return steps


def check_temperature(ends: tuple[float, float]) -> tuple[float, float]:
    """Temperatures that do not rise."""
    if ends[0] < ends[1]:
        message = "the last temperature lies above the first"
        refuse([DesignProblem("", message, expected="two falling temperatures", remedy="for example [1.0, 0.005]")])
    return ends
