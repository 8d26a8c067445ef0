from __future__ import annotations

import numpy as np
import pytest

from opticdesign.data import PatchSampler, PhaseField, Window
from opticdesign.data.augmentation import draw_superposed


@pytest.fixture
def sampler() -> PatchSampler:
    """One field of phase 1 and amplitude 1, one of phase 3 and amplitude 0.5."""
    valid = np.ones((20, 20), np.bool_)
    flat = np.ones((20, 20), np.float32)
    fields = [PhaseField("a", flat, flat, valid), PhaseField("b", 3 * flat, flat / 2, valid)]
    return PatchSampler(fields, Window((16, 16)))


def test_no_sum_leaves_the_patches_as_they_are(sampler: PatchSampler) -> None:
    amplitudes, phases = draw_superposed(sampler, 50, 0.0, (0.5, 2.0), np.random.default_rng(0))
    assert set(np.unique(phases)) == {1.0, 3.0}
    assert set(np.round(np.unique(amplitudes), 6)) == {0.5, 1.0}


def test_sums_lie_between_their_parts_and_amplitude_follows_the_same_weight(sampler: PatchSampler) -> None:
    amplitudes, phases = draw_superposed(sampler, 200, 1.0, (1.0, 1.0), np.random.default_rng(1))
    assert phases.min() >= 1.0 and phases.max() <= 3.00001
    assert len(np.unique(phases)) > 50
    share = (phases - 1.0) / 2.0  # weight of the field with amplitude 1/2
    np.testing.assert_allclose(amplitudes, 0.5**share, rtol=1e-5)


def test_scale_multiplies_only_sums_and_stays_in_its_range(sampler: PatchSampler) -> None:
    _, phases = draw_superposed(sampler, 400, 0.5, (2.0, 2.5), np.random.default_rng(2))
    values = phases[:, 0, 0]
    plain = np.isin(values, (1.0, 3.0))
    assert 120 < plain.sum() < 280
    assert values[~plain].min() >= 2.0 and values[~plain].max() <= 7.5


def test_same_stream_gives_the_same_patches(sampler: PatchSampler) -> None:
    first, again = (draw_superposed(sampler, 8, 0.7, (0.8, 1.4), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
