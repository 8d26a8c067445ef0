"""Inverse limits: how far each group of perturbations may go alone until the metric has dropped so much."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import DivergenceError, OpticDesignError, UsageError
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Space
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.evaluator import Evaluator
from opticdesign.tolerance.result import Estimate, InverseLimit
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.sensitivity import group_members, widths

__all__ = ["PRECISION", "SEARCHED", "Draws", "inverse_limits"]

SEARCHED = 8.0  # the largest factor on a tolerance that is tried
PRECISION = 0.05  # half the width of a limit's interval, over it, down to which draws are added
_LEAST_SEARCHED = 1.0 / 8.0
_STEPS = 12  # at most, from the largest factor to one near the limit
_NEAR = 1.1  # from the drop, of a change that leads to the limit by a power law
_CLOSE = 1.02  # two factors between which the change jumps over the drop
_USUAL_POWER = 1.5  # of a change in the factor, between that of a slope and that of an optimum
_INSIDE = 0.995  # of a limit, for a factor that holds
_TRIES = 20

Asked: TypeAlias = tuple[float, int, int]
"""A factor, and the first draw and the number of draws whose changes at it are wanted."""
Changes: TypeAlias = Callable[[Mapping[str, Asked]], dict[str, NDArray[np.float64]]]
Search: TypeAlias = Generator[Asked, NDArray[np.float64], Estimate]


@dataclass(frozen=True)
class Draws:
    """How many draws a limit is found on.

    Args:
        first: draws to begin with, two or more.
        most: at most; doubled from the first ones until the limit is known to `PRECISION`.
    """

    first: int
    most: int


def inverse_limits(
    evaluator: Evaluator, space: Space, metric: str, drop: float, seed: int, draws: Draws
) -> tuple[InverseLimit, ...]:
    """The factor on each group's tolerances at which it alone changes the metric by the drop.

    The change is the root mean square over independent draws of that group, in which an error that does good on one
    side and harm on the other counts as it does in `budget`. It grows as a power of the factor near the limit, so that
    the interval of its mean square, Student's, is one of the limit. The factor found is the largest tried at which the
    draws keep to the drop. All groups are searched side by side: each step is one batch of points.

    Args:
        evaluator: judges the points.
        space: the parameters.
        metric: the metric.
        drop: the change looked for, positive.
        seed: seed of the draws.
        draws: how many; the same ones at every factor.
    """
    groups = group_members(space)
    unit = unit_points("random", len(space.names), stream_seed(seed, "tolerance inverse"), 0, draws.most, draws.most)
    deviations = space.values(unit) - space.nominal
    nominal = evaluator.evaluate(space.nominal[None], [NO_PATTERN])[metric].mean()

    def changes(asked: Mapping[str, Asked]) -> dict[str, NDArray[np.float64]]:
        """Changes by the draws of each group at its factor."""
        points = [
            _alone(space.nominal, deviations[first : first + count], groups[name], scale)
            for name, (scale, first, count) in asked.items()
        ]
        table = evaluator.evaluate(np.concatenate(points), [NO_PATTERN] * sum(map(len, points)))[metric]
        ends = np.cumsum([len(part) for part in points])[:-1]
        return dict(zip(asked, np.split(table.mean(axis=1) - nominal, ends), strict=True))

    searched = _farthest(changes, tuple(groups), SEARCHED, draws.first)
    searches = {
        name: _search(drop, scale, _rms(change), draws)
        for name, (scale, change) in searched.items()
        if _rms(change) >= drop
    }
    found, tolerances = _side_by_side(changes, searches), widths(space)
    return tuple(
        InverseLimit(
            group=name,
            scale=found.get(name),
            searched=searched[name][0],
            deviations={
                space.names[place]: float(
                    tolerances[place] * (found[name].value if name in found else searched[name][0])
                )
                for place in places
            },
        )
        for name, places in groups.items()
    )


def _search(drop: float, far: float, change: float, draws: Draws) -> Search:
    """The limit of one group that changes the metric by more than the drop at a factor."""
    low, high = (0.0, 0.0), (far, change)  # factors around the limit, and the change at each
    power, scale, found = _USUAL_POWER, far, np.zeros(0)
    for _ in range(_STEPS):
        scale, before = _between(drop, low, high, power), (scale, change)
        found = yield scale, 0, draws.first
        change = _rms(found)
        power = _power(before, (scale, change))
        low, high = (low, (scale, change)) if change >= drop else ((scale, change), high)
        if drop / _NEAR <= change <= drop * _NEAR or high[0] <= low[0] * _CLOSE:
            break
    root, spread = _root(scale, found, drop, power)
    try:
        for _ in range(_TRIES):
            nearer = min(root, far)
            if abs(math.log(nearer / scale)) > PRECISION:  # it is a power near by only
                found, scale = (yield nearer, 0, len(found)), nearer
            elif spread > PRECISION and len(found) < draws.most:
                more = yield scale, len(found), min(len(found), draws.most - len(found))
                found = np.concatenate([found, more])
            else:
                break
            root, spread = _root(scale, found, drop, power)
    except (UsageError, DivergenceError):
        pass  # one of the draws cannot be simulated there: those that can have to do
    held = min(root, far)
    for _ in range(_TRIES):
        held *= _INSIDE
        try:
            change = _rms((yield held, 0, len(found)))
        except (UsageError, DivergenceError):
            held = min(held, scale)  # there they all can
            continue
        if change <= drop:
            break
        held *= (drop / change) ** (1.0 / power)
    return Estimate(held, min(held, root * math.exp(-spread)), root * math.exp(spread))


def _side_by_side(changes: Changes, searches: Mapping[str, Search]) -> dict[str, Estimate]:
    """The results of searches whose questions are answered together."""
    asked = {name: next(search) for name, search in searches.items()}
    found: dict[str, Estimate] = {}
    while asked:
        answers, asked = _answers(changes, asked), {}
        for name, answer in answers.items():
            search = searches[name]
            try:
                asked[name] = search.throw(answer) if isinstance(answer, OpticDesignError) else search.send(answer)
            except StopIteration as end:
                found[name] = end.value
    return found


def _answers(
    changes: Changes, asked: Mapping[str, Asked]
) -> dict[str, NDArray[np.float64] | UsageError | DivergenceError]:
    """Changes of groups, or for those of which a draw cannot be simulated, the error."""
    try:
        return dict(changes(asked))
    except (UsageError, DivergenceError) as error:
        if len(asked) == 1:
            return dict.fromkeys(asked, error)
    pairs = list(asked.items())
    middle = len(pairs) // 2
    return _answers(changes, dict(pairs[:middle])) | _answers(changes, dict(pairs[middle:]))


def _farthest(
    changes: Changes, names: Sequence[str], scale: float, draws: int
) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """The largest factor of each group that can be simulated, and the changes there: no gap is less than nothing, say.

    Raises:
        UsageError, DivergenceError: a group cannot be simulated even at a small factor.
    """
    found: dict[str, tuple[float, NDArray[np.float64]]] = {}
    for name, answer in _answers(changes, dict.fromkeys(names, (scale, 0, draws))).items():
        if not isinstance(answer, OpticDesignError):
            found[name] = scale, answer
        elif scale <= _LEAST_SEARCHED:
            raise answer
    left = [name for name in names if name not in found]
    return found | _farthest(changes, left, scale / 2.0, draws) if left else found


def _alone(
    nominal: NDArray[np.float64], deviations: NDArray[np.float64], places: list[int], scale: float
) -> NDArray[np.float64]:
    """Points (draws, d) where only the parameters at `places` deviate, by so many times their deviations."""
    values = np.tile(nominal, (len(deviations), 1))
    values[:, places] += scale * deviations[:, places]
    return values


def _between(drop: float, low: tuple[float, float], high: tuple[float, float], power: float) -> float:
    """Where a change that is a power of the factor comes to the drop, well between two factors if there are two."""
    guess = high[0] * math.pow(drop / high[1], 1.0 / power)
    if low[0] <= 0.0:
        return max(guess, high[0] / 64.0)
    if low[1] > 0.0:
        guess = low[0] * math.pow(high[0] / low[0], math.log(drop / low[1]) / math.log(high[1] / low[1]))
    rim = math.pow(high[0] / low[0], 0.1)
    return min(max(guess, low[0] * rim), high[0] / rim)


def _power(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The power of the factor that leads from one change to another."""
    if min(first[1], second[1]) <= 0.0 or first[0] == second[0]:
        return _USUAL_POWER
    return min(max(math.log(second[1] / first[1]) / math.log(second[0] / first[0]), 0.25), 4.0)


def _root(scale: float, changes: NDArray[np.float64], drop: float, power: float) -> tuple[float, float]:
    """The factor at which the drop is reached, of changes at a factor near it, and half the interval of its logarithm.

    Student's interval of the mean square.
    """
    from scipy.stats import t

    squares, count = changes**2, len(changes)
    mean = max(float(squares.mean()), 1e-300)
    half = float(t.ppf(0.975, count - 1) * squares.std(ddof=1) / math.sqrt(count) / mean) / (2.0 * power)
    return scale * math.pow(drop / math.sqrt(mean), 1.0 / power), half


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
