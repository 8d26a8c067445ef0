"""Phase that was taken modulo 2π: how it looks, and how it is put together again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["looks_wrapped", "unwrapped"]

_TURN = 2.0 * math.pi
_SMOOTH = 1.5  # rad between neighbours; what changes no more is a surface, on which a cliff stands out
_CLIFF = 2.0
_FEWEST, _SHARE = 16, 1e-4  # cliffs of 2π: a dust grain has fewer, a contour around a cell more


def looks_wrapped(phase: NDArray[np.float64], valid: NDArray[np.bool_]) -> bool:
    """Whether a map (y, x) in radians jumps by multiples of 2π.

    Either it fills a range of 2π and more than 0.1 % of neighbours differ by more than π; or its smooth parts meet at
    cliffs, most of them within 1.5 rad of 2π, 4π, …, whatever the range: the difference of two wrapped maps does so.
    Steep slopes, noise and cliffs of all heights do not.
    """
    jumps = cliffs = turns = pairs = 0
    for axis in (0, 1):
        lines, sound = np.moveaxis(phase, axis, 0), np.moveaxis(valid, axis, 0)
        step, both = np.diff(lines, axis=0), sound[1:] & sound[:-1]
        pairs += int(np.count_nonzero(both))
        jumps += int(np.count_nonzero(both & (np.abs(step) > math.pi)))
        if len(step) < 3:
            continue
        even = both & (np.abs(step) < _SMOOTH)
        cliff = even[:-2] & both[1:-1] & (np.abs(step[1:-1]) > _CLIFF) & even[2:]
        height = np.abs(step[1:-1][cliff])
        rest = np.abs(height - _TURN * np.round(height / _TURN))
        cliffs += height.size
        turns += int(np.count_nonzero((height > math.pi) & (rest < _SMOOTH)))
    extent = float(np.ptp(phase[valid])) if valid.any() else 0.0
    full = 0.95 * _TURN < extent < _TURN + 1e-3
    return (full and jumps > 1e-3 * pairs) or (turns >= max(_FEWEST, _SHARE * pairs) and turns > 2 * (cliffs - turns))


def unwrapped(phase: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A wrapped map (y, x) over its valid pixels, the lowest being 0, by the unwrapping of scikit-image.

    M. A. Herráez et al., Fast two-dimensional phase-unwrapping algorithm, Appl. Opt. 41, 7437 (2002),
    doi:10.1364/AO.41.007437.
    """
    from skimage.restoration import unwrap_phase

    within = np.ma.array(np.angle(np.exp(1j * phase)), mask=~valid)
    whole = np.ma.getdata(unwrap_phase(within, rng=0))  # type: ignore[no-untyped-call]  # scikit-image leaves it untyped
    return np.where(valid, whole - whole[valid].min(), 0.0)
