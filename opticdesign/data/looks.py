"""What real numbers look like that are said to be a phase: flat, far too large, or grey values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Look", "grey_bits", "looks_of"]

_FLAT_RAD, _HUGE_RAD, _LARGE_RAD = 0.02, 60.0, 20.0
_PLAUSIBLE_RAD = (0.05, 80.0)  # a range of phase that a sample has
_LENGTHS = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
_ANGLES = {"deg": math.pi / 180.0}
_DISTINCT = 5  # whole numbers; a step of two or three heights may have whole ones
_LOOKED_AT = 65_536
_ROUNDING = 5e-3  # of float32 at 65535


@dataclass(frozen=True)
class Look:
    """Something odd about numbers.

    Args:
        text: what it is.
        remedy: the key that would say what they are.
        settles: whether they are refused until it does.
    """

    text: str
    remedy: str = ""
    settles: bool = True


def looks_of(inside: NDArray[Any], factor: float, wavelength_m: float | None) -> list[Look]:
    """What is odd about numbers as a phase.

    Args:
        inside: all valid numbers of a file's array.
        factor: radians for one of them.
        wavelength_m: vacuum wavelength, None where it is not known.
    """
    if inside.size == 0:
        return []
    low, high = float(inside.min()), float(inside.max())
    extent, most = (high - low) * factor, max(abs(low), abs(high)) * factor
    shown = f"{low:.4g} … {high:.4g}"
    if extent < _FLAT_RAD:
        found = _others(high - low, _LENGTHS, wavelength_m)
        like = f"an optical path in {found[0][0]}, or " if found else ""
        text = f"all values lie within {extent:.2g} rad of each other ({shown}): it looks like {like}a flat field"
        return [Look(text, _remedy(found, 'data.unit = "rad" if it is that flat'))]
    if (bits := grey_bits(inside)) and factor == 1.0:
        text = f"whole grey values as floats, {shown}: it looks like grey values of {bits} bits"
        unit = "full scale" if high <= 1.0 else f"{bits} bit"
        remedy = f'set data.unit = "{unit}" and data.phase_range, or data.unit = "rad" if they are radians'
        return [Look(text, remedy)]
    if max(extent, most) > _HUGE_RAD:
        found = [*_others(high - low, _ANGLES, None), *_others(high - low, _LENGTHS, wavelength_m)]
        names = " or ".join("degrees" if unit == "deg" else unit for unit, _ in found) or "another unit"
        text = f"values {shown}, more than {_HUGE_RAD:g} rad: it looks like {names}"
        return [Look(text, _remedy(found, 'data.unit = "rad" if they are radians'))]
    if extent > _LARGE_RAD:
        return [Look(f"a range of {extent:.3g} rad, {extent / (2.0 * math.pi):.2g} waves, is large", settles=False)]
    if (low, high) == (0.0, 1.0) and factor == 1.0:
        return [Look("values from exactly 0 to exactly 1: scaled, perhaps; they are taken as radians", settles=False)]
    return []


def _others(extent: float, units: dict[str, float], wavelength_m: float | None) -> list[tuple[str, float]]:
    """Units in which a range of numbers would be one of a sample, and how many radians it would be."""
    scale = 1.0 if units is _ANGLES else 2.0 * math.pi / (wavelength_m or 550e-9)
    found = ((unit, extent * size * scale) for unit, size in units.items())
    return [(unit, size) for unit, size in found if _PLAUSIBLE_RAD[0] <= size <= _PLAUSIBLE_RAD[1]]


def _remedy(found: Sequence[tuple[str, float]], otherwise: str) -> str:
    """The keys that would say it, each with the range it would give."""
    ways = [f'data.unit = "{unit}" (a range of {size:.3g} rad)' for unit, size in found]
    return "set " + " or ".join([*ways, otherwise])


def grey_bits(inside: NDArray[Any]) -> int:
    """Bits of grey values that numbers are, whole or over their full scale; 0 where they are none."""
    few = inside.ravel()[:: max(1, inside.size // _LOOKED_AT)].astype(np.float64)
    if few.size == 0 or few.min() < 0.0 or few.max() > 65_535.0:
        return 0
    if len(np.unique(few)) < _DISTINCT:
        return 0
    for scale in (1.0, 255.0, 65_535.0) if few.max() <= 1.0 else (1.0,):
        if np.all(np.abs(few * scale - np.round(few * scale)) < _ROUNDING):
            most = max(round(float(few.max()) * scale), int(scale))
            return next(bits for bits in (8, 10, 12, 14, 16) if most < 2**bits)
    return 0
