"""How a metric spreads over draws: percentiles between order statistics, tolerance bounds, convergence."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

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
    "percentile_ranks",
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
    ordered = np.sort(values)
    ranks = [percentile_ranks(len(values), percent / 100.0) for percent in _PERCENTILES]
    mean_low, mean_high = bootstrap(len(values), lambda picks: values[picks].mean(axis=1), seed)
    return MetricSummary(
        nominal=nominal,
        mean=Estimate(float(values.mean()), float(mean_low), float(mean_high)),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        minimum=float(values.min()),
        maximum=float(values.max()),
        percentiles={
            str(percent): Estimate(float(percentiles[place]), float(ordered[low - 1]), float(ordered[high - 1]))
            for place, (percent, (low, high, _)) in enumerate(zip(_PERCENTILES, ranks, strict=True))
        },
        lower_is_better=lower_is_better(metric),
    )


@cache
def percentile_ranks(samples: int, share: float, confidence: float = 0.95) -> tuple[int, int, float]:
    """The closest two order statistics, counted from 1 at the smallest, that hold a quantile, and how surely they do.

    Of n independent draws the number B below the quantile of a continuous distribution is binomial, and the l-th and
    u-th smallest hold it where l ≤ B < u, whatever the distribution. W. R. Thompson, On confidence ranges for the
    median and other expectation distributions for populations of unknown distribution form, Ann. Math. Stat. 7, 122
    (1936), doi:10.1214/aoms/1177732502. Where not even the least and the greatest are sure enough, they are taken:
    their probability, the third number, says so.

    Args:
        samples: number of draws.
        share: which quantile, above 0 and below 1.
        confidence: least probability.
    """
    from scipy.stats import binom

    below = binom.cdf(np.arange(samples), samples, share)  # of B ≤ 0, 1, …
    best = (1, samples, float(below[-1] - below[0]) if samples > 1 else 0.0)
    if best[2] < confidence:
        return best
    for low in range(1, samples):
        high = int(np.searchsorted(below, below[low - 1] + confidence)) + 1
        if high > samples:
            break
        sure = float(below[high - 1] - below[low - 1])
        if (high - low, -sure) < (best[1] - best[0], -best[2]):
            best = (low, high, sure)
    return best


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
