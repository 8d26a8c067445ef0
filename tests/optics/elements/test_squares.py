from __future__ import annotations

import math

import pytest
import torch

from opticdesign.optics.elements import RIM, Square
from opticdesign.optics.elements.squares import square_weights


@pytest.mark.parametrize("samples", [1, 2, 3, 6])
@pytest.mark.parametrize(("fill", "clear"), [(1.0, False), (0.7, False), (0.7, True)])
def test_mask_has_the_spectrum_of_its_squares_below_half_its_samples(samples: int, fill: float, clear: bool) -> None:
    """One neuron among clear ones against the transform of a square, sin(πwf)/(πf) along each axis."""
    count, width = 33, math.sqrt(fill)
    value = torch.tensor(0.3 - 0.8j, dtype=torch.complex128)
    around = torch.ones((count, count), dtype=torch.complex128)
    lone = around.clone()
    lone[16, 16] = value
    square = Square(fill, clear)
    difference = square.mask(lone, samples) - square.mask(around, samples)
    rimmed = count + 2 * RIM
    y = (torch.arange(rimmed * samples, dtype=torch.float64) + 0.5) / samples - rimmed / 2.0
    for fy, fx in ((0.0, 0.0), (0.31 * samples, 0.1), (-0.2, 0.4 * samples)):
        wave = torch.exp(-2j * math.pi * fy * y)[:, None] * torch.exp(-2j * math.pi * fx * y)
        found = (difference * wave).sum() / samples**2
        expected = (value - 1.0) * width**2 * math.prod(float(torch.sinc(torch.tensor(width * f))) for f in (fy, fx))
        assert abs(found - expected) < 0.02 * abs(value - 1.0)


def test_masks_of_samples_are_masks_of_neurons() -> None:
    """Squares of a third of a neuron's width, side by side, make the neuron, but for tails that are cut."""
    values = torch.randn((5, 7), generator=torch.Generator().manual_seed(0), dtype=torch.complex128)
    fine = values.repeat_interleave(3, 0).repeat_interleave(3, 1)
    (whole, mask), rim = (Square().mask(fine, 1), Square().mask(values, 3)), 3 * RIM - RIM
    torch.testing.assert_close(whole, mask[rim:-rim, rim:-rim], rtol=0.0, atol=2e-2)


def test_mask_can_be_learned_through() -> None:
    values = torch.randn((4, 35), generator=torch.Generator().manual_seed(0), dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: Square(0.8, clear_gaps=True).mask(v, 2), values)


def test_a_mask_of_one_value_is_that_value_but_at_its_rim() -> None:
    mask = Square().mask(torch.full((40, 40), 1j, dtype=torch.complex128), 4)
    inner = slice(20 + 4 * RIM, -20 - 4 * RIM)
    torch.testing.assert_close(
        mask[inner, inner], torch.full((120, 120), 1j, dtype=torch.complex128), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("samples", [2, 5])
def test_weights_of_a_square_are_alike_from_both_sides(samples: int) -> None:
    weights = square_weights(samples)
    torch.testing.assert_close(weights, weights.flip((0, 1)))
