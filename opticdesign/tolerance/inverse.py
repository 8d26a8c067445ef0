"""Inverse limits: how far each group of perturbations may go alone until the metric has dropped so much."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import DivergenceError, UsageError
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.evaluator import NO_PATTERN, Evaluator
from opticdesign.tolerance.result import InverseLimit
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.sensitivity import group_members, widths
from opticdesign.tolerance.space import Space

__all__ = ["SEARCHED", "inverse_limits"]

SEARCHED = 8.0  # the largest factor on a tolerance that is tried
_LEAST_SEARCHED = 1.0 / 8.0
_FIRST_STEP = 4.0


def inverse_limits(
    evaluator: Evaluator, space: Space, metric: str, drop: float, seed: int, *, draws: int, steps: int
) -> tuple[InverseLimit, ...]:
    """Bisect each group's factor to a change of the metric from nominal.

    The change is the root mean square over a few draws of that group alone, in which an error that does good on one
    side and harm on the other counts as it does in `budget`. All groups are bisected side by side, so that each step is
    one batch of groups · draws points.

    Args:
        evaluator: judges the points.
        space: the parameters.
        metric: the metric.
        drop: the change looked for, positive.
        seed: seed of the draws.
        draws: how many; the same ones at every factor.
        steps: halvings of the logarithm of the factor, from 8 down to 2 first.
    """
    groups = group_members(space)
    unit = unit_points("sobol", len(space.names), stream_seed(seed, "tolerance inverse"), 0, draws, draws)
    deviations = space.values(unit) - space.nominal
    nominal = evaluator.evaluate(space.nominal[None], [NO_PATTERN])[metric].mean()

    def changes(scales: dict[str, float]) -> dict[str, float]:
        """Change by each group at its factor."""
        points = [_alone(space.nominal, deviations, groups[name], scale) for name, scale in scales.items()]
        table = evaluator.evaluate(np.concatenate(points), [NO_PATTERN] * (draws * len(scales)))[metric]
        found = table.mean(axis=1).reshape(len(scales), draws) - nominal
        return dict(zip(scales, np.sqrt(np.mean(found**2, axis=1)).tolist(), strict=True))

    searched = _farthest(changes, tuple(groups), SEARCHED)
    reached = {name: (0.0, scale) for name, (scale, change) in searched.items() if change >= drop}
    for _ in range(steps if reached else 0):
        middle = {name: _between(*bounds) for name, bounds in reached.items()}
        for name, value in changes(middle).items():
            low, high = reached[name]
            reached[name] = (low, middle[name]) if value >= drop else (middle[name], high)
    tolerances = widths(space)
    return tuple(
        InverseLimit(
            group=name,
            scale=(scale := _between(*reached[name]) if name in reached else None),
            searched=searched[name][0],
            deviations={
                space.names[place]: float(tolerances[place] * (scale or searched[name][0])) for place in places
            },
        )
        for name, places in groups.items()
    )


def _farthest(
    changes: Callable[[dict[str, float]], dict[str, float]], names: Sequence[str], scale: float
) -> dict[str, tuple[float, float]]:
    """The largest factor of each group that can be simulated, and the change there: no gap is less than nothing, say.

    Raises:
        UsageError, DivergenceError: a group cannot be simulated even at a small factor.
    """
    try:
        return {name: (scale, change) for name, change in changes(dict.fromkeys(names, scale)).items()}
    except (UsageError, DivergenceError):
        if len(names) == 1 and scale <= _LEAST_SEARCHED:
            raise
    if len(names) == 1:
        return _farthest(changes, names, scale / 2.0)
    middle = len(names) // 2
    return _farthest(changes, names[:middle], scale) | _farthest(changes, names[middle:], scale)


def _alone(
    nominal: NDArray[np.float64], deviations: NDArray[np.float64], places: list[int], scale: float
) -> NDArray[np.float64]:
    """Points (draws, d) where only the parameters at `places` deviate, by so many times their deviations."""
    values = np.tile(nominal, (len(deviations), 1))
    values[:, places] += scale * deviations[:, places]
    return values


def _between(low: float, high: float) -> float:
    """The geometric middle; below everything tried so far, a fixed step down."""
    return float(np.sqrt(low * high)) if low > 0.0 else high / _FIRST_STEP
