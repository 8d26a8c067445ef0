"""How a metric spreads over draws: percentiles with bootstrap intervals, tolerance bounds, convergence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from opticdesign.randomness import numpy_stream
from opticdesign.tolerance.result import Convergence, Estimate, MetricSummary

__all__ = [
    "assured_rank",
    "bootstrap",
    "convergence",
    "drops",
    "lower_is_better",
    "summarise",
    "worst_end",
    "worst_first",
]

_PERCENTILES = (5, 50, 95)
_RESAMPLES = 2000
_CONVERGENCE_POINTS = 60


def lower_is_better(metric: str) -> bool:
    """Whether a small value of a metric is good: of errors it is."""
    return metric.startswith("mae")


def worst_end(metric: str) -> int:
    """The percentile that stands for a bad device: the 5th, or the 95th of an error."""
    return 95 if lower_is_better(metric) else 5


def worst_first(values: NDArray[np.float64], metric: str) -> NDArray[np.int64]:
    """Draw numbers from the worst to the best value of a metric (n,); equal ones in their order."""
    return np.argsort(-values if lower_is_better(metric) else values, kind="stable")


def drops(values: NDArray[np.float64], nominal: float, metric: str) -> NDArray[np.float64]:
    """How much worse than nominal values of a metric are: same shape, positive for the worse."""
    return values - nominal if lower_is_better(metric) else nominal - values


def bootstrap(
    samples: int, statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], seed: int, resamples: int = _RESAMPLES
) -> NDArray[np.float64]:
    """95 % percentile-bootstrap bounds (2, …) of a statistic of draws.

    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), Eq. 13.5, doi:10.1201/9780429246593.

    Args:
        samples: number of draws.
        statistic: from draw numbers (resamples, samples), drawn with replacement, to (resamples, …).
        seed: seed of the resampling.
        resamples: how many.
    """
    picks = numpy_stream(seed, "tolerance bootstrap").integers(samples, size=(resamples, samples))
    bounds: NDArray[np.float64] = np.percentile(statistic(picks), [2.5, 97.5], axis=0)
    return bounds


def summarise(values: NDArray[np.float64], nominal: float, metric: str, seed: int) -> MetricSummary:
    """Spread of a metric over draws (n,)."""
    percentiles: NDArray[np.float64] = np.percentile(values, _PERCENTILES)
    low, high = bootstrap(len(values), lambda picks: np.percentile(values[picks], _PERCENTILES, axis=1).T, seed)
    mean_low, mean_high = bootstrap(len(values), lambda picks: values[picks].mean(axis=1), seed)
    return MetricSummary(
        nominal=nominal,
        mean=Estimate(float(values.mean()), float(mean_low), float(mean_high)),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        minimum=float(values.min()),
        maximum=float(values.max()),
        percentiles={
            str(percent): Estimate(float(percentiles[place]), float(low[place]), float(high[place]))
            for place, percent in enumerate(_PERCENTILES)
        },
        lower_is_better=lower_is_better(metric),
    )


def assured_rank(samples: int, share: float = 0.95, confidence: float = 0.95) -> int:
    """Which draw, counted from the worst, bounds that share of all devices with that confidence; 0 when none does.

    The k-th worst of n independent draws does when fewer than k of them fall in the worst 1 − share with a probability
    of at most 1 − confidence. S. S. Wilks, Determination of sample sizes for setting tolerance limits, Ann. Math. Stat.
    12, 91 (1941), doi:10.1214/aoms/1177731788: 59 draws give rank 1 at 95 % and 95 %.
    """
    from scipy.stats import binom

    ranks = np.arange(1, samples + 1)
    return int(np.sum(binom.cdf(ranks - 1, samples, 1.0 - share) <= 1.0 - confidence))


def convergence(values: NDArray[np.float64], metric: str) -> Convergence:
    """Mean and worse-end percentile of a metric over the first so many draws (n,)."""
    counts = np.unique(np.geomspace(min(5, len(values)), len(values), _CONVERGENCE_POINTS).round().astype(int))
    percent = worst_end(metric)
    return Convergence(
        samples=tuple(int(count) for count in counts),
        mean=tuple(float(values[:count].mean()) for count in counts),
        percentile=tuple(float(np.percentile(values[:count], percent)) for count in counts),
    )
