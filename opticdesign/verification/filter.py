"""Light behind a filter between two lenses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from opticdesign.design import Design, FilterOptics
from opticdesign.verification.mask_in_file import (
    Fields,
    MaskInFile,
    Reals,
    SecondOpinion,
    absorbing,
    medium_wavelength,
    places_of,
)

__all__ = ["behind_filter"]

_NODES = 5  # in each square of a filter, and of the camera behind it, along each axis


def behind_filter(design: Design, optics: FilterOptics, mask: MaskInFile, fields: Fields) -> SecondOpinion:
    """The light behind a filter."""
    scale, width = medium_wavelength(design) * optics.focal, math.sqrt(optics.fill_factor)
    mask = absorbing(design, mask)
    open_points = _pupil(optics, mask)
    shaped = mask.transmission * open_points
    clear = optics.gaps == "clear" and width < 1.0
    kinds = [(shaped - open_points, width), (open_points.astype(np.complex128), 1.0)] if clear else [(shaped, width)]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    camera = [places_of(count, optics.pitch) for count in optics.shape]
    seen_at = [(place[:, None] + 0.5 * optics.pitch * nodes).ravel() for place in camera]
    images = [np.zeros((len(seen_at[0]), len(seen_at[1])), np.complex128) for _ in fields]
    if optics.surroundings == "repeat":
        images = _repeated(optics, mask, kinds, fields, scale, seen_at)
        how = "object and image repeat forever, and each of their frequencies meets the middle of a point"
    else:
        endless = optics.surroundings == "neighbours"
        beams = fields.mean((1, 2)) if endless else np.zeros(len(fields), np.complex128)
        known = fields - beams[:, None, None]
        for values, share in kinds:
            on_axis = _on_axis(mask, values, share)
            for index, image in enumerate(_imaged(optics, mask, values, share, known, scale, seen_at)):
                images[index] += image + beams[index] * on_axis
        beyond = "beyond its margin an object goes on as its mean" if endless else "it is dark beyond the object"
        how = f"{_NODES} samples across a point of the filter, nothing repeats, {beyond}"
    weight = 0.25 * weights[:, None] * weights
    (rows, columns) = optics.shape
    intensity = np.stack([np.abs(image) ** 2 for image in images]).reshape(-1, rows, _NODES, columns, _NODES)
    return SecondOpinion(np.einsum("nyaxb,ab->nyx", intensity, weight), _NODES, how)


def _middles(mask: MaskInFile, axis: int) -> tuple[Reals, float]:
    """Middles of a filter's points along an axis and their distance: point N//2 lies on the light's axis."""
    count = mask.phase_rad.shape[axis]
    pitch = mask.size_m[axis] / count
    return (np.arange(count) - count // 2) * pitch + mask.offset_m[axis], pitch


def _on_axis(mask: MaskInFile, values: Fields, share: float) -> complex:
    """What the focus of an endless beam meets, of squares of these values, of a width over a point's."""
    places = []
    for axis in (0, 1):
        middles, pitch = _middles(mask, axis)
        place = int(np.abs(middles).argmin())
        if abs(middles[place]) > 0.5 * share * pitch:
            return 0.0
        places.append(place)
    return complex(values[places[0], places[1]])


def _pupil(optics: FilterOptics, mask: MaskInFile) -> npt.NDArray[np.bool_]:
    """The points whose middle the pupil holds (rows, columns), as the lenses have it, wherever the mask lies."""
    rows, columns = mask.phase_rad.shape
    y, x = np.arange(rows) - rows // 2, np.arange(columns) - columns // 2
    if optics.radius is not None:
        inside: npt.NDArray[np.bool_] = np.hypot(y[:, None], x) <= optics.radius * (1.0 + 1e-12)
    else:
        inside = np.hypot(y[:, None] / rows, x / columns) <= 0.5 * (1.0 + 1e-12)
    return inside


def _imaged(
    optics: FilterOptics,
    mask: MaskInFile,
    values: Fields,
    share: float,
    fields: Fields,
    scale: float,
    seen_at: list[Reals],
) -> Iterator[Fields]:
    """The field of each object at places of the camera, through squares of these values, of a width over a point's.

    The light's frequencies end at half a wave for each sample; of a filter that reaches beyond, nothing is lit there.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    ways, backs = [], []
    for axis in (0, 1):
        middles, pitch = _middles(mask, axis)
        half = 0.5 * share * pitch
        low, high = (
            np.clip((middles + side) / scale, -0.5 / optics.pitch, 0.5 / optics.pitch) for side in (-half, half)
        )
        frequency = (0.5 * (low + high)[:, None] + 0.5 * (high - low)[:, None] * nodes).ravel()
        weight = (0.5 * (high - low)[:, None] * weights).ravel() * optics.pitch
        places = places_of(fields.shape[axis + 1], optics.pitch)
        ways.append(np.exp(-2j * np.pi * frequency[:, None] * places) * weight[:, None])
        backs.append(np.exp(2j * np.pi * seen_at[axis][:, None] * frequency))
    wide = values.repeat(_NODES, 0).repeat(_NODES, 1)
    for field in fields:
        behind = (ways[0] @ field @ ways[1].T) * wide
        yield backs[0] @ behind @ backs[1].T


def _repeated(
    optics: FilterOptics,
    mask: MaskInFile,
    kinds: Sequence[tuple[Fields, float]],
    fields: Fields,
    scale: float,
    seen_at: list[Reals],
) -> list[Fields]:
    """The field of each object at places of the camera, where object and image repeat."""
    ways, backs, points = [], [], []
    for axis in (0, 1):
        count = fields.shape[axis + 1]
        frequency = np.sort(fft.fftfreq(count, optics.pitch))
        places = places_of(count, optics.pitch)
        ways.append(np.exp(-2j * np.pi * frequency[:, None] * places) / count)
        backs.append(np.exp(2j * np.pi * seen_at[axis][:, None] * frequency))
        middles, pitch = _middles(mask, axis)
        points.append(((frequency * scale - middles[0]) / pitch, len(middles)))
    passed = np.zeros((len(ways[0]), len(ways[1])), np.complex128)
    for values, share in kinds:
        hit = []
        for place, count in points:
            near = np.rint(place)
            inside = (np.abs(place - near) <= 0.5 * share + 1e-9) & (near >= 0) & (near < count)
            hit.append((near.astype(int).clip(0, count - 1), inside))
        (rows, in_row), (columns, in_column) = hit
        passed += values[np.ix_(rows, columns)] * (in_row[:, None] & in_column)
    return [backs[0] @ ((ways[0] @ field @ ways[1].T) * passed) @ backs[1].T for field in fields]
