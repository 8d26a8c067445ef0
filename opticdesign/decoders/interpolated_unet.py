"""A U-Net that works at the sampling of the phase, on interpolated readings."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from opticdesign.decoders.interpolation import check_scale, interpolated

__all__ = ["InterpolatedUNet"]

_LEVELS = 4


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        # what is normalised needs no bias
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class InterpolatedUNet(nn.Module):
    """Camera image to phase map: interpolation, then four poolings and four upsamplings with skips.

    J. Zhou et al., Deep learning-enabled pixel-super-resolved quantitative phase microscopy from single-shot aliased
    intensity measurement, Laser Photonics Rev. 18, 2300488 (2024), doi:10.1002/lpor.202300488; O. Ronneberger,
    P. Fischer, T. Brox, U-Net: convolutional networks for biomedical image segmentation (2015),
    doi:10.1007/978-3-319-24574-4_28. Its poolings halve, so that its convolutions have a stride of 1.

    Args:
        scale: output samples per camera pixel along each axis, 1 or more.
        channels: features at the sampling of the phase, doubled at each pooling.

    Raises:
        UsageError: a scale below 1.
    """

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.scale = check_scale(scale)
        widths = [channels * 2**level for level in range(_LEVELS + 1)]
        self.first = _block(1, channels)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(_block(fine, coarse) for fine, coarse in pairs)
        self.larger = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in reversed(pairs))
        self.up = nn.ModuleList(_block(coarse, fine) for fine, coarse in reversed(pairs))
        self.last = nn.Conv2d(channels, 1, 1)

    def forward(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), of camera readings (batch, y/scale, x/scale) of any size."""
        image = interpolated(reading, self.scale)
        rows, columns = image.shape[-2:]
        multiple = 2**_LEVELS
        features = self.first(functional.pad(image, (0, -columns % multiple, 0, -rows % multiple), mode="replicate"))
        skips: list[Tensor] = []
        for block in self.down:
            skips.append(features)
            features = block(functional.max_pool2d(features, 2))
        for larger, block in zip(self.larger, self.up, strict=True):
            features = block(torch.cat([skips.pop(), larger(features)], dim=1))
        phase: Tensor = self.last(features)[:, 0, :rows, :columns]
        return phase
