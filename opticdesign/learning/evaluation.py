"""How well images agree with their targets: every metric, and its mean over images with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from torch import Tensor

from opticdesign.learning.metrics import mae_free_rad, mae_rad, psnr_db, rescale, ssim
from opticdesign.randomness import numpy_stream

__all__ = ["METRICS", "SMALL_IS_GOOD", "Score", "Verdict", "crossed_interval", "image_scores", "interval", "verdict"]

_RESAMPLES = 2000

METRICS = ("psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad")

SMALL_IS_GOOD = ("mae_rad", "mae_free_rad")

Verdict: TypeAlias = Literal["beats", "overlaps with", "is below"]


@dataclass(frozen=True)
class Score:
    """A mean over images with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        """Mean [low, high], with so many decimals."""
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def verdict(ours: Score, theirs: Score, metric: str) -> Verdict:
    """How one interval of a metric lies beside another one: only disjoint ones tell which is better."""
    if ours.low <= theirs.high and theirs.low <= ours.high:
        return "overlaps with"
    return "beats" if (ours.mean < theirs.mean) == (metric in SMALL_IS_GOOD) else "is below"


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


def crossed_interval(values: Sequence[Sequence[float]]) -> Score:
    """Mean over seeds of the means over images, with its 95 % percentile-bootstrap interval.

    Each of 2000 resamples draws as many seeds as there are, with replacement, and by itself as many images, the same
    ones for all seeds: the interval then holds what another training and what other test images would change. Where
    each seed has test images of its own it is too wide, by √3 at most. With one seed it is an interval over images
    only; with few seeds it is, as such intervals are, somewhat too narrow.

    A. B. Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1, 386 (2007), doi:10.1214/07-AOAS122.

    Args:
        values: for each seed the values of its images, one or more, in the same order.
    """
    data = [np.asarray(images, dtype=np.float64) for images in values]
    rng = numpy_stream(0, "crossed bootstrap")
    place = rng.random((_RESAMPLES, max(len(images) for images in data)))
    means = np.stack([images[(place * len(images)).astype(np.intp)].mean(1) for images in data], axis=1)
    seeds = rng.integers(len(data), size=means.shape)
    low, high = np.percentile(np.take_along_axis(means, seeds, axis=1).mean(1), [2.5, 97.5])
    return Score(float(np.mean([images.mean() for images in data])), float(low), float(high))
