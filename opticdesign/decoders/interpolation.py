"""Camera readings brought to the sampling of the phase, for networks that work there."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from opticdesign.errors import UsageError

__all__ = ["check_scale", "interpolated", "upsampled"]


def check_scale(scale: int) -> int:
    """A number of samples per camera pixel.

    Raises:
        UsageError: it is less than 1.
    """
    if scale < 1:
        raise UsageError(
            f"a decoder cannot upsample by {scale}", expected="1 or more", remedy="change the detector's binning"
        )
    return scale


def interpolated(reading: Tensor, scale: int) -> Tensor:
    """Readings (batch, y, x) over those of an undisturbed beam, `upsampled`: (batch, 1, scale·y, scale·x)."""
    return upsampled(reading - 1.0, scale)[:, None]


def upsampled(image: Tensor, scale: int) -> Tensor:
    """Images (batch, y, x) by cubic interpolation: (batch, scale·y, scale·x).

    A pixel stays in the middle of its samples.
    """
    return functional.interpolate(image[:, None], scale_factor=float(scale), mode="bicubic")[:, 0]
