"""A surface relief: the phase that a height of one material in another gives at any wavelength, φ = 2π(n − n₀)h/λ."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.material import Material

__all__ = ["Relief"]


@dataclass(frozen=True)
class Relief:
    """A material in a medium, and the wavelength that phases are meant at.

    Args:
        material: what the relief is made of.
        medium: what surrounds it.
        wavelength_m: design wavelength in vacuum, metres.

    Raises:
        UsageError: the material is not denser than the medium, or one of them is unknown at the wavelength.
    """

    material: Material
    medium: Material
    wavelength_m: float

    def __post_init__(self) -> None:
        if self.turns_per_m() <= 0.0:
            raise UsageError(
                f"a relief of {self.material.name} in {self.medium.name} delays nothing",
                expected="a material denser than its medium",
                remedy="choose another material or medium",
            )

    def turns_per_m(self, wavelength_m: float | None = None) -> float:
        """Waves of delay for each metre of height, (n − n₀)/λ, at a wavelength, or else at the design's."""
        used = self.wavelength_m if wavelength_m is None else wavelength_m
        return (self.material.index(used) - self.medium.index(used)) / used

    def loss(self, wavelength_m: float | None = None) -> float:
        """Absorption κ = k/(n − n₀) for each radian of phase, e^{iφ − κφ}, at a wavelength, or else at the design's."""
        used = self.wavelength_m if wavelength_m is None else wavelength_m
        return self.material.extinction(used) / (used * self.turns_per_m(used))

    def phase_of_height(self, height_m: Tensor, wavelength_m: float | None = None) -> Tensor:
        """Phase in radians, not wrapped, of heights in metres; same shape."""
        return height_m * (2.0 * math.pi * self.turns_per_m(wavelength_m))

    def height_of_phase(self, phase_rad: Tensor) -> Tensor:
        """Height in metres that gives a phase at the design wavelength, whole turns kept; same shape."""
        return phase_rad / (2.0 * math.pi * self.turns_per_m())

    def dispersion(self, wavelength_m: float) -> float:
        """How many times the design's phase the same height gives at another wavelength."""
        return self.turns_per_m(wavelength_m) / self.turns_per_m()
