"""What a panel makes of a frame: the light behind it, by numpy alone, beside the masks that were wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from opticdesign.handover.panel import PanelFrames, Place

__all__ = ["MaskOnPanel", "masks_on_panel"]

_SAMPLES = 3  # across the part of a pixel that modulates; odd, so that one is in its middle

Fields = npt.NDArray[np.complex128]


class MaskOnPanel(NamedTuple):
    """How well a panel shows a mask.

    Args:
        panel: its name.
        mask: number of the mask, from 1.
        efficiency: power in the wanted field over that which the mask itself would send.
        field_error: rms of what is not the wanted field over the rms of all that passes the pinhole.
        zero_order: share of the mask's light that the panel reflects as a mirror would.
    """

    panel: str
    mask: int
    efficiency: float
    field_error: float
    zero_order: float


def masks_on_panel(frames: PanelFrames, wanted: npt.NDArray[np.complexfloating]) -> Iterator[MaskOnPanel]:
    """Each mask as its frame shows it in even light.

    Light is taken at a pixel of a mask as its mean there, which is what goes near the axis. Behind a carrier a square
    pinhole around the first order lets through half of the distance to the next.

    Args:
        frames: as read from their files.
        wanted: transmission of each mask (masks, rows, columns).
    """
    for number in range(len(frames.greys)):
        phases = _phases(frames, number)
        even = _pixel_light(frames, phases)
        order = even if frames.carrier is None else _first_order(frames, phases, frames.carrier)
        for mask, place in enumerate(frames.places):
            if place.frame == number:
                yield _compared(frames, mask, place, wanted[mask], even, order)


def _phases(frames: PanelFrames, number: int) -> npt.NDArray[np.float32]:
    """Phase at samples across each pixel, radians (samples down, samples across, rows, columns).

    That of greys, with the table's error, is smeared by fringing fields; then what the panel is not flat comes off.
    """
    shown = (frames.lut_rad * (1.0 + frames.lut_error))[frames.greys[number]].astype(np.float32)
    fine = shown.repeat(_SAMPLES, 0).repeat(_SAMPLES, 1)
    if frames.crosstalk > 0.0:
        fine = ndimage.gaussian_filter(fine, frames.crosstalk * _SAMPLES, mode="nearest", truncate=4.0)
    rows, columns = shown.shape
    sampled = fine.reshape(rows, _SAMPLES, columns, _SAMPLES).transpose(1, 3, 0, 2)
    return np.asarray(sampled - frames.correction_rad.astype(np.float32), np.float32)


def _pixel_light(frames: PanelFrames, phases_rad: npt.NDArray[np.float32]) -> Fields:
    """Mean light of each pixel (rows, columns): squares of the fill factor modulate, gaps send on a part as it came."""
    modulated: Fields = np.exp(1j * phases_rad).mean((0, 1), dtype=np.complex128)
    return frames.fill_factor * modulated + (1.0 - frames.fill_factor) * frames.gap


def _first_order(frames: PanelFrames, phases_rad: npt.NDArray[np.float32], carrier: float) -> Fields:
    """The light that passes a pinhole around the first order, seen along that order, at the middles of pixels.

    The spectrum of equal pixels is that of their samples on the grid of pixels, times that of one sample: a square of
    even light, beside the middle of the pixel. Gaps without phase send theirs into the zero order.
    """
    rows, columns = phases_rad.shape[2:]
    half, side = 0.5 / abs(carrier), math.sqrt(frames.fill_factor) / _SAMPLES
    down, across = fft.fftfreq(rows), fft.fftfreq(columns)
    tilt = np.exp(-2j * math.pi / carrier * np.arange(columns))
    total = np.zeros((rows, columns), np.complex128)
    for y, x in np.ndindex(_SAMPLES, _SAMPLES):
        spectrum = fft.fft2((np.exp(1j * phases_rad[y, x]) - frames.gap) * tilt, overwrite_x=True)
        spectrum *= _square(down, side, y)[:, None] * _square(across + 1.0 / carrier, side, x)
        total += spectrum
    total *= (np.abs(down) < half)[:, None] & (np.abs(across) < half)
    passed: Fields = fft.ifft2(total, overwrite_x=True)
    return passed


def _square(frequency: npt.NDArray[np.float64], side: float, number: int) -> npt.NDArray[np.complex128]:
    """Spectrum along one axis of a sample of a pixel, side and frequencies in pixels."""
    place = (number - (_SAMPLES - 1) / 2.0) * side
    return np.asarray(side * np.sinc(side * frequency) * np.exp(-2j * math.pi * frequency * place))


def _compared(
    frames: PanelFrames,
    mask: int,
    place: Place,
    wanted: npt.NDArray[np.complexfloating],
    even: Fields,
    order: Fields,
) -> MaskOnPanel:
    """The light of one mask."""
    rows, columns = wanted.shape[::-1] if frames.turns % 2 else wanted.shape
    side = frames.superpixel
    window = slice(place.top, place.top + rows * side), slice(place.left, place.left + columns * side)
    pixels: Fields = order[window].reshape(rows, side, columns, side).mean((1, 3))
    seen = {"none": pixels, "rows": pixels[::-1], "columns": pixels[:, ::-1]}[frames.flip]
    for _ in range(frames.turns):
        seen = seen.T[::-1]
    carried, power = np.vdot(wanted, seen), float(np.vdot(wanted, wanted).real)
    passed = float(np.vdot(seen, seen).real)
    return MaskOnPanel(
        panel=frames.panel,
        mask=mask + 1,
        efficiency=float(abs(carried) ** 2) / power**2,
        field_error=math.sqrt(max(0.0, 1.0 - float(abs(carried) ** 2) / (power * passed))),
        zero_order=float(abs(even[window].mean()) ** 2),
    )
