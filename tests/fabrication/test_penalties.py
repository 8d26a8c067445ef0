from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.fabrication.penalties import narrow_parts, total_variation

TURN = 2.0 * math.pi


def stripes(period: int, step: float, shape: tuple[int, int] = (24, 24)) -> Tensor:
    """Vertical stripes, each `period` columns wide, of the phases 0 and `step` in turn."""
    return (torch.arange(shape[1]) // period % 2 * step).expand(1, *shape).double()


def noise(seed: int, shape: tuple[int, ...] = (2, 9, 8)) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 40.0 - 20.0


def test_variation_of_stripes_by_hand() -> None:
    # 8 rows × 12 columns, an edge after each second column: 5 edges of 8 pixels
    assert total_variation(stripes(2, 1.5, (8, 12))).item() == pytest.approx(5 * 8 * 1.5 / 96)
    # the shorter arc
    assert total_variation(stripes(2, 5.0, (8, 12))).item() == pytest.approx(5 * 8 * (TURN - 5.0) / 96)
    # rows as columns
    assert total_variation(stripes(2, 1.5, (8, 12)).mT).item() == pytest.approx(5 * 8 * 1.5 / 96)


def test_variation_of_a_checkerboard_and_of_a_ramp_by_hand() -> None:
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2 * math.pi / 2.0
    assert total_variation(board[None].double()).item() == pytest.approx(60 * math.pi / 2.0 / 36)
    ramp = (torch.arange(100) * 0.3).expand(1, 3, 100).double()
    assert total_variation(ramp).item() == pytest.approx(3 * 99 * 0.3 / 300)
    wrapped = torch.remainder(ramp, TURN)
    assert total_variation(wrapped).item() == pytest.approx(3 * 99 * 0.3 / 300)


@given(seed=st.integers(0, 1000), turns=st.integers(-4, 4), offset=st.floats(-6.0, 6.0))
@settings(deadline=None, max_examples=25)
def test_whole_turns_and_a_common_phase_change_neither_penalty(seed: int, turns: int, offset: float) -> None:
    phase = noise(seed)
    where = noise(seed + 1) > 0.0
    moved = phase + TURN * turns * where + offset
    torch.testing.assert_close(total_variation(moved), total_variation(phase))
    torch.testing.assert_close(narrow_parts(moved, 3), narrow_parts(phase, 3))


def test_penalties_of_several_masks_are_the_means_of_each() -> None:
    phase = noise(5)
    for penalty in (total_variation, lambda masks: narrow_parts(masks, 3)):
        each = torch.stack([penalty(mask[None]) for mask in phase])
        torch.testing.assert_close(penalty(phase), each.mean())


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("period", [1, 2, 3, 4])
def test_parts_are_narrow_where_they_are_narrower_than_the_width(width: int, period: int) -> None:
    for masks in (stripes(period, math.pi), stripes(period, 1.0).mT):
        found = narrow_parts(masks, width).item()
        assert (found > 0.05) == (width > period)
        assert abs(found) < 1e-12 or width > period


def test_narrow_parts_by_hand() -> None:
    """One stripe two columns wide between wide ones, judged by squares of three: two of three pixels are like it."""
    phase = torch.zeros((1, 9, 12), dtype=torch.float64)
    phase[..., 5:7] = math.pi
    # of three columns two are at π: |mean|² = (1/3)²; the pixels of the stripe have no better square
    assert narrow_parts(phase, 3).item() == pytest.approx(2 / 12 * (1.0 - 1.0 / 9.0))
    # a gentle step costs little
    phase[..., 5:7] = 0.1
    mean = (torch.exp(1j * torch.tensor([0.0, 0.1, 0.1], dtype=torch.float64)).sum() / 3).abs().item()
    assert narrow_parts(phase, 3).item() == pytest.approx(2 / 12 * (1.0 - mean**2))


def test_corners_of_wide_parts_are_not_narrow_and_single_pixels_are() -> None:
    phase = torch.zeros((1, 12, 12), dtype=torch.float64)
    phase[0, 4:8, 4:8] = 2.0
    assert narrow_parts(phase, 4).item() == pytest.approx(0.0, abs=1e-12)
    phase[0, 4, 4] = 0.0  # a bite out of the corner: what is left of the square is narrow
    assert narrow_parts(phase, 4).item() > 0.01
    assert narrow_parts(phase, 2).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("penalty", [total_variation, lambda masks: narrow_parts(masks, 3)])
def test_gradients_are_those_by_finite_differences(penalty) -> None:
    phase = noise(7, (2, 6, 7)).requires_grad_()
    assert torch.autograd.gradcheck(penalty, (phase,), eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("weight", ["variation", "feature"])
def test_a_penalty_made_small_makes_masks_easier_to_make(weight: str) -> None:
    penalty = total_variation if weight == "variation" else lambda masks: narrow_parts(masks, 2)
    generator = torch.Generator().manual_seed(1)
    phase = (torch.rand((1, 16, 16), generator=generator) * 2.0).requires_grad_()
    before = penalty(phase).item()
    optimiser = torch.optim.Adam([phase], lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        penalty(phase).backward()
        optimiser.step()
    assert penalty(phase).item() < 0.25 * before


def test_parts_wider_than_the_mask_are_refused() -> None:
    with pytest.raises(UsageError, match=r"masks of 9 × 8 neurons(.|\n)*9 neurons(.|\n)*min_feature"):
        narrow_parts(noise(0), 9)
