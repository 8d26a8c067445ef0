"""How layers stand, how finely light between them is sampled and in what windows, and what error that leaves.

Two choices are made here so that the camera's reading is right to an accuracy:

- samples of light and mask across a neuron. A square's spectrum falls as 1/f, and what a grid cannot carry is missing
  in the next plane, unless it would pass it by. As many samples as carry all that travels, two for each half wave, are
  always enough. Whether fewer are is tried on a model of one dimension, layers of slits with random phases, of which
  thousands cost nothing; in two dimensions light is lost along both axes.
- the windows that convolutions are made in. Twice the mean width of two planes holds the whole linear convolution; a
  narrower one is tried on the layers themselves, with random masks, for a smooth object and for one of random phases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.cascade import cascade
from opticdesign.optics.detectors import cell_means, intensity_of, mean_bins
from opticdesign.optics.elements import RIM, Square
from opticdesign.optics.elements.squares import means_along
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.hop import Hop, light_grid, light_window
from opticdesign.optics.propagation import PROPAGATORS, ImpulseResponse, Propagator, suitable_propagator
from opticdesign.randomness import numpy_stream, torch_stream

__all__ = [
    "LARGEST_HOP_ERROR",
    "Layers",
    "Paddings",
    "WindowErrors",
    "suitable_paddings",
    "suitable_samples",
    "window_errors",
]

Paddings: TypeAlias = float | tuple[float, ...]
LARGEST_HOP_ERROR = 0.03
_PADDINGS = (1.25, 1.375, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 4.0, 6.0, 8.0)
_REFERENCE = (3.0, 12.0)  # padding that others are compared with: of wide planes, and of those of few samples,
_REFERENCE_SAMPLES = 512  # where it makes a window of so many
_TRIED = 1536**2  # samples of masks up to which windows are tried
_LINEAR = 2.0  # padding that holds a linear convolution
_WIDER = 2.5  # reference for large planes
_SURE = 0.6  # of an accuracy: other masks and objects than those tried differ, and so does an exact window,
_SURE_OF_FEW = 0.4  # more so where planes have few samples,
_FEW = 128  # less than these along an axis
_TIGHTER = 1.5  # by which the errors of hops are limited further where the reading asks for it
_MOST_SAMPLES = 6144**2  # of light in one plane
_GRAZING = 0.97  # sine from which on
_LONGEST = 2**20  # samples of the model of one dimension
_AXES = 2.0  # error in two dimensions over that in one, at most


class Way(NamedTuple):
    """Whether a hop starts from the object, whether it ends on the camera, and its distance in metres."""

    first: bool
    last: bool
    distance_m: float


@dataclass(frozen=True)
class Layers:
    """Where planes are and how they are divided.

    Args:
        neurons: rows and columns of a mask.
        pitch_m: distance between neurons along y and x, metres.
        image_samples: samples of object and image across a neuron.
        margin: samples of the object beyond the field of view, on each side along y and x.
        distances_m: of the hops, metres.
        wavelength_m: in the medium, metres.
        binning: samples of the image in a pixel of the camera.
        method: name of the propagator; "auto" for the suitable one of each hop.
        pointlike: neurons are points, and light is sampled as the masks are.
        coarser: distance between samples of light over that of a mask's. 2 is what masks multiply without aliasing;
            with less, steeper light goes on, and of its product with a mask a part is folded, the steepest.
    """

    neurons: tuple[int, int]
    pitch_m: tuple[float, float]
    image_samples: int
    margin: tuple[int, int]
    distances_m: tuple[float, ...]
    wavelength_m: float
    binning: int
    method: str = "auto"
    pointlike: bool = False
    coarser: float = 2.0

    @property
    def image(self) -> Grid:
        """Samples of the image."""
        return self._grid(self.image_samples)

    @property
    def object(self) -> Grid:
        """Samples of the object as far as there is light."""
        (ny, nx), (my, mx) = self.image.shape, self.margin
        return self.image.with_shape((ny + 2 * my, nx + 2 * mx))

    def light(self, samples: int) -> Grid:
        """Samples of the light in the plane of a mask, so many across a neuron, with the rim of squares."""
        return self._grid(samples, 0 if self.pointlike else RIM)

    def light_pitch_m(self, samples: int) -> tuple[float, float]:
        """Distance along y and x between the samples that stand for light, of masks with so many across a neuron."""
        coarser = 1.0 if self.pointlike else self.coarser
        return coarser * self.pitch_m[0] / samples, coarser * self.pitch_m[1] / samples

    def _grid(self, samples: int, rim: int = 0) -> Grid:
        ny, nx = (count + 2 * rim for count in self.neurons)
        dy, dx = self.pitch_m
        return Grid((ny * samples, nx * samples), (dy / samples, dx / samples))

    @property
    def ways(self) -> list[Way]:
        """The ways of the hops: those of one way are one and the same."""
        last = len(self.distances_m) - 1
        return [Way(index == 0, index == last, distance_m) for index, distance_m in enumerate(self.distances_m)]

    def hops(self, samples: int, paddings: Paddings, method: str | None = None) -> list[Hop]:
        """The hops from object to camera.

        Args:
            samples: of the light across a neuron.
            paddings: width of the window of each hop over the mean of its planes' widths, or one for all.
            method: in the place of the layers' own.

        Raises:
            UsageError: the method cannot go over one of the distances.
        """
        if isinstance(paddings, float | int):
            paddings = (float(paddings),) * len(self.ways)
        made: dict[Way, Hop] = {}
        for way, padding in zip(self.ways, paddings, strict=True):
            if way not in made:
                made[way] = self.hop(way, samples, padding, method)
        return [made[way] for way in self.ways]

    def hop(self, way: Way, samples: int, padding: float, method: str | None = None) -> Hop:
        """One of the hops; arguments as in `hops`."""
        mask, bare, distance_m = self.light(samples), self._grid(samples), way.distance_m
        source, target = self.object if way.first else mask, bare if way.last else mask
        pitch_m = self.light_pitch_m(samples)
        first, second = light_grid(source, pitch_m), light_grid(target, pitch_m)
        kind = self.kind(distance_m, first, second, method)[0]
        window = light_window(self.object if way.first else bare, bare, pitch_m, padding, (source, target))
        propagator: Propagator
        try:
            propagator = kind(first, self.wavelength_m, distance_m, target=second.shape, window=window)
        except UsageError:
            if (method or self.method) != "auto":
                raise
            # a window named too narrow for the one kernel: what the other one does there is wrong too, and is told
            propagator = ImpulseResponse(first, self.wavelength_m, distance_m, target=second.shape, window=window)
        return Hop(propagator, source, target)

    def kind(
        self, distance_m: float, first: Grid, second: Grid, method: str | None = None
    ) -> tuple[type[Propagator], str]:
        """The kind of propagator for a distance between samples of light, and why."""
        name = method or self.method
        if name != "auto":
            return PROPAGATORS[name], "named in the design"
        return suitable_propagator(first, self.wavelength_m, distance_m, target=second.shape)


@dataclass(frozen=True)
class WindowErrors:
    """What windows and methods change, against linear convolution with exact kernels: rms, relative.

    Args:
        reading: of the camera's reading, the larger one for a smooth and for a random object.
        hops: of the field behind each hop, likewise.
    """

    reading: float
    hops: tuple[float, ...]

    @property
    def hop(self) -> float:
        """The largest of the hops."""
        return max(self.hops)

    def within(self, accuracy: float) -> bool:
        """Whether the reading is right to an accuracy, and every hop to 3 %."""
        return self.reading <= accuracy and self.hop <= LARGEST_HOP_ERROR


@lru_cache(maxsize=64)
def suitable_paddings(layers: Layers, samples: int, accuracy: float) -> tuple[float, ...]:
    """The narrowest window of each hop, over the mean width of its planes, with which errors are within an accuracy.

    Of the suitable methods: no window mends one that is named and wrong.
    """
    if _large(layers, samples):
        return (_LINEAR,) * len(layers.ways)
    layers = replace(layers, method="auto")
    sure = _SURE_OF_FEW if min(layers.neurons) < _FEW else _SURE
    limit, widest = sure * LARGEST_HOP_ERROR, (_PADDINGS[-1],) * len(layers.ways)
    while True:
        paddings = tuple(_narrowest(layers, samples, way, limit) for way in layers.ways)
        if paddings == widest or window_errors(layers, samples, paddings).within(sure * accuracy):
            return paddings
        limit /= _TIGHTER


def _narrowest(layers: Layers, samples: int, way: Way, limit: float) -> float:
    """The narrowest window in which the error of a hop is below a limit."""
    fits = (padding for padding in _PADDINGS[:-1] if _hop_error(layers, samples, way, padding) <= limit)
    return next(fits, _PADDINGS[-1])


def window_errors(layers: Layers, samples: int, paddings: Paddings) -> WindowErrors:
    """Errors of layers in windows of some padding, of each hop or one for all, and by their own methods.

    Where masks have more than 1536² samples, the reading's is that of the hops added in quadrature, which is
    more than it is.
    """
    if isinstance(paddings, float | int):
        paddings = (float(paddings),) * len(layers.ways)
    hops = tuple(_hop_error(layers, samples, way, padding) for way, padding in zip(layers.ways, paddings, strict=True))
    if _large(layers, samples):
        return WindowErrors(math.hypot(*hops), hops)
    found, masks = layers.hops(samples, paddings), _random_masks(layers, samples)
    readings = [_reading(layers, field, masks, found) for field in _objects(layers)]
    pairs = zip(readings, _exact_readings(layers, samples), strict=True)
    return WindowErrors(max(_difference(ours, right) for ours, right in pairs), hops)


def _large(layers: Layers, samples: int) -> bool:
    """Whether trying windows would take longer than a wide one costs."""
    rows, columns = layers.light(samples).shape
    return rows * columns > _TRIED


@lru_cache(maxsize=256)
def _hop_error(layers: Layers, samples: int, way: Way, padding: float) -> float:
    """Error of the field behind a hop; infinite where the method cannot go in such a window."""
    try:
        hop = layers.hop(way, samples, padding)
    except UsageError:
        return math.inf
    fields = _objects(layers) if way.first else _masked(layers, samples)
    pairs = zip(fields, _exact_fields(layers, samples, way), strict=True)
    return max(_difference(hop(field), right) for field, right in pairs)


@lru_cache(maxsize=4)
def _exact_hop(layers: Layers, samples: int, way: Way) -> Hop:
    least, most = _REFERENCE
    if _large(layers, samples):
        least = _WIDER
    return layers.hop(way, samples, min(max(least, _REFERENCE_SAMPLES / min(layers.neurons)), most), "auto")


@lru_cache(maxsize=8)
def _exact_fields(layers: Layers, samples: int, way: Way) -> list[Tensor]:
    hop = _exact_hop(layers, samples, way)
    return [hop(field) for field in (_objects(layers) if way.first else _masked(layers, samples))]


@lru_cache(maxsize=2)
def _exact_readings(layers: Layers, samples: int) -> list[Tensor]:
    hops = [_exact_hop(layers, samples, way) for way in layers.ways]
    return [_reading(layers, field, _random_masks(layers, samples), hops) for field in _objects(layers)]


def _difference(ours: Tensor, right: Tensor) -> float:
    return float(torch.linalg.vector_norm(ours - right) / torch.linalg.vector_norm(right))


def _reading(layers: Layers, field: Tensor, masks: list[Tensor], hops: list[Hop]) -> Tensor:
    output = cascade(field, masks, [hop.ready() for hop in hops])
    rows, columns = (fine // coarse for fine, coarse in zip(output.shape[-2:], layers.image.shape, strict=True))
    return mean_bins(cell_means(intensity_of(output), (rows, columns)), layers.binning)


@lru_cache(maxsize=2)
def _random_masks(layers: Layers, samples: int) -> list[Tensor]:
    """Transmissions of squares, or points, of random phase."""
    noise = torch_stream(0, "random masks")
    count = len(layers.ways) - 1
    masks = [phasor(torch.rand(layers.neurons, generator=noise) * (2.0 * math.pi)) for _ in range(count)]
    if layers.pointlike:
        return [mask.repeat_interleave(samples, 0).repeat_interleave(samples, 1) for mask in masks]
    return [Square().mask(mask, samples) for mask in masks]


@lru_cache(maxsize=2)
def _objects(layers: Layers) -> list[Tensor]:
    """A smooth object and one of random phases, complex (1, y, x) each."""
    shape = layers.object.shape
    noise = torch_stream(0, "objects")
    coarse = torch.rand((1, 1, max(2, shape[0] // 16), max(2, shape[1] // 16)), generator=noise)
    smooth = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)[0]
    return [phasor(2.0 * smooth), phasor(torch.rand((1, *shape), generator=noise) * (2.0 * math.pi))]


def _masked(layers: Layers, samples: int) -> list[Tensor]:
    """Light behind a mask of random phases, and behind a clear one, complex (1, y, x) each."""
    mask = _random_masks(layers, samples)[0]
    return [mask[None], torch.ones_like(mask)[None]]


@lru_cache(maxsize=64)
def suitable_samples(layers: Layers, accuracy: float) -> int:
    """The fewest samples of light across a neuron that give the reading within an accuracy.

    Raises:
        UsageError: more than 6144² samples in a plane would be needed.
    """
    step = math.lcm(2, layers.image_samples)
    finest = step * max(1, math.ceil(4.0 * _waves(layers) / step))
    found = next((samples for samples in _fewer(step, finest) if _lost(layers, samples, finest) <= accuracy), finest)
    if layers.neurons[0] * layers.neurons[1] * found**2 > _MOST_SAMPLES:
        rows, columns = layers.light(found).shape
        raise UsageError(
            f"neurons this wide send light so far to the side that {found} samples across each are needed, "
            f"{rows} × {columns} in a plane",
            expected=f"at most {_MOST_SAMPLES:,} samples in a plane",
            remedy="name optics.samples, which `check` then says the error of, raise optics.accuracy, choose narrower "
            "or fewer neurons, or longer gaps",
        )
    return found


def _waves(layers: Layers) -> float:
    """Wavelengths across a neuron, but for waves that graze the plane and carry nothing to the next."""
    return _GRAZING * max(layers.pitch_m) / layers.wavelength_m


def _fewer(step: int, finest: int) -> Iterator[int]:
    """Multiples of a step below the finest one, ever coarser in their spacing."""
    samples = step
    while samples < finest:
        yield samples
        samples += step * max(1, samples // (4 * step))


@lru_cache(maxsize=256)
def _lost(layers: Layers, samples: int, finest: int) -> float:
    """Error of the reading with so many samples across a neuron, by the model of one dimension, for both axes."""
    errors = []
    for axis in (0, 1):
        ours, right = (_slits(layers, axis, count) for count in (samples, finest))
        errors.append(float(np.linalg.norm(ours - right) / np.linalg.norm(right)))
    return _AXES * max(errors)


def _slits(layers: Layers, axis: int, samples: int) -> NDArray[np.float64]:
    """The camera's reading behind layers of slits with random phases, one dimension of the layers, (pixels,).

    Light has samples twice as coarse as the masks', whatever the layers take: what goes on beyond comes on top.
    """
    count, fine = layers.neurons[axis], layers.pitch_m[axis] / samples
    shape = layers.neurons[axis] * samples
    rng = numpy_stream(0, "slits", axis)
    margin = layers.margin[axis] * samples // layers.image_samples
    steepest = min(layers.wavelength_m / (4.0 * fine), 0.99)
    reach = max(layers.distances_m) * steepest / math.sqrt(1.0 - steepest**2) / fine
    length = 2 ** math.ceil(math.log2(min(max(4.0 * shape, 2.0 * (shape + margin + reach)), _LONGEST)))
    length = max(length, 2 ** math.ceil(math.log2(2 * (shape + 2 * margin))))
    frequency = np.fft.fftfreq(length, fine)
    root = np.sqrt((1.0 - (layers.wavelength_m * frequency) ** 2).astype(complex))
    carried = np.abs(frequency) < 1.0 / (4.0 * fine)
    turns = rng.uniform(0.0, 2.0, max(3, layers.object.shape[axis] // 16))
    knots = np.linspace(-margin, shape + margin, len(turns))
    field = np.zeros(length, complex)
    inside = np.arange(-margin, shape + margin)
    rim = np.arange(-RIM * samples, shape + RIM * samples)
    field[inside] = np.exp(1j * np.interp(inside + 0.5, knots, turns))
    for index, distance_m in enumerate(layers.distances_m):
        spectrum = np.fft.fft(field) * carried
        field = np.fft.ifft(spectrum * np.exp(2j * np.pi / layers.wavelength_m * distance_m * root))
        if index < len(layers.distances_m) - 1:
            mask = np.asarray(Square().slits(torch.from_numpy(np.exp(2j * np.pi * rng.random(count))), samples))
            behind = np.zeros(length, complex)
            behind[rim] = field[rim] * mask
            field = behind
    pixel = layers.binning * samples // layers.image_samples
    power = torch.from_numpy(np.abs(field[: shape // pixel * pixel]) ** 2)
    return np.asarray(means_along(power, pixel), np.float64)
