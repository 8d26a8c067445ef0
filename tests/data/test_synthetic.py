import numpy as np
import pytest

from opticdesign.data import synthetic_field
from opticdesign.errors import UsageError

PITCH_M, WAVELENGTH_M = 316.4e-9, 632.8e-9


def spectrum(phase, at):
    """Power at the given cycles over the field, averaged over a ring one octave wide."""
    n = phase.shape[0]
    window = np.outer(np.hanning(n), np.hanning(n))
    power = np.abs(np.fft.fft2((phase - phase.mean()) * window)) ** 2 / np.sum(window**2)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(n, 1 / n), np.fft.fftfreq(n, 1 / n)))
    return np.array([power[(radius > k / np.sqrt(2)) & (radius <= k * np.sqrt(2))].mean() for k in at])


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_synthetic_field_is_the_same_for_the_same_seed(seed):
    first, again = (synthetic_field((90, 70), PITCH_M, WAVELENGTH_M, seed) for _ in range(2))
    assert first.shape == (90, 70)
    np.testing.assert_array_equal(first.phase_rad, again.phase_rad)
    np.testing.assert_array_equal(first.amplitude, again.amplitude)
    other = synthetic_field((90, 70), PITCH_M, WAVELENGTH_M, seed + 1)
    assert np.abs(first.phase_rad - other.phase_rad).max() > 0.3


def test_synthetic_field_is_a_weak_absorber_with_the_phase_of_cells():
    for seed in range(4):
        field = synthetic_field((512, 512), PITCH_M, WAVELENGTH_M, seed)
        assert field.phase_rad.min() >= 0.0
        assert 2.5 < np.percentile(field.phase_rad, 99.9) < field.phase_rad.max() < 5.5
        assert 0.45 < field.phase_rad.std() < 0.9
        assert 0.95 <= field.amplitude.min() < field.amplitude.max() <= 1.0
        assert field.valid.all()


def test_synthetic_field_has_the_spectrum_of_the_measured_cells():
    at = np.array([2, 4, 8, 16, 32, 64, 128])
    # Measured on a HeLa phase image, 512² pixels of 316.4 nm, with the function above.
    measured = np.array([2070.0, 695.0, 34.4, 1.71, 0.25, 0.0399, 0.0011])
    fields = [synthetic_field((512, 512), PITCH_M, WAVELENGTH_M, seed).phase_rad for seed in range(4)]
    ratio = np.mean([spectrum(phase, at) for phase in fields], axis=0) / measured
    assert np.abs(np.log(ratio)).max() < np.log(2.5)


def test_synthetic_phase_is_thickness_over_wavelength():
    short, long = (synthetic_field((64, 64), PITCH_M, wavelength, 3) for wavelength in (500e-9, 1000e-9))
    np.testing.assert_allclose(short.phase_rad, 2 * long.phase_rad, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(short.amplitude, long.amplitude)


def test_synthetic_cells_keep_their_size_at_another_pitch():
    fine, coarse = (synthetic_field((n, n), pitch, WAVELENGTH_M, 3) for n, pitch in ((480, 0.3e-6), (160, 0.9e-6)))
    shares = [spectrum(field.phase_rad, [4])[0] / field.phase_rad.size for field in (fine, coarse)]
    assert 1 / 3 < shares[0] / shares[1] < 3


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (13, 200), (201, 6)])
def test_synthetic_field_takes_any_shape(shape):
    assert synthetic_field(shape, PITCH_M, WAVELENGTH_M, 0).shape == shape


@pytest.mark.parametrize(
    ("shape", "pitch_m", "wavelength_m", "seed"),
    [
        ((0, 8), PITCH_M, WAVELENGTH_M, 0),
        ((8, 8), 0.0, WAVELENGTH_M, 0),
        ((8, 8), 4e-4, WAVELENGTH_M, 0),
        ((8, 8), float("nan"), WAVELENGTH_M, 0),
        ((8, 8), PITCH_M, -1.0, 0),
        ((8, 8), PITCH_M, WAVELENGTH_M, -1),
    ],
)
def test_synthetic_field_refuses_what_holds_no_cells(shape, pitch_m, wavelength_m, seed):
    with pytest.raises(UsageError, match=r"synthetic cells of(.*\n)*.*data.kind"):
        synthetic_field(shape, pitch_m, wavelength_m, seed)
