"""What each group of errors does to the draws: alone, and what is won back when it alone is taken away.

Both are differences between the same instruments with and without the group, seen by the same camera. So an error that
does nothing has no effect to the last bit, however its values happen to go with those of another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Space
from opticdesign.tolerance.evaluator import Evaluator
from opticdesign.tolerance.result import Estimate, GroupEffect
from opticdesign.tolerance.sensitivity import PATTERNS, group_members
from opticdesign.tolerance.summary import drops

__all__ = ["group_effects", "mean_estimate"]


def group_effects(
    evaluator: Evaluator,
    space: Space,
    metric: str,
    values: NDArray[np.float64],
    numbers: Sequence[int],
    together: NDArray[np.float64],
) -> tuple[GroupEffect, ...]:
    """Effects of all groups on some draws, the greatest first.

    Args:
        evaluator: judges the points.
        space: the parameters; per-pixel patterns, if any, are a group of their own.
        metric: the metric.
        values: of the draws (n, d), two or more.
        numbers: of the draws.
        together: metric of the draws with all errors (n,).
    """
    groups = group_members(space)
    if space.patterns:
        groups[PATTERNS] = []
    names = list(groups)
    points = [_points(space, values, numbers, name, places) for name, places in groups.items()]
    parts = [(space.nominal[None], [NO_PATTERN]), *(part for pair in points for part in pair)]
    table = evaluator.evaluate(
        np.concatenate([part for part, _ in parts]), [number for _, part in parts for number in part]
    )[metric].mean(axis=1)
    nominal, rest = float(table[0]), table[1:].reshape(len(names), 2, len(values))
    sizes = np.abs(rest[:, 0] - nominal)
    won = drops(together, 0.0, metric) - drops(rest[:, 1], 0.0, metric)
    order = sorted(range(len(names)), key=lambda place: (-sizes[place].mean(), -won[place].mean()))
    behind: list[int | None] = [*order[1:], None]
    return tuple(
        GroupEffect(
            group=names[place],
            alone=mean_estimate(sizes[place], least=0.0),
            won=mean_estimate(won[place]),
            over_next=None if after is None else mean_estimate(sizes[place] - sizes[after]),
        )
        for place, after in zip(order, behind, strict=True)
    )


def _points(
    space: Space, values: NDArray[np.float64], numbers: Sequence[int], name: str, places: list[int]
) -> Iterator[tuple[NDArray[np.float64], list[int]]]:
    """Draws with one group alone, and without it."""
    none, patterns = [NO_PATTERN] * len(values), list(numbers)
    alone, without = np.tile(space.nominal, (len(values), 1)), values.copy()
    alone[:, places], without[:, places] = values[:, places], space.nominal[places]
    yield alone, patterns if name == PATTERNS else none
    yield without, none if name == PATTERNS or not space.patterns else patterns


def mean_estimate(values: NDArray[np.float64], least: float = -math.inf) -> Estimate:
    """Mean of draws (n,), two or more, with Student's interval, cut at the least value that it can have."""
    from scipy.stats import t

    mean = float(values.mean())
    width = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return Estimate(mean, max(least, mean - width), mean + width)
