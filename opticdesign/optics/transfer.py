"""Transfer functions of free space: pure functions of wavelength, distance and pitch, differentiable in each.

All of them are complex128 in FFT order and leave out the carrier e^{ikz}, so that a plane wave along z keeps its phase.
The carrier is removed analytically, through k_z − k = −k·s/(1 + √(1 − s)) with s = (λf)², because the difference of two
large numbers would cost the float32 phase.

Shared arguments:
    shape: rows and columns (wy, wx) of the window.
    pitch_m: sample distances (dy, dx) in metres, numbers or scalar tensors.
    wavelength_m: wavelength in the medium in metres, a number or a scalar tensor.
    distance_m: distance along z in metres, a number or a scalar tensor; negative goes back.
"""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = [
    "Fold",
    "Scalar",
    "angular_spectrum",
    "band_limited",
    "band_limits_per_m",
    "excess_phase",
    "folded",
    "fresnel",
    "fresnel_impulse",
    "impulse_response",
    "number",
    "propagating",
    "rayleigh_sommerfeld",
    "wave",
]

Scalar: TypeAlias = float | Tensor
Pitch: TypeAlias = tuple[Scalar, Scalar]
Fold: TypeAlias = list[tuple[Tensor, Tensor]]


def number(value: Scalar) -> float:
    """The value of a number or of a scalar tensor, without its gradient."""
    return value.item() if isinstance(value, Tensor) else value


def _frequencies(shape: tuple[int, int], pitch_m: Pitch) -> tuple[Tensor, Tensor]:
    fy, fx = (torch.fft.fftfreq(n, dtype=torch.float64) for n in shape)
    return (fy / pitch_m[0])[:, None], (fx / pitch_m[1])[None, :]


def _offsets(shape: tuple[int, int], pitch_m: Pitch) -> tuple[Tensor, Tensor]:
    y, x = (torch.fft.fftfreq(n, 1.0 / n, dtype=torch.float64) for n in shape)
    return (y * pitch_m[0])[:, None], (x * pitch_m[1])[None, :]


def wave(amplitude: Tensor, phase_rad: Tensor) -> Tensor:
    """Complex amplitude·e^{i·phase}, differentiable in both; torch.polar has no gradient at zero amplitude."""
    return torch.complex(amplitude * torch.cos(phase_rad), amplitude * torch.sin(phase_rad))


def propagating(s: Tensor) -> Tensor:
    """1 where s = (λf)² is below 1, 0 for evanescent waves; float64, same shape."""
    return (s < 1.0).to(torch.float64)


def excess_phase(s: Tensor, wavelength_m: Scalar, distance_m: Scalar) -> Tensor:
    """(k_z − k)·z in radians for s = (λf)², zero outside the propagating band."""
    inside = torch.where(s < 1.0, s, torch.zeros_like(s))
    return (-2.0 * math.pi / wavelength_m * distance_m) * inside / (1.0 + torch.sqrt(1.0 - inside))


def angular_spectrum(shape: tuple[int, int], pitch_m: Pitch, wavelength_m: Scalar, distance_m: Scalar) -> Tensor:
    """H = exp(i(k_z − k)z) for propagating waves, zero for evanescent ones: (wy, wx).

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 3-74.
    """
    fy, fx = _frequencies(shape, pitch_m)
    s = wavelength_m**2 * (fy**2 + fx**2)
    return wave(propagating(s), excess_phase(s, wavelength_m, distance_m))


def band_limits_per_m(
    shape: tuple[int, int], pitch_m: tuple[float, float], wavelength_m: float, distance_m: float
) -> tuple[float, float]:
    """Largest frequencies along y and x whose phase the window samples finely enough, 1/(λ√((2z/L)² + 1)), in 1/m.

    K. Matsushima, T. Shimobaba, Band-limited angular spectrum method for numerical simulation of free-space propagation
    in far and near fields, Opt. Express 17, 19662 (2009), Eq. 13 and 20, doi:10.1364/OE.17.019662.
    """
    height, width = shape[0] * pitch_m[0], shape[1] * pitch_m[1]
    z = abs(distance_m)
    return (
        1.0 / (wavelength_m * math.hypot(2.0 * z / height, 1.0)),
        1.0 / (wavelength_m * math.hypot(2.0 * z / width, 1.0)),
    )


