from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from opticdesign.errors import UsageError
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.sampling import Sampler, unit_points

SAMPLERS = get_args(Sampler)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(SAMPLERS), st.integers(1, 6), st.integers(0, 20), st.integers(1, 12), st.integers(0, 99))
def test_a_point_does_not_depend_on_those_asked_with_it(
    sampler: Sampler, dimensions: int, first: int, count: int, seed: int
) -> None:
    whole = unit_points(sampler, dimensions, seed, 0, 40, 40)
    part = unit_points(sampler, dimensions, seed, first, count, 40)
    assert part.shape == (count, dimensions)
    np.testing.assert_array_equal(part, whole[first : first + count])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_points_lie_inside_the_cube_and_change_with_the_seed(sampler: Sampler) -> None:
    points = unit_points(sampler, 3, 0, 0, 64, 64)
    assert points.min() > 0.0
    assert points.max() < 1.0
    assert not np.array_equal(points, unit_points(sampler, 3, 1, 0, 64, 64))
    assert unit_points(sampler, 0, 0, 0, 5, 5).shape == (5, 0)


@pytest.mark.parametrize("sampler", ["latin-hypercube", "sobol"])
def test_each_strip_of_each_dimension_holds_one_point(sampler: Sampler) -> None:
    points = unit_points(sampler, 4, 7, 0, 64, 64)
    assert all(sorted(np.floor(points[:, dimension] * 64)) == list(range(64)) for dimension in range(4))


def test_sobol_points_are_those_of_the_scrambled_sequence() -> None:
    reference = qmc.Sobol(5, seed=stream_seed(11, "sobol") % 2**32).random(32)
    np.testing.assert_array_equal(unit_points("sobol", 5, 11, 0, 32, 100), reference)


def test_random_points_are_uniform() -> None:
    points = unit_points("random", 2, 5, 0, 4000, 4000)
    np.testing.assert_allclose(points.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.cov(points.T), np.eye(2) / 12.0, atol=0.005)


def test_too_many_dimensions_for_sobol_are_refused() -> None:
    with pytest.raises(UsageError, match="30000 dimensions"):
        unit_points("sobol", 30_000, 0, 0, 1, 1)
