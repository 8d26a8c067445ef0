"""Masks that are learned: of phase, of height, of amplitude."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.optics.elements.element import Mask, Quantiser, relief_transmission, start_of
from opticdesign.optics.elements.squares import RIM, Square
from opticdesign.optics.field import Grid
from opticdesign.optics.relief import Relief

__all__ = ["AmplitudeMask", "DiffractiveElement"]


class DiffractiveElement(Mask):
    """A thin phase mask that is learned as a phase or as a height, and absorbs where its material does.

    Its one parameter is `phase_rad`, or `height_m` where the height is primary; the methods `phase` and `height` give
    either. A phase is defined but for whole turns, so the relief made of it has 0 … 2π; a height is kept as it is,
    and one of many turns disperses the more.

    Args:
        grid: sampling of the field; around squares it has a rim of opaque neurons, see `Square.mask`.
        phase_rad: initial phase in radians at the design wavelength, one a neuron; zero when left out.
        primary: what is learned. Heights are metres: their learning rate is that of a phase times λ/(2π(n − n₀)).
        relief: material, medium and design wavelength; without it phases are the same at all wavelengths.
        samples: samples of the field across one neuron, along each axis.
        square: what a neuron looks like, for light whose band is half that of the samples; left out, each sample of it
            takes the neuron's value, and a neuron of one sample is a point.

    Attributes:
        loss: absorption κ of the relief for each radian of its phase, of the design's wavelength.

    Raises:
        UsageError: the initial phase does not have the shape of the neurons, or a height or another wavelength is
            asked for without a relief.
    """

    def __init__(
        self,
        grid: Grid,
        phase_rad: Tensor | None = None,
        *,
        primary: Literal["phase", "height"] = "phase",
        relief: Relief | None = None,
        samples: int = 1,
        square: Square | None = None,
    ) -> None:
        super().__init__(grid)
        self.primary, self.relief, self.samples, self.square = primary, relief, samples, square
        self.loss = 0.0 if relief is None else relief.loss()
        rims = 0 if square is None else 2 * RIM
        what = "phase inside an opaque rim" if rims else "phase"
        start = start_of(phase_rad, (grid.shape[0] // samples - rims, grid.shape[1] // samples - rims), what)
        if primary == "height":
            self.height_m = nn.Parameter(self._known_relief().height_of_phase(start))
        else:
            self.phase_rad = nn.Parameter(start)

    @property
    def pitch_m(self) -> tuple[float, float]:
        """Distance between neurons along y and x, metres."""
        return self.grid.pitch_m[0] * self.samples, self.grid.pitch_m[1] * self.samples

    @property
    def sampling(self) -> Grid:
        """The samples of the neurons alone."""
        ny, nx = self.learned.shape
        return self.grid.with_shape((ny * self.samples, nx * self.samples))

    @property
    def extent_m(self) -> tuple[float, float]:  # noqa: D102 (documented on the base)
        return self.sampling.extent_m

    @property
    def learned(self) -> nn.Parameter:
        """What is learned, one a neuron: the phase in radians, or the height in metres."""
        return self.height_m if self.primary == "height" else self.phase_rad

    @torch.no_grad()
    def set_phase(self, phase_rad: Tensor) -> None:
        """Replace what is learned by a phase in radians, (y, x) of the neurons, or by the height that gives it."""
        height = self.primary == "height"
        self.learned.copy_(self._known_relief().height_of_phase(phase_rad) if height else phase_rad)

    def forward(self, field: Tensor, quantiser: Quantiser | None = None, wavelength_m: float | None = None) -> Tensor:
        """Multiply a complex field (…, y, x) by the mask; arguments as in `transmission`."""
        return field * self.transmission(quantiser, wavelength_m).to(field.dtype)

    def transmission(self, quantiser: Quantiser | None = None, wavelength_m: float | None = None) -> Tensor:
        """Complex transmission (y, x), as designed or, given a quantiser, as fabricated.

        Args:
            quantiser: makes the mask at the design wavelength; in training, what stands for it.
            wavelength_m: vacuum wavelength in metres of the light, the design's when left out.
        """
        transmission = self._behind(self.phase(quantiser, wavelength_m), wavelength_m)
        return self.sampled(transmission) if self.square is None else self.square.mask(transmission, self.samples)

    def _behind(self, phase_rad: Tensor, wavelength_m: float | None) -> Tensor:
        """Transmission of neurons of these phases, and of the heights that stand for them."""
        loss = self.loss if wavelength_m is None else self._known_relief().loss(wavelength_m)
        if loss and wavelength_m is None and self.primary == "phase":
            phase_rad = torch.remainder(phase_rad, 2.0 * math.pi)
        return relief_transmission(phase_rad, loss)

    def multiplier(self, quantiser: Quantiser | None = None) -> Tensor:
        """What a cascade takes: the phase in radians (y, x) where samples have one each, else the transmission."""
        plain = self.samples == 1 and self.square is None and not self.loss
        return self.phase(quantiser) if plain else self.transmission(quantiser)

    def sampled(self, values: Tensor) -> Tensor:
        """Values of neurons (…, y, x) at their samples."""
        if self.samples == 1:
            return values
        return values.repeat_interleave(self.samples, -2).repeat_interleave(self.samples, -1)

    def phase(self, quantiser: Quantiser | None = None, wavelength_m: float | None = None) -> Tensor:
        """Phase of each neuron in radians with its gradient; arguments as in `transmission`."""
        phase = self._designed_phase()
        if quantiser is not None:
            phase = quantiser.phase(phase)
        elif wavelength_m is not None and self.primary == "phase":
            phase = torch.remainder(phase, 2.0 * math.pi)
        return phase if wavelength_m is None else phase * self._known_relief().dispersion(wavelength_m)

    def height(self) -> Tensor:
        """Height of the relief in metres (y, x), with its gradient; of a phase, that of its remainder of 2π."""
        if self.primary == "height":
            return self.height_m
        return self._known_relief().height_of_phase(torch.remainder(self.phase_rad, 2.0 * math.pi))

    def _designed_phase(self) -> Tensor:
        return self._known_relief().phase_of_height(self.height_m) if self.primary == "height" else self.phase_rad

    def _known_relief(self) -> Relief:
        if self.relief is None:
            raise UsageError(
                "a phase mask without a material has no height and no dispersion",
                expected="a relief: material, medium and design wavelength",
                remedy="pass relief=Relief(material, medium, wavelength_m)",
            )
        return self.relief


class AmplitudeMask(Mask):
    """A mask whose amplitude transmission is learned through a sigmoid, so that it stays between 0 and 1.

    Args:
        grid: sampling of the mask.
        amplitude: initial transmission, between 0 and 1, (y, x); 0.5 when left out.

    Raises:
        UsageError: the initial transmission does not have the grid's shape.
    """

    def __init__(self, grid: Grid, amplitude: Tensor | None = None) -> None:
        super().__init__(grid)
        start = start_of(amplitude, grid.shape, "amplitude", 0.5)
        # the sigmoid has no gradient at 0 and 1
        self.logit = nn.Parameter(torch.logit(start, eps=1e-4))

    def transmission(self) -> Tensor:
        """Real (y, x), 0 … 1."""
        return torch.sigmoid(self.logit)
