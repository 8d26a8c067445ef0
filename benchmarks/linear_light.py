"""Light through layers of squares by brute force: linear convolution with the sampled kernel, in float64.

All planes are sampled alike, four times or more in the shortest wave that a plane catches of the one before, and the
kernel z/r·(1/r − ik)·e^{ikr}/2πr is taken at each offset that two planes have: nothing wraps, nothing is cut but waves
that decay. Masks are squares without the frequencies that samples do not carry, at their places, in a rim of eight
neurons; samples of the object are points, where what lies between them decays, and are else interpolated by sincs.
Camera pixels are integrals. It shares no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import sici

__all__ = ["Stack", "light_on_camera"]

Complex = NDArray[np.complex128]
Reals = NDArray[np.float64]
_RIM = 8  # neurons
_TAILS = 16  # samples of the object's on each side, where they are interpolated
_PER_WAVE = 4.0


@dataclass(frozen=True)
class Stack:
    """Layers as they are built, lengths in metres.

    Args:
        phases_rad: of the neurons (layers, y, x).
        pitch: between neurons.
        gaps: from object to camera.
        wavelength: in the medium.
        sample_pitch: of the object.
        pixels: of the camera, along y and x.
        pixel: width of one.
        shifts: of each mask along x.
    """

    phases_rad: Reals
    pitch: float
    gaps: Sequence[float]
    wavelength: float
    sample_pitch: float
    pixels: tuple[int, int]
    pixel: float
    shifts: Sequence[float]


def light_on_camera(stack: Stack, field: Complex) -> Reals:
    """Mean intensity in the pixels (y, x) behind a field in the object's samples (y, x)."""
    points = stack.sample_pitch <= 0.5 * stack.wavelength * 1.05
    neurons = stack.phases_rad.shape[1:]
    tails = 0 if points else _TAILS
    halves = [
        max((count + 2 * tails) * stack.sample_pitch, (n + 2 * _RIM) * stack.pitch) / 2.0
        for count, n in zip(field.shape, neurons, strict=True)
    ]
    farthest = 2.0 * math.hypot(*halves)
    sine = max(farthest / math.hypot(farthest, gap) for gap in stack.gaps)
    each = round(stack.pitch / stack.sample_pitch)
    samples = each * math.ceil(max(2.0, _PER_WAVE * sine * stack.pitch / stack.wavelength) / each * (1.0 - 1e-9))
    step = stack.pitch / samples
    y, x = (_centred(2 * math.ceil(half / step), step) for half in halves)
    wave = np.zeros((len(y), len(x)), np.complex128)
    places = [_centred(count, stack.sample_pitch) for count in field.shape]
    off = [0.0, 0.0]
    if points:
        index = [
            np.floor((place - axis[0]) / step + 1e-6).astype(int) for place, axis in zip(places, (y, x), strict=True)
        ]
        off = [place[0] - axis[found[0]] for place, axis, found in zip(places, (y, x), index, strict=True)]
        wave[np.ix_(*index)] = field * (stack.sample_pitch / step) ** 2
    else:
        down, right = (
            np.sinc((axis[:, None] - place) / stack.sample_pitch) for axis, place in zip((y, x), places, strict=True)
        )
        wave[:] = down @ field @ right.T
    for number, gap in enumerate(stack.gaps):
        wave = _convolved(wave, step, gap, stack.wavelength, off if number == 0 else (0.0, 0.0))
        if number < len(stack.phases_rad):
            shift = stack.shifts[number]
            down, right = (
                _squares(axis, n, stack.pitch, by, step)
                for axis, n, by in zip((y, x), neurons, (0.0, shift), strict=True)
            )
            wave = wave * (down @ np.exp(1j * stack.phases_rad[number]) @ right.T)
    down, right = (
        _squares(axis, n, stack.pixel, 0.0, step, rim=math.inf) * (step / stack.pixel)
        for axis, n in zip((y, x), stack.pixels, strict=True)
    )
    return np.asarray(down.T @ (np.abs(wave) ** 2) @ right, np.float64)


def _centred(count: int, pitch: float) -> Reals:
    return np.asarray((np.arange(count) - (count - 1) / 2.0) * pitch, np.float64)


def _squares(places: Reals, count: int, pitch: float, shift: float, step: float, rim: float = _RIM) -> Reals:
    """What squares side by side are at places, without frequencies beyond ±1/2·step: (places, count)."""
    edges = (np.arange(count + 1) - count / 2.0) * pitch + shift
    steps = sici(np.pi / step * (places[:, None] - edges))[0] / np.pi
    inside = (np.abs(places - shift) <= (count / 2.0 + rim) * pitch)[:, None]
    return np.asarray(np.where(inside, steps[:, :-1] - steps[:, 1:], 0.0), np.float64)


def _convolved(wave: Complex, step: float, z: float, wavelength: float, off: Sequence[float]) -> Complex:
    """The wave a way z on, of samples that lie `off` beside those that it is wanted at."""
    sides = [fft.next_fast_len(2 * count) for count in wave.shape]
    y, x = (fft.fftfreq(side, 1.0 / side) * step - by for side, by in zip(sides, off, strict=True))
    across = y[:, None] ** 2 + x**2
    r, k = np.sqrt(across + z * z), 2.0 * np.pi / wavelength
    kernel = z / (2.0 * np.pi * r**2) * (1.0 / r - 1j * k) * np.exp(1j * k * across / (r + z)) * step**2
    found: Complex = fft.ifft2(fft.fft2(wave, sides) * fft.fft2(kernel))[: wave.shape[0], : wave.shape[1]]
    return found
