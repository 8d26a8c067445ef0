"""Masks as their files have them, and what is common to all that is said of the light behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from opticdesign.design import Design, material_of

__all__ = [
    "Effort",
    "Fields",
    "MaskInFile",
    "Pair",
    "Reals",
    "SecondOpinion",
    "absorbing",
    "absorption",
    "mask_size_m",
    "masks_of_design",
    "medium_wavelength",
    "places_of",
]

Reals = npt.NDArray[np.float64]
Fields = npt.NDArray[np.complex128]
Pair = tuple[float, float]


class MaskInFile(NamedTuple):
    """One mask.

    Args:
        phase_rad: phase of each pixel (rows, columns), radians; row 0 has the lowest y of the model.
        size_m: length of all pixels along y and x, metres.
        offset_m: the middle of the mask from where it should be, along y and x, metres.
        amplitude: amplitude transmission (rows, columns), 0 … 1; None where nothing is absorbed.
    """

    phase_rad: Reals
    size_m: Pair
    offset_m: Pair = (0.0, 0.0)
    amplitude: Reals | None = None

    @property
    def transmission(self) -> Fields:
        """Complex transmission of the shaped part of each pixel (rows, columns)."""
        turned: Fields = np.exp(1j * np.asarray(self.phase_rad, np.float64))
        return turned if self.amplitude is None else turned * self.amplitude


class Effort(NamedTuple):
    """What an opinion may cost.

    Args:
        samples: least samples across a neuron; None for as many as steep light needs, and as memory holds.
        memory_bytes: what may be used.
    """

    samples: int | None
    memory_bytes: int


class SecondOpinion(NamedTuple):
    """What the camera gets.

    Args:
        intensity: mean over each sample of the image (n, y, x).
        samples: samples of the light across a neuron, or across a point of a filter.
        how: how it was computed, in words.
    """

    intensity: Reals
    samples: int
    how: str


def mask_size_m(design: Design) -> Pair:
    """How large a mask of a design is along y and x, metres."""
    return design.optics.mask_size(medium_wavelength(design))


def masks_of_design(
    design: Design, phases_rad: npt.NDArray[np.floating], amplitudes: npt.NDArray[np.floating] | None = None
) -> list[MaskInFile]:
    """Masks of phases, and amplitudes if there are, (layers, y, x), of the size and at the place that a design asks."""
    size_m = mask_size_m(design)
    absorbing = [None] * len(phases_rad) if amplitudes is None else list(amplitudes.astype(np.float64))
    return [
        MaskInFile(phase.astype(np.float64), size_m, amplitude=amplitude)
        for phase, amplitude in zip(phases_rad, absorbing, strict=True)
    ]


def medium_wavelength(design: Design) -> float:
    """Wavelength in the medium, metres."""
    return design.light.wavelength / material_of(design.fabrication.medium).index(design.light.wavelength)


def absorption(design: Design) -> float:
    """By how much an amplitude falls for each radian of a mask's phase: exponent k/(n − n₀)."""
    made, wavelength = design.fabrication, design.light.wavelength
    mask, around = material_of(made.material), material_of(made.medium)
    return mask.extinction(wavelength) / (mask.index(wavelength) - around.index(wavelength))


def absorbing(design: Design, mask: MaskInFile) -> MaskInFile:
    """A thin mask with what its heights absorb; they stand for phases modulo 2π."""
    if (fall := absorption(design)) == 0.0:
        return mask
    turns = np.mod(np.asarray(mask.phase_rad, np.float64) / (2.0 * np.pi), 1.0)
    left = np.exp(-2.0 * np.pi * fall * np.where(turns > 1.0 - 1e-7, 0.0, turns))  # float32 phases may end a turn high
    return mask._replace(amplitude=left if mask.amplitude is None else left * mask.amplitude)


def places_of(count: int, pitch: float) -> Reals:
    """Middles of samples about the axis, metres."""
    places: Reals = (np.arange(count, dtype=np.float64) - (count - 1) / 2.0) * pitch
    return places
