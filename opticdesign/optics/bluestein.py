"""Fourier sums at any spacing of the result: the chirp-z transform by Bluestein's identity."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from opticdesign.optics.field import phasor
from opticdesign.optics.transfer import Scalar

__all__ = ["chirp_z"]


def chirp_z(
    signal: Tensor,
    turns: Scalar,
    count: int,
    *,
    origin: float | None = None,
    output_origin: float | None = None,
    dim: int = -1,
) -> Tensor:
    """X_m = Σ_n x_n·exp(−2πi·τ·(n − a)(m − b)) for m = 0 … count − 1, in O(N log N) by three Fourier transforms.

    With (n − a)(m − b) = ½[(n − a)² + (m − b)² − (m − n + a − b)²] the sum is a convolution with a chirp. The chirps
    are made in double precision, from centred indices, so that their phase stays small.

    L. I. Bluestein, A linear filtering approach to the computation of discrete Fourier transform, IEEE Trans. Audio
    Electroacoust. 18, 451 (1970), doi:10.1109/TAU.1970.1162132; L. R. Rabiner, R. W. Schafer, C. M. Rader, The chirp
    z-transform algorithm, IEEE Trans. Audio Electroacoust. 17, 86 (1969), doi:10.1109/TAU.1969.1162034.

    Args:
        signal: complex, with N samples along `dim`.
        turns: τ, the input's spacing times the output's, a number or a scalar tensor with its gradient; negative for
            the inverse sum.
        count: samples of the result along `dim`.
        origin: index a of the input's zero, the middle (N − 1)/2 when left out.
        output_origin: index b of the output's zero, the middle (count − 1)/2 when left out.
        dim: the axis.

    Returns:
        Complex, same type, `count` samples along `dim`.
    """
    from scipy.fft import next_fast_len

    moved = signal.movedim(dim, -1)
    size = moved.shape[-1]
    a = (size - 1) / 2.0 if origin is None else origin
    b = (count - 1) / 2.0 if output_origin is None else output_origin
    length = next_fast_len(size + count - 1)
    before, after = _chirp(size, -a, turns, signal), _chirp(count, -b, turns, signal)
    kernel = _chirp(size + count - 1, a - b - (size - 1), turns, signal).conj()
    spectrum = torch.fft.fft((moved * before.to(signal.dtype)), n=length)
    product = spectrum * torch.fft.fft(kernel, n=length).to(signal.dtype)
    result: Tensor = torch.fft.ifft(product)[..., size - 1 : size - 1 + count] * after.to(signal.dtype)
    return result.movedim(-1, dim)


def _chirp(count: int, start: float, turns: Scalar, like: Tensor) -> Tensor:
    """exp(−iπτ(start + i)²) for i = 0 … count − 1: complex128 (count,)."""
    index = torch.arange(count, dtype=torch.float64, device=like.device) + start
    phase = -math.pi * turns * index**2
    return phasor(phase)
