from __future__ import annotations

import math

import pytest
import torch

from opticdesign.optics.field import Grid
from opticdesign.optics.resampling import covered_share, resampled, resampled_phase


def noise(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_covered_share_by_hand() -> None:
    centre = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert covered_share(centre, 1.0, -1.25, 0.75).tolist() == [0.0, 0.75, 1.0, 0.25, 0.0]
    assert covered_share(centre, 1.0, 0.1, 0.2).tolist() == pytest.approx([0.0, 0.0, 0.1, 0.0, 0.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_resampling_to_the_same_grid_changes_nothing(dtype: torch.dtype) -> None:
    grid, values = Grid((5, 8), (1e-6, 2e-6)), noise((2, 5, 8)).to(dtype)
    torch.testing.assert_close(resampled(values, grid, grid), values)


def test_resampling_by_hand() -> None:
    coarse, fine = Grid((1, 2), (1.0, 3.0)), Grid((1, 3), (1.0, 2.0))
    values = torch.tensor([[3.0, 9.0]])
    assert resampled(values, coarse, fine).tolist() == [[3.0, 6.0, 9.0]]
    assert resampled(torch.tensor([[3.0, 6.0, 9.0]]), fine, coarse).tolist() == [[4.0, 8.0]]


@pytest.mark.parametrize("shapes", [((6, 9), (18, 18)), ((7, 5), (10, 12)), ((12, 10), (5, 7))])
def test_resampling_keeps_the_integral_and_the_centre(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    old = Grid(shapes[0], (1.0 / shapes[0][0], 1.0 / shapes[0][1]))
    new = Grid(shapes[1], (1.0 / shapes[1][0], 1.0 / shapes[1][1]))
    values = noise((3, *old.shape))
    result = resampled(values, old, new)
    torch.testing.assert_close(result.mean((1, 2)), values.mean((1, 2)))
    turned = resampled(values.flip((1, 2)), old, new)
    torch.testing.assert_close(turned, result.flip((1, 2)))


def test_resampling_continues_with_zero_outside() -> None:
    small, large = Grid((2, 2), (1.0, 1.0)), Grid((4, 4), (1.0, 1.0))
    assert resampled(torch.ones(2, 2), small, large).sum().item() == 4.0


def test_wrapped_phase_is_resampled_through_its_transmission() -> None:
    grid, fine = Grid((1, 8), (1.0, 1.0)), Grid((1, 16), (1.0, 0.7))
    wrapped = torch.tensor([[0.1, 6.2, 0.05, 6.25, 0.0, 6.28, 0.1, 6.2]], dtype=torch.float64)  # all next to 0
    assert resampled_phase(wrapped, grid, fine)[:, 3:13].abs().max().item() < 0.11
    naive = resampled(wrapped, grid, fine)
    assert (naive - math.pi).abs().min().item() < 0.5  # as far from the truth as can be


def test_whole_turns_make_no_difference_to_a_resampled_phase() -> None:
    grid, coarse = Grid((12, 10), (1.0, 1.0)), Grid((7, 6), (1.5, 1.6))
    phase, turns = 0.5 * noise((12, 10)), torch.randint(-3, 4, (12, 10), generator=torch.Generator().manual_seed(1))
    result = resampled_phase(phase + 2.0 * math.pi * turns.double(), grid, coarse)
    torch.testing.assert_close(result, resampled_phase(phase, grid, coarse))
    # a smooth phase is, to second order, what its area mean is
    torch.testing.assert_close(result, resampled(phase, grid, coarse), rtol=0.05, atol=0.01)


def test_gradient_reaches_a_resampled_phase() -> None:
    grid, fine = Grid((3, 4), (1.0, 1.0)), Grid((5, 6), (0.55, 0.6))
    assert torch.autograd.gradcheck(lambda phase: resampled_phase(phase, grid, fine), noise((3, 4)).requires_grad_())
