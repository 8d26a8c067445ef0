"""Phases of masks whose making, material or light is not as designed: heights → blur → noise → 2π(n − n₀)h/λ.

A mask as a whole is moved, turned and tilted elsewhere (`layers`, `filters`): it acts on a moved field as an unmoved
one does on an unmoved field, whatever the sampling.

Errors are those of samples, each the mean over its area, while neurons are squares as `elements.Square` draws them. So
a mask is that of the neurons' mean transmissions, squares as ever, and what samples have beyond that mean, each a small
square of its own, its frequencies beyond the mask's band taken out likewise.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from opticdesign.design import Design, material_of
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.elements import RIM, Square, relief_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import fast_length
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.etched import EtchedRelief
from opticdesign.perturbed.patterns import correlated, white_noise
from opticdesign.perturbed.space import Pattern, etch_steps

__all__ = ["PerturbedMasks", "blur_weights"]

_RELIEF = ("etch_depth", "blur", "cd_bias", "height_noise", "edge_roughness", "wavelength", "index")
_PANELS = ("crosstalk", "flatness")
_RELIEF_OF_EACH = ("overlay_shift", "overlay_rotation", "overlay_scale")
_PANEL_OF_EACH = ("lut", "flicker")
_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))  # of a Gaussian of standard deviation 1
_APART = 8  # samples between opposite edges of a mask in a window: over so many, a small square fades to 1e-3
_REACH = 4.0  # standard deviations out to which a blur goes


class PerturbedMasks:
    """The masks of a design with the errors of draws.

    Args:
        design: says what they are made of.
        process: makes them.
        levels: level of each neuron, int64 (layers, y, x), on the device where to compute.
        grid: sampling of the masks by the field; a neuron has one sample or several.
        square: what a neuron looks like; left out, each sample takes its value and is a point.
    """

    def __init__(
        self, design: Design, process: FabricationProcess, levels: Tensor, grid: Grid, square: Square | None = None
    ) -> None:
        self.design, self.process, self.grid, self.square = design, process, grid, square
        self._levels, self._samples = levels, grid.shape[0] // levels.shape[-2]

    def __len__(self) -> int:
        return len(self._levels)

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return self._levels.device

    @cached_property
    def nominal_phases(self) -> Tensor:
        """Phases of the process without errors, float32 (layers, y, x), bit for bit those of training."""
        return self.sampled(self.process.phase_of_level(self._levels))

    @cached_property
    def nominal_transmissions(self) -> Tensor:
        """Transmissions of the process without errors, complex (layers, y, x)."""
        transmissions = relief_transmission(self.process.phase_of_level(self._levels), self.process.loss)
        return self.sampled(transmissions) if self.square is None else self.square.mask(transmissions, self._samples)

    def transmissions(self, phases: Tensor, loss: Tensor | float = 0.0) -> Tensor:
        """Transmissions of samples of these phases in radians, both (n, layers, y, x), as light meets them.

        Complex; of squares with the rim that `elements.Square.mask` has; arguments as in `points`.
        """
        samples = self.points(phases, loss)
        if self.square is None:
            return samples
        mean, beyond = self._parted(samples)
        return self.square.mask(mean, self._samples) + _small_squares(beyond, RIM * self._samples)

    def points(self, phases: Tensor, loss: Tensor | float = 0.0) -> Tensor:
        """Transmissions of points of these phases in radians, both (n, layers, y, x), complex.

        Args:
            phases: of their heights above the lowest level.
            loss: what the method of this name gives.
        """
        return relief_transmission(phases, loss if isinstance(loss, float) else _each(loss, phases.device))

    def material(self, shares: Tensor) -> Tensor:
        """What squares hold of a material at the samples of the light, of its shares in samples (…, y, x), real.

        With the rim that `elements.Square.spread` has.
        """
        if self.square is None:
            return shares
        mean, beyond = self._parted(shares)
        return self.square.spread(mean, self._samples) + _small_squares(beyond, RIM * self._samples).real

    @cached_property
    def outlines(self) -> Tensor | float:
        """What light meets on the base plane of reliefs: the mask of neurons of no phase, real (y, x)."""
        if self.square is None:
            return 1.0
        return self.square.clear(self._levels[0].to(torch.float32), self._samples)

    def _parted(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Means of what samples (…, y, x) hold in the squares of neurons, and what samples have beyond them there."""
        share = self._shaped.to(values.real)
        rows, columns = (size // self._samples for size in self.grid.shape)
        neurons = values.reshape(*values.shape[:-2], rows, self._samples, columns, self._samples)
        mean = torch.einsum("...ysxt,s,t->...yx", neurons, *[(share / share.sum()).to(values)] * 2)
        return mean, (values - self.sampled(mean)) * self._shaped_samples.to(share)

    @cached_property
    def _shaped(self) -> Tensor:
        """Share of each sample of a neuron that lies in its square, along one axis, float64 (samples,)."""
        if self.square is None:
            raise TypeError("points have no share")
        edges = torch.linspace(-0.5, 0.5, self._samples + 1, dtype=torch.float64, device=self.device)
        half = math.sqrt(self.square.fill_factor) / 2.0
        return edges.clamp(-half, half).diff() * self._samples

    @cached_property
    def _shaped_samples(self) -> Tensor:
        """Share of each sample of a mask that lies in its square, float64 (y, x)."""
        down, right = (self._shaped.repeat(size // self._samples) for size in self.grid.shape)
        return down[:, None] * right

    def changed(self, dev: Deviations) -> Tensor:
        """Which masks have other phases than nominal, bool (n, layers)."""
        found = torch.zeros((len(dev), len(self)), dtype=torch.bool)
        if dev.active(*_RELIEF, *_PANELS):
            found[:] = True
        for group in (*_RELIEF_OF_EACH, *_PANEL_OF_EACH):
            if dev.active(group):
                found |= (dev[group][:, : len(self)] != 0.0).reshape(*found.shape, -1).any(-1)
        return found

    def phases(self, dev: Deviations, first: int = 0) -> Tensor:
        """Phases of the masks from number `first` on, counted from 0, radians: float32 (n, layers − first, y, x)."""
        if dev.active(*_RELIEF, *_RELIEF_OF_EACH):
            phases = self.heights(dev, first) * _each(self.phase_per_m(dev), self.device)
        else:
            phases = self.nominal_phases[first:].expand(len(dev), -1, -1, -1)
        for group, turn in (("lut", 1.0), ("flicker", 2.0 * math.pi)):
            if dev.active(group):
                phases = phases * (1.0 + _each(dev[group][:, first : len(self)] / turn, phases.device))
        phases = self._blurred(phases, dev, "crosstalk")
        if (pattern := dev.pattern("flatness")) is not None:
            phases = phases + self._field(dev, pattern)[:, first:]
        return phases

    def heights(self, dev: Deviations, first: int = 0) -> Tensor:
        """Heights of the masks from number `first` on above their lowest level, metres: float32 (n, layers, y, x).

        Errors at the lowest level give heights below 0.
        """
        heights = self._blurred(self._relief.heights(dev, first), dev, "blur")
        if (pattern := dev.pattern("height_noise")) is not None:
            heights = heights + self._field(dev, pattern)[:, first:]
        return heights

    def phase_per_m(self, dev: Deviations) -> Tensor:
        """Phase in radians of a metre of height, 2π(n − n₀)/λ, float64 (n,)."""
        wavelength_m, index, medium_index = self.light(dev)
        return 2.0 * math.pi * (index - medium_index) / wavelength_m

    def loss(self, dev: Deviations) -> Tensor | float:
        """Absorption for each radian of phase, k/(n − n₀), float64 (n,); 0 where nothing absorbs."""
        if self.process.extinction == 0.0:
            return 0.0
        wavelength_m, index, medium_index = self.light(dev)
        k = torch.full_like(wavelength_m, self.process.extinction)
        if dev.active("wavelength"):
            mask = material_of(self.design.fabrication.material)
            k = torch.tensor([mask.extinction(each) for each in wavelength_m.tolist()], dtype=torch.float64)
        return k / (index - medium_index)

    def light(self, dev: Deviations) -> tuple[Tensor, Tensor, Tensor]:
        """Vacuum wavelength in metres and indices of mask and medium there, each float64 (n,).

        Raises:
            UsageError: a material is not known at a wavelength.
        """
        made = self.design.fabrication
        wavelength_m = torch.full((len(dev),), self.process.wavelength_m, dtype=torch.float64)
        index, medium_index = (
            torch.full_like(wavelength_m, n) for n in (self.process.index, self.process.medium_index)
        )
        if dev.active("wavelength"):
            wavelength_m = wavelength_m * (1.0 + dev["wavelength"])
            index, medium_index = (
                torch.tensor([material_of(name).index(each) for each in wavelength_m.tolist()], dtype=torch.float64)
                for name in (made.material, made.medium)
            )
        return wavelength_m, index + dev["index"] if dev.active("index") else index, medium_index

    def sampled(self, values: Tensor) -> Tensor:
        """Values of neurons (…, y, x) on the grid of the field."""
        if self._samples == 1:
            return values
        return values.repeat_interleave(self._samples, -2).repeat_interleave(self._samples, -1)

    @cached_property
    def _relief(self) -> EtchedRelief:
        return EtchedRelief(self.process, self.sampled(self._levels), etch_steps(self.design), self.grid)

    def _field(self, dev: Deviations, pattern: Pattern) -> Tensor:
        """What varies from sample to sample, (n, layers, y, x)."""
        noise = white_noise(dev.seed, pattern.name, dev.indices, (len(self), *self.grid.shape))
        return correlated(noise.to(self.device), self.grid.pitch_m, pattern.correlation) * pattern.sigma

    def _blurred(self, values: Tensor, dev: Deviations, group: str) -> Tensor:
        """Values (n, layers, y, x) of samples, blurred by Gaussians of the widths of a group and averaged again."""
        if not dev.active(group):
            return values
        sigma_m = (dev[group] / _FWHM).repeat_interleave(values.shape[1])
        flat = values.reshape(1, -1, *values.shape[-2:])
        for dim in (-2, -1):
            weights = blur_weights(sigma_m, self.grid.pitch_m[dim], flat.shape[dim] - 1).to(flat)
            reach = weights.shape[1] // 2
            pad = (reach, reach, 0, 0) if dim == -1 else (0, 0, reach, reach)
            kernel = weights[:, None, None, :] if dim == -1 else weights[:, None, :, None]
            padded = functional.pad(flat, pad, mode="replicate")
            flat = functional.conv2d(padded, kernel, groups=len(weights))
        return flat.reshape(values.shape)


def _small_squares(values: Tensor, rim: int) -> Tensor:
    """Squares as wide as a sample, of these values (…, y, x), without frequencies beyond the band of the samples.

    At the samples and a rim of so many on each side: (…, y + 2·rim, x + 2·rim).
    A product with the sinc of the square in Fourier space. As one of `elements.Square`'s sums over few neighbours it
    would miss 1 % of what changes from sample to sample.
    """
    shape = [size + 2 * rim for size in values.shape[-2:]]
    window = [fast_length(size + _APART) for size in shape]
    spectrum = torch.fft.fft2(functional.pad(values, (rim, rim, rim, rim)), s=window)
    for dim, size in zip((-2, -1), window, strict=True):
        share = torch.sinc(torch.fft.fftfreq(size, dtype=torch.float64, device=values.device)).to(spectrum)
        spectrum = spectrum * (share[:, None] if dim == -2 else share)
    squares: Tensor = torch.fft.ifft2(spectrum)[..., : shape[0], : shape[1]]
    return squares


def blur_weights(sigma_m: Tensor, pitch_m: float, farthest: int) -> Tensor:
    """How a blurred step function, each sample the mean over its width, is made of the samples: float64 (n, 2r + 1).

    The weight k samples away is a triangle convolved with the Gaussian: the second difference of ∫∫Gaussian,
    xΦ(x/σ) + σφ(x/σ). They sum to 1.

    Args:
        sigma_m: standard deviations in metres (n,); 0 gives no blur.
        pitch_m: width of a sample.
        farthest: samples between the edges of a mask, beyond which all is as at the edge: the weights of a wider blur
            end there, the outermost ones being those of all that is farther.
    """
    reach = torch.ceil(_REACH * sigma_m / pitch_m)[:, None] + 1.0
    most = min(int(reach.max()), farthest)
    place = torch.arange(-most - 1, most + 2, dtype=torch.float64)
    x = place * pitch_m
    sigma = sigma_m.clamp(min=1e-6 * pitch_m)[:, None]
    ratio = x / sigma
    density = torch.exp(-0.5 * ratio**2) / math.sqrt(2.0 * math.pi)
    twice = x * torch.special.ndtr(ratio) + sigma * density
    # each ends where it would alone, whatever widths stand beside it
    weights = torch.diff(twice, n=2) / pitch_m * (place[1:-1].abs() <= reach)
    if most:
        beyond = 0.5 * (1.0 - weights.sum(1)) * (reach[:, 0] > most)
        weights[:, 0] += beyond
        weights[:, -1] += beyond
    return weights / weights.sum(1, keepdim=True)


def _each(values: Tensor, device: torch.device) -> Tensor:
    """Numbers of draws (n,) or of their masks (n, layers) as they multiply (n, layers, y, x)."""
    return values.to(device, torch.float32).reshape(len(values), -1, 1, 1)
