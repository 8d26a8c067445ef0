"""What is trained when: the legs of a design's stages, and how learning rates change along one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from opticdesign.design import Design, Stage

__all__ = ["Leg", "legs_of", "rate_factor", "temperature"]


@dataclass(frozen=True)
class Leg:
    """A run of steps with one optimiser.

    Args:
        name: of the stage, with the layers where it is one of several legs.
        stage: says loss, steps and rates.
        first: first mask that is trained, from 0.
        last: last mask that is trained, plus 1; None for all.
        crossed: masks that light passes; None for as many as the design says.
    """

    name: str
    stage: Stage
    first: int = 0
    last: int | None = None
    crossed: int | None = None


def legs_of(design: Design) -> list[Leg]:
    """The legs of all stages in their order."""
    legs: list[Leg] = []
    for name, stage in design.training.stages.items():
        if stage.layerwise:
            legs += _layer_by_layer(name, stage, design.optics.masks)
        else:
            legs.append(Leg(name, stage))
    return legs


def _layer_by_layer(name: str, stage: Stage, layers: int) -> Iterator[Leg]:
    """Each layer alone, then with all before it, every time with new optimisers and rates.

    U. Haputhanthri et al., From hours to seconds: towards 100x faster quantitative phase imaging via differentiable
    microscopy (2022), Algorithm 1, doi:10.48550/arXiv.2205.11521.
    """
    joint = stage.model_copy(update={"steps": stage.joint_steps, "optics_rate": stage.joint_rate})
    for layer in range(1, layers + 1):
        yield Leg(f"{name}, layer {layer}", stage, layer - 1, layer, layer)
        if layer > 1:
            yield Leg(f"{name}, layers 1 to {layer}", joint, 0, layer, layer)


def rate_factor(stage: Stage, step: int) -> float:
    """Learning rate of a step, counted from 0, against its peak.

    "cosine" is a short linear rise, then half a cosine down to zero.
    """
    if stage.decay == "none":
        return 1.0
    if stage.decay == "milestones":
        return float(stage.gamma ** sum(step >= milestone for milestone in stage.milestones))
    rise = max(1, min(50, stage.steps // 10))
    return min(1.0, (step + 1) / rise) * 0.5 * (1.0 + math.cos(math.pi * step / stage.steps))


def temperature(stage: Stage, step: int) -> float:
    """Temperature of a stage's rounding at a step, counted from 0: falls by one factor a step, 1 where it has none."""
    first, last = stage.temperature or (1.0, 1.0)
    return float(first * (last / first) ** (step / max(1, stage.steps - 1)))
