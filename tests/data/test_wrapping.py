"""Wrapped maps of every kind are seen; steep, noisy and stepped ones are not taken for them."""

import numpy as np
import pytest

from opticdesign.data import Asked, Conventions, load_fields
from opticdesign.data.wrapping import looks_wrapped, unwrapped
from opticdesign.errors import DataError

SHAPE = (160, 180)
Y, X = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
ALL = np.ones(SHAPE, np.bool_)


def wrap(phase):
    return np.angle(np.exp(1j * phase))


def bump(peak, width=0.4):
    return peak * np.exp(-(X**2 + Y**2) / width**2)


def noise(sigma, seed=0):
    return np.random.default_rng(seed).normal(0.0, sigma, SHAPE)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("peak", [4.0, 8.0, 20.0, 40.0])
@pytest.mark.parametrize("width", [0.15, 0.4, 1.0])
def test_a_wrapped_bump_is_seen(peak, width, sigma):
    assert looks_wrapped(wrap(bump(peak, width) + noise(sigma)), ALL)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("tilt", [0.0, 15.0, 60.0])
@pytest.mark.parametrize("peak", [2.0, 8.0])
def test_the_difference_of_two_wrapped_maps_is_seen(peak, tilt, sigma):
    background = tilt * X + 0.7 * tilt * Y + 2.5
    found = wrap(bump(peak) + background + noise(sigma, 1)) - wrap(background + noise(sigma, 2))
    assert looks_wrapped(found, ALL)


@pytest.mark.parametrize("offset", [0.0, np.pi, 100.0])
def test_where_the_range_begins_is_no_matter(offset):
    assert looks_wrapped(np.mod(bump(15.0), 2 * np.pi) + offset, ALL)


def test_wrapped_within_half_a_map_of_noise_is_seen():
    phase = bump(15.0)
    phase[:80] = np.random.default_rng(0).uniform(-9, 9, (80, 180))
    assert looks_wrapped(wrap(phase), ALL)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.5, 3.0])
@pytest.mark.parametrize("peak", [3.0, 20.0, 80.0, 300.0])
def test_steep_and_noisy_unwrapped_maps_are_not(peak, sigma):
    assert not looks_wrapped(bump(peak, 0.25) + noise(sigma), ALL)


@pytest.mark.parametrize("slope", [1.0, 3.0, 4.5, 6.0])
def test_a_tilt_is_not(slope):
    assert not looks_wrapped(slope * np.arange(SHAPE[1]) + 0.0 * Y, ALL)


@pytest.mark.parametrize("seed", range(6))
def test_cliffs_of_all_heights_are_not(seed):
    rng = np.random.default_rng(seed)
    heights = rng.uniform(0.0, 12.0, (16, 18))
    assert not looks_wrapped(np.kron(heights, np.ones((10, 10))) + noise(0.1, seed), ALL)


@pytest.mark.parametrize("height", [2.5, 3.5, 4.5])
def test_a_grating_of_one_height_is_not(height):
    assert not looks_wrapped(height * (np.sin(40 * X) > 0) + noise(0.05), ALL)


def test_hot_pixels_and_dust_are_not():
    rng = np.random.default_rng(3)
    phase = bump(3.0)
    phase[rng.integers(160, size=60), rng.integers(180, size=60)] += 6.28
    assert not looks_wrapped(phase, ALL)


def test_jumps_outside_the_mask_do_not_count():
    phase = wrap(bump(15.0))
    outside = np.hypot(X, Y) < 0.7
    assert looks_wrapped(phase, ALL) and not looks_wrapped(phase, ALL & ~outside)


def asked(wrapped):
    return Asked(1e-6, 1e-6, conventions=Conventions(wrapped=wrapped))


def test_wrapped_data_is_refused_unwrapped_or_accepted_as_asked(tmp_path):
    phase = bump(8.0)
    background = 15.0 * X
    found = wrap(phase + background) - wrap(background)
    np.save(tmp_path / "p.npy", found)
    with pytest.raises(DataError, match=r'looks wrapped(.*\n)*.*set data.wrapped = "unwrap", or "accept"'):
        load_fields(tmp_path / "p.npy", asked("refuse"))
    (field,) = load_fields(tmp_path / "p.npy", asked("unwrap"))
    np.testing.assert_allclose(field.phase_rad, phase - phase.min(), atol=1e-5)
    (field,) = load_fields(tmp_path / "p.npy", asked("accept"))
    np.testing.assert_allclose(field.phase_rad, found, atol=1e-6)


def test_degrees_and_nanometres_wrap_as_well(tmp_path):
    np.save(tmp_path / "p.npy", np.degrees(wrap(bump(15.0))))
    degrees = Conventions(unit="deg", wrapped="refuse")
    with pytest.raises(DataError, match="looks wrapped"):
        load_fields(tmp_path / "p.npy", Asked(1e-6, 1e-6, conventions=degrees))


def test_unwrapping_starts_at_zero_and_leaves_the_outside():
    phase, valid = bump(20.0), np.hypot(X, Y) < 0.9
    found = unwrapped(np.where(valid, wrap(phase), 0.0), valid)
    np.testing.assert_allclose(found[valid], (phase - phase[valid].min())[valid], atol=1e-9)
    assert not found[~valid].any()