def band_limited(shape: tuple[int, int], pitch_m: Pitch, wavelength_m: Scalar, distance_m: Scalar) -> Tensor:
    """The angular spectrum inside `band_limits_per_m`, zero outside: (wy, wx). The limits carry no gradient."""
    dy, dx, wavelength, distance = (number(value) for value in (*pitch_m, wavelength_m, distance_m))
    kept = torch.ones(shape, dtype=torch.bool)
    limits = band_limits_per_m(shape, (dy, dx), wavelength, distance)
    for frequency, limit in zip(_frequencies(shape, (dy, dx)), limits, strict=True):
        kept = kept & (frequency.abs() <= limit)
    return angular_spectrum(shape, pitch_m, wavelength_m, distance_m) * kept


def fresnel(shape: tuple[int, int], pitch_m: Pitch, wavelength_m: Scalar, distance_m: Scalar) -> Tensor:
    """Paraxial H = exp(−iπλz f²), for small angles only: (wy, wx).

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 4-21.
    """
    fy, fx = _frequencies(shape, pitch_m)
    phase = -math.pi * wavelength_m * distance_m * (fy**2 + fx**2)
    return wave(torch.ones_like(phase), phase)


def fresnel_impulse(shape: tuple[int, int], pitch_m: Pitch, wavelength_m: Scalar, distance_m: Scalar) -> Tensor:
    """FFT of the sampled paraxial impulse response h = exp(iπr²/(λz))·dx·dy/(iλz), for long ways: (wy, wx).

    The complement of `fresnel`: the kernel is sampled well where z ≥ N·pitch²/λ, the transfer function where z is less.

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 4-16.
    """
    y, x = _offsets(shape, pitch_m)
    scale = pitch_m[0] * pitch_m[1] / (wavelength_m * distance_m)
    phase = math.pi / (wavelength_m * distance_m) * (y**2 + x**2) - 0.5 * math.pi
    kernel: Tensor = torch.fft.fft2(wave(torch.ones_like(phase) * scale, phase))
    return kernel


def folded(count: int, window: int, target: int | None = None) -> Fold:
    """Offsets between samples of two planes that share a place in a circular window, and what share each takes.

    In a window that is too narrow for a linear convolution an offset o and o − window meet. The kernel there is their
    mean, weighted by how many pairs of samples lie so far apart: of all transfer functions on that window it is the one
    with the least mean square error for fields of independent samples. Wider windows hold each offset once,
    and let fade those that no pair of samples has.

    T. F. Chan, An optimal circulant preconditioner for Toeplitz systems, SIAM J. Sci. Stat. Comput. 9, 766 (1988),
    doi:10.1137/0909051, for a window no wider than the field.

    Args:
        count: samples of the field along an axis.
        window: samples of the window, at least as many.
        target: samples of the other plane, in the middle of the first one's or around it; as many where left out.

    Returns:
        Offsets in samples and shares 0 … 1, one pair of (window,) in FFT order for every time an offset occurs.
    """
    target = count if target is None else target
    near = torch.fft.fftfreq(window, 1.0 / window, dtype=torch.float64)
    if window >= count + target - 1:
        # what no pair of samples needs fades, so that between samples the kernel is smooth where it ends
        needed, end = 0.5 * (count + target), 0.5 * window
        ramp = torch.clamp((end - near.abs()) / max(end - needed, 1e-9), 0.0, 1.0)
        return [(near, torch.sin(0.5 * math.pi * ramp) ** 2)]
    far = near - torch.where(near < 0.0, -window, window)
    pairs = [_pairs(offset, count, target) for offset in (near, far)]
    both = pairs[0] + pairs[1]
    return [
        (offset, torch.where(both > 0.0, share / both, 0.0)) for offset, share in zip((near, far), pairs, strict=True)
    ]


