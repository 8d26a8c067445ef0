"""How much of the phase a camera reading tells to the best linear reader, without any decoder to train.

The masks are judged by the error of a ridge regression from each pixel's surroundings to the phase beneath it. The
regression has a closed form, so its error can be minimised over the masks while no network is in the way.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from opticdesign.decoders import by_class, ridge, surroundings

__all__ = ["linear_probe_error"]

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
    targets = by_class(functional.pixel_unshuffle(centred[:, None], scale), period)
    features = by_class(surroundings(reading - 1.0), period)
    half = len(reading) // 2
    errors, judged_targets = [], []
    for fitted, judged in ((slice(None, half), slice(half, None)), (slice(half, None), slice(None, half))):
        known, unknown = features[:, fitted].flatten(1, 2), features[:, judged].flatten(1, 2)
        target = targets[:, judged].flatten(1, 2)
        errors.append(unknown @ _fitted(known, targets[:, fitted].flatten(1, 2)) - target)
        judged_targets.append(target)
    parts = zip(_coarse_and_fine(torch.cat(errors, 1)), _coarse_and_fine(torch.cat(judged_targets, 1)), strict=True)
    logarithms = [0.5 * torch.log(error / (spread + _TINY) + _TINY) for error, spread in parts]
    return torch.exp((logarithms[0] + _FINE * logarithms[1]) / (1.0 + _FINE))


def _coarse_and_fine(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square of the mean over a pixel, and of what is left inside it; values (…, samples of a pixel)."""
    coarse = values.mean(-1, keepdim=True)
    return coarse.square().mean(), (values - coarse).square().mean()


def _fitted(features: Tensor, targets: Tensor) -> Tensor:
    """Weights (classes, features, outputs) of the best linear reader, class by class."""
    return ridge(features.mT @ features, features.mT @ targets, _RIDGE)
