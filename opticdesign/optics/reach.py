"""How far the light of one neuron reaches in the next plane: what couples layers, and what leaves them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reach", "coupling_gap_m", "reach_of"]

_SAMPLES = 2**16
_FAR = 50.0  # λz/p² from which on light is a Fraunhofer pattern
_MOST = 0.9  # of a neuron's light along an axis: what counts as reached
_COUPLED = 0.25  # share left in the same neuron at a gap that couples
_STEEPEST = 0.99  # sine


@dataclass(frozen=True)
class Reach:
    """Where the light of one square neuron arrives.

    Args:
        same: share of it in the same neuron of the next plane, over both axes.
        neurons: neurons along an axis that hold 90 % of it, an odd number.
        inside: share that arrives in the next mask, of a neuron in the middle.
    """

    same: float
    neurons: int
    inside: float


def reach_of(pitch_m: float, wavelength_m: float, distance_m: float, neurons: int) -> Reach:
    """How far a neuron of a mask with so many along an axis reaches; wavelength in the medium, all in metres.

    A slit of a neuron's width in a plane wave, along one axis by the exact angular spectrum; a square is two of them.
    """
    shares = _shares(pitch_m, wavelength_m, distance_m)
    within = np.concatenate([shares[:1], 2.0 * shares[1:]]).cumsum()
    half = int(np.searchsorted(within, _MOST * within[-1]))
    return Reach(
        same=float(shares[0]) ** 2,
        neurons=2 * half + 1,
        inside=float(within[min((neurons - 1) // 2, len(within) - 1)]) ** 2,
    )


def coupling_gap_m(pitch_m: float, wavelength_m: float) -> float:
    """The shortest distance at which a quarter of a neuron's light is left in the same neuron, metres."""
    short, long = 0.0, 2.0 * pitch_m**2 / wavelength_m + 4.0 * wavelength_m
    while reach_of(pitch_m, wavelength_m, long, 1).same > _COUPLED:
        long *= 2.0
    for _ in range(30):
        middle = 0.5 * (short + long)
        if reach_of(pitch_m, wavelength_m, middle, 1).same > _COUPLED:
            short = middle
        else:
            long = middle
    return long


def _shares(pitch_m: float, wavelength_m: float, distance_m: float) -> NDArray[np.float64]:
    """Share of a slit's light in the neuron straight ahead, and in each farther one to one side."""
    ratio = wavelength_m * distance_m / pitch_m**2
    if ratio > _FAR:
        edges = (np.arange(int(64.0 * ratio)) + 0.5) * pitch_m
        place = np.concatenate([[0.0], edges])
        sine = place / np.hypot(place, distance_m)
        # ∫sinc², by its closed form ∫ sin²t/t² = Si(2t) − sin²t/t
        from scipy.special import sici

        t = np.maximum(math.pi * pitch_m / wavelength_m * sine, 1e-12)
        total = sici(2.0 * t)[0] - np.sin(t) ** 2 / t
        parts = np.diff(total) / (2.0 * total[-1])
        parts[0] *= 2.0
        return np.asarray(parts, np.float64)
    step = min(pitch_m / 16.0, wavelength_m / 4.0)
    step = pitch_m / (2 * math.ceil(pitch_m / step / 2.0))
    per = round(pitch_m / step)
    field = np.zeros(_SAMPLES, complex)
    field[:per] = 1.0 / math.sqrt(per)
    frequency = np.fft.fftfreq(_SAMPLES, step)
    sine = wavelength_m * np.abs(frequency)
    root = np.sqrt((1.0 - sine**2).astype(complex))
    # what grazes the planes goes around the window, and counts as gone
    kept = np.where(distance_m * sine / np.maximum(np.abs(root), 1e-9) < 0.45 * _SAMPLES * step, 1.0, 0.0)
    spectrum = np.fft.fft(field) * np.exp(2j * math.pi / wavelength_m * distance_m * root) * np.where(sine < 1, kept, 1)
    power = np.abs(np.fft.ifft(spectrum)) ** 2
    count = _SAMPLES // per // 2
    return np.asarray(power[: count * per].reshape(count, per).sum(1), np.float64)
