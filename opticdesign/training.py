"""Training by stages: optics alone, decoder alone, both together, as the design's [training.stages] say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.design import Design, Stage
from opticdesign.errors import DivergenceError
from opticdesign.objectives import OBJECTIVES, l1
from opticdesign.probe import linear_probe_error
from opticdesign.randomness import torch_stream
from opticdesign.system import Microscope, build_process

__all__ = ["DrawBatch", "StepReport", "Trainer", "TrainingPosition", "load_weights", "rate_factor"]

DrawBatch = Callable[[int], tuple[Tensor, Tensor]]
"""Step number → complex fields and their phase in radians, both (batch, y, x); the same step, the same batch."""


_WEIGHTS = "microscope."  # what the names of masks and weights start with in a trainer's state


def load_weights(microscope: Microscope, tensors: dict[str, Tensor]) -> None:
    """Give a microscope the masks and weights out of what `Trainer.state` gave."""
    weights = {key.removeprefix(_WEIGHTS): value for key, value in tensors.items() if key.startswith(_WEIGHTS)}
    microscope.load_state_dict(weights)


@dataclass(frozen=True)
class TrainingPosition:
    """How far training has come: steps done in the stage, and in all stages up to here."""

    stage: int = 0
    step: int = 0
    total: int = 0


@dataclass(frozen=True)
class StepReport:
    """One step just done: its stage, the parts trained there, the step in the stage and in all, the loss."""

    stage: str
    trained: tuple[str, ...]
    step: int
    steps: int
    total: int
    loss: float


def rate_factor(step: int, steps: int) -> float:
    """Learning rate against its peak: a short linear rise, then half a cosine down to zero."""
    rise = max(1, min(50, steps // 10))
    return min(1.0, (step + 1) / rise) * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def _probe_period(design: Design) -> int:
    """Camera pixels after which the masks repeat; one where they do not."""
    cell, binning = design.optics.cell, design.detector.binning
    return 1 if cell is None else cell * design.optics.samples // binning


class Trainer:
    """Steps through the stages of a design; can be stopped after any step and continued bit for bit.

    Args:
        design: says the stages, the batch, the seed and the process.
        microscope: the instrument to train, changed in place.
        draw_batch: training data by step number.
        device: where to compute.
        frozen_optics: leave the masks as they are; stages that train the optics alone are left out.
    """

    def __init__(
        self,
        design: Design,
        microscope: Microscope,
        draw_batch: DrawBatch,
        device: torch.device,
        *,
        frozen_optics: bool = False,
    ) -> None:
        self.design, self.device = design, device
        self.microscope = microscope.to(device)
        self.position = TrainingPosition()
        self._draw_batch = draw_batch
        self._process = build_process(design)
        self._stages: list[tuple[str, Stage]] = []
        for name, stage in design.training.stages.items():
            if frozen_optics:
                kept = tuple(part for part in stage.train if part != "optics")
                stage = stage.model_copy(update={"train": kept})
            if stage.train:
                self._stages.append((name, stage))
        self._optimiser: torch.optim.Adam | None = None

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for _, stage in self._stages)

    def steps(self) -> Iterator[StepReport]:
        """Train from the present position to the end, yielding after each step.

        Raises:
            DivergenceError: the loss is not finite; the masks and weights of the step before are still in place.
        """
        while self.position.stage < len(self._stages):
            name, stage = self._stages[self.position.stage]
            while self.position.step < stage.steps:
                loss = self._step(name, stage)
                done = self.position
                self.position = TrainingPosition(done.stage, done.step + 1, done.total + 1)
                yield StepReport(name, stage.train, self.position.step, stage.steps, self.position.total, loss)
            self.position = TrainingPosition(self.position.stage + 1, 0, self.position.total)
            self._optimiser = None

    def _step(self, name: str, stage: Stage) -> float:
        optimiser = self._optimiser or self._set_up(stage)
        factor = rate_factor(self.position.step, stage.steps)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        self.microscope.train()  # evaluation between two steps leaves it counting photons, which has no gradient
        loss = self._loss(stage)
        value = loss.item()
        if not math.isfinite(value):
            raise DivergenceError(
                f"training diverged: the loss of step {self.position.step + 1} of stage {name!r} is {value}",
                expected="a finite loss",
                remedy=f"lower optics_rate or decoder_rate of training.stages.{name}",
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
        if self.design.optics.cell is not None:
            self.microscope.optics.average_gradients(self.design.optics.cell)
        optimiser.step()
        return value

    def _loss(self, stage: Stage) -> Tensor:
        design, microscope, step = self.design, self.microscope, self.position.total
        fields, phase_rad = (tensor.to(self.device) for tensor in self._draw_batch(step))
        target = phase_rad / (2.0 * math.pi)
        process = self._process if stage.quantised else None
        if stage.loss == "intensity-l1":
            image = microscope.optics.power**2 * microscope.optics.intensity(fields, process)
            return l1(image, target)
        noise = torch_stream(design.training.seed, "noise", step) if stage.noise else None
        if stage.loss == "linear-probe":
            period = _probe_period(design)
            return linear_probe_error(microscope.read(fields, process, noise), target, period)
        return OBJECTIVES[stage.loss](microscope(fields, process, noise), target)

    def _set_up(self, stage: Stage) -> torch.optim.Adam:
        """A new optimiser for the stage, with gradients only for what it trains."""
        rates = {"optics": stage.optics_rate, "decoder": stage.decoder_rate}
        groups = []
        for part, rate in rates.items():
            module = getattr(self.microscope, part)
            trained = part in stage.train
            module.requires_grad_(trained)
            if trained and rate is not None:
                groups.append({"params": list(module.parameters()), "peak": rate})
        self._optimiser = torch.optim.Adam(groups)
        return self._optimiser

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue: weights, masks and optimiser moments, by name, on the CPU."""
        tensors = {f"{_WEIGHTS}{key}": value for key, value in self.microscope.state_dict().items()}
        if self._optimiser is not None:
            for index, entry in self._optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{index}.{key}": value for key, value in entry.items()}
        return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor], position: TrainingPosition) -> None:
        """Continue from what `state` gave at a position."""
        load_weights(self.microscope, tensors)
        self.position, self._optimiser = position, None
        moments = [key.split(".", 2)[1:] for key in tensors if key.startswith("optimiser.")]
        if not moments:
            return
        optimiser = self._set_up(self._stages[position.stage][1])
        state: dict[int, dict[str, Tensor]] = {}
        for index, key in moments:
            state.setdefault(int(index), {})[key] = tensors[f"optimiser.{index}.{key}"]
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
