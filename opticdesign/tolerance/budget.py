"""A budget: tolerances that together keep a metric within the drop that may be lost.

They are allocated from what each parameter does alone, each group getting an equal part of the drop. As errors that
come together may do more than their sum says, the allocation is then tried on draws, and tightened by one factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import DivergenceError, UsageError
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Space
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.evaluator import Evaluator
from opticdesign.tolerance.result import Budget, BudgetLoss, BudgetRow, Curve
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.sensitivity import group_members, widths
from opticdesign.tolerance.summary import drops

__all__ = ["LARGEST", "LEAST", "Allocation", "Goal", "allocate", "propose_budget"]

LARGEST = 4.0  # the largest factor on a tolerance that is proposed: beyond it the curves are extrapolated too far
LEAST = 1.0 / 64.0  # the least common factor that is tried
_BISECTIONS = 50


@dataclass(frozen=True)
class Goal:
    """What devices within a budget shall do.

    Args:
        metric: the judged metric.
        allowed: the drop allowed, positive.
        share: of devices that shall lose no more.
    """

    metric: str
    allowed: float
    share: float


@dataclass(frozen=True)
class Allocation:
    """Factors on the tolerances of groups, and what they are expected to cost.

    Args:
        space: the parameters.
        laws: group → a and b of its parameters, (parameters, 2), see `allocate`.
        scales: group → factor on its tolerances.
    """

    space: Space
    laws: Mapping[str, NDArray[np.float64]]
    scales: Mapping[str, float]

    def points(self, draws: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
        """Points (n, d) at this allocation, times a common factor, of points drawn as designed (n, d)."""
        scales = factor * np.array([self.scales[group] for group in self.space.groups])
        return np.asarray(self.space.nominal + scales * (draws - self.space.nominal))

    def rows(self, factor: float) -> tuple[BudgetRow, ...]:
        """What is proposed, times a common factor; the most harmful group first."""
        tolerances, names = widths(self.space), self.space.names
        rows = [
            BudgetRow(
                group=group,
                drop=_drop(self.laws[group], 1.0),
                scale=(scale := factor * self.scales[group]),
                proposed_drop=_drop(self.laws[group], scale),
                deviations={names[place]: float(scale * tolerances[place]) for place in places},
            )
            for group, places in group_members(self.space).items()
        ]
        return tuple(sorted(rows, key=lambda row: row.drop, reverse=True))


def propose_budget(
    evaluator: Evaluator, allocation: Allocation, goal: Goal, seed: int, *, draws: int, steps: int
) -> Budget:
    """An allocation, tightened by the factor, 1 at most, with which draws keep to the goal.

    The factor is halved until they do, down to `LEAST`, and then bisected in its logarithm between the last two, all on
    the same draws: one factor is tried at least, and 7 + `steps` at most.

    Args:
        evaluator: judges the points.
        allocation: the tolerances to try first.
        goal: what draws shall do.
        seed: seed of the draws.
        draws: how many.
        steps: bisections.

    Raises:
        UsageError, DivergenceError: a draw cannot be simulated even at `LEAST`.
    """
    space = allocation.space
    nominal = float(evaluator.evaluate(space.nominal[None], [NO_PATTERN])[goal.metric].mean())
    drawn = space.values(unit_points("latin-hypercube", len(space.names), stream_seed(seed, "budget"), 0, draws, draws))
    losses: dict[float, BudgetLoss] = {}

    def holds(factor: float) -> bool:
        try:
            losses[factor] = loss = _loss(evaluator, allocation.points(drawn, factor), nominal, goal)
        except (UsageError, DivergenceError):
            if factor <= LEAST:
                raise
            return False  # no gap is less than nothing, say
        return loss.bound <= goal.allowed

    factor = _common_factor(holds, steps)
    found = LEAST if factor is None else factor
    return Budget(
        rows=allocation.rows(found),
        factor=found,
        holds=factor is not None,
        share=goal.share,
        draws=draws,
        allocated=losses.get(1.0),
        proposed=losses[found],
    )


def _common_factor(holds: Callable[[float], bool], steps: int) -> float | None:
    """The largest factor that was found to hold; None where not even `LEAST` does."""
    factor = 1.0
    while not holds(factor):
        if factor <= LEAST:
            return None
        factor /= 2.0
    low, high = factor, 2.0 * factor
    for _ in range(steps if factor < 1.0 else 0):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _loss(evaluator: Evaluator, points: NDArray[np.float64], nominal: float, goal: Goal) -> BudgetLoss:
    """What points (n, d) lose."""
    table = evaluator.evaluate(points, [NO_PATTERN] * len(points))
    lost = drops(table[goal.metric].mean(axis=1), nominal, goal.metric)
    return BudgetLoss(float(lost.mean()), float(np.quantile(lost, goal.share)), float(lost.max()))


def allocate(curves: Sequence[Curve], space: Space, metric: str, allowed: float) -> Allocation:
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
    laws = np.array([_law(*one, metric) for one in zip(curves, space.nominal, widths(space), strict=True)])
    groups = {name: laws[places] for name, places in group_members(space).items()}

    def fits(share: float) -> bool:
        return _rss([_drop(law, _factor(law, share)) for law in groups.values()]) <= allowed

    share = _largest(fits, allowed)
    return Allocation(space, groups, {name: _factor(law, share) for name, law in groups.items()})


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
