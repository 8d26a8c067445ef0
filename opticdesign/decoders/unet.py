"""A U-Net that works at camera resolution and ends in sub-pixel upsampling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["UNet"]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.SiLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Camera image to phase map: three poolings with skips, then pixel shuffles up to the design's sampling.

    O. Ronneberger, P. Fischer, T. Brox, U-Net: convolutional networks for biomedical image segmentation (2015),
    doi:10.1007/978-3-319-24574-4_28; W. Shi et al., Real-time single image and video super-resolution using an
    efficient sub-pixel convolutional neural network (2016), doi:10.1109/CVPR.2016.207.

    Args:
        scale: output samples per camera pixel along each axis, a power of two, 2 or more.
        channels: features at full camera resolution, a multiple of 8.
    """

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        c = channels
        self.down = nn.ModuleList([_block(1, c), _block(c, 2 * c), _block(2 * c, 4 * c), _block(4 * c, 4 * c)])
        self.up = nn.ModuleList([_block(8 * c, 2 * c), _block(4 * c, c), _block(2 * c, c)])
        rest = scale // 2
        self.head = nn.Sequential(
            nn.Conv2d(c, 16 * 4, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Conv2d(16, 64, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(64, rest * rest, 3, padding=1),
            nn.PixelShuffle(rest),
        )

    def forward(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), from camera readings (batch, y/scale, x/scale), each side a multiple of 8."""
        features = (reading - 1.0)[:, None]  # an undisturbed beam reads 1
        skips: list[Tensor] = []
        for index, block in enumerate(self.down):
            features = block(features if index == 0 else functional.max_pool2d(features, 2))
            skips.append(features)
        skips.pop()
        for block in self.up:
            larger = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(torch.cat([skips.pop(), larger], dim=1))
        image: Tensor = self.head(features)[:, 0]
        return image
