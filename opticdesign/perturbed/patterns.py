"""Random fields over masks, one for each draw, which depend on the seed and the number of the draw only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from opticdesign.randomness import torch_stream

__all__ = ["NO_PATTERN", "correlated", "edge_share", "white_noise"]

NO_PATTERN = -1
"""Number of a draw without anything that varies from pixel to pixel."""

_POINTLIKE = 0.25  # samples; a correlation as short is none from sample to sample


def white_noise(seed: int, purpose: str, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Independent normal numbers of variance 1 for each draw, float32 (n, *shape); zeros for `NO_PATTERN`."""
    fields = [
        torch.zeros(*shape)
        if index == NO_PATTERN
        else torch.randn(*shape, generator=torch_stream(seed, purpose, index))
        for index in indices
    ]
    return torch.stack(fields)


def correlated(noise: Tensor, pitch_m: tuple[float, float], correlation_m: float) -> Tensor:
    """Independent normal numbers made a Gaussian field of variance 1 and correlation e^{−(r/ξ)²}: (…, y, x).

    The spectrum is weighted with the square root of that of the correlation, so that the field is periodic.

    Args:
        noise: (…, y, x), variance 1.
        pitch_m: distance of samples along y and x.
        correlation_m: ξ in metres; as short as a quarter sample it is none.
    """
    if correlation_m <= _POINTLIKE * min(pitch_m):
        return noise
    weights = []
    for size, pitch in zip(noise.shape[-2:], pitch_m, strict=True):
        frequency = torch.fft.fftfreq(size, pitch, dtype=torch.float64, device=noise.device)
        line = torch.exp(-0.5 * (math.pi * correlation_m * frequency) ** 2)
        weights.append((line / line.square().mean().sqrt()).to(noise.dtype))
    spectrum = torch.fft.rfft2(noise)
    spectrum *= weights[0][:, None] * weights[1][: spectrum.shape[-1]]
    field: Tensor = torch.fft.irfft2(spectrum, s=noise.shape[-2:])
    return field


def edge_share(pitch_m: float, correlation_m: float) -> float:
    """Standard deviation of the mean of a rough edge over one sample, over that of the edge.

    The edge's correlation is e^{−|s|/ξ}: the mean over a length p has the variance 2(ξ/p)(1 − (ξ/p)(1 − e^{−p/ξ})).
    """
    if correlation_m == 0.0:
        return 1.0
    ratio = correlation_m / pitch_m
    return math.sqrt(2.0 * ratio * (1.0 - ratio * -math.expm1(-1.0 / ratio)))
