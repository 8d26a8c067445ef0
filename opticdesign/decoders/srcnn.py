"""SRCNN: three convolutions that sharpen interpolated readings, the least network for a comparison."""

from __future__ import annotations

from torch import Tensor, nn

from opticdesign.decoders.interpolation import check_scale, interpolated

__all__ = ["SRCNN"]


class SRCNN(nn.Module):
    """Camera image to phase map by 64 features of 9 × 9 samples, 32 of them, and a mean over 5 × 5.

    C. Dong, C. C. Loy, K. He, X. Tang, Image super-resolution using deep convolutional networks, IEEE Trans. Pattern
    Anal. Mach. Intell. 38, 295 (2016), doi:10.1109/TPAMI.2015.2439281.

    Args:
        scale: output samples per camera pixel along each axis, 1 or more.

    Raises:
        UsageError: a scale below 1.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = check_scale(scale)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 64, 9, padding=4, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(64, 32, 1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 5, padding=2, padding_mode="replicate"),
        )

    def forward(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), of camera readings (batch, y/scale, x/scale) of any size."""
        image: Tensor = self.layers(interpolated(reading, self.scale))
        return image[:, 0]
