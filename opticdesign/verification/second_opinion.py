"""What light does behind masks as their files have them, by another way than training goes; float64, numpy and scipy.

Nothing is shared with the model that trains but the design, the materials' indices and the conventions: time factor
e^{−iωt}, forward travel e^{+ikz} without its carrier, φ = 2π(n − n₀)h/λ, samples at (i − (N − 1)/2)·pitch about one
axis. Masks are squares where the coordinates of a file put them, opaque around.

Layers
    Free space is an angular spectrum whose evanescent waves decay, in a window at least twice as wide as the widest
    plane. Light that a frequency f sends off by x(f) = zλf/√(1 − λ²f²) comes back into a window that repeats; so
    frequencies fade out between the farthest offset that is needed and the nearest that would come back.
    K. Matsushima, T. Shimobaba, Band-limited angular spectrum method, Opt. Express 17, 19662 (2009),
    doi:10.1364/OE.17.019662, cuts them off there. Fading takes some zones of √(dx/df), which are wide where light goes
    far, or almost along the planes; where that takes more than four times the widest plane, the kernel of Rayleigh and
    Sommerfeld is sampled instead, in a window that holds the whole linear convolution. A mask is the series
    t̂(f) = Σ tₙ·e^{−2πi f·xₙ}·w²·sinc(w·f), as far as the grid carries it: right for light of frequencies to 1/λ where
    samples are λ/4 or less apart.

Filter
    Fourier integrals over each square of the pupil, by Gauss and Legendre: several points in each, the field at each
    of them summed from the samples of the object. No window, and so nothing that repeats.

Relief
    Light is marched through thin slices: a screen of each slice's material in its middle, and to either side the
    spectrum of the slice's mean index over the mask; what leaves a mask through its sides is lost.
    M. D. Feit, J. A. Fleck, Appl. Opt. 17, 3990 (1978), doi:10.1364/AO.17.003990.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from opticdesign.design import D2NNOptics, Design, FilterOptics
from opticdesign.errors import UsageError
from opticdesign.optics.materials import material

__all__ = ["MaskInFile", "SecondOpinion", "mask_size_m", "masks_of_design", "second_opinion"]

Reals = npt.NDArray[np.float64]
Fields = npt.NDArray[np.complex128]
Pair = tuple[float, float]

_MEMORY = 1_500_000_000  # bytes
_ROOM = 1.25  # of a window over the linear convolution: between its samples light ends in waves that reach beyond them
_SLACK = 1.1  # of a window's samples, which are rounded up to a fast transform's
_ARRAYS = 5  # of a window in memory at once, beside one for each field
_ZONES = 4.0  # over which frequencies fade
_LEAST_FADING = 1.25  # how far frequencies fade at least, where samples are too coarse for a kernel
_WIDEST = 4.0  # of a window over the widest plane; beyond, the kernel is sampled
_NODES = 5  # in each square of a filter, and of the camera behind it, along each axis
_SLICES = 2  # of a relief for each of its levels, at least
_THINNEST = 6  # slices of a relief in a wavelength in vacuum, at least
_BEYOND = 1.25  # width over which light is marched through a relief, over that of the mask


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
    """How large a mask of a design is along y and x, metres: neurons times their pitch, or λf over that of the image.

    A filter's points lie λf over the extent of the image's window apart, and the window has as many samples as it has
    points: so their number drops out.
    """
    optics = design.optics
    if isinstance(optics, FilterOptics):
        side = _wavelength(design) * optics.focal / optics.pitch
        return side, side
    return optics.neurons[0] * optics.pitch, optics.neurons[1] * optics.pitch


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


def second_opinion(
    design: Design,
    masks: Sequence[MaskInFile],
    fields: npt.NDArray[np.complexfloating],
    samples: int | None = None,
    memory_bytes: int = _MEMORY,
    room: float = _ROOM,
) -> SecondOpinion:
    """The light on the camera of a design, with masks as files have them.

    Args:
        design: the instrument.
        masks: those that light passes, in its order.
        fields: complex fields in the object plane with their margin, sampled as the image is (n, y, x); dark beyond.
            Behind a filter neighbours go on as the field's mean, and what repeats is the same again and again.
        samples: least samples across a neuron; left out, as many as steep light needs, and as memory holds.
        memory_bytes: what may be used.
        room: width of the windows between layers over that of the linear convolution: as steep waves leave them, the
            field between its samples is right but for these.

    Raises:
        UsageError: planes that do not fit that memory, or another number of masks than light passes.
    """
    optics = design.optics
    light = np.asarray(fields, np.complex128)
    expected = 1 if isinstance(optics, FilterOptics) else optics.crossed
    if len(masks) != expected:
        raise UsageError(f"{len(masks)} masks", expected=f"the {expected} that light passes")
    if isinstance(optics, FilterOptics):
        return _filtered(design, optics, masks[0], light)
    return _Layers(design, optics, masks, light.shape[1:], samples, memory_bytes, len(light), room).opinion(light)


def _wavelength(design: Design) -> float:
    """Wavelength in the medium, metres."""
    return design.light.wavelength / material(design.fabrication.medium).index(design.light.wavelength)


def _places(count: int, pitch: float) -> Reals:
    places: Reals = (np.arange(count, dtype=np.float64) - (count - 1) / 2.0) * pitch
    return places


@dataclass(frozen=True)
class _Axis:
    """Samples of the light along one axis, at x₀ + j·step, j = 0 … count − 1, in a window that repeats.

    Args:
        step: between samples, metres.
        count: of them.
        first: x₀, metres.
        image: index of the first sample in the image.
    """

    step: float
    count: int
    first: float
    image: int

    @classmethod
    def of(cls, image: int, pitch: float, fine: int, least: float) -> _Axis:
        """`fine` samples across each of `image` samples of a pitch, whose borders are borders here too.

        The window is at least so wide, and an odd number of image samples: none of their frequencies is then its own
        negative.
        """
        coarse = fft.next_fast_len(math.ceil(least / pitch * (1.0 - 1e-12)))
        while coarse % 2 == 0:
            coarse = fft.next_fast_len(coarse + 1)
        count, step = coarse * fine, pitch / fine
        start = (count - image * fine) // 2
        return cls(step, count, (0.5 - start) * step - image * pitch / 2.0, start)

    @property
    def extent(self) -> float:
        """Width of the window."""
        return self.count * self.step

    @property
    def frequencies(self) -> Reals:
        """In FFT order, per metre."""
        return fft.fftfreq(self.count, self.step)

    def shares(self, low: Reals, high: Reals) -> sparse.csr_matrix:
        """Share of each sample's width that lies between each low and high place (count, places)."""
        edges = self.first + (np.arange(self.count + 1) - 0.5) * self.step
        columns, rows, values = [], [], []
        for column, (start, end) in enumerate(zip(low, high, strict=True)):
            first, last = np.searchsorted(edges, (start, end))
            inside = np.arange(max(first - 1, 0), min(last + 1, self.count))
            share = (np.minimum(edges[inside + 1], end) - np.maximum(edges[inside], start)) / self.step
            rows.append(inside[share > 0.0])
            values.append(share[share > 0.0])
            columns.append(np.full(len(values[-1]), column))
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return sparse.csr_matrix(entries, shape=(self.count, len(low)))


