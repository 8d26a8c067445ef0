"""Instruments with errors the plain way, in wide windows: every hop built again, or its waves summed place by place.

They share with `tolerance` what a draw's errors are and what masks they make, and nothing of how light is moved.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from opticdesign.design import D2NNOptics, Design
from opticdesign.families.d2nn import layers_of
from opticdesign.optics import transfer
from opticdesign.optics.band import band_frequencies, from_band, to_band
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import RayleighSommerfeld
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.sample import Sample

__all__ = ["in_wide_windows", "rebuilt", "summed"]

_PADDING = 6.0


def rebuilt(layers: PerturbedLayers, sample: Sample, dev: Deviations) -> Tensor:
    """The field on the camera (images, y, x) over hops in their own windows, for gaps, shifts and wavelengths."""
    wavelength_m, gaps_m = _wavelength_m(layers, dev), layers._gaps(dev)[0].tolist()
    hops = []
    for hop, gap_m in zip(layers._hops, gaps_m, strict=True):
        kernel = hop.propagator
        assert isinstance(kernel, RayleighSommerfeld)
        # ends where the designed one does
        folds, z = (kernel.fold(0), kernel.fold(1)), float(kernel.distance_m) + gap_m
        anew = transfer.rayleigh_sommerfeld(folds, kernel.grid.pitch_m, wavelength_m, z)
        hops.append((hop, hop.placed(anew)))
    return _moved(hops, layers, sample, dev)


def in_wide_windows(design: Design, layers: PerturbedLayers, sample: Sample, dev: Deviations) -> Tensor:
    """The same over hops that are built for the wavelength and the gaps of a draw, in windows six times as wide."""
    hops = _wide(design, layers, dev, _wavelength_m(layers, dev), _PADDING)
    return _moved([(hop, hop.transfer) for hop in hops], layers, sample, dev)


def summed(design: Design, layers: PerturbedLayers, sample: Sample, dev: Deviations, padding: float) -> Tensor:
    """The same for planes that are turned and tilted too: the waves of a wide window, at places in space."""
    wavelength_m = _wavelength_m(layers, dev)
    masks = _masks(layers, dev)
    wave = sample.at(dev.get("wavelength"))[0].to(torch.complex128)
    for number, hop in enumerate(_wide(design, layers, dev, wavelength_m, padding)):
        fy, fx = band_frequencies(hop.band, hop.propagator.window.extent_m)
        first, second = ([float(axis.flatten()[0]) for axis in plane.coordinates_m()] for plane in _planes(hop))
        # from place to place, not from first sample to first sample
        back = torch.exp(-2j * math.pi * (fy * (second[0] - first[0]) + fx * (second[1] - first[1])))
        along = 2.0 * math.pi / wavelength_m * torch.sqrt((1.0 - wavelength_m**2 * (fy**2 + fx**2)).clamp(min=0.0))
        waves = torch.stack([part.expand(hop.band).flatten() for part in (2 * math.pi * fy, 2 * math.pi * fx, along)])
        here, there = (_places(layers, dev, plane, number + ahead) for ahead, plane in enumerate(_planes(hop)))
        spectrum = _sums(waves, here, wave.flatten(1).mT, -1.0).mT.unflatten(-1, hop.band)
        # Rayleigh and Sommerfeld's kernel is the derivative along the normal of the plane that light comes from
        slope = layers._slopes(dev)[0, number]
        leaning = 2.0 * math.pi * (slope[0] * fy + slope[1] * fx) / along.clamp(min=0.05 * float(along.max()))
        spectrum = spectrum * (1.0 - leaning)
        spectrum = spectrum * hop.transfer * back / math.prod(hop.source.window)
        wave = _sums(there, waves, spectrum.flatten(1).mT, 1.0).mT.unflatten(-1, hop.target.shape)
        wave = wave * masks[number] if number < len(masks) else wave
    return wave


def _places(layers: PerturbedLayers, dev: Deviations, grid: Grid, plane: int) -> Tensor:
    """Where samples of a plane are, y, x and how far along z: (3, samples)."""
    y, x = (part.flatten() for part in torch.broadcast_tensors(*grid.coordinates_m()))
    shift, slope, turn = layers._shifts(dev)[0, plane], layers._slopes(dev)[0, plane], layers._turns(dev)[0, plane]
    cosine, sine = torch.cos(turn), torch.sin(turn)
    return torch.stack(
        [x * sine + y * cosine + shift[0], x * cosine - y * sine + shift[1], slope[0] * y + slope[1] * x]
    )


def _sums(rows: Tensor, columns: Tensor, values: Tensor, sign: float) -> Tensor:
    """Σ e^{±i r·c}·values (columns, images) at rows, both (3, count): (rows, images)."""
    parts = torch.split(rows, max(1, 2**21 // columns.shape[1]), 1)
    return torch.cat([torch.exp(1j * sign * (part.mT @ columns)) @ values for part in parts])


def _planes(hop: Hop) -> tuple[Grid, Grid]:
    return hop.source_grid, hop.target_grid


def _wide(design: Design, layers: PerturbedLayers, dev: Deviations, wavelength_m: float, padding: float) -> list[Hop]:
    """Hops of a draw, by the methods of the designed ones."""
    assert isinstance(design.optics, D2NNOptics)
    stand, gaps_m = layers_of(design, design.optics), layers._gaps(dev)[0].tolist()
    distances_m = tuple(z + gap_m for z, gap_m in zip(stand.distances_m, gaps_m, strict=True))
    stand = replace(stand, wavelength_m=wavelength_m, distances_m=distances_m)
    samples = layers._optics.masks[0].samples
    pairs = zip(stand.ways, layers._hops, strict=True)
    return [stand.hop(way, samples, padding, designed.propagator.name) for way, designed in pairs]


def _moved(hops: list[tuple[Hop, Tensor]], layers: PerturbedLayers, sample: Sample, dev: Deviations) -> Tensor:
    """Hop by hop with transfer functions in the band, and planes shifted."""
    masks, shifts = _masks(layers, dev), layers._shifts(dev)[0]
    wave = sample.at(dev.get("wavelength"))[0].to(torch.complex128)
    for number, (hop, between) in enumerate(hops):
        fy, fx = band_frequencies(hop.band, hop.propagator.window.extent_m)
        down, right = (shifts[number + 1] - shifts[number]).tolist()
        ramp = torch.exp(2j * math.pi * (fy * down + fx * right))
        wave = from_band(to_band(wave, hop.source.window, hop.band) * between * ramp, hop.target)
        wave = wave / math.prod(hop.source.window)
        wave = wave * masks[number] if number < len(masks) else wave
    return wave


def _masks(layers: PerturbedLayers, dev: Deviations) -> Tensor:
    return layers._masks.transmissions(layers._masks.phases(dev))[0]


def _wavelength_m(layers: PerturbedLayers, dev: Deviations) -> float:
    """In the medium."""
    if not dev.active("wavelength"):
        return layers._hops[0].propagator.wavelength_m
    vacuum, _, index = layers._masks.light(dev)
    return float(vacuum / index)
