from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.instrument.microscope import Microscope
from opticdesign.optics.detectors import (
    Detector,
    cell_means,
    converted,
    mean_bins,
    poisson_quantile,
    poisson_reading,
    reparameterised_reading,
)
from opticdesign.optics.elements import DiffractiveElement
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import AngularSpectrum

READINGS = pytest.mark.parametrize("reading", [reparameterised_reading, poisson_reading])


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mean_bins_of_a_small_image_by_hand() -> None:
    image = torch.tensor([[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 8.0]])
    assert mean_bins(image, 2).tolist() == [[4.0, 2.0]]


@pytest.mark.parametrize("binning", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_mean_bins_equal_a_stack_of_2_by_2_mean_pools(binning: int, batch: tuple[int, ...]) -> None:
    image = torch.rand((*batch, 32, 48), generator=stream())
    expected = image.reshape(-1, 1, 32, 48)
    for _ in range(binning.bit_length() - 1):
        expected = functional.avg_pool2d(expected, 2)
    result = mean_bins(image, binning)
    assert tuple(result.shape) == (*batch, 32 // binning, 48 // binning)
    torch.testing.assert_close(result.flatten(), expected.flatten())


def test_a_cell_reads_the_mean_of_the_intensity_between_samples_too() -> None:
    """Waves of two samples, the shortest that an intensity has: their means over cells are known."""
    rows, columns, turn = 32, 48, 2.0 * math.pi * 0.2499
    y, x = (torch.arange(count * 2, dtype=torch.float64)[:, None] for count in (rows, columns))
    intensity = (1.0 + 0.8 * torch.cos(2.0 * turn * y)) * (1.0 + 0.5 * torch.sin(1.3 * turn * x)).mT
    found = cell_means(intensity, (2, 2))
    bottom, left = (torch.arange(count + 1, dtype=torch.float64) * 2.0 - 0.5 for count in (rows, columns))
    down = 1.0 + 0.8 * torch.sin(2.0 * turn * bottom).diff() / (4.0 * turn)
    right = 1.0 - 0.5 * torch.cos(1.3 * turn * left).diff() / (2.6 * turn)
    inside = slice(4, -4)
    torch.testing.assert_close(found[inside, inside], (down[:, None] * right)[inside, inside], rtol=0.0, atol=3e-3)


def test_mean_bins_keep_the_mean() -> None:
    image = torch.rand((2, 16, 24), dtype=torch.float64, generator=stream())
    torch.testing.assert_close(mean_bins(image, 8).mean((1, 2)), image.mean((1, 2)))


def test_detector_does_not_square_twice() -> None:
    grid = Grid.square(4, 1e-6)
    stay = AngularSpectrum(grid, 632.8e-9, 0.0, padding=1.0)  # zero distance leaves the field alone
    optics = DiffractiveSystem([DiffractiveElement(grid)], [stay, stay])
    process = FabricationProcess(8, 632.8e-9, 1.457)
    microscope = Microscope(optics, Detector(2, 1e4, 0.0), torch.nn.Identity(), process)
    field = torch.tensor([[3.0 + 4.0j, 1.0, 2.0j, 0.0]] * 4, dtype=torch.complex64)[None]
    # |3 + 4i|² = 25, 1, 4, 0: means of the two halves by hand
    torch.testing.assert_close(microscope.read(field), torch.tensor([[[13.0, 2.0], [13.0, 2.0]]]), rtol=1e-5, atol=1e-5)


@READINGS
@pytest.mark.parametrize("level", [0.05, 1.0, 3.0])
@pytest.mark.parametrize(("photons", "read_noise"), [(100.0, 6.0), (1e4, 6.0), (1e4, 200.0)])
def test_noise_has_the_mean_and_variance_of_shot_and_read_noise(reading, level, photons, read_noise) -> None:  # type: ignore[no-untyped-def]
    count = 100_000
    sample = reading(torch.full((count,), level, dtype=torch.float64), photons, read_noise, stream(1))
    variance = level / photons + (read_noise / photons) ** 2
    assert abs(sample.mean().item() - level) < 5.0 * (variance / count) ** 0.5
    # relative standard deviation of a sample variance is √(2/n), a little more for Poisson counts this few
    assert sample.var().item() == pytest.approx(variance, rel=0.03)


def test_noise_without_read_noise_counts_whole_photons() -> None:
    sample = poisson_reading(torch.full((1000,), 0.02, dtype=torch.float64), 250.0, 0.0, stream()) * 250.0
    torch.testing.assert_close(sample, sample.round(), rtol=0.0, atol=1e-9)
    assert sample.min().item() == 0.0


@READINGS
def test_noise_of_a_dark_pixel_is_read_noise_only(reading) -> None:  # type: ignore[no-untyped-def]
    assert reading(torch.zeros(10_000), 1e4, 0.0, stream()).abs().max().item() < 1e-6
    assert reading(torch.zeros(10_000), 1e4, 6.0, stream()).std().item() == pytest.approx(6e-4, rel=0.05)


@READINGS
def test_noise_uses_the_given_generator_only(reading) -> None:  # type: ignore[no-untyped-def]
    image = torch.rand((4, 5), generator=stream())
    before = torch.get_rng_state()
    first = reading(image, 1e3, 6.0, stream(7))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)  # the global stream moves on
    assert torch.equal(first, reading(image, 1e3, 6.0, stream(7)))
    assert not torch.equal(first, reading(image, 1e3, 6.0, stream(8)))


@READINGS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reading_keeps_shape_and_type(reading, dtype) -> None:  # type: ignore[no-untyped-def]
    result = reading(torch.ones((2, 3, 4), dtype=dtype), 1e3, 6.0, stream())
    assert (tuple(result.shape), result.dtype) == ((2, 3, 4), dtype)


def test_gradient_of_the_reparameterised_reading_is_finite_in_the_dark_and_exact_in_the_light() -> None:
    image = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    reparameterised_reading(image, 1e3, 6.0, stream()).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    lit = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda light: reparameterised_reading(light, 1e3, 6.0, stream()), lit)