def _series(axes: Sequence[_Axis], mask: MaskInFile, values: Fields, width: float) -> Fields:
    """Fourier series of squares of these values (rows, columns), summed up at the samples of a window."""
    sides = []
    for axis, samples in enumerate(axes):
        middles, side = _squares(mask, axis, width)
        frequency = samples.frequencies
        turns = np.exp(-2j * np.pi * frequency[:, None] * (middles - samples.first))
        turns *= (np.sinc(frequency * side) * (side / samples.step))[:, None]
        if samples.count % 2 == 0:
            turns[samples.count // 2] = 0.0  # a frequency that is its own negative
        sides.append(turns)
    sampled: Fields = fft.ifft2(sides[0] @ values @ sides[1].T, overwrite_x=True)
    return sampled


def _squares(mask: MaskInFile, axis: int, width: float) -> tuple[Reals, float]:
    """Middles of a mask's squares along an axis, and their side, of a width over that of a pixel."""
    pitch = mask.size_m[axis] / mask.phase_rad.shape[axis]
    return _places(mask.phase_rad.shape[axis], pitch) + mask.offset_m[axis], width * pitch


class _Layers:
    """Layers in a common window."""

    def __init__(
        self,
        design: Design,
        optics: D2NNOptics,
        masks: Sequence[MaskInFile],
        shape: tuple[int, ...],
        samples: int | None,
        memory_bytes: int,
        fields: int,
        room: float,
    ) -> None:
        self.design, self.optics, self.masks, self.room = design, optics, masks, room
        self.wavelength, self.width = _wavelength(design), math.sqrt(optics.fill_factor)
        self.depth = self._two_pi_height if optics.model == "bpm" else 0.0
        levels = design.fabrication.levels
        self.slices = levels * max(_SLICES, math.ceil(_THINNEST * self.depth / (levels * design.light.wavelength)))
        self.distances = [optics.input_gap, *[optics.layer_gap - self.depth] * (optics.crossed - 1)]
        self.distances.append(optics.detector_gap - self.depth)
        pitch = optics.sample_pitch
        # half widths of the planes along y and x: object, masks, camera
        self.halves = [(shape[0] * pitch / 2.0, shape[1] * pitch / 2.0)]
        self.halves += [
            (mask.size_m[0] / 2.0 + abs(mask.offset_m[0]), mask.size_m[1] / 2.0 + abs(mask.offset_m[1]))
            for mask in masks
        ]
        self.halves.append((optics.shape[0] * pitch / 2.0, optics.shape[1] * pitch / 2.0))
        widths = [self._width(axis) for axis in (0, 1)]
        self.short = False
        self.fine = self._suitable(samples, memory_bytes, fields, widths)
        self.axes = [_Axis.of(optics.shape[axis], pitch, self.fine, widths[axis]) for axis in (0, 1)]

    def opinion(self, fields: Fields) -> SecondOpinion:
        """The light on the camera."""
        waves = [self._spread(field) for field in fields]
        for number, distance in enumerate(self.distances):
            transfer = self._transfer(number, distance)
            for index, wave in enumerate(waves):
                spectrum: Fields = fft.fft2(wave, overwrite_x=True)
                spectrum *= transfer
                waves[index] = fft.ifft2(spectrum, overwrite_x=True)
            if number < len(self.masks):
                waves = self._behind(self.masks[number], waves)
        intensity = np.stack([self._seen(wave) for wave in waves])
        per_neuron, (rows, columns) = self.fine * self.optics.image_samples, (axis.count for axis in self.axes)
        step = max(axis.step for axis in self.axes)
        how = (
            f"{per_neuron} samples across a neuron ({self.wavelength / step:.3g} in a wave), window {rows} × {columns}"
        )
        if self.optics.model == "bpm":
            how += f", marched through {self.slices} slices"
        how += ", fewer samples than the steepest light needs, as memory does not hold more" if self.short else ""
        return SecondOpinion(intensity, per_neuron, how)

    def _behind(self, mask: MaskInFile, waves: list[Fields]) -> list[Fields]:
        """The light behind a mask, of that in front of it."""
        if self.optics.model == "bpm":
            return _March(self, mask)(waves)
        passed = self.transmission(mask)
        return [wave * passed for wave in waves]

    @property
    def _two_pi_height(self) -> float:
        made, wavelength = self.design.fabrication, self.design.light.wavelength
        return wavelength / (material(made.material).index(wavelength) - material(made.medium).index(wavelength))

    def _reach(self, number: int, axis: int) -> float:
        """Farthest offset from a point of one plane to a point of the next."""
        return self.halves[number][axis] + self.halves[number + 1][axis]

    def _fades(self, number: int, axis: int) -> float:
        """Width of a window in which the frequencies of a hop fade: over zones of √(dx/df) at the farthest offset."""
        distance, reach = self.distances[number], self._reach(number, axis)
        zone = math.sqrt(self.wavelength * math.hypot(reach, distance) ** 3) / distance
        return 2.0 * reach + _ZONES * zone

    def _sampled(self, number: int) -> bool:
        """Whether the kernel of a hop is to be sampled, because its frequencies would need too wide a window."""
        return any(
            self._fades(number, axis) > _WIDEST * max(2.0 * half[axis] for half in self.halves) for axis in (0, 1)
        )

    def _width(self, axis: int) -> float:
        """Width of the window along an axis."""
        needed = [2.0 * max(2.0 * half[axis] for half in self.halves)]
        for number in range(len(self.distances)):
            linear = self.room * 2.0 * self._reach(number, axis)
            needed.append(linear if self._sampled(number) else self._fades(number, axis))
        return max(needed)

    def _suitable(self, samples: int | None, memory_bytes: int, fields: int, widths: list[float]) -> int:
        """Samples across one of the image: as asked, or four in the shortest wave that travels, as memory holds."""
        optics, each = self.optics, self.optics.image_samples
        least = -(-2 // each)
        steepest = 0.0
        for number, distance in enumerate(self.distances):
            x = [
                self._reach(number, axis) if self._sampled(number) else widths[axis] - self._reach(number, axis)
                for axis in (0, 1)
            ]
            steepest = max(steepest, math.hypot(*x) / math.hypot(*x, distance) / self.wavelength)
        wanted = math.ceil(4.0 * steepest * optics.sample_pitch * (1.0 - 1e-9))
        if optics.model == "bpm":  # twice as fine as the march that is trained, in the material
            coarse = optics.samples or each * math.ceil(4.0 * optics.sample_pitch / self.wavelength * (1.0 - 1e-9))
            wanted = max(wanted, -(-2 * coarse // each))
        wanted = max(least, wanted if samples is None else -(-samples // each))
        area = _SLACK * widths[0] * widths[1] / optics.sample_pitch**2
        most = math.floor(math.sqrt(memory_bytes / (16.0 * area * (_ARRAYS + fields))))
        if most < (least if samples is None else wanted):
            raise UsageError(
                f"planes of {math.sqrt(area):.0f} samples of the image on average, for a second opinion",
                expected=f"what {memory_bytes / 1e9:.3g} GB hold",
                remedy="take fewer fields at once, or more memory",
            )
        self.short = samples is None and most < wanted
        return min(wanted, most)

    def _spread(self, field: Fields) -> Fields:
        """A field of image samples between them: what its frequencies make, in the window."""
        spectrum = np.asarray(field)
        for dim, (axis, pitch) in enumerate(zip(self.axes, (self.optics.sample_pitch,) * 2, strict=True)):
            coarse = axis.count // self.fine
            start = _places(field.shape[dim], pitch)[0]
            found = fft.fft(spectrum, coarse, axis=dim)
            found *= _along(np.exp(2j * np.pi * fft.fftfreq(coarse, pitch) * (axis.first - start)), dim) / coarse
            shape = list(found.shape)
            shape[dim] = axis.count
            wide = np.zeros(shape, np.complex128)
            half = (coarse + 1) // 2  # zero and the positive ones of an odd number
            low, high = _part(dim, 0, half), _part(dim, axis.count - half + 1, axis.count)
            wide[low], wide[high] = found[low], found[_part(dim, half, coarse)]
            spectrum = fft.ifft(wide, axis=dim, overwrite_x=True) * axis.count
        return spectrum

    def _transfer(self, number: int, distance: float) -> Fields:
        """Transfer function of a hop, or the spectrum of its kernel, in FFT order."""
        reach = math.hypot(*(self._reach(number, axis) for axis in (0, 1)))
        finest = 2.0 * reach / math.hypot(reach, distance) / self.wavelength  # of the kernel's rings, where it counts
        coarsest = max(axis.step for axis in self.axes)
        # nearer than a wave the kernel is a spike
        if self._sampled(number) and coarsest * finest <= 1.0 and distance >= self.wavelength:
            return self._kernel(distance)
        fy, fx = self.axes[0].frequencies[:, None], self.axes[1].frequencies
        square = self.wavelength**2 * (fy**2 + fx**2)
        root = np.sqrt((1.0 - square).astype(np.complex128))
        # k_z − k without the difference of two large numbers
        transfer: Fields = np.exp((-2j * np.pi / self.wavelength * distance) * square / (1.0 + root))
        slope = np.abs(root)
        np.maximum(slope, 1e-12, out=slope)
        for axis, frequency in ((0, fy), (1, fx)):
            near = self._reach(number, axis)
            far = max(self.axes[axis].extent - near, _LEAST_FADING * near)
            x = distance * self.wavelength * np.abs(frequency) / slope
            transfer *= _faded((x - near) / (far - near))
        return transfer

    def _kernel(self, distance: float) -> Fields:
        """Spectrum of z/r·(1/r − ik)·e^{ik(r − z)}/2πr at the samples of the window."""
        y, x = (fft.fftfreq(axis.count, 1.0 / axis.extent) for axis in self.axes)
        across: Reals = y[:, None] ** 2 + x**2
        r = np.sqrt(across + distance**2)
        k = 2.0 * np.pi / self.wavelength
        kernel: Fields = distance / (2.0 * np.pi * r**2) * (1.0 / r - 1j * k) * np.exp(1j * k * across / (r + distance))
        spectrum: Fields = fft.fft2(kernel, overwrite_x=True) * (self.axes[0].step * self.axes[1].step)
        return spectrum

    def transmission(self, mask: MaskInFile) -> Fields:
        """What a mask lets pass at the samples of the window, without what they cannot carry."""
        if self.optics.gaps == "clear" and self.width < 1.0:
            whole = _series(self.axes, mask, np.ones_like(mask.transmission), 1.0)
            return whole + _series(self.axes, mask, mask.transmission - 1.0, self.width)
        return _series(self.axes, mask, mask.transmission, self.width)

    def _seen(self, wave: Fields) -> Reals:
        """Mean intensity over each sample of the image (y, x)."""
        spectrum: Fields = fft.rfft2(wave.real**2 + wave.imag**2)
        fy, fx = self.axes[0].frequencies, fft.rfftfreq(self.axes[1].count, self.axes[1].step)
        spectrum *= np.sinc(fy * self.axes[0].step)[:, None] * np.sinc(fx * self.axes[1].step)  # mean over each of ours
        found = fft.irfft2(spectrum, tuple(axis.count for axis in self.axes), overwrite_x=True)
        (rows, columns), fine = self.optics.shape, self.fine
        top, left = (axis.image for axis in self.axes)
        inside = found[top : top + rows * fine, left : left + columns * fine]
        mean: Reals = inside.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
        return mean


class _March:
    """The way through one relief, from its base plane to the plane above its highest place."""

    def __init__(self, layers: _Layers, mask: MaskInFile) -> None:
        made, wavelength = layers.design.fabrication, layers.design.light.wavelength
        self.mask, self.width, self.slices = mask, layers.width, layers.slices
        self.outlines = layers.transmission(mask._replace(phase_rad=np.zeros_like(mask.phase_rad)))
        turns = np.mod(mask.phase_rad, 2.0 * np.pi) / (2.0 * np.pi)
        self.heights = np.where(turns > 1.0 - 1e-7, 0.0, turns) * self.slices  # float32 phases may end a turn high
        self.axes, self.parts, above = [], [], []
        for axis, samples in enumerate(layers.axes):
            reach = min(samples.count, fft.next_fast_len(math.ceil(_BEYOND * mask.size_m[axis] / samples.step)))
            middle = (mask.offset_m[axis] - samples.first) / samples.step
            start = max(0, min(samples.count - reach, round(middle) - reach // 2))
            self.axes.append(_Axis(samples.step, reach, samples.first + start * samples.step, 0))
            self.parts.append(slice(start, start + reach))
            edge = mask.offset_m[axis] + mask.size_m[axis] * np.array([[-0.5], [0.5]])
            above.append(self.axes[axis].shares(*edge).toarray())
        self.above = above[0] @ above[1].T
        self.indices = material(made.medium).index(wavelength), material(made.material).index(wavelength)
        self.turns = layers.depth / self.slices / wavelength  # of light in vacuum, in a slice
        self.square = wavelength**2 * (self.axes[0].frequencies[:, None] ** 2 + self.axes[1].frequencies ** 2)

    def __call__(self, waves: Sequence[Fields]) -> list[Fields]:
        """The fields in the window, behind the relief; what leaves it through its sides is lost."""
        rows, columns = self.parts
        parts = [(wave * self.outlines)[rows, columns] for wave in waves]
        low, high = self.indices
        for number in range(self.slices):
            filled = np.clip(self.heights - number, 0.0, 1.0)
            there = _series(self.axes, self.mask, filled.astype(np.complex128), self.width).real
            screen = np.exp(2j * np.pi * (high - low) * self.turns * there)
            half = self._half(low + (high - low) * float(filled.mean()))
            for index, part in enumerate(parts):
                middle = fft.ifft2(fft.fft2(part, overwrite_x=True) * half, overwrite_x=True)
                middle *= screen
                parts[index] = fft.ifft2(fft.fft2(middle, overwrite_x=True) * half, overwrite_x=True)
        behind = [np.zeros_like(wave) for wave in waves]
        for wave, part in zip(behind, parts, strict=True):
            wave[rows, columns] = part * self.above
        return behind

    def _half(self, index: float) -> Fields:
        """Transfer function of half a slice at an index, without its carrier."""
        root = np.sqrt((index**2 - self.square).astype(np.complex128))
        transfer: Fields = np.exp(-1j * np.pi * self.turns * self.square / (index + root))
        return transfer


def _faded(place: Reals) -> Reals:
    """1 below 0, 0 above 1, and smooth between."""
    inside = np.clip(place, 0.0, 1.0)
    result: Reals = np.cos(0.5 * np.pi * inside**2 * (3.0 - 2.0 * inside)) ** 2
    return result


def _along(values: npt.NDArray[np.complexfloating], dim: int) -> npt.NDArray[np.complexfloating]:
    """Values of one axis as they multiply a plane."""
    return values[:, None] if dim == 0 else values


def _part(dim: int, start: int, end: int) -> tuple[slice, ...]:
    """The lines start … end − 1 of a plane along an axis."""
    return (slice(None),) * dim + (slice(start, end),)


def _filtered(design: Design, optics: FilterOptics, mask: MaskInFile, fields: Fields) -> SecondOpinion:
    """The light behind a filter."""
    scale, width = _wavelength(design) * optics.focal, math.sqrt(optics.fill_factor)
    open_points = _pupil(optics, mask)
    shaped = mask.transmission * open_points
    clear = optics.gaps == "clear" and width < 1.0
    kinds = [(shaped - open_points, width), (open_points.astype(np.complex128), 1.0)] if clear else [(shaped, width)]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    camera = [_places(count, optics.pitch) for count in optics.shape]
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
        places = _places(fields.shape[axis + 1], optics.pitch)
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
        places = _places(count, optics.pitch)
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
