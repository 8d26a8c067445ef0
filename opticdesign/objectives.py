"""What training minimises: scalar losses of a reconstruction and its target, both phase over 2π, (batch, y, x)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from opticdesign.metrics import ssim

__all__ = ["OBJECTIVES", "Objective", "l1", "l1_ssim", "negative_ssim"]

Objective = Callable[[Tensor, Tensor], Tensor]


def l1(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error in waves."""
    return (image - target).abs().mean()


def negative_ssim(image: Tensor, target: Tensor) -> Tensor:
    """1 − SSIM, for end-to-end fine-tuning.

    U. Haputhanthri et al., From hours to seconds: towards 100x faster quantitative phase imaging via differentiable
    microscopy (2022), Eq. 3, doi:10.48550/arXiv.2205.11521; the constant 1 makes the best value zero.
    """
    return 1.0 - ssim(image, target).mean()


def l1_ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error plus a tenth of 1 − SSIM: absolute phase from the first, structure from the second."""
    return l1(image, target) + 0.1 * negative_ssim(image, target)


OBJECTIVES: dict[str, Objective] = {"l1": l1, "ssim": negative_ssim, "l1+ssim": l1_ssim}
