"""The space of what can go wrong: scalar random quantities with their distributions, and per-pixel patterns.

Every parameter is a deviation from the design, so that all zeros are the nominal instrument. What varies from pixel to
pixel (height noise, edge roughness, flatness) is no parameter: its strength is fixed and its pattern comes from the
number of the draw; a number of `evaluator.NO_PATTERN` switches it off.

Behind the parameters of a point, three more values may stand: what is adjusted afterwards, `COMPENSATORS`. They are
never drawn; a search for the best ones sets them (`Space.adjusted`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opticdesign.design import Design
from opticdesign.design.fields import Table
from opticdesign.design.tolerancing import (
    AngleError,
    BlurError,
    EtchError,
    LengthError,
    LengthPattern,
    NumberError,
    PhasePattern,
)
from opticdesign.formatting import quantity_text, span_text
from opticdesign.perturbed.defaults import tolerance_of

__all__ = [
    "COMPENSATORS",
    "Normal",
    "Parameter",
    "Pattern",
    "Space",
    "Uniform",
    "build_space",
    "etch_steps",
    "group_axes",
]

COMPENSATORS = ("refocus", "image shift y", "image shift x")
"""Metres that the camera is moved away from the last mask, and across, towards +y and +x."""


@dataclass(frozen=True)
class Normal:
    """A normal distribution around nominal.

    Args:
        sigma: standard deviation, SI.
    """

    sigma: float

    def deviation(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deviations from nominal at cumulative probabilities in (0, 1), same shape."""
        from scipy.special import ndtri

        return np.asarray(self.sigma * ndtri(u), dtype=np.float64)

    def text(self, unit: str) -> str:
        """For example "normal, σ = 1 µm"."""
        return f"normal, σ = {quantity_text(self.sigma, unit)}"


@dataclass(frozen=True)
class Uniform:
    """A uniform distribution.

    Args:
        low: smallest deviation from nominal, SI.
        high: largest.
    """

    low: float
    high: float

    def deviation(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `Normal.deviation`."""
        return self.low + (self.high - self.low) * u

    def text(self, unit: str) -> str:
        """For example "uniform, ±1 µm", or "uniform, +50 … +100 nm"."""
        return f"uniform, {span_text(self.low, self.high, unit)}"


@dataclass(frozen=True)
class Parameter:
    """One scalar random quantity.

    Args:
        name: for example "gap 2".
        group: parameters of one kind, for example "gap"; its name in [tolerance].
        unit: SI unit, "m", "rad", "1" for a ratio or "" for another plain number.
        spread: how it is distributed.
        nominal: its value as designed.
        place: where it stands in the array of its group, for example (layer, axis), counted from 0; axis 0 is y.
    """

    name: str
    group: str
    unit: str
    spread: Normal | Uniform
    nominal: float = 0.0
    place: tuple[int, ...] = ()

    @property
    def distribution(self) -> str:
        """For example "normal, σ = 1 µm"."""
        return self.spread.text(self.unit)


@dataclass(frozen=True)
class Pattern:
    """A random field over a mask: Gaussian, of zero mean.

    Args:
        name: its name in [tolerance].
        unit: SI unit, "m" or "rad".
        sigma: standard deviation, SI.
        correlation: distance in metres at which the correlation has fallen to 1/e; 0 for none from sample to sample.
    """

    name: str
    unit: str
    sigma: float
    correlation: float


@dataclass(frozen=True)
class Space:
    """All random parameters of a study in a fixed order, and its patterns.

    Args:
        parameters: the parameters, one a column of a table of values (n, d).
        patterns: what varies from pixel to pixel.
    """

    parameters: tuple[Parameter, ...]
    patterns: tuple[Pattern, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each parameter."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def groups(self) -> tuple[str, ...]:
        """Group of each parameter."""
        return tuple(parameter.group for parameter in self.parameters)

    @property
    def nominal(self) -> NDArray[np.float64]:
        """The design, (d,)."""
        return np.array([parameter.nominal for parameter in self.parameters], dtype=np.float64)

    def values(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n, d) in SI units of points (n, d) in the open unit cube, by the inverse distribution functions."""
        columns = [
            parameter.nominal + parameter.spread.deviation(u[:, place])
            for place, parameter in enumerate(self.parameters)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(u), 0))

    def adjusted(self, values: NDArray[np.float64], settings: Mapping[str, float]) -> NDArray[np.float64]:
        """Points with what is adjusted afterwards behind their parameters: (n, d) or (n, d + 3) to (n, d + 3).

        Args:
            values: the points; settings that stand behind them already are replaced.
            settings: name of a compensator → its value in metres; 0 when left out.
        """
        behind = np.array([settings.get(name, 0.0) for name in COMPENSATORS], dtype=np.float64)
        points = values[:, : len(self.parameters)]
        return np.concatenate([points, np.tile(behind, (len(points), 1))], axis=1)

    def group_values(self, values: NDArray[np.float64], group: str, shape: Sequence[int]) -> NDArray[np.float64]:
        """Deviations of one group as an array (n, *shape), each parameter at its place, zero where there is none.

        A parameter whose place has fewer numbers than the shape stands for all there.
        """
        result = np.zeros((len(values), *shape))
        for column, parameter in enumerate(self.parameters):
            if parameter.group == group:
                part = result.transpose(*range(1, result.ndim), 0)[parameter.place]
                part[...] = values[:, column] - parameter.nominal
        return result


