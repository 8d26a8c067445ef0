"""How single perturbations act: one at a time, by rank over the draws, and by shares of the variance (Sobol)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Space
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.evaluator import Evaluator
from opticdesign.tolerance.result import Curve, Estimate, Ranking
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.summary import bootstrap

__all__ = ["PATTERNS", "curves", "group_members", "rank_correlations", "sobol_cost", "sobol_ranking", "widths"]

PATTERNS = "per-pixel patterns"  # the group of everything that is drawn a pixel, in rankings
_SOBOL_RESAMPLES = 300


def group_members(space: Space) -> dict[str, list[int]]:
    """Group → places of its parameters."""
    members: dict[str, list[int]] = {}
    for place, parameter in enumerate(space.parameters):
        members.setdefault(parameter.group, []).append(place)
    return members


def widths(space: Space) -> NDArray[np.float64]:
    """How far the ends of the range that holds 95 % of a parameter's values are from nominal, (d,): its tolerance."""
    ends = space.values(np.repeat([[0.025], [0.975]], len(space.names), axis=1))
    return np.asarray(np.max(np.abs(ends - space.nominal), axis=0))


def curves(evaluator: Evaluator, space: Space, deviations: Sequence[float]) -> tuple[Curve, ...]:
    """Every parameter moved alone, all others nominal and no per-pixel perturbation.

    Args:
        evaluator: judges the points.
        space: the parameters.
        deviations: where, in standard deviations k of a normal distribution, without 0; another distribution is taken
            at the quantile Φ(k), so that a point never leaves its range.
    """
    from scipy.stats import norm

    count, points = len(space.names), sorted(deviations)
    quantiles = space.values(np.repeat(np.asarray(norm.cdf(points))[:, None], count, axis=1))
    values = np.tile(space.nominal, (1 + count * len(points), 1))
    for place in range(count):
        values[1 + place * len(points) : 1 + (place + 1) * len(points), place] = quantiles[:, place]
    metrics = {
        name: table.mean(axis=1) for name, table in evaluator.evaluate(values, [NO_PATTERN] * len(values)).items()
    }
    found = []
    for place, parameter in enumerate(space.parameters):
        rows = np.array([0, *range(1 + place * len(points), 1 + (place + 1) * len(points))])
        rows = rows[np.argsort(values[rows, place], kind="stable")]
        found.append(
            Curve(
                parameter=parameter.name,
                group=parameter.group,
                unit=parameter.unit,
                values=tuple(float(value) for value in values[rows, place]),
                metrics={name: tuple(float(value) for value in column[rows]) for name, column in metrics.items()},
            )
        )
    return tuple(found)


def rank_correlations(values: NDArray[np.float64], metric: NDArray[np.float64], space: Space) -> tuple[Ranking, ...]:
    """Spearman correlation of each parameter with a metric over the draws, by its strength.

    Most errors harm in both directions, so that the distance from nominal counts, and the value itself stands beside.
    With draws whose values do not depend on one another, an error without effect correlates as ranks in random order
    do; of so many errors some correlate by chance, and `Ranking.chance` allows for all that were tried. S. Holm, A
    simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 65 (1979).
    Intervals: D. G. Bonett, T. A. Wright, Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations, Psychometrika 65, 23 (2000), Eq. 4, doi:10.1007/BF02294183.

    Args:
        values: of the draws (n, d), independent or of a Latin hypercube.
        metric: of the draws (n,).
        space: the parameters.
    """
    distances = np.abs(values - space.nominal)
    pairs = [
        (_spearman(distances[:, place], metric), _spearman(values[:, place], metric))
        for place in range(len(space.names))
    ]
    chances = _holm(np.array([[_chance(one.value, len(values)) for one in pair] for pair in pairs]).reshape(-1, 2))
    found = [
        Ranking(parameter.name, "parameter", spearman=size, spearman_signed=signed, chance=float(chance))
        for parameter, (size, signed), chance in zip(space.parameters, pairs, chances.min(axis=1), strict=True)
    ]
    return tuple(sorted(found, key=_strength, reverse=True))


def _chance(correlation: float, samples: int) -> float:
    """Probability of a rank correlation as strong as this one between independent values, by Student's t."""
    from scipy.stats import t

    if samples < 3:
        return 1.0
    if abs(correlation) >= 1.0:
        return 2.0 / math.factorial(samples) if samples < 20 else 0.0
    return float(2.0 * t.sf(abs(correlation) * math.sqrt((samples - 2) / (1.0 - correlation**2)), samples - 2))