def _pairs(offset: Tensor, count: int, target: int) -> Tensor:
    """Pairs of a sample of one plane and one of another, both around the same middle, that lie so far apart."""
    return torch.clamp(0.5 * (count + target) - offset.abs(), 0.0, float(min(count, target)))


def impulse_response(
    counts: tuple[int, int], pitch_m: Pitch, wavelength_m: Scalar, distance_m: Scalar, window: tuple[int, int]
) -> Tensor:
    """The impulse response of free space within the band of a grid, at offsets that are not negative: (cy, cx).

    h(x) = ∫ e^{i(k_z − k)z} e^{2πi f·x} df·dx·dy over |f| < 1/2·pitch along each axis, evanescent waves decaying, as
    a cosine transform of the quarter of the spectrum; even in both offsets.

    Args:
        counts: offsets along y and x, from 0.
        pitch_m: as above.
        wavelength_m: as above.
        distance_m: as above; a negative one gives the conjugate.
        window: samples of the window that the spectrum is sampled for, even, at least twice the counts; offsets that
            differ by as many samples add up, so that it has to hold all that light reaches.
    """
    from scipy.fft import dctn

    wavelength, z, dy, dx = (number(value) for value in (wavelength_m, distance_m, *pitch_m))
    fy, fx = (torch.arange(n // 2 + 1, dtype=torch.float64) / (n * d) for n, d in zip(window, (dy, dx), strict=True))
    s = wavelength**2 * (fy[:, None] ** 2 + fx**2)
    travelling = wave(propagating(s), excess_phase(s, wavelength, abs(z)))
    fading = torch.exp(-2.0 * math.pi * abs(z) / wavelength * torch.sqrt(torch.clamp(s - 1.0, min=0.0)))
    # the carrier that is left out of travelling waves is left out of fading ones too
    turn = 2.0 * math.pi * abs(z) / wavelength
    spectrum = torch.where(s < 1.0, travelling, fading * complex(math.cos(turn), -math.sin(turn)))
    kernel = dctn(spectrum.real.numpy(), type=1) + 1j * dctn(spectrum.imag.numpy(), type=1)
    quarter = torch.from_numpy(kernel[: counts[0], : counts[1]] / (window[0] * window[1]))
    return quarter if z >= 0.0 else quarter.conj()


def rayleigh_sommerfeld(folds: tuple[Fold, Fold], pitch_m: Pitch, wavelength_m: Scalar, distance_m: Scalar) -> Tensor:
    """FFT of the sampled first Rayleigh–Sommerfeld kernel h = z/(2πr²)·(1/r − ik)·e^{ik(r−z)}·dx·dy: (wy, wx).

    J. W. Goodman, Introduction to Fourier Optics, 3rd ed., Eq. 3-43; F. Shen, A. Wang, Fast-Fourier-transform based
    numerical integration method for the Rayleigh–Sommerfeld diffraction formula, Appl. Opt. 45, 1102 (2006),
    doi:10.1364/AO.45.001102.

    Args:
        folds: offsets in samples and their weights along y and along x, as `folded` gives them; smaller weights cut
            the kernel where the pitch cannot carry it.
        pitch_m: as above.
        wavelength_m: as above.
        distance_m: as above, not zero.
    """
    forward = number(distance_m) > 0.0
    z, k = distance_m if forward else -distance_m, 2.0 * math.pi / wavelength_m
    kernel = torch.zeros((), dtype=torch.complex128)
    for (y, share_y), (x, share_x) in itertools.product(*folds):
        across = (y * pitch_m[0])[:, None] ** 2 + (x * pitch_m[1])[None, :] ** 2
        r = torch.sqrt(across + z * z)
        amplitude = share_y[:, None] * share_x * (pitch_m[0] * pitch_m[1] * z / (2.0 * math.pi)) / r**2
        # r − z without the difference of nearly equal numbers
        spherical = wave(amplitude, k * across / (r + z))
        kernel = kernel + spherical * torch.complex(1.0 / r, -k * torch.ones_like(r))
    transfer: Tensor = torch.fft.fft2(kernel)
    return transfer if forward else transfer.conj()