def test_detector_without_a_generator_is_noiseless() -> None:
    image = torch.rand((2, 8, 8), generator=stream())
    detector = Detector(4, 1e3, 6.0)
    assert torch.equal(detector(image), mean_bins(image, 4))
    assert torch.equal(detector.eval()(image), mean_bins(image, 4))


def test_detector_is_differentiable_in_training_and_truly_poisson_in_evaluation() -> None:
    image = torch.rand((1, 8, 8), generator=stream())
    detector = Detector(2, 50.0, 1.0)
    binned = mean_bins(image, 2)
    assert torch.equal(detector.train()(image, stream(3)), reparameterised_reading(binned, 50.0, 1.0, stream(3)))
    assert torch.equal(detector.eval()(image, stream(3)), poisson_reading(binned, 50.0, 1.0, stream(3)))


def test_reading_by_hand_through_every_step_of_the_law() -> None:
    """1000 photons at 1.0, half of them counted, a well of 600 electrons, 4 codes of 0, 200, 400, 600 electrons."""
    image = torch.tensor([[0.0, 0.19, 0.21, 0.55], [0.59, 0.61, 1.3, 5.0]], dtype=torch.float64)
    detector = Detector(1, 1000.0, 0.0, quantum_efficiency=0.5, full_well=600.0, bits=2)
    # electrons 0, 95, 105, 275 and 295, 305, 650, 2500; a reading of 1.0 is 500 electrons
    torch.testing.assert_close(
        detector(image), torch.tensor([[0.0, 0.0, 200.0, 200.0], [200.0, 400.0, 600.0, 600.0]]).double() / 500.0
    )
    open_ended = Detector(1, 1000.0, 0.0, quantum_efficiency=0.5, full_well=600.0)
    torch.testing.assert_close(open_ended(image), image.clamp(max=1.2))


