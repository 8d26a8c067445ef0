"""How well images agree with their targets: every metric, and its mean over images with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from opticdesign.metrics import mae_free_rad, mae_rad, psnr_db, rescale, ssim
from opticdesign.randomness import numpy_stream

__all__ = ["METRICS", "Score", "image_scores", "interval"]

METRICS = ("psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad")


@dataclass(frozen=True)
class Score:
    """A mean over images with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        """Mean [low, high], with so many decimals."""
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def image_scores(image: Tensor, target: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
    """Every metric of images against targets, phase over 2π (batch, y, x): name → (batch,)."""
    return {
        "psnr_db": psnr_db(image, target, weight),
        "ssim": ssim(image, target, weight),
        "ssim_rescaled": ssim(rescale(image), rescale(target), weight),
        "mae_rad": mae_rad(image, target, weight),
        "mae_free_rad": mae_free_rad(image, target, weight),
    }


def interval(values: Sequence[float], seed: int) -> Score:
    """Mean of some values with a 95 % percentile-bootstrap interval of 2000 resamples."""
    data = np.asarray(values, dtype=np.float64)
    picks = numpy_stream(seed, "bootstrap").integers(len(data), size=(2000, len(data)))
    low, high = np.percentile(data[picks].mean(axis=1), [2.5, 97.5])
    return Score(float(data.mean()), float(low), float(high))
