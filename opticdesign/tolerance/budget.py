"""A budget: tolerances that share out the drop of a metric that may be lost, each group an equal part of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from opticdesign.tolerance.result import BudgetRow, Curve
from opticdesign.tolerance.sensitivity import group_members, widths
from opticdesign.tolerance.space import Space

__all__ = ["LARGEST", "propose_budget"]

LARGEST = 4.0  # the largest factor on a tolerance that is proposed: beyond it the curves are extrapolated too far
_BISECTIONS = 50


def propose_budget(curves: Sequence[Curve], space: Space, metric: str, allowed: float) -> tuple[BudgetRow, ...]:
    """Factors on the tolerances of groups whose drops, as the root of the sum of squares, come to the drop allowed.

    The change of the metric by one parameter is fitted to its curve as a s + b s², a and b not negative, where s is
    its deviation over its tolerance (see `sensitivity.widths`): a slope, and the curvature of an optimum. A group's
    drop at a factor on its tolerances is the root of the sum of squares of its parameters' changes, as lens designers
    estimate it. Each group gets an equal drop, but for those whose factor would be above the largest proposed.

    Args:
        curves: one at a time, one for each parameter of the space, in its order.
        space: the parameters.
        metric: the judged metric.
        allowed: the drop allowed, positive.
    """
    tolerances = widths(space)
    laws = np.array([_law(*one, metric) for one in zip(curves, space.nominal, tolerances, strict=True)])
    groups = {name: laws[places] for name, places in group_members(space).items()}

    def fits(share: float) -> bool:
        return _rss([_drop(law, _factor(law, share)) for law in groups.values()]) <= allowed

    share = _largest(fits, allowed)
    scales = {name: _factor(law, share) for name, law in groups.items()}
    rows = [
        BudgetRow(
            group=name,
            drop=_drop(groups[name], 1.0),
            scale=scales[name],
            proposed_drop=_drop(groups[name], scales[name]),
            deviations={space.names[place]: float(scales[name] * tolerances[place]) for place in places},
        )
        for name, places in group_members(space).items()
    ]
    return tuple(sorted(rows, key=lambda row: row.drop, reverse=True))


def _law(curve: Curve, nominal: float, width: float, metric: str) -> NDArray[np.float64]:
    """The a and b of one parameter."""
    from scipy.optimize import nnls

    values, found = np.array(curve.values), np.array(curve.metrics[metric])
    at_nominal = int(np.argmin(np.abs(values - nominal)))
    distance = np.abs(values - nominal) / width
    return np.asarray(nnls(np.stack([distance, distance**2], axis=1), np.abs(found - found[at_nominal]))[0])


def _drop(law: NDArray[np.float64], scale: float) -> float:
    """Root of the sum of squares of the changes by the laws (parameters, 2) at a factor on the tolerances."""
    return _rss((law @ np.array([scale, scale**2])).tolist())


def _factor(law: NDArray[np.float64], drop: float) -> float:
    """The factor at which a group's drop is that large, at most the largest proposed."""
    return _largest(lambda scale: _drop(law, scale) <= drop, LARGEST)


def _largest(fits: Callable[[float], bool], most: float) -> float:
    """The largest number from 0 to `most` that fits, where all below it do."""
    if fits(most):
        return most
    low, high = 0.0, most
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _rss(values: Sequence[float]) -> float:
    return math.sqrt(sum(value**2 for value in values))
