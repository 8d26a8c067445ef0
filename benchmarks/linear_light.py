"""Light through layers of squares by brute force: linear convolution with the sampled kernel, in float64.

All planes are sampled alike, four times or more in the shortest wave that a plane catches of the one before, and the
kernel z/r·(1/r − ik)·e^{ikr}/2πr is taken at each offset that two planes have: nothing wraps, nothing is cut but waves
that decay. Masks are squares without the frequencies that samples do not carry, at their places, in a rim of eight
neurons; samples of the object are points, where what lies between them decays, and are else interpolated by sincs.
Camera pixels are integrals. From and to a mask that is turned or tilted the same integral is summed point by point,
with the kernel of its normal at its true places. It shares no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import sici

__all__ = ["STRAIGHT", "Mounting", "Stack", "light_on_camera"]

Complex = NDArray[np.complex128]
Reals = NDArray[np.float64]
_RIM = 8  # neurons
_TAILS = 16  # samples of the object's on each side, where they are interpolated
_PER_WAVE = 4.0
_AT_ONCE = 256  # points summed for together


@dataclass(frozen=True)
class Mounting:
    """How a mask lies, around the middle of its plane.

    Args:
        turn_rad: in its plane, +x towards +y.
        slope: its height over the plane for each metre along its own x.
    """

    turn_rad: float = 0.0
    slope: float = 0.0

    def places(self, y: Reals, x: Reals, z: float) -> Reals:
        """Points (3, n) in space, x, y and z, of some in the mask's own frame, (n,) each."""
        across = x / math.hypot(1.0, self.slope)
        cosine, sine = math.cos(self.turn_rad), math.sin(self.turn_rad)
        return np.stack([cosine * across - sine * y, sine * across + cosine * y, z + self.slope * across])

    @property
    def normal(self) -> Reals:
        """Of the mask, unit length (3,)."""
        along = math.cos(self.turn_rad), math.sin(self.turn_rad)
        return np.array([-self.slope * along[0], -self.slope * along[1], 1.0]) / math.hypot(1.0, self.slope)


STRAIGHT = Mounting()


@dataclass(frozen=True)
class Stack:
    """Layers as they are built, lengths in metres.

    Args:
        masks: phases in radians of each mask (y, x), rows as high as a neuron, columns between its edges.
        edges: of the columns of each mask, one more than columns.
        pitch: between neurons.
        gaps: from object to camera.
        wavelength: in the medium.
        sample_pitch: of the object.
        pixels: of the camera, along y and x.
        pixel: width of one.
        mountings: of the masks.
    """

    masks: Sequence[Reals]
    edges: Sequence[Reals]
    pitch: float
    gaps: Sequence[float]
    wavelength: float
    sample_pitch: float
    pixels: tuple[int, int]
    pixel: float
    mountings: Sequence[Mounting]


def light_on_camera(stack: Stack, field: Complex) -> Reals:
    """Mean intensity in the pixels (y, x) behind a field in the object's samples (y, x)."""
    points = stack.sample_pitch <= 0.5 * stack.wavelength * 1.05
    sides = [count * stack.pixel for count in stack.pixels]
    tails = 0 if points else _TAILS
    rim = _RIM * stack.pitch
    halves = [
        max((count + 2 * tails) * stack.sample_pitch, side + 2.0 * rim) / 2.0
        for count, side in zip(field.shape, sides, strict=True)
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
    mountings = [STRAIGHT, *stack.mountings, STRAIGHT]
    for number, gap in enumerate(stack.gaps):
        off = off if number == 0 else [0.0, 0.0]
        between = mountings[number], mountings[number + 1]
        if between == (STRAIGHT, STRAIGHT):
            wave = _convolved(wave, step, gap, stack.wavelength, off)
        else:
            near = np.outer(*(np.abs(axis) <= side / 2.0 + rim for axis, side in zip((y, x), sides, strict=True)))
            wave = _summed(wave, (y, x), gap, stack.wavelength, off, between, near)
        if number < len(stack.masks):
            rows = _edges(len(stack.masks[number]), stack.pitch)
            down, right = _squares(y, rows, step, rim), _squares(x, stack.edges[number], step, rim)
            wave = wave * (down @ np.exp(1j * stack.masks[number]) @ right.T)
    down, right = (
        _squares(axis, _edges(n, stack.pixel), step, math.inf) * (step / stack.pixel)
        for axis, n in zip((y, x), stack.pixels, strict=True)
    )
    return np.asarray(down.T @ (np.abs(wave) ** 2) @ right, np.float64)


def _centred(count: int, pitch: float) -> Reals:
    return np.asarray((np.arange(count) - (count - 1) / 2.0) * pitch, np.float64)


def _edges(count: int, pitch: float) -> Reals:
    return np.asarray((np.arange(count + 1) - count / 2.0) * pitch, np.float64)


def _squares(places: Reals, edges: Reals, step: float, rim: float) -> Reals:
    """What squares between edges are at places, without frequencies beyond ±1/2·step: (places, edges − 1)."""
    steps = sici(np.pi / step * (places[:, None] - edges))[0] / np.pi
    inside = ((places >= edges[0] - rim) & (places <= edges[-1] + rim))[:, None]
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


def _summed(
    wave: Complex,
    axes: tuple[Reals, Reals],
    z: float,
    wavelength: float,
    off: Sequence[float],
    mountings: tuple[Mounting, Mounting],
    near: NDArray[np.bool_],
) -> Complex:
    """The same between planes that do not lie straight, at the places that are near."""
    k, (y, x) = 2.0 * np.pi / wavelength, axes
    down, right = np.nonzero(wave)
    source = mountings[0].places(y[down] + off[0], x[right] + off[1], 0.0)
    sent = wave[down, right] * ((y[1] - y[0]) * (x[1] - x[0]) / (2.0 * np.pi))
    found = np.zeros_like(wave)
    rows, columns = np.nonzero(near)
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE], columns[first : first + _AT_ONCE]
        way = [at[:, None] - of for at, of in zip(mountings[1].places(y[part[0]], x[part[1]], z), source, strict=True)]
        r = np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)
        along = sum(each * of for each, of in zip(way, mountings[0].normal, strict=True)) / r**2
        phase = k * (r - z)
        found[part] = (along * (1.0 / r - 1j * k) * (np.cos(phase) + 1j * np.sin(phase))) @ sent
    return found
