from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import expon, norm

from opticdesign.tolerance.summary import (
    assured_rank,
    bootstrap,
    convergence,
    drops,
    percentile_ranks,
    summarise,
    worst_first,
)

DRAWS = np.random.default_rng(1).normal(20.0, 2.0, 4000)


def test_percentiles_of_a_normal_metric_are_those_of_the_distribution() -> None:
    found = summarise(DRAWS, 21.0, "psnr_db", 0)
    for percent, quantile in (("5", 0.05), ("50", 0.5), ("95", 0.95)):
        one, true = found.percentiles[percent], norm.ppf(quantile, 20.0, 2.0)
        assert one.low < true < one.high
        assert one.low <= one.value <= one.high
    # the asymptotic interval of a quantile: ±1.96 √(q (1 − q)/n)/pdf
    width = found.percentiles["5"].high - found.percentiles["5"].low
    expected = 2 * 1.96 * math.sqrt(0.05 * 0.95 / 4000) / norm.pdf(norm.ppf(0.05), scale=1.0) * 2.0
    assert width == pytest.approx(expected, rel=0.25)
    assert found.mean.high - found.mean.low == pytest.approx(2 * 1.96 * 2.0 / math.sqrt(4000), rel=0.1)
    assert (found.nominal, found.deviation) == (21.0, pytest.approx(2.0, rel=0.05))
    assert not found.lower_is_better


def test_bootstrap_depends_on_the_seed_alone() -> None:
    def means(picks: np.ndarray) -> np.ndarray:
        return DRAWS[picks].mean(axis=1)

    first, again, other = (bootstrap(50, means, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_single_draw_has_a_summary() -> None:
    found = summarise(np.array([3.0]), 4.0, "psnr_db", 0)
    assert (found.deviation, found.percentiles["5"].low, found.mean.high) == (0.0, 3.0, 3.0)


@pytest.mark.parametrize(("samples", "rank"), [(1, 0), (58, 0), (59, 1), (92, 1), (93, 2), (123, 2), (124, 3)])
def test_assured_rank_is_that_of_wilks_and_of_nonparametric_tables(samples: int, rank: int) -> None:
    assert assured_rank(samples) == rank


def test_the_worst_draw_of_59_is_a_95_95_bound() -> None:
    worst = np.random.default_rng(2).random((20_000, 59)).min(axis=1)
    assert np.mean(worst < 0.05) == pytest.approx(1 - 0.95**59, abs=0.005)


def test_the_worst_come_first_and_equal_ones_in_their_order() -> None:
    values = np.array([3.0, 1.0, 2.0, 1.0])
    assert worst_first(values, "ssim").tolist() == [1, 3, 2, 0]
    assert worst_first(values, "mae_rad").tolist() == [0, 2, 1, 3]


def test_a_drop_is_for_the_worse_whatever_the_metric() -> None:
    assert drops(np.array([19.0, 21.0]), 20.0, "psnr_db").tolist() == [1.0, -1.0]
    assert drops(np.array([0.3]), 0.2, "mae_rad")[0] == pytest.approx(0.1)


def test_convergence_ends_at_all_draws_and_follows_the_worse_end() -> None:
    for metric, percent in (("psnr_db", 5), ("mae_rad", 95)):
        found = convergence(DRAWS, metric)
        assert found.samples[0] == 5 and found.samples[-1] == 4000
        assert list(found.samples) == sorted(set(found.samples))
        assert found.mean[-1] == DRAWS.mean() and found.percentile[-1] == np.percentile(DRAWS, percent)
        assert found.mean[10] == DRAWS[: found.samples[10]].mean()


@pytest.mark.parametrize("samples", [59, 60, 93, 200, 1000])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("draw", [np.random.Generator.normal, np.random.Generator.standard_exponential])
def test_order_statistics_hold_a_percentile_in_95_of_100_studies_whatever_the_distribution(
    samples: int, share: float, draw: Callable[..., np.ndarray]
) -> None:
    low, high, sure = percentile_ranks(samples, share)
    assert sure >= 0.95
    rng = np.random.default_rng(3)
    ordered = np.sort(draw(rng, size=(4000, samples)), axis=1)
    kind = norm if draw is np.random.Generator.normal else expon
    held = np.mean((ordered[:, low - 1] <= kind.ppf(share)) & (kind.ppf(share) < ordered[:, high - 1]))
    assert held == pytest.approx(sure, abs=0.012)
    assert ordered[0, low - 1] <= np.percentile(ordered[0], 100 * share) <= ordered[0, high - 1]


def test_too_few_draws_say_how_surely_their_ends_hold_a_percentile() -> None:
    assert percentile_ranks(58, 0.05) == (1, 58, pytest.approx(1.0 - 0.95**58 - 0.05**58))
    assert percentile_ranks(58, 0.05)[2] < 0.95 < percentile_ranks(59, 0.05)[2]
    assert percentile_ranks(1, 0.5) == (1, 1, 0.0)
