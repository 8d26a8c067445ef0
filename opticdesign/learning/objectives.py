"""What training minimises: scalar losses of a reconstruction and its target, both phase over 2π, (batch, y, x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from torch import Tensor

from opticdesign.design.learning import MORE_LOSSES
from opticdesign.learning.metrics import ssim

__all__ = ["OBJECTIVES", "Objective", "has_diverged", "l1", "l1_ssim", "mse", "negative_ssim", "objectives"]

Objective = Callable[[Tensor, Tensor], Tensor]
_MOST_GROWTH = 1e6  # a loss in waves is at most a few; no training comes back from so far


def l1(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error in waves."""
    return (image - target).abs().mean()


def mse(image: Tensor, target: Tensor) -> Tensor:
    """Mean square error in waves²."""
    return (image - target).square().mean()


def negative_ssim(image: Tensor, target: Tensor) -> Tensor:
    """1 − SSIM, for end-to-end fine-tuning.

    U. Haputhanthri et al., From hours to seconds: towards 100x faster quantitative phase imaging via differentiable
    microscopy (2022), Eq. 3, doi:10.48550/arXiv.2205.11521; the constant 1 makes the best value zero.
    """
    return 1.0 - ssim(image, target).mean()


def l1_ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error plus a tenth of 1 − SSIM: absolute phase from the first, structure from the second."""
    return l1(image, target) + 0.1 * negative_ssim(image, target)


def has_diverged(loss: float, first: float) -> bool:
    """Whether a loss is not finite, or more than a million times the first one (or than 1, where that was less)."""
    most = _MOST_GROWTH * max(1.0, abs(first))
    return not (math.isfinite(loss) and abs(loss) <= most)


OBJECTIVES: dict[str, Objective] = {"l1": l1, "mse": mse, "ssim": negative_ssim, "l1+ssim": l1_ssim}


def objectives(named: Collection[str]) -> dict[str, Objective]:
    """Losses by name: ours, and of those of other packages the ones that are named.

    Raises:
        UsageError: one cannot be loaded.
    """
    return OBJECTIVES | {name: MORE_LOSSES.load(name) for name in MORE_LOSSES.names() if name in named}
