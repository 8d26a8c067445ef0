"""What a process can make of a phase mask: one path phase → level → height, used by training, evaluation and export.

Thicker material delays the wave: φ = 2π (n − n₀) h / λ with the index n of the mask and n₀ of the medium around it.
Level ℓ of L equal ones stands for the phase 2πℓ/L; level L is level 0 again, whatever the heights between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.straight_through import straight_through

__all__ = ["FabricationProcess"]

_FINEST = 1e-6  # of 2π: what float32 phases tell apart with room to spare


@dataclass(frozen=True)
class FabricationProcess:
    """A process that makes L heights of one material in one medium, equally spaced or as a table says.

    Args:
        levels: number of heights L, 2 … 256, the lowest being zero.
        wavelength_m: design wavelength in vacuum, metres.
        index: refractive index of the mask at that wavelength.
        medium_index: refractive index of the medium around it.
        heights_m: the heights in metres, rising from 0 to below that of 2π; equally spaced over 2π when left out. A
            table of such heights, to a millionth of 2π, is as none.
        extinction: extinction coefficient k of the mask; the medium has none.

    Raises:
        UsageError: a number of levels outside 2 … 256, no index contrast, or heights that are not as said.
    """

    levels: int
    wavelength_m: float
    index: float
    medium_index: float = 1.0
    heights_m: tuple[float, ...] | None = None
    extinction: float = 0.0

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256:
            raise UsageError(f"{self.levels} height levels", expected="2 to 256 levels", remedy="change levels")
        if self.index <= self.medium_index:
            raise UsageError(
                f"a mask of index {self.index:.5g} in a medium of index {self.medium_index:.5g} delays nothing",
                expected="a mask denser than its medium",
                remedy="choose another material or medium",
            )
        if self.heights_m is not None:
            self._check_heights(self.heights_m)
            equal_m = (self.full_height_m / self.levels * level for level in range(self.levels))
            if all(abs(a - b) <= _FINEST * self.full_height_m for a, b in zip(self.heights_m, equal_m, strict=True)):
                object.__setattr__(self, "heights_m", None)  # as __init__ of a frozen dataclass does

    def _check_heights(self, heights_m: tuple[float, ...]) -> None:
        full_m = self.full_height_m
        # not (a >= b) also refuses a height that is not a number
        close = any(not upper - lower >= _FINEST * full_m for lower, upper in pairwise((*heights_m, full_m)))
        if len(heights_m) != self.levels or heights_m[0] != 0.0 or close:
            raise UsageError(
                f"heights that are no {self.levels} levels: {', '.join(f'{height:.6g}' for height in heights_m)} m",
                expected=f"{self.levels} heights that rise from 0 to below {full_m:.6g} m, the height of 2π",
                remedy="correct fabrication.heights",
            )

    @property
    def full_height_m(self) -> float:
        """Height of a phase delay of 2π, λ/(n − n₀), in metres."""
        return self.wavelength_m / (self.index - self.medium_index)

    @property
    def loss(self) -> float:
        """Absorption κ = k/(n − n₀) for each radian of phase: a height of phase φ lets e^{iφ − κφ} pass."""
        return self.extinction / (self.index - self.medium_index)

    @property
    def highest_m(self) -> float:
        """Height of the highest level in metres."""
        return self.full_height_m * (self.levels - 1) / self.levels if self.heights_m is None else self.heights_m[-1]

    @property
    def step_height_m(self) -> float:
        """Height between neighbouring levels in metres.

        Raises:
            UsageError: the levels are not equally spaced.
        """
        self._refuse_unequal()
        return self.full_height_m / self.levels

    @property
    def step_phase_rad(self) -> float:
        """Phase between neighbouring levels, 2π/L.

        Raises:
            UsageError: the levels are not equally spaced.
        """
        self._refuse_unequal()
        return 2.0 * math.pi / self.levels

    def _refuse_unequal(self) -> None:
        if self.heights_m is not None:
            raise UsageError(
                f"{self.levels} heights of a table have no one step between them",
                expected="equally spaced levels",
                remedy="leave fabrication.heights out",
            )

    def place_of_phase(self, phase_rad: Tensor) -> Tensor:
        """Place of each phase among the levels, same shape: ℓ at level ℓ, L a turn later, in proportion in between."""
        if self.heights_m is None:
            return phase_rad / self.step_phase_rad
        turn = torch.remainder(phase_rad.to(torch.float64), 2.0 * math.pi)
        table = self._phases(turn)
        below = torch.bucketize(turn, table[1:-1], right=True)
        return below + (turn - table[below]) / (table[below + 1] - table[below])

    def level_of_phase(self, phase_rad: Tensor) -> Tensor:
        """Nearest level of each phase, modulo 2π: int64 in 0 … L − 1, same shape."""
        return torch.remainder(torch.round(self.place_of_phase(phase_rad)), self.levels).to(torch.int64)

    def phase_of_level(self, level: Tensor) -> Tensor:
        """Phase of each level in radians, float32, same shape; equal levels give equal bits on every device."""
        if self.heights_m is None:
            return (level.to(torch.float64) * self.step_phase_rad).to(torch.float32)
        return self._phases(level)[level.to(torch.int64)].to(torch.float32)

    def height_of_level(self, level: Tensor) -> Tensor:
        """Height of each level above the lowest in metres, float64, same shape."""
        if self.heights_m is None:
            return level.to(torch.float64) * self.step_height_m
        return torch.tensor(self.heights_m, dtype=torch.float64, device=level.device)[level.to(torch.int64)]

    def height_of_phase(self, phase_rad: Tensor) -> Tensor:
        """Height of each phase modulo 2π in metres, before quantisation, same shape and type."""
        return torch.remainder(phase_rad, 2.0 * math.pi) * (self.full_height_m / (2.0 * math.pi))

    def phase(self, phase_rad: Tensor) -> Tensor:
        """The phase made of each phase, radians in [0, 2π), with a straight-through gradient; same shape and type."""
        return straight_through(phase_rad, self.phase_of_level(self.level_of_phase(phase_rad)))

    def _phases(self, like: Tensor) -> Tensor:
        """Phases of the table's heights and, behind them, 2π: float64 (L + 1,), on the device of another tensor."""
        heights_m = torch.tensor((*(self.heights_m or ()), self.full_height_m), dtype=torch.float64)
        return (heights_m * (2.0 * math.pi / self.full_height_m)).to(like.device)