def _holm(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of single tests, raised to what all of them together make of them; same shape."""
    flat = chances.ravel()
    order = np.argsort(flat)
    raised = np.maximum.accumulate(flat[order] * (len(flat) - np.arange(len(flat))))
    result = np.empty_like(flat)
    result[order] = np.minimum(raised, 1.0)
    return result.reshape(chances.shape)


def _strength(row: Ranking) -> float:
    return max(abs(one.value) for one in (row.spearman, row.spearman_signed) if one is not None)


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> Estimate:
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first), rankdata(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norm = float(np.sqrt(np.prod(np.sum(ranks**2, axis=1))))
    if norm == 0.0:  # one of the two does not change
        return Estimate(0.0, 0.0, 0.0)
    value = float(np.clip(ranks[0] @ ranks[1] / norm, -1.0, 1.0))
    if len(first) < 4 or abs(value) == 1.0:
        return Estimate(value, -1.0 if len(first) < 4 else value, 1.0 if len(first) < 4 else value)
    width = 1.959964 * np.sqrt((1.0 + value**2 / 2.0) / (len(first) - 3))
    return Estimate(value, float(np.tanh(np.arctanh(value) - width)), float(np.tanh(np.arctanh(value) + width)))


def sobol_cost(space: Space, base: int) -> int:
    """Points that `sobol_ranking` judges: base points twice, and once for each group."""
    return base * (2 + len(group_members(space)) + bool(space.patterns))


def sobol_ranking(evaluator: Evaluator, space: Space, metric: str, base: int, seed: int) -> tuple[Ranking, ...]:
    """First-order and total Sobol indices of groups by Saltelli's design, with bootstrap intervals.

    A group is exchanged as a whole between two sets of points, which gives its indices for (groups + 2) · base points;
    the per-pixel patterns, if any, are a group of their own.
    A. Saltelli et al., Variance based sensitivity analysis of model output. Design and estimator for the total
    sensitivity index, Comput. Phys. Commun. 181, 259 (2010), Table 2 (b) and (f), doi:10.1016/j.cpc.2009.09.018.

    Args:
        evaluator: judges the points.
        space: the parameters.
        metric: the metric.
        base: base points, a power of two.
        seed: seed of the points.
    """
    groups = group_members(space)
    if space.patterns:
        groups[PATTERNS] = []
    count = len(space.names)
    unit = unit_points("sobol", 2 * count, stream_seed(seed, "tolerance sobol"), 0, base, base)
    sets = space.values(unit[:, :count]), space.values(unit[:, count:])
    # without patterns a number does nothing
    numbers = (np.arange(base), np.arange(base, 2 * base)) if space.patterns else (np.full(base, NO_PATTERN),) * 2
    values, indices = list(sets), list(numbers)
    for name, places in groups.items():
        mixed = sets[0].copy()
        mixed[:, places] = sets[1][:, places]
        values.append(mixed)
        indices.append(numbers[1] if name == PATTERNS else numbers[0])
    table = evaluator.evaluate(np.concatenate(values), np.concatenate(indices).tolist())[metric].mean(axis=1)
    return _sobol_rows(table.reshape(len(values), base), tuple(groups), seed)


def _sobol_rows(table: NDArray[np.float64], names: tuple[str, ...], seed: int) -> tuple[Ranking, ...]:
    """Rankings of groups from metrics (2 + groups, base)."""
    base = table.shape[1]

    def indices(picks: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([_saltelli(table[:, pick]) for pick in picks])

    value = indices(np.arange(base)[None])[0]
    low, high = bootstrap(base, indices, seed, _SOBOL_RESAMPLES)
    rows = [
        Ranking(
            name,
            "group",
            first=Estimate(float(value[0, place]), float(low[0, place]), float(high[0, place])),
            total=Estimate(float(value[1, place]), float(low[1, place]), float(high[1, place])),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(rows, key=lambda row: 0.0 if row.total is None else row.total.value, reverse=True))


def _saltelli(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """First-order and total indices (2, groups) of metrics (2 + groups, base); zero where nothing varies."""
    from scipy.stats import sobol_indices

    count = len(table) - 2
    mixed = table[[2, 2]] if count == 1 else table[2:]  # scipy cannot do with one
    found = sobol_indices(func={"f_A": table[:1], "f_B": table[1:2], "f_AB": mixed[:, None]}, n=table.shape[1])
    return np.stack([found.first_order, found.total_order])[:, :count]
