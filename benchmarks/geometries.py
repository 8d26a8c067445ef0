"""Do windows and methods of layers keep their promise? Random geometries against linear convolution in float64.

    python -m benchmarks.geometries --count 500

Every geometry is drawn from a seed: 16 to 512 neurons along an axis, odd and not square, pitches of λ/2 to 100 λ that
differ along y and x, 1 to 10 masks, distances from 0.1 λ to 10 N·p²/λ, indices from 1 to 1.6. Smooth and random objects
go through random masks in the windows and by the methods that `instrument.geometry` picks for an accuracy of 1 %, and
through a linear convolution in numpy that shares none of its code: a kernel sampled on twice both planes, of a
spherical wave where the pitch samples it and else of the angular spectrum in its band.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from opticdesign.instrument.geometry import Layers, suitable_paddings
from opticdesign.optics.cascade import cascade
from opticdesign.optics.elements import RIM, Square
from opticdesign.optics.field import phasor

__all__ = ["ACCURACY", "Found", "random_layers", "tried"]

ACCURACY = 0.01
_WIDEST = 24  # window over both planes: where light has no end to the side
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Found:
    """Errors of a geometry against linear convolution: of the reading and of the worst hop, relative rms."""

    layers: Layers
    reading: float
    hop: float


def random_layers(seed: int, largest: int = 512) -> Layers:
    """Layers drawn from a seed, with at most so many neurons along an axis."""
    rng = np.random.default_rng([seed, 7])
    wavelength_m = 632.8e-9 / rng.uniform(1.0, 1.6)
    binning = int(rng.choice([1, 2, 4, 8]))
    neurons = [binning * max(2, round(math.exp(rng.uniform(math.log(16), math.log(largest))) / binning)) for _ in "yx"]
    pitch = wavelength_m * math.exp(rng.uniform(math.log(0.5), math.log(100.0)))
    other = pitch * float(rng.choice([1.0, 0.7, 1.4, 2.0]))
    pitches = pitch, max(0.5 * wavelength_m, min(100.0 * wavelength_m, other))
    far = 10.0 * min(n * p * p for n, p in zip(neurons, pitches, strict=True)) / wavelength_m
    ends = math.log(0.1 * wavelength_m), math.log(far)
    distances = np.exp(rng.uniform(*ends, 3))
    masks = int(rng.integers(1, 11))
    ways = (distances[0], *[distances[1]] * (masks - 1), distances[2])
    return Layers(
        neurons=(neurons[0], neurons[1]),
        pitch_m=(pitches[0], pitches[1]),
        image_samples=1,
        margin=(0, 0) if rng.random() < 0.5 else (neurons[0] // 4, neurons[1] // 4),
        distances_m=tuple(float(way) for way in ways),
        wavelength_m=wavelength_m,
        binning=binning,
    )


def tried(layers: Layers, accuracy: float = ACCURACY, seed: int = 0) -> Found:
    """What windows and methods picked for an accuracy come to, on objects and masks of a seed."""
    paddings = suitable_paddings(layers, 2, accuracy)
    hops = layers.hops(2, paddings)
    generator = torch.Generator().manual_seed(seed + 1)
    phases = [2.0 * math.pi * torch.rand(layers.neurons, generator=generator) for _ in layers.ways[1:]]
    masks = [Square().mask(phasor(phase), 2) for phase in phases]
    readings, fields = [0.0], [0.0]
    for smooth in (True, False):
        field = _object(layers, generator, smooth)
        wave = field.numpy().astype(np.complex128)
        for index, hop in enumerate(hops):
            before = wave if index == 0 else wave * masks[index - 1].numpy()
            after = _linear(before, layers, index)
            ours = hop(torch.from_numpy(before.astype(np.complex64))[None])[0].numpy()
            fields.append(_difference(ours, after))
            wave = after
        output = cascade(field[None], masks, [hop.ready() for hop in hops])[0].numpy()
        readings.append(_difference(*(_reading(each, layers.binning * 2) for each in (output, wave))))
    return Found(layers, max(readings), max(fields))


def _object(layers: Layers, generator: torch.Generator, smooth: bool) -> torch.Tensor:
    shape = layers.object.shape
    if not smooth:
        return phasor(2.0 * math.pi * torch.rand(shape, generator=generator))
    coarse = torch.rand((1, 1, max(2, shape[0] // 12), max(2, shape[1] // 12)), generator=generator)
    return phasor(2.0 * torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)[0, 0])


def _difference(ours: NDArray[Any], right: NDArray[Any]) -> float:
    return float(np.linalg.norm(ours - right) / np.linalg.norm(right))


def _reading(field: Complex, pixel: int) -> NDArray[np.float64]:
    rows, columns = (side // pixel for side in field.shape)
    power = np.abs(field[: rows * pixel, : columns * pixel]) ** 2
    mean: NDArray[np.float64] = power.reshape(rows, pixel, columns, pixel).mean((1, 3))
    return mean


def _linear(field: Complex, layers: Layers, index: int) -> Complex:
    """A hop of light whose band is ±1/2·pitch, by linear convolution on a window three times as wide as both planes."""
    z, wavelength_m, rims = layers.distances_m[index], layers.wavelength_m, 2 * RIM
    first, last = index == 0, index == len(layers.distances_m) - 1
    ny, nx = (count if last else count + rims for count in layers.neurons)
    both = [n + side // (1 if first else 2) for n, side in zip((ny, nx), field.shape, strict=True)]
    reaches = [_reach(pitch, wavelength_m, z) for pitch in layers.pitch_m]
    spherical = z >= 2.0 * wavelength_m and all(r >= n / 2.0 - 1.0 for r, n in zip(reaches, both, strict=True))
    # spectra are those of windows in which all light that the pitch carries has room; kernels need no more than planes
    room = [0.0, 0.0] if spherical else reaches
    sides = [max(3 * n, math.ceil(min(2.0 * r + n, float(_WIDEST * n)))) for r, n in zip(room, both, strict=True)]
    sides = [next_fast_len(side) | 1 for side in sides]  # odd, so that no frequency is its own opposite
    # the object at its own samples, or light behind a mask at two a neuron, cut to its band: spectra of one spacing
    finer = 1 if first else 2
    spectrum = np.fft.fft2(field, [side * finer for side in sides])
    for axis, side in enumerate(sides):
        spectrum = _band(spectrum, side, axis) / finer
    spectrum = spectrum * _kernel_spectrum(sides, both, layers, z, spherical=spherical)
    for axis, (side, count, n) in enumerate(zip(sides, field.shape, (ny, nx), strict=True)):
        start = -(2 * n - 1) / 4.0 + (count - 1) / (2.0 if first else 4.0)  # of the first sample, in neurons
        turn = np.exp(2j * np.pi * np.fft.fftfreq(side) * start)
        spectrum = spectrum * (turn[:, None] if axis == 0 else turn)
        spectrum = _band(spectrum, 2 * side, axis) * 2.0
    result: Complex = np.fft.ifft2(spectrum)[: 2 * ny, : 2 * nx]
    return result


def _reach(pitch_m: float, wavelength_m: float, z: float) -> float:
    """Samples to the side that the steepest light of a pitch crosses."""
    sine = wavelength_m / (2.0 * pitch_m)
    return math.inf if sine >= 1.0 else z * sine / math.sqrt(1.0 - sine * sine) / pitch_m


def _band(spectrum: Complex, count: int, axis: int) -> Complex:
    """The lowest frequencies of a spectrum, an odd number of them, or those and zeros above."""
    size = spectrum.shape[axis]
    if count == size:
        return spectrum
    moved = np.moveaxis(spectrum, axis, -1)
    half = min(size, count) // 2
    result = np.zeros((*moved.shape[:-1], count), np.complex128)
    result[..., : half + 1] = moved[..., : half + 1]
    result[..., count - half :] = moved[..., size - half :]
    return np.moveaxis(result, -1, axis)


def _kernel_spectrum(sides: list[int], both: list[int], layers: Layers, z: float, *, spherical: bool) -> Complex:
    """The spectrum of the exact kernel at offsets of whole neurons, on a window of so many, for planes of so many."""
    (dy, dx), wavelength_m = layers.pitch_m, layers.wavelength_m
    if spherical:
        offsets = [np.fft.fftfreq(side, 1.0 / side) for side in sides]
        y, x = offsets[0][:, None] * dy, offsets[1] * dx
        r = np.sqrt(y * y + x * x + z * z)
        k = 2.0 * math.pi / wavelength_m
        kernel = z / (2.0 * math.pi * r**2) * (1.0 / r - 1j * k) * np.exp(1j * k * (r - z)) * (dy * dx)
        # far from what is needed it fades, so that it ends smoothly
        for axis, (needed, side) in enumerate(zip(both, sides, strict=True)):
            ramp = np.clip((side - 2.0 * np.abs(offsets[axis])) / (side - needed), 0.0, 1.0)
            fade = np.sin(0.5 * np.pi * ramp) ** 2
            kernel = kernel * (fade[:, None] if axis == 0 else fade)
        return np.fft.fft2(kernel)
    fy, fx = np.fft.fftfreq(sides[0], dy)[:, None], np.fft.fftfreq(sides[1], dx)
    root = np.sqrt((1.0 - wavelength_m**2 * (fy**2 + fx**2)).astype(complex))
    result: Complex = np.exp(2j * np.pi / wavelength_m * z * (root - 1.0))
    return result


def main() -> None:
    """Try geometries, and print the worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--largest", type=int, default=512, help="neurons along an axis, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for seed in range(options.count):
        found.append(tried(random_layers(seed, options.largest)))
        one = found[-1]
        if one.reading > ACCURACY or one.hop > 0.03:
            print(f"seed {seed}: reading {one.reading:.3%}, hop {one.hop:.3%}: {one.layers}", flush=True)
    readings, hops = ([getattr(one, name) for one in found] for name in ("reading", "hop"))
    print(f"{len(found)} geometries of up to {options.largest} neurons, accuracy {ACCURACY:.0%}")
    for name, values, limit in (("reading", readings, ACCURACY), ("hop", hops, 0.03)):
        share = np.mean(np.asarray(values) <= limit)
        print(f"{name}: worst {max(values):.3%}, median {np.median(values):.3%}, within {limit:.0%}: {share:.1%}")


if __name__ == "__main__":
    main()
