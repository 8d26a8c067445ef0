"""The image of a camera without a decoder: the light itself, made as bright as phase over 2π is large."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Brightness"]


class Brightness(nn.Module):
    """What light is times to be an image: the square of a learned number P, one for each number of masks passed.

    It is part of the loss "intensity-l1", and where there is no decoder, all that stands behind the camera.

    Args:
        masks: number of masks.
    """

    def __init__(self, masks: int) -> None:
        super().__init__()
        self.powers = nn.Parameter(torch.ones(masks))

    def forward(self, intensity: Tensor, crossed: int) -> Tensor:
        """Phase over 2π, P²I, of an intensity I behind so many masks, of any shape."""
        return self.powers[crossed - 1] ** 2 * intensity