def etch_steps(design: Design) -> int:
    """Etch steps whose depths halve from one to the next and make the levels; 1 where the levels are no power of 2."""
    made = design.fabrication
    return (made.levels - 1).bit_length() if made.heights is None and made.levels & (made.levels - 1) == 0 else 1


def group_axes(design: Design, group: str) -> tuple[tuple[str, int], ...]:
    """What the errors of a group are numbered by, and how many there are of each: () for a single one.

    Bit 0 is the etch step of half the full depth, which comes first; axis 0 is y. The gaps of a filter are one: the
    distance of the camera from the image.
    """
    optics = design.optics
    layer, bit, axis = ("layer", optics.crossed), ("bit", etch_steps(design)), ("axis", 2)
    return {
        "etch_depth": (bit,),
        "overlay_shift": (layer, bit, axis),
        "overlay_rotation": (layer, bit),
        "overlay_scale": (layer, bit),
        "cd_bias": (bit,),
        "layer_shift": (layer, axis),
        "gap": (("gap", optics.distances),),
        "tilt": (layer, axis),
        "rotation": (layer,),
        "lut": (layer,),
        "flicker": (layer,),
    }.get(group, ())


def build_space(design: Design) -> Space:
    """The errors of a design's [tolerance], or the usual ones of its kind of optics, as a space."""
    parameters: list[Parameter] = []
    patterns = []
    for name, error in tolerance_of(design).errors.items():
        if isinstance(error, LengthPattern | PhasePattern):
            patterns.append(Pattern(name, "m" if isinstance(error, LengthPattern) else "rad", **error.model_dump()))
        else:
            parameters += _parameters(design, name, error)
    return Space(tuple(parameters), tuple(patterns))


def _parameters(design: Design, name: str, error: Table) -> list[Parameter]:
    """The parameters of one error, one for everything that it is drawn for."""
    axes = group_axes(design, name)
    if isinstance(error, EtchError) and error.per == "wafer":
        axes = ()
    number = "" if name == "index" else "1"  # all others are ratios
    unit = "m" if isinstance(error, LengthError | BlurError) else "rad" if isinstance(error, AngleError) else number
    # the first bit mask is what the others are laid on
    ranges = [range(what == "bit" and name.startswith("overlay"), count) for what, count in axes]
    return [
        Parameter(_label(name, axes, place), name, unit, _spread(error), place=place)
        for place in itertools.product(*ranges)
    ]


def _label(name: str, axes: Sequence[tuple[str, int]], place: Sequence[int]) -> str:
    """For example "overlay shift 1 bit 2 x"."""
    words = {"bit": "bit {}", "axis": "{}"}
    numbers = [
        words.get(what, "{}").format("yx"[number] if what == "axis" else number + 1)
        for (what, _), number in zip(axes, place, strict=True)
    ]
    return " ".join([name.replace("_", " "), *numbers])


def _spread(error: Table) -> Normal | Uniform:
    if isinstance(error, BlurError):
        return Uniform(*error.ends)
    if isinstance(error, AngleError | LengthError | NumberError):
        return Normal(error.sigma) if error.sigma is not None else Uniform(*(error.range or (0.0, 0.0)))
    raise TypeError(f"{type(error).__name__} has no spread")
