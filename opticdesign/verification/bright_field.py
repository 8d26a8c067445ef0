"""Light behind an objective, perhaps with a mask in its pupil."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import eval_jacobi

from opticdesign.design import BrightFieldOptics, Design, material_of
from opticdesign.verification.mask_in_file import Fields, MaskInFile, Reals, SecondOpinion, places_of

__all__ = ["behind_objective"]

_SURE = 6  # nodes of a panel beyond those that its waves ask for
_RINGS, _ANGLES = 4, 12  # of the source
_TOGETHER = 32  # points of the source


def behind_objective(
    design: Design, optics: BrightFieldOptics, masks: Sequence[MaskInFile], fields: Fields
) -> SecondOpinion:
    """The light on the camera, averaged over each sample of the image."""
    lens = _Lens(
        design.light.wavelength,
        material_of(design.fabrication.medium).index(design.light.wavelength),
        optics,
        masks[0] if masks else None,
    )
    sines, shares = _source(optics)
    nodes, weights = np.polynomial.legendre.leggauss(
        1 + math.ceil(4.0 * optics.pitch * optics.aperture / lens.wavelength)
    )
    seen_at = [(places_of(n, optics.pitch)[:, None] + 0.5 * optics.pitch * nodes).ravel() for n in optics.shape]
    way = _Repeated(lens, fields.shape[1:], seen_at) if optics.surroundings == "repeat" else _Way(lens, fields, seen_at)
    intensity = np.zeros((len(fields), len(seen_at[0]), len(seen_at[1])))
    for first in range(0, len(sines), _TOGETHER):
        part = slice(first, first + _TOGETHER)
        for image, field in zip(intensity, fields, strict=True):
            image += way.light(field, sines[part] / lens.wavelength, shares[part])
    (rows, columns), count = optics.shape, len(nodes)
    weight = 0.25 * weights[:, None] * weights
    mean = np.einsum("nyaxb,ab->nyx", intensity.reshape(-1, rows, count, columns, count), weight)
    return SecondOpinion(mean, count, way.how)


@dataclass(frozen=True)
class _Lens:
    """An objective with what is in its pupil."""

    wavelength: float
    index: float
    optics: BrightFieldOptics
    mask: MaskInFile | None

    @property
    def cutoff(self) -> float:
        """The highest frequency that passes."""
        return self.optics.aperture / self.wavelength

    @property
    def spread(self) -> float:
        """How far defocus and aberrations send light at most, metres: the steepest of a polynomial is its rim."""
        sine = min(self.optics.aperture / self.index, 0.99)
        ways = [abs(self.optics.defocus) * sine / math.sqrt(1.0 - sine**2)]
        for term, rms in self.optics.aberrations.items():
            order = _order(int(term))
            ways.append(abs(rms) * math.sqrt(2.0 * (order + 1)) * order**2 / (2.0 * math.pi * self.cutoff))
        return sum(ways)

    def edges(self, axis: int) -> Reals:
        """Frequencies along an axis at which squares of the mask meet."""
        if self.mask is None:
            return np.zeros(0)
        pitch = self.mask.size_m[axis] / self.mask.phase_rad.shape[axis]
        sides = places_of(self.mask.phase_rad.shape[axis] + 1, pitch) + self.mask.offset_m[axis]
        edges: Reals = sides / (self.wavelength * (self.optics.focal or 1.0))
        return edges

    def passed(self, fy: Reals, fx: Reals) -> Fields:
        """What becomes of waves of frequencies that broadcast against each other."""
        squared = fy**2 + fx**2
        k = self.index / self.wavelength
        turns = self.optics.defocus * (np.sqrt(np.maximum(k**2 - squared, 0.0)) - k)
        phase = 2.0 * np.pi * turns
        for term, rms in self.optics.aberrations.items():
            phase = phase + rms * _zernike(int(term), fy / self.cutoff, fx / self.cutoff)
        through: Fields = np.exp(1j * phase) * (squared <= self.cutoff**2)
        if self.mask is None:
            return through
        met = np.zeros(squared.shape, np.complex128)
        (rows, in_row), (columns, in_column) = (
            _square_at(f, self.edges(axis)) for axis, f in enumerate(np.broadcast_arrays(fy, fx))
        )
        inside = in_row & in_column
        met[inside] = self.mask.transmission[rows[inside], columns[inside]]
        return through * met


def _square_at(frequency: Reals, edges: Reals) -> tuple[np.ndarray, np.ndarray]:
    """Number of the square that each frequency meets, and whether it meets one."""
    number = np.searchsorted(edges, frequency, side="right") - 1
    return number, (number >= 0) & (number < len(edges) - 1)


def _order(term: int) -> int:
    """Radial order of Noll's polynomial."""
    return next(n for n in range(term) if (n + 1) * (n + 2) // 2 >= term)


def _zernike(term: int, y: Reals, x: Reals) -> Reals:
    """Noll's polynomial by Jacobi's: R(r) = (−1)^k·r^m·P_k^(m,0)(1 − 2r²), k = (n − m)/2."""
    order = _order(term)
    turns = sorted(abs(m) for m in range(-order, order + 1, 2))[term - order * (order + 1) // 2 - 1]
    k, r2, angle = (order - turns) // 2, x**2 + y**2, np.arctan2(y, x)
    radial = (-1) ** k * r2 ** (turns / 2.0) * eval_jacobi(k, turns, 0, 1.0 - 2.0 * r2)
    if turns == 0:
        return np.asarray(math.sqrt(order + 1) * radial)
    around = np.cos(turns * angle) if term % 2 == 0 else np.sin(turns * angle)
    return np.asarray(math.sqrt(2.0 * (order + 1)) * radial * around)


def _source(optics: BrightFieldOptics) -> tuple[Reals, Reals]:
    """Sines (points, 2) and shares of the power of points: lamps as they are, else rings of equal area."""
    if optics.coherence == 0.0:
        return np.zeros((1, 2)), np.ones(1)
    if optics.lamps is not None:
        powers = np.array(optics.powers or [1.0] * len(optics.lamps))
        return np.array(optics.lamps) * optics.condenser_na, powers / powers.sum()
    dark = (optics.inner or 0.0) ** 2
    nodes, weights = np.polynomial.legendre.leggauss(_RINGS)
    radii = optics.condenser_na * np.sqrt(dark + (1.0 - dark) * (nodes + 1.0) / 2.0)
    angles = 2.0 * np.pi * (np.arange(_ANGLES)[None] + np.arange(_RINGS)[:, None] / _RINGS) / _ANGLES
    sines = radii[:, None, None] * np.stack([np.sin(angles), np.cos(angles)], -1)
    return sines.reshape(-1, 2), np.repeat(weights / (2.0 * _ANGLES), _ANGLES)


class _Way:
    """From samples of an object to places of its image, by Gauss's rule over the pupil: no window, no transform.

    Rows of the disc go from rim to rim, each with nodes of its own along it; where there is a mask, the rule is one for
    each square that they cross.
    """

    def __init__(self, lens: _Lens, fields: Fields, seen_at: Sequence[Reals]) -> None:
        self._lens, self._seen_at = lens, seen_at
        self._object = [places_of(count, lens.optics.pitch) for count in fields.shape[1:]]
        self._reach = [
            np.abs(a).max() + np.abs(b).max() + lens.spread for a, b in zip(self._object, seen_at, strict=True)
        ]
        self.how = "rows from rim to rim of the pupil, the object tilted for each point of the source"

    def light(self, field: Fields, tilts: Reals, shares: Reals) -> Reals:
        """Intensity at the places of the image, by points of the source of frequencies (points, 2) and shares."""
        optics, (y, x) = self._lens.optics, self._object
        mean = field.mean() if optics.surroundings == "neighbours" else 0.0
        tilted = [np.exp(2j * np.pi * (fy * y[:, None] + fx * x)) * (field - mean) for fy, fx in tilts]
        cutoff, edges = self._lens.cutoff, [self._edges(axis, tilts[:, axis]) for axis in (0, 1)]
        # by the angle of the row at the rim, so that rows end smoothly
        bent = np.arcsin(np.clip(edges[0] / cutoff, -1.0, 1.0))
        angles, shares_of = _nodes(-math.pi / 2.0, math.pi / 2.0, bent, self._reach[0] * cutoff)
        rows, row_weights = cutoff * np.sin(angles), cutoff * np.cos(angles) * shares_of
        down = np.exp(-2j * np.pi * rows[:, None] * y) * optics.pitch
        spectra = np.stack([down @ each for each in tilted])
        across = np.empty((len(tilts), len(rows), len(self._seen_at[1])), np.complex128)
        for row, fy in enumerate(rows):
            half = math.sqrt(max(cutoff**2 - fy**2, 0.0))
            fx, weights = _nodes(-half, half, edges[1], self._reach[1])
            ways = np.exp(-2j * np.pi * x[:, None] * fx) * optics.pitch
            backs = np.exp(2j * np.pi * fx[:, None] * self._seen_at[1])
            through = self._lens.passed(np.array(fy), fx) * weights * row_weights[row]
            known = self._carried(fy - tilts[:, :1]) & self._carried(fx - tilts[:, 1:])
            across[:, row] = ((spectra[:, row] @ ways) * through * known) @ backs
        up = np.exp(2j * np.pi * self._seen_at[0][:, None] * rows)
        total = np.zeros((len(self._seen_at[0]), len(self._seen_at[1])))
        for (fy, fx), share, part in zip(tilts, shares, across, strict=True):
            beam = np.exp(2j * np.pi * (fy * self._seen_at[0][:, None] + fx * self._seen_at[1]))
            image = up @ part + mean * self._lens.passed(np.array([fy]), np.array([fx])) * beam
            total += share * np.abs(image) ** 2
        return total

    def _carried(self, frequency: Reals) -> np.ndarray:
        """Whether the samples of the object hold such a frequency."""
        return np.abs(frequency) <= 0.5 / self._lens.optics.pitch

    def _edges(self, axis: int, tilts: Reals) -> Reals:
        """Where squares meet, and where what the object's samples hold of tilted light ends."""
        ends = [tilts + side / self._lens.optics.pitch for side in (-0.5, 0.5)]
        return np.concatenate([self._lens.edges(axis), *ends])


class _Repeated:
    """The same of an object that repeats: a sum over the frequencies that it has."""

    how = "object and image repeat forever"

    def __init__(self, lens: _Lens, shape: tuple[int, ...], seen_at: Sequence[Reals]) -> None:
        self._lens, pitch = lens, lens.optics.pitch
        self._frequencies = [np.sort(np.fft.fftfreq(count, pitch)) for count in shape]
        places = [places_of(count, pitch) for count in shape]
        pairs = list(zip(self._frequencies, places, seen_at, strict=True))
        self._ways = [np.exp(-2j * np.pi * f[:, None] * place) / len(place) for f, place, _ in pairs]
        self._backs = [np.exp(2j * np.pi * seen[:, None] * f) for f, _, seen in pairs]

    def light(self, field: Fields, tilts: Reals, shares: Reals) -> Reals:
        """As of `_Way`."""
        spectrum = self._ways[0] @ field @ self._ways[1].T
        total = np.zeros((len(self._backs[0]), len(self._backs[1])))
        for tilt, share in zip(tilts, shares, strict=True):
            fy, fx = (frequency + part for frequency, part in zip(self._frequencies, tilt, strict=True))
            image = self._backs[0] @ (spectrum * self._lens.passed(fy[:, None], fx[None])) @ self._backs[1].T
            total += share * np.abs(image) ** 2
        return total


def _nodes(low: float, high: float, edges: Reals, reach: float) -> tuple[Reals, Reals]:
    """Nodes and weights from one end to the other, by a rule for each part between edges.

    Args:
        low: the one end.
        high: the other.
        edges: places at which what is integrated jumps.
        reach: the longest period count for each unit that waves have there.
    """
    inside = edges[(edges > low) & (edges < high)]
    ends = np.unique(np.concatenate([[low], inside, [high]]))
    places, shares = [], []
    for start, end in pairwise(ends):
        count = _SURE + math.ceil(0.5 * math.pi * (end - start) * reach)
        nodes, weights = np.polynomial.legendre.leggauss(count)
        places.append(0.5 * (start + end) + 0.5 * (end - start) * nodes)
        shares.append(0.5 * (end - start) * weights)
    if not places:
        return np.zeros(1), np.zeros(1)
    return np.concatenate(places), np.concatenate(shares)
