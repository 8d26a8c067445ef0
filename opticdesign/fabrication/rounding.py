"""What stands for a fabrication process while masks are trained: rounding to its levels that learns more smoothly.

Around a phase φ the levels are numbered on and on, past a whole turn, so that the level 0 above the last one is its
neighbour as the one below it is. Level k there has the weight

    wₖ = softmaxₖ(−(x − k)²/T + gₖ),

with the place x of φ among the levels, where neighbours are 1 apart, the temperature T, and noise gₖ or none. What is
taken is a mean phase, not a mean of transmissions e^{iφ}: that would be no phase mask (half way between opposite levels
it is opaque), and its argument has no slope where there are two levels only.

T falls while training goes on. As it goes to 0 the mean becomes the nearest level; at T = 1, of equal levels, it is φ
to 4e-4 of a level.
All but the seven levels nearest to φ have weights below e⁻¹² of the greatest at T ≤ 1 and are left out: memory does
not grow with the number of levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.straight_through import straight_through

__all__ = ["GumbelRounding", "SoftRounding"]

_REACH = 3  # levels on each side of the nearest


@dataclass(frozen=True)
class SoftRounding:
    """The mean phase of the levels around a phase, by their weights without noise.

    Args:
        process: has the levels.
        temperature: T, above 0, at most 1.
    """

    process: FabricationProcess
    temperature: float

    def phase(self, phase_rad: Tensor) -> Tensor:
        """The mean phase of the levels around each phase, radians, with its slope; same shape and type."""
        with torch.no_grad():
            around = _levels_around(phase_rad, self.process)
            weights = torch.softmax(around.logits(self.temperature), 0)
            mean = (weights * around.phases).sum(0)
            slope = around.slope(weights, self.temperature)
        return straight_through(slope * phase_rad, mean)


@dataclass(frozen=True)
class GumbelRounding:
    """A level drawn at random by its weight without noise, with the gradient of the mean by the weights with noise.

    The straight-through Gumbel-softmax estimator: the level whose weight with Gumbel noise is the greatest is a draw by
    the weights without it. E. Jang, S. Gu, B. Poole, Categorical reparameterization with Gumbel-softmax (2016),
    doi:10.48550/arXiv.1611.01144; C. J. Maddison, A. Mnih, Y. W. Teh, The concrete distribution (2016),
    doi:10.48550/arXiv.1611.00712. Weights by the distance of phase and level are used for holograms by S. Choi et al.,
    Time-multiplexed neural holography (2022), doi:10.1145/3528233.3530734. Here T scales distances and not the noise,
    so that draws come to rest on the nearest level as T falls.

    Args:
        process: has the levels.
        temperature: T, above 0, at most 1.
        noise: gives the draws.
        alike: gives parts of a mask that are to stay alike the same noise, (…, y, x) to the same shape.
    """

    process: FabricationProcess
    temperature: float
    noise: torch.Generator
    alike: Callable[[Tensor], Tensor]

    def phase(self, phase_rad: Tensor) -> Tensor:
        """The phase of a level drawn for each phase, radians in [0, 2π), with its gradient; same shape and type."""
        with torch.no_grad():
            around = _levels_around(phase_rad, self.process)
            uniform = torch.rand(around.phases.shape, generator=self.noise).clamp_(min=torch.finfo().tiny)
            noise = self.alike(-torch.log(-torch.log(uniform))).to(phase_rad)
            logits = around.logits(self.temperature) + noise
            slope = around.slope(torch.softmax(logits, 0), self.temperature)
            drawn = torch.remainder(around.nearest + logits.argmax(0) - _REACH, self.process.levels)
        return straight_through(slope * phase_rad, self.process.phase_of_level(drawn))


class _LevelsAround(NamedTuple):
    """The levels nearest to phases, in the first of the axes (7, …).

    Args:
        nearest: numbers of the nearest levels, int64 (…), L where that is level 0 a turn later.
        phases: phases of all seven in radians, less than 0 and more than 2π where they are of another turn.
        distance: their numbers less the places of the phases.
        number: their numbers less that of the nearest, (7, 1, …).
        gap: phase between the two levels on either side of each phase, radians (…).
    """

    nearest: Tensor
    phases: Tensor
    distance: Tensor
    number: Tensor
    gap: Tensor

    def logits(self, temperature: float) -> Tensor:
        """Logarithms of the weights without noise (7, …), but for a constant."""
        return self.distance.square() / -temperature

    def slope(self, weights: Tensor, temperature: float) -> Tensor:
        """Derivative of Σ wₖφₖ with the phase: 2/T times the weighted covariance of k and φₖ, over dφ/dx (…)."""
        middle = (weights * self.number).sum(0)
        phases = self.phases - self.phases[_REACH]
        return (weights * (self.number - middle) * phases).sum(0) * (2.0 / temperature) / self.gap


def _levels_around(phase_rad: Tensor, process: FabricationProcess) -> _LevelsAround:
    """The levels nearest to each phase (…)."""
    place = process.place_of_phase(torch.remainder(phase_rad, 2.0 * math.pi)).to(phase_rad)
    # phases of levels −3 … L + 3, as far as any neighbour of a phase of one turn is
    numbered = torch.arange(-_REACH, process.levels + _REACH + 1, device=phase_rad.device)
    turns = torch.div(numbered, process.levels, rounding_mode="floor")
    table = process.phase_of_level(torch.remainder(numbered, process.levels)).to(phase_rad) + 2.0 * math.pi * turns
    number = torch.arange(-_REACH, _REACH + 1, device=phase_rad.device).reshape(-1, *[1] * phase_rad.ndim)
    nearest = torch.round(place)
    below = torch.floor(place).to(torch.int64) + _REACH
    return _LevelsAround(
        nearest.to(torch.int64),
        table[nearest.to(torch.int64) + _REACH + number],
        nearest - place + number,
        number,
        table[below + 1] - table[below],
    )
