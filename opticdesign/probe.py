"""How much of the phase a camera reading tells to the best linear reader, without any decoder to train.

The masks are judged by the error of a ridge regression from each pixel's surroundings to the phase beneath it. The
regression has a closed form, so its error can be minimised over the masks while no network is in the way.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["linear_probe_error"]

_NEAR = 5  # pixels across the surroundings at full resolution
_FAR = 4  # pixels averaged, and skipped, for the wide surroundings
_FINE = 6.0  # weight of structure inside pixels against coarse phase: more of it loses more of the coarse than it gains
_TINY = 1e-12
_RIDGE = 0.3  # against readings of about 1, summed over a batch: weak, the noise regularises more


def linear_probe_error(reading: Tensor, phase: Tensor, period: int) -> Tensor:
    """Relative error of the phase a linear reader finds, 0 … about 1, its mean offset left out.

    The reader sees 5 × 5 pixels and 5 × 5 means of 4 × 4 pixels around each pixel. It is fitted to one half of the
    batch and judged on the other, both ways round. Where the masks repeat every few pixels, each pixel of the period
    has a reader of its own. The error is a weighted geometric mean of that of the coarse phase, one mean a pixel, and
    that of the structure inside the pixels: the latter is small and few readings can tell it, so a plain mean square
    would spend all the light on the coarse part.

    Args:
        reading: camera readings (batch, h, w), batch 2 or more.
        phase: phase over 2π (batch, y, x), y and x multiples of h and w.
        period: pixels after which the masks repeat; divides h and w.

    Returns:
        A scalar with gradient to `reading`.
    """
    scale = phase.shape[-1] // reading.shape[-1]
    centred = phase - phase.mean((-2, -1), keepdim=True)
    targets = _by_class(functional.pixel_unshuffle(centred[:, None], scale), period)
    features = _by_class(_surroundings(reading - 1.0), period)
    half = len(reading) // 2
    errors, judged_targets = [], []
    for fitted, judged in ((slice(None, half), slice(half, None)), (slice(half, None), slice(None, half))):
        known, unknown = features[:, fitted].flatten(1, 2), features[:, judged].flatten(1, 2)
        target = targets[:, judged].flatten(1, 2)
        errors.append(unknown @ _ridge(known, targets[:, fitted].flatten(1, 2)) - target)
        judged_targets.append(target)
    parts = zip(_coarse_and_fine(torch.cat(errors, 1)), _coarse_and_fine(torch.cat(judged_targets, 1)), strict=True)
    logarithms = [0.5 * torch.log(error / (spread + _TINY) + _TINY) for error, spread in parts]
    return torch.exp((logarithms[0] + _FINE * logarithms[1]) / (1.0 + _FINE))


def _coarse_and_fine(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square of the mean over a pixel, and of what is left inside it; values (…, samples of a pixel)."""
    coarse = values.mean(-1, keepdim=True)
    return coarse.square().mean(), (values - coarse).square().mean()


def _surroundings(reading: Tensor) -> Tensor:
    """Values around each pixel, near ones and wide means, and a constant: (batch, h, w) → (batch, features, h, w)."""
    image = reading[:, None]
    margin = _NEAR // 2
    near = functional.unfold(functional.pad(image, (margin,) * 4, mode="replicate"), _NEAR)
    means = functional.avg_pool2d(
        functional.pad(image, (_FAR // 2, _FAR - _FAR // 2 - 1) * 2, mode="replicate"), _FAR, 1
    )
    far = functional.unfold(functional.pad(means, (margin * _FAR,) * 4, mode="replicate"), _NEAR, dilation=_FAR)
    values = torch.cat([near, far, torch.ones_like(near[:, :1])], dim=1)
    return values.reshape(*values.shape[:2], *reading.shape[-2:])


def _by_class(values: Tensor, period: int) -> Tensor:
    """Sort pixels by their place in the period: (batch, c, h, w) → (period², batch, pixels of a class, c)."""
    batch, channels, height, width = values.shape
    split = values.reshape(batch, channels, height // period, period, width // period, period)
    return split.permute(3, 5, 0, 2, 4, 1).reshape(period * period, batch, -1, channels)


def _ridge(features: Tensor, targets: Tensor) -> Tensor:
    """Weights (classes, features, outputs) that minimise |Fw − t|² + λ|w|², class by class."""
    gram = features.mT @ features + _RIDGE * torch.eye(features.shape[-1]).to(features)
    weights: Tensor = torch.linalg.solve(gram, features.mT @ targets)
    return weights