@pytest.mark.parametrize("bits", [1, 8, 12])
def test_converter_has_all_its_codes_from_nothing_to_the_full_well(bits: int) -> None:
    electrons = torch.linspace(-50.0, 1100.0, 100_001, dtype=torch.float64)
    result = converted(electrons, 1000.0, bits)
    codes = torch.unique(torch.round(result / 1000.0 * (2**bits - 1)))
    assert codes.tolist() == list(range(2**bits))
    assert (result.min().item(), result.max().item()) == (0.0, pytest.approx(1000.0))
    inside = (electrons > 0.0) & (electrons < 1000.0)
    assert (result - electrons)[inside].abs().max().item() <= 500.0 / (2**bits - 1) + 1e-9


def test_gradient_passes_a_converter_and_stops_at_a_full_well() -> None:
    image = torch.tensor([[0.1, 0.5, 0.99, 1.5]], dtype=torch.float64, requires_grad=True)
    Detector(1, 100.0, 0.0, full_well=100.0, bits=3)(image).sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad, torch.tensor([[1.0, 1.0, 1.0, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("training", [True, False])
def test_half_the_efficiency_is_half_the_electrons_and_the_same_mean(training: bool) -> None:
    count, level = 100_000, 0.4
    detector = Detector(1, 200.0, 3.0, quantum_efficiency=0.5).train(training)
    reading = detector(torch.full((1, count), level, dtype=torch.float64), stream(2))
    electrons = 0.5 * 200.0
    variance = level / electrons + (3.0 / electrons) ** 2
    assert abs(reading.mean().item() - level) < 5.0 * (variance / count) ** 0.5
    assert reading.var().item() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("training", [True, False])
def test_full_well_cuts_the_electrons_but_not_the_read_noise(training: bool) -> None:
    detector = Detector(1, 100.0, 5.0, full_well=100.0).train(training)
    reading = detector(torch.full((1, 50_000), 3.0, dtype=torch.float64), stream(4))
    assert reading.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert reading.std().item() == pytest.approx(0.05, rel=0.02)


@READINGS
def test_endless_well_changes_no_bit_of_a_reading(reading) -> None:  # type: ignore[no-untyped-def]
    image = torch.rand((3, 8, 8), generator=stream())
    assert torch.equal(reading(image, 100.0, 2.0, stream(1), 1e30), reading(image, 100.0, 2.0, stream(1)))


@pytest.mark.parametrize(
    "options",
    [
        {"quantum_efficiency": 0.0},
        {"quantum_efficiency": 1.2},
        {"full_well": 0.0},
        {"bits": 8},
        {"full_well": 9.0, "bits": 0},
    ],
)
def test_camera_refuses_what_is_out_of_range(options) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="finite full well under a converter"):
        Detector(1, 100.0, 1.0, **options)


@pytest.mark.parametrize("mean", [0.0, 1e-3, 0.3, 2.0, 7.0, 60.0, 99.0, 150.0, 6000.0, 1e6])
def test_poisson_quantiles_are_those_of_the_distribution(mean: float) -> None:
    from scipy.stats import poisson

    chance = torch.rand(4000, generator=stream(), dtype=torch.float64)
    chance[:4] = torch.tensor([0.0, 1e-12, 1.0 - 1e-12, 0.5], dtype=torch.float64)
    found = poisson_quantile(chance, torch.full_like(chance, mean)).numpy()
    expected = poisson.ppf(chance.numpy(), mean).clip(min=0.0) if mean > 0.0 else 0.0 * found
    missed = abs(found - expected)[1:]
    assert found[0] >= 0.0
    assert missed.max() <= (0.0 if mean < 100.0 else 1.0)
    assert (missed > 0.0).mean() < 0.02


def test_a_little_more_light_changes_a_reading_little() -> None:
    light = torch.rand((64, 64), generator=stream(), dtype=torch.float64)
    read, brighter = (poisson_reading(light * factor, 1e4, 6.0, stream(1)) for factor in (1.0, 1.0 + 1e-6))
    assert (brighter - read).min() >= 0.0  # the noise is the same
    assert (brighter - read).max() <= 1.1e-4  # a count
    assert not torch.equal(poisson_reading(light, 1e4, 6.0, stream(2)), read)
