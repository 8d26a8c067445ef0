"""Light from layer to layer, through thin masks or reliefs, in a common window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from opticdesign.design import D2NNOptics, Design, material_of
from opticdesign.errors import UsageError
from opticdesign.verification.mask_in_file import (
    Effort,
    Fields,
    MaskInFile,
    Reals,
    SecondOpinion,
    absorbing,
    absorption,
    medium_wavelength,
    places_of,
)
from opticdesign.verification.relief import Heights, Relief
from opticdesign.verification.window import Axis, series

__all__ = ["Layers"]

_SLACK = 1.1  # of a window's samples, which are rounded up to a fast transform's
_ARRAYS = 5  # of a window in memory at once, beside one for each field
_ZONES = 8.0  # over which frequencies fade: half as many would leave 1 % of the reading behind small masks
_LEAST_FADING = 1.25  # how far frequencies fade at least, where samples are too coarse for a kernel
_WIDEST = 4.0  # of a window over the widest plane; beyond, the kernel is sampled
_ROOM = 1.25  # of a window over the linear convolution: between its samples light ends in waves that reach beyond them
_SLICES = 2  # of a relief for each of its levels, at least
_THINNEST = 6  # slices of a relief in a wavelength in vacuum, at least


class Layers:
    """Layers in a common window.

    Args:
        design: the instrument.
        optics: its layers.
        masks: those that light passes.
        fields: shape of the fields in the object plane (n, y, x).
        effort: what it may cost.
    """

    def __init__(
        self,
        design: Design,
        optics: D2NNOptics,
        masks: Sequence[MaskInFile],
        fields: tuple[int, ...],
        effort: Effort,
    ) -> None:
        count, *shape = fields
        self.design, self.optics = design, optics
        self.masks = masks if optics.model == "bpm" else [absorbing(design, mask) for mask in masks]
        self.wavelength, self.width = medium_wavelength(design), math.sqrt(optics.fill_factor)
        self.heights = _heights(design)
        depth = self.heights.depth if optics.model == "bpm" else 0.0
        self.distances = [optics.input_gap, *[optics.layer_gap - depth] * (optics.crossed - 1)]
        self.distances.append(optics.detector_gap - depth)
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
        self.fine = self._suitable(effort.samples, effort.memory_bytes, count, widths)
        self.axes = [Axis.of(optics.shape[axis], pitch, self.fine, widths[axis]) for axis in (0, 1)]

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
            how += f", marched through {self.heights.slices} slices"
        how += ", fewer samples than the steepest light needs, as memory does not hold more" if self.short else ""
        return SecondOpinion(intensity, per_neuron, how)

    def _behind(self, mask: MaskInFile, waves: list[Fields]) -> list[Fields]:
        """The light behind a mask, of that in front of it."""
        if self.optics.model == "bpm":
            outlines = self.transmission(mask._replace(phase_rad=np.zeros_like(mask.phase_rad)))
            return Relief(mask, self.axes, self.width, outlines, self.heights)(waves)
        passed = self.transmission(mask)
        return [wave * passed for wave in waves]

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
            linear = _ROOM * 2.0 * self._reach(number, axis)
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
            start = places_of(field.shape[dim], pitch)[0]
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
            whole = series(self.axes, mask, np.ones_like(mask.transmission), 1.0)
            return whole + series(self.axes, mask, mask.transmission - 1.0, self.width)
        return series(self.axes, mask, mask.transmission, self.width)

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


def _heights(design: Design) -> Heights:
    """What becomes of the phases of a design."""
    made, wavelength = design.fabrication, design.light.wavelength
    low, high = (material_of(name).index(wavelength) for name in (made.medium, made.material))
    depth = wavelength / (high - low)
    parts = max(_SLICES, math.ceil(_THINNEST * depth / (made.levels * wavelength)))
    return Heights(wavelength, (low, high), depth, made.levels * parts, absorption(design))


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
