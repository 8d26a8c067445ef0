from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from opticdesign.tolerance.result import SpecLimit
from opticdesign.tolerance.yields import exact_bounds, yield_curve, yield_of

AT_LEAST_20 = SpecLimit("psnr_db", 20.0, lower_is_better=False)


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(1, 400), share=st.floats(0, 1))
def test_exact_bounds_are_those_of_the_exact_binomial_test(samples: int, share: float) -> None:
    passed = round(share * samples)
    low, high = exact_bounds(np.asarray(passed), samples)
    expected = binomtest(passed, samples).proportion_ci(0.95, "exact")
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)


@pytest.mark.parametrize("true", [0.03, 0.5, 0.9, 0.99])
def test_exact_bounds_hold_the_true_share_in_at_least_95_of_100_studies(true: float) -> None:
    counts = np.arange(201)
    low, high = exact_bounds(counts, 200)
    assert binom.pmf(counts, 200, true)[(low <= true) & (true <= high)].sum() >= 0.95


def test_yield_counts_draws_at_the_limit_as_passed() -> None:
    found = yield_of(np.array([19.0, 20.0, 21.0, 22.0]), AT_LEAST_20)
    assert (found.passed, found.samples, found.share.value) == (3, 4, 0.75)
    assert found.share.low == pytest.approx(0.194, abs=1e-3) and found.share.high == pytest.approx(0.994, abs=1e-3)


def test_yield_of_an_error_counts_small_values() -> None:
    spec = SpecLimit("mae_rad", 0.2, lower_is_better=True)
    assert yield_of(np.array([0.1, 0.2, 0.3]), spec).passed == 2


@pytest.mark.parametrize(("least", "enough"), [(None, True), (0.75, True), (0.76, False)])
def test_yield_is_enough_when_its_share_reaches_the_least(least: float | None, enough: bool) -> None:
    assert yield_of(np.array([19.0, 20.0, 21.0, 22.0]), AT_LEAST_20, least).enough is enough


@pytest.mark.parametrize("lower_is_better", [False, True])
def test_yield_curve_goes_from_all_to_none_inside_its_band(lower_is_better: bool) -> None:
    values = np.random.default_rng(0).normal(20.0, 1.0, 300)
    curve = yield_curve(values, lower_is_better)
    ends = (0.0, 1.0) if lower_is_better else (1.0, 0.0)
    assert (curve.share[0], curve.share[-1]) == ends
    assert all(low <= share <= high for low, share, high in zip(curve.low, curve.share, curve.high, strict=True))
    for limit, share in list(zip(curve.limits, curve.share, strict=True))[::20]:
        spec = SpecLimit("psnr_db", limit, lower_is_better)
        assert share == yield_of(values, spec).share.value


def test_yield_curve_of_equal_draws_is_a_step() -> None:
    curve = yield_curve(np.full(5, 3.0), lower_is_better=False)
    assert (curve.share[0], curve.share[-1]) == (1.0, 0.0)
    assert curve.limits[0] < 3.0 < curve.limits[-1]
