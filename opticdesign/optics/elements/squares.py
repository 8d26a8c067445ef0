"""Neurons as the squares that a process draws, sampled without aliasing for the light that they are multiplied with.

A mask of squares is t(x) = Σ tₙ·rect((x − n·p)/w). Its spectrum is the samples' periodic one times the sinc of the
square, and it has no end; but light whose spectrum ends at ±1/2q is changed, within that same band, by the mask's
frequencies below 1/q alone. So a mask sampled k times a neuron stands for light of half as many samples exactly once
what lies beyond its own band ±k/2p is taken out. Each square then becomes a difference of two sine integrals, which at
the samples differs little from the square and decays fast. What of the outermost ones lies beyond the mask is kept in a
rim of opaque neurons around it: cut off there, a mask of 40² neurons would change the reading by 0.3 %, and the effect
of a shift by 3 %.

The same sums the other way round are what a camera reads: means over squares of an intensity that its samples carry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["RIM", "Square", "means_along", "square_weights"]

RIM = 1  # opaque neurons around a mask, on each side
_REACH = 4  # neurons to either side; of a square as wide as the pitch what is left is 2e-4
_FADING = 2  # from here on a narrower one fades, whose tails alternate from sample to sample and fall but as 1/x
_BLOCK = 32  # neurons that one product of matrices takes: enough to be one


@cache
def square_weights(samples: int, width: float = 1.0) -> Tensor:
    """What neuron n + j adds to sample s of neuron n, float64 (samples, 2·4 + 1), j = −4 … 4.

    The square rect(x/w) without frequencies beyond ±k/2p: (Si(πk(x + w/2)/p) − Si(πk(x − w/2)/p))/π. Tails of a square
    narrower than the pitch are faded out, which softens the end of its band; cut off, they would change the reading
    behind five masks by some per cent.

    Args:
        samples: samples k across a neuron, along one axis.
        width: width w of the square over the pitch p, above 0, at most 1.
    """
    from scipy.special import sici

    inside = (np.arange(samples) + 0.5) / samples - 0.5
    places = inside[:, None] - np.arange(-_REACH, _REACH + 1)
    x = places * samples
    rise, fall = (sici(math.pi * (x + side * width * samples / 2.0))[0] for side in (1.0, -1.0))
    weights = (rise - fall) / math.pi
    if width < 1.0:
        faded = np.clip((np.abs(places) - _FADING) / (_REACH + 0.5 - _FADING), 0.0, 1.0)
        weights *= np.cos(0.5 * math.pi * faded) ** 2
    return torch.from_numpy(weights)


@dataclass(frozen=True)
class Square:
    """What a neuron looks like: a square in the middle of its area.

    Args:
        fill_factor: share of the neuron's area that the square takes, above 0, at most 1.
        clear_gaps: whether the rest lets light pass unmodulated; else it is opaque.
    """

    fill_factor: float = 1.0
    clear_gaps: bool = False

    def mask(self, transmission: Tensor, samples: int) -> Tensor:
        """The transmission of squares at samples of the light and of an opaque rim around them, differentiable.

        Args:
            transmission: complex, one a neuron (…, y, x).
            samples: samples across a neuron, along each axis, twice as many as the light needs.

        Returns:
            Complex (…, (y + 2)·samples, (x + 2)·samples).
        """
        if self.clear_gaps and self.fill_factor < 1.0:
            return self.spread(transmission - 1.0, samples) + self.clear(transmission, samples)
        return self.spread(transmission, samples)

    def spread(self, values: Tensor, samples: int) -> Tensor:
        """Squares of these values, one a neuron (…, y, x), nothing between and around; shapes as of `mask`."""
        return _spread(values, square_weights(samples, math.sqrt(self.fill_factor)))

    def clear(self, like: Tensor, samples: int) -> Tensor:
        """The mask of neurons of no phase, of the shape and type that `mask` gives of values like these."""
        ones = torch.ones_like(like)
        return _spread(ones, square_weights(samples)) if self.clear_gaps else self.spread(ones, samples)

    def slits(self, transmission: Tensor, samples: int) -> Tensor:
        """The same in one dimension: complex (…, x) to (…, (x + 2)·samples), opaque between slits."""
        weights = square_weights(samples, math.sqrt(self.fill_factor)).to(transmission)
        return _along(torch.nn.functional.pad(transmission, (RIM, RIM)), weights)


def means_along(intensity: Tensor, samples: int) -> Tensor:
    """Means of an intensity over squares of some samples, along the last axis: real (…, x·samples) to (…, x).

    Of the intensity that the samples stand for, whose frequencies end with theirs: exact, but that it is dark beyond.
    """
    return _back_along(intensity, square_weights(samples).to(intensity) / samples)


def _spread(values: Tensor, weights: Tensor) -> Tensor:
    rimmed = torch.nn.functional.pad(values, (RIM, RIM, RIM, RIM))
    result: Tensor = _Spread.apply(rimmed, weights.to(values.device, values.dtype))  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


class _Spread(torch.autograd.Function):
    """Σⱼ weights[s, j]·values[n + j] along both axes, zeros outside, and its adjoint."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return _along(_along(values.mT.contiguous(), weights).mT.contiguous(), weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return _back_along(_back_along(gradient, weights).mT.contiguous(), weights).mT.contiguous(), None


def _along(values: Tensor, weights: Tensor) -> Tensor:
    """The last axis (…, n) spread to (…, n·samples), as products of blocks of neurons with one matrix."""
    samples, reach, count = weights.shape[0], weights.shape[1] // 2, values.shape[-1]
    blocks = -(-count // _BLOCK)
    padded = torch.nn.functional.pad(values, (reach, reach + blocks * _BLOCK - count))
    spread = padded.unfold(-1, _BLOCK + 2 * reach, _BLOCK).contiguous() @ _block_matrix(weights).mT
    return spread.flatten(-2)[..., : count * samples]


def _back_along(gradient: Tensor, weights: Tensor) -> Tensor:
    """The adjoint of `_along`, for real weights."""
    samples, reach = weights.shape[0], weights.shape[1] // 2
    count = gradient.shape[-1] // samples
    blocks = -(-count // _BLOCK)
    padded = torch.nn.functional.pad(gradient, (0, (blocks * _BLOCK - count) * samples))
    parts = padded.reshape(*padded.shape[:-1], blocks, _BLOCK * samples) @ _block_matrix(weights)
    total = gradient.new_zeros((*gradient.shape[:-1], blocks + 1, _BLOCK))
    total[..., :-1, :] += parts[..., :_BLOCK]
    total[..., 1:, : 2 * reach] += parts[..., _BLOCK:]
    return total.flatten(-2)[..., reach : reach + count]


def _block_matrix(weights: Tensor) -> Tensor:
    """What neurons − reach … block + reach − 1 add to the samples of a block: (block·samples, block + 2·reach)."""
    samples, taps = weights.shape
    matrix = weights.new_zeros((_BLOCK, samples, _BLOCK + taps - 1))
    for neuron in range(_BLOCK):
        matrix[neuron, :, neuron : neuron + taps] = weights
    return matrix.flatten(0, 1)
