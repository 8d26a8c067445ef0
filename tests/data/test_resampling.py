import numpy as np
import pytest

from opticdesign.data.resampling import resample, resample_mask, resampled_shape


def blob(n, pitch_um, centre_um=(20.0, 30.0), sigma_um=4.0):
    """A Gaussian sampled at pixel centres, the image's edge being the origin."""
    at = (np.arange(n) + 0.5) * pitch_um
    return np.exp(-((at[:, None] - centre_um[0]) ** 2 + (at - centre_um[1]) ** 2) / (2 * sigma_um**2))


def test_resampled_shape_is_that_of_the_published_set():
    assert resampled_shape((2304, 2304), ((6.5e-6 / 60) / 316.4e-9,) * 2) == (789, 789)


@pytest.mark.parametrize(("pitch", "new_pitch"), [(0.2, 0.5), (0.5, 0.2), (0.2, 0.25), (0.4, 0.375)])
def test_resampling_keeps_position_and_size(pitch, new_pitch):
    n, m = round(60 / pitch), round(60 / new_pitch)
    result = resample(blob(n, pitch), (pitch / new_pitch,) * 2)
    # The blur before shrinking widens the blob by its own variance.
    blur = max(0.0, (new_pitch / pitch - 1) / 2) * pitch
    sigma = np.hypot(4.0, blur)
    expected = blob(m, new_pitch, sigma_um=sigma) * (4.0 / sigma) ** 2
    np.testing.assert_allclose(result, expected, atol=5e-3)


@pytest.mark.parametrize(
    ("n", "pitch", "new_pitch"), [(20, 0.53, 1.0), (96, 0.5, 0.37), (64, 0.5, 0.499), (30, 2.0, 1.7)]
)
def test_a_pitch_that_is_no_part_of_the_side_stretches_nothing(n, pitch, new_pitch):
    side = n * pitch
    result = resample(blob(n, pitch, (side / 2, side / 2), side / 10), (pitch / new_pitch,) * 2)
    at = (np.arange(len(result)) - (len(result) - 1) / 2) * new_pitch
    spread = np.sqrt((result.sum(0) * at**2).sum() / result.sum())
    blur = max(0.0, (new_pitch / pitch - 1) / 2) * pitch
    assert spread == pytest.approx(np.hypot(side / 10, blur), rel=1e-2)
    assert (result.sum(0) * at).sum() / result.sum() == pytest.approx(0.0, abs=1e-9)


def test_resampling_keeps_the_size_of_each_axis():
    image = np.broadcast_to(np.linspace(0.0, 1.0, 90)[:, None], (90, 40))
    result = resample(image, (1 / 3, 2.0))
    assert result.shape == (30, 80)
    np.testing.assert_allclose(np.diff(result[3:-3, 40]), 3 / 89, rtol=1e-2)
    np.testing.assert_allclose(np.ptp(result, axis=1), 0.0, atol=1e-12)


def test_shrinking_does_not_fold_fine_gratings_back():
    x = np.arange(600)
    grating = np.broadcast_to(np.cos(2 * np.pi * 0.45 * x), (600, 600))
    assert np.abs(resample(grating, (1 / 3, 1 / 3))[:, 10:-10]).max() < 0.06
    coarse = np.broadcast_to(np.cos(2 * np.pi * 0.02 * x), (600, 600))
    assert np.abs(resample(coarse, (1 / 3, 1 / 3))).max() > 0.95


def test_resampling_does_not_overshoot():
    step = np.zeros((40, 40))
    step[:, 20:] = 1.0
    result = resample(step, (2.25, 2.25))
    assert (result.min(), result.max()) == (0.0, 1.0)


def test_resampling_a_wrapping_field_keeps_its_slope():
    slope = 0.5  # radians a pixel
    field = np.exp(1j * slope * np.broadcast_to(np.arange(120), (120, 120)))
    result = resample(field, (100 / 120, 100 / 120))[10:-10, 10:-10]
    np.testing.assert_allclose(np.angle(result[:, 1:] / result[:, :-1]), slope * 1.2, atol=2e-2)


def test_resampling_to_the_same_pitch_changes_nothing():
    image = np.random.default_rng(0).random((7, 9))
    np.testing.assert_array_equal(resample(image, (1.0, 1.0)), image)
    np.testing.assert_array_equal(resample_mask(image > 0.5, (1.0, 1.0)), image > 0.5)


@pytest.mark.parametrize("size", [40, 73, 133, 250])
def test_valid_pixels_are_free_of_what_the_mask_hides(size):
    rng = np.random.default_rng(5)
    valid = rng.random((100, 100)) > 0.002
    spoilt = np.where(valid, 0.0, 1.0)
    kept = resample_mask(valid, (size / 100, size / 100))
    assert 0.3 < kept.mean() < 1.0
    assert np.abs(resample(spoilt, (size / 100, size / 100))[kept]).max() < 0.03
