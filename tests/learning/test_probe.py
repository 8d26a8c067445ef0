from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from opticdesign.learning.probe import linear_probe_error


def smooth_phase(batch: int, size: int, seed: int) -> torch.Tensor:
    noise = torch.randn((batch, 1, size // 8, size // 8), generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (size, size), mode="bicubic", align_corners=True)[:, 0]


def test_reading_that_is_the_phase_is_read_better_than_one_that_is_noise() -> None:
    phase = smooth_phase(8, 64, 0)
    noise = torch.randn((8, 16, 16), generator=torch.Generator().manual_seed(1))
    told = linear_probe_error(1.0 + functional.avg_pool2d(phase[:, None], 4)[:, 0], phase, 1)
    untold = linear_probe_error(1.0 + noise, phase, 1)
    assert told < 0.35 < 0.95 < untold


def test_error_is_that_of_the_half_it_was_not_fitted_to() -> None:
    """Targets no reading tells: fitting them must not help, or the probe would praise masks for noise."""
    generator = torch.Generator().manual_seed(2)
    phase, reading = torch.randn((8, 32, 32), generator=generator), torch.randn((8, 8, 8), generator=generator)
    assert linear_probe_error(reading, phase, 1) > 1.0


def test_size_of_the_phase_does_not_matter() -> None:
    phase = smooth_phase(8, 32, 9)
    reading = functional.avg_pool2d(phase[:, None], 4)[:, 0]
    torch.testing.assert_close(linear_probe_error(reading, 3.0 * phase, 1), linear_probe_error(reading, phase, 1))


def test_offset_of_the_phase_does_not_matter() -> None:
    phase = smooth_phase(4, 32, 3)
    reading = functional.avg_pool2d(phase[:, None], 4)[:, 0]
    shifted = phase + torch.arange(4.0)[:, None, None]
    torch.testing.assert_close(linear_probe_error(reading, shifted, 1), linear_probe_error(reading, phase, 1))


def test_each_pixel_of_a_period_has_its_own_reader() -> None:
    """A reading whose sign alternates from pixel to pixel tells all, but only to readers that know their place."""
    phase = smooth_phase(8, 64, 4)
    pixels = functional.avg_pool2d(phase[:, None], 4)[:, 0]
    sign = torch.ones(16, 16)
    sign[::2, ::2] = sign[1::2, 1::2] = -1.0
    reading = 1.0 + sign * pixels
    assert linear_probe_error(reading, phase, 2) < 0.7 * linear_probe_error(reading, phase, 1)


def test_gradient_agrees_with_finite_differences() -> None:
    phase = smooth_phase(2, 32, 5).double()
    reading = torch.randn((2, 8, 8), generator=torch.Generator().manual_seed(6), dtype=torch.float64).requires_grad_()
    error = linear_probe_error(reading, phase, 2)
    (gradient,) = torch.autograd.grad(error, reading)
    direction = torch.randn(reading.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    step = 1e-5
    with torch.no_grad():
        ends = [linear_probe_error(reading + s * step * direction, phase, 2) for s in (1, -1)]
    assert math.isclose(float((gradient * direction).sum()), float(ends[0] - ends[1]) / (2 * step), rel_tol=1e-5)


@pytest.mark.parametrize("period", [1, 2, 4])
def test_error_is_finite_for_a_flat_reading(period: int) -> None:
    assert torch.isfinite(linear_probe_error(torch.ones((2, 8, 8)), smooth_phase(2, 32, 8), period))
