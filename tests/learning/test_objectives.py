from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.learning.metrics import ssim
from opticdesign.learning.objectives import OBJECTIVES, has_diverged, l1, l1_ssim, mse, negative_ssim

KINDS = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())


def pair(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image, target = (torch.rand((2, 8, 9), dtype=dtype, generator=generator) for _ in range(2))
    return image, target


def test_l1_by_hand() -> None:
    assert l1(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.5, -1.0]]])).item() == 1.25


def test_mse_by_hand() -> None:
    assert mse(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.5, -1.0]]])).item() == 2.125


def test_negative_ssim_falls_as_similarity_rises() -> None:
    image, target = pair()
    assert negative_ssim(image, target).item() == pytest.approx(1.0 - ssim(image, target).mean().item())
    assert negative_ssim(target, target).item() == pytest.approx(0.0, abs=1e-12)


def test_l1_ssim_adds_a_tenth_of_the_structure() -> None:
    image, target = pair()
    expected = l1(image, target) + 0.1 * (1.0 - ssim(image, target).mean())
    torch.testing.assert_close(l1_ssim(image, target), expected)


def test_objectives_are_the_losses_of_a_reconstruction_that_a_design_can_name() -> None:
    from opticdesign.design import Stage

    losses = set(Stage.model_json_schema()["properties"]["loss"]["enum"])
    assert losses - set(OBJECTIVES) == {"intensity-l1", "gan", "linear-probe", "ridge"}  # these judge the optics
    assert set(OBJECTIVES) < losses


@KINDS
def test_objective_is_a_scalar_that_is_least_at_the_target(objective) -> None:  # type: ignore[no-untyped-def]
    image, target = pair()
    assert objective(image, target).ndim == 0
    assert objective(target, target).item() == pytest.approx(0.0, abs=1e-12)
    assert objective(image, target).item() > 0.05


@KINDS
def test_objective_is_differentiable_for_the_image(objective) -> None:  # type: ignore[no-untyped-def]
    image, target = pair()
    assert torch.autograd.gradcheck(lambda x: objective(x, target), image.requires_grad_())


def test_a_loss_far_beyond_the_first_one_or_not_finite_has_diverged() -> None:
    for loss, first in ((math.nan, 0.1), (math.inf, 0.1), (-math.inf, 0.1), (0.1, math.nan), (1e30, 0.1), (1.1e9, 1e3)):
        assert has_diverged(loss, first) == (loss != 0.1), (loss, first)
    for loss, first in ((9e5, 0.0), (-9e5, 0.1), (9e8, 1e3)):
        assert not has_diverged(loss, first)
