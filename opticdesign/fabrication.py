"""What a process can make of a phase mask: one path phase → level → height, used by training, evaluation and export.

Thicker material delays the wave: φ = 2π (n − n₀) h / λ with the index n of the mask and n₀ of the medium around it.
Level ℓ of L stands for the phase 2πℓ/L; level L is level 0 again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.straight_through import straight_through

__all__ = ["FabricationProcess", "fabricated_phase"]


@dataclass(frozen=True)
class FabricationProcess:
    """A process that makes L equally spaced heights of one material in one medium.

    Args:
        levels: number of heights L, 2 … 256, the lowest being zero.
        wavelength_m: design wavelength in vacuum, metres.
        index: refractive index of the mask at that wavelength.
        medium_index: refractive index of the medium around it.

    Raises:
        UsageError: a number of levels outside 2 … 256, or no index contrast.
    """

    levels: int
    wavelength_m: float
    index: float
    medium_index: float = 1.0

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256:
            raise UsageError(f"{self.levels} height levels", expected="2 to 256 levels", remedy="change levels")
        if self.index <= self.medium_index:
            raise UsageError(
                f"a mask of index {self.index:.5g} in a medium of index {self.medium_index:.5g} delays nothing",
                expected="a mask denser than its medium",
                remedy="choose another material or medium",
            )

    @property
    def full_height_m(self) -> float:
        """Height of a phase delay of 2π, λ/(n − n₀), in metres."""
        return self.wavelength_m / (self.index - self.medium_index)

    @property
    def step_height_m(self) -> float:
        """Height between neighbouring levels in metres."""
        return self.full_height_m / self.levels

    @property
    def step_phase_rad(self) -> float:
        """Phase between neighbouring levels, 2π/L."""
        return 2.0 * math.pi / self.levels

    def level_of_phase(self, phase_rad: Tensor) -> Tensor:
        """Nearest level of each phase, modulo 2π: int64 in 0 … L − 1, same shape."""
        return torch.remainder(torch.round(phase_rad / self.step_phase_rad), self.levels).to(torch.int64)

    def phase_of_level(self, level: Tensor) -> Tensor:
        """Phase of each level in radians, float32, same shape; equal levels give equal bits on every device."""
        return (level.to(torch.float64) * self.step_phase_rad).to(torch.float32)

    def height_of_level(self, level: Tensor) -> Tensor:
        """Height of each level above the lowest in metres, float64, same shape."""
        return level.to(torch.float64) * self.step_height_m

    def height_of_phase(self, phase_rad: Tensor) -> Tensor:
        """Height of each phase modulo 2π in metres, before quantisation, same shape and type."""
        return torch.remainder(phase_rad, 2.0 * math.pi) * (self.full_height_m / (2.0 * math.pi))


def fabricated_phase(phase_rad: Tensor, process: FabricationProcess) -> Tensor:
    """The phase the process makes of `phase_rad`, with a straight-through gradient; same shape, radians in [0, 2π)."""
    return straight_through(phase_rad, process.phase_of_level(process.level_of_phase(phase_rad)))
