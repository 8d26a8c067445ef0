"""Yield: the share of draws that meet a specification, with exact binomial bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opticdesign.tolerance.result import Estimate, SpecLimit, YieldCurve, YieldFound

__all__ = ["exact_bounds", "yield_curve", "yield_of"]

_CURVE_LIMITS = 81


def exact_bounds(passed: NDArray[np.int64], samples: int, confidence: float = 0.95) -> NDArray[np.float64]:
    """Exact two-sided bounds of the share behind `passed` of `samples` independent draws: (2, …), low and high.

    C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
    Biometrika 26, 404 (1934), doi:10.1093/biomet/26.4.404, as quantiles of the beta distribution.
    """
    from scipy.stats import beta

    tail = (1.0 - confidence) / 2.0
    failed = samples - passed
    # a beta distribution needs positive shapes; at the ends the bound is known
    low = np.where(passed > 0, beta.ppf(tail, np.maximum(passed, 1), failed + 1), 0.0)
    high = np.where(failed > 0, beta.ppf(1.0 - tail, passed + 1, np.maximum(failed, 1)), 1.0)
    return np.stack([low, high])


def yield_of(values: NDArray[np.float64], spec: SpecLimit, least: float | None = None) -> YieldFound:
    """Yield of draws whose judged metric is `values` (n,); a draw exactly at the limit passes."""
    passed = int(np.sum(_meets(values, np.asarray(spec.limit), spec.lower_is_better)))
    low, high = exact_bounds(np.asarray(passed), len(values))
    return YieldFound(spec, passed, len(values), Estimate(passed / len(values), float(low), float(high)), least)


def yield_curve(values: NDArray[np.float64], lower_is_better: bool) -> YieldCurve:
    """Share of the draws (n,) that meet each of evenly spaced limits, from a little under all to a little over all."""
    margin = 0.02 * max(float(np.ptp(values)), 1e-9 * float(np.max(np.abs(values))), 1e-12)
    limits = np.linspace(values.min() - margin, values.max() + margin, _CURVE_LIMITS)
    passed = _meets(values[:, None], limits, lower_is_better).sum(axis=0)
    low, high = exact_bounds(passed, len(values))
    columns = (limits, passed / len(values), low, high)
    return YieldCurve(*(tuple(float(value) for value in column) for column in columns))


def _meets(values: NDArray[np.float64], limit: NDArray[np.float64], lower_is_better: bool) -> NDArray[np.bool_]:
    return values <= limit if lower_is_better else values >= limit
