"""Training by stages: optics alone, decoder alone, both together, as the design's [training.stages] say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from opticdesign.data import PatchSet
from opticdesign.decoders import WithReader
from opticdesign.design import Design
from opticdesign.errors import DivergenceError, UsageError
from opticdesign.fabrication.penalties import narrow_parts, total_variation
from opticdesign.fabrication.rounding import GumbelRounding, SoftRounding
from opticdesign.instrument.building import camera_period
from opticdesign.instrument.microscope import Microscope
from opticdesign.learning.adversary import Adversary, build_perceptual
from opticdesign.learning.distributed import ALONE, Workers
from opticdesign.learning.objectives import has_diverged, l1, objectives
from opticdesign.learning.probe import linear_probe_error
from opticdesign.learning.schedule import Leg, legs_of, rate_factor, temperature
from opticdesign.optics.elements.element import Quantiser
from opticdesign.perturbed.vaccination import Vaccine
from opticdesign.randomness import torch_stream

__all__ = ["DrawBatch", "StepReport", "Trainer", "TrainingPosition", "load_weights"]

DrawBatch = Callable[[int], tuple[Tensor, Tensor]]
"""Number of a batch → complex fields and their phase in radians, both with the margin that the optics take,
(batch, y + 2·my, x + 2·mx); the same number, the same batch."""

_WEIGHTS = "microscope."  # what the names of masks and weights start with in a trainer's state
_AVERAGE = "average."  # and those of the averaged decoder


def load_weights(microscope: Microscope, tensors: dict[str, Tensor]) -> None:
    """Give a microscope the masks and weights out of what `Trainer.state` gave, the averaged ones where there are."""
    microscope.load_state_dict(_under(_WEIGHTS, tensors))
    averaged = _under(f"{_AVERAGE}module.", tensors)
    if averaged and microscope.decoder is not None:
        microscope.decoder.load_state_dict(averaged)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, under the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class TrainingPosition:
    """How far training has come: steps done in the leg, and in all legs up to here."""

    stage: int = 0
    step: int = 0
    total: int = 0


@dataclass(frozen=True)
class StepReport:
    """One step just done: its leg, the parts trained there, the step in the leg and in all, the loss."""

    stage: str
    trained: tuple[str, ...]
    step: int
    steps: int
    total: int
    loss: float


class Trainer:
    """Steps through the stages of a design; can be stopped after any step and continued bit for bit.

    Args:
        design: says the stages, the batch, the seed and the process.
        microscope: the instrument to train, changed in place.
        draw_batch: training data by number of batch.
        device: where to compute.
        workers: the processes that train together.

    Attributes:
        perceptual: the perceptual loss, where a stage uses one.

    Raises:
        DataError: the weights of the perceptual loss cannot be read.
        UsageError: the processes cannot share the batches of a step, or another package's loss cannot be loaded.
    """

    def __init__(
        self,
        design: Design,
        microscope: Microscope,
        draw_batch: DrawBatch,
        device: torch.device,
        *,
        workers: Workers = ALONE,
    ) -> None:
        self.design, self.device = design, device
        self.microscope = microscope.to(device)
        self.position = TrainingPosition()
        self._first_loss: float | None = None  # of the present leg, or since training was continued in it
        self._draw_batch, self._workers = draw_batch, workers
        self._shared = workers.share(design.training.accumulate)
        self._process = microscope.process
        self._legs = legs_of(design)
        self._vaccine = Vaccine(design, microscope.process) if any(leg.stage.vaccinated for leg in self._legs) else None
        self._optimiser: torch.optim.Adam | None = None
        self._adversary: Adversary | None = None
        losses = {leg.stage.loss for leg in self._legs}
        self._objectives = objectives(losses)
        self.perceptual = build_perceptual(design) if "gan" in losses else None
        self._average: AveragedModel | None = None
        if design.training.ema and microscope.decoder is not None:
            mean = get_ema_multi_avg_fn(design.training.ema)  # type: ignore[no-untyped-call]  # as torch leaves it
            self._average = AveragedModel(microscope.decoder, multi_avg_fn=mean)

    @property
    def total_steps(self) -> int:
        """Steps of all legs."""
        return sum(leg.stage.steps for leg in self._legs)

    def averaged(self) -> Microscope:
        """The microscope as it is judged: with the mean of its decoder's weights, where one is kept."""
        if self._average is None:
            return self.microscope
        kept = self.microscope
        return Microscope(kept.optics, kept.detector, self._average.module, kept.process, kept.precision)

    def steps(self) -> Iterator[StepReport]:
        """Train from the present position to the end, yielding after each step.

        Raises:
            DivergenceError: the loss is not finite, or far beyond the first one of its leg; the masks and weights of
                the step before are still in place.
        """
        while self.position.stage < len(self._legs):
            leg = self._legs[self.position.stage]
            while self.position.step < leg.stage.steps:
                loss = self._fit(leg) if leg.stage.loss == "ridge" else self._step(leg)
                done = self.position
                self.position = TrainingPosition(done.stage, done.step + 1, done.total + 1)
                yield StepReport(
                    leg.name, leg.stage.train, self.position.step, leg.stage.steps, self.position.total, loss
                )
            self.position = TrainingPosition(self.position.stage + 1, 0, self.position.total)
            self._optimiser = self._adversary = self._first_loss = None

    def _step(self, leg: Leg) -> float:
        optimiser = self._optimiser or self._set_up(leg)
        self.microscope.train()  # evaluation between two steps leaves it counting photons, which has no gradient
        optimiser.zero_grad(set_to_none=True)
        told = self._descend(leg)
        value = self._sound(self._workers.total(sum(loss for loss, _, _ in told), self.device), leg)
        self._update(leg, optimiser)
        if self._adversary is not None:
            self._adversary.optimiser.zero_grad(set_to_none=True)
            for _, image, target in told:
                self._adversary.learn(image, target, 1.0 / self.design.training.accumulate)
            self._update(leg, self._adversary.optimiser)
        self._keep_average(leg)
        return value

    def _sound(self, loss: float, leg: Leg) -> float:
        """The loss of a step, unless training diverged."""
        if self._first_loss is None:
            self._first_loss = loss
        if has_diverged(loss, self._first_loss):
            raise DivergenceError(
                f"training diverged: the loss of step {self.position.step + 1} of stage {leg.name!r} is {loss:.4g}",
                expected=f"a finite loss of the order of the first one, {self._first_loss:.4g}",
                remedy=f"lower the learning rates of training.stages.{leg.name.partition(',')[0]}, or check the data",
            )
        return loss

    def _fit(self, leg: Leg) -> float:
        """Show the linear reader one more step of batches; gives its mean absolute error on them, in waves, before."""
        decoder = self.microscope.decoder
        if not isinstance(decoder, WithReader):
            raise UsageError(f"stage {leg.name!r} fits a linear reader", remedy="set decoder.reader = true")
        self.microscope.train()
        error = 0.0
        seen = [torch.zeros_like(decoder.reader.gram), torch.zeros_like(decoder.reader.moment)]
        for shared in self._shared:
            with torch.no_grad():
                reading, target = self._reading(leg, self.position.total * self.design.training.accumulate + shared)
                error += l1(decoder.reader(reading), target).item() / self.design.training.accumulate
                for total, part in zip(seen, decoder.reader.seen(reading, target), strict=True):
                    total += part
        self._workers.add(seen)
        error = self._sound(self._workers.total(error, self.device), leg)
        decoder.reader.fit(*seen)
        self._keep_average(leg)
        return error

    def _keep_average(self, leg: Leg) -> None:
        """Let the running mean of the decoder's weights take in the present ones."""
        decoder = self.microscope.decoder
        if self._average is not None and decoder is not None and "decoder" in leg.stage.train:
            self._average.update_parameters(decoder)

    def _update(self, leg: Leg, optimiser: torch.optim.Adam) -> None:
        """Move the parameters of an optimiser along the gradients of all processes."""
        factor = rate_factor(leg.stage, self.position.step)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
            self._workers.add(p.grad for p in group["params"] if p.grad is not None)
        self.microscope.optics.average_gradients()
        optimiser.step()

    def _descend(self, leg: Leg) -> list[tuple[float, Tensor, Tensor]]:
        """Add up the gradients of this process's batches of a step: loss, image and target of each."""
        told = []
        count = self.design.training.accumulate
        for shared in self._shared:
            loss, image, target = self._loss(leg, self.position.total * count + shared)
            loss = loss + self._penalty(leg)
            (loss / count).backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
            told.append((loss.item() / count, image.detach(), target))
        return told

    def _penalty(self, leg: Leg) -> Tensor | float:
        """What the stage adds to its loss for masks that are hard to make: as designed, or as made if quantised."""
        stage, optics = leg.stage, self.microscope.optics
        if stage.variation is None and stage.feature is None:
            return 0.0
        phases = optics.phases(self._process if stage.quantised else None)
        penalty = phases.new_zeros(())
        if stage.variation is not None:
            penalty = penalty + stage.variation * total_variation(phases)
        if stage.feature is not None:
            width = math.ceil(self.design.fabrication.min_feature / min(optics.mask_pitch_m) * (1.0 - 1e-9))
            penalty = penalty + stage.feature * narrow_parts(phases, width)
        return penalty

    def _quantiser(self, leg: Leg, batch: int) -> Quantiser | None:
        """What makes the masks in a batch: nothing, the process, or what stands for it."""
        stage = leg.stage
        if not stage.quantised or stage.rounding == "straight-through":
            return self._process if stage.quantised else None
        warmth = temperature(stage, self.position.step)
        if stage.rounding == "soft":
            return SoftRounding(self._process, warmth)
        noise = torch_stream(self.design.training.seed, "rounding", batch)
        return GumbelRounding(self._process, warmth, noise, self.microscope.optics.alike)

    def _loss(self, leg: Leg, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of a batch with its gradient, and the images and targets that it compares."""
        microscope, stage = self.microscope, leg.stage
        if stage.loss == "intensity-l1":
            patches = self._batch(batch)
            crossed = leg.crossed or microscope.optics.crossed
            image = microscope.brightness(self._intensity(leg, patches, batch), crossed)
            return l1(image, patches.targets), image, patches.targets
        reading, target = self._reading(leg, batch)
        if stage.loss == "linear-probe":
            return linear_probe_error(reading, target, camera_period(self.design)), reading, target
        image = microscope.decode(reading)
        if self._adversary is not None:
            return self._adversary.loss(image, target), image, target
        return self._objectives[stage.loss](image, target), image, target

    def _batch(self, batch: int) -> PatchSet:
        """The patches of a batch, on the device."""
        fields, phase_rad = (tensor.to(self.device) for tensor in self._draw_batch(batch))
        return PatchSet.of(fields, phase_rad, self.design.optics.shape)

    def _reading(self, leg: Leg, batch: int) -> tuple[Tensor, Tensor]:
        """What the camera reads of a batch (batch, y/b, x/b), and the phase over 2π (batch, y, x)."""
        patches = self._batch(batch)
        noise = torch_stream(self.design.training.seed, "noise", batch) if leg.stage.noise else None
        reading: Tensor = self.microscope.detector(self._intensity(leg, patches, batch), noise)
        return reading, patches.targets

    def _intensity(self, leg: Leg, patches: PatchSet, batch: int) -> Tensor:
        """Light on the camera of a batch (batch, y, x), through optics as designed, as made, or with errors."""
        optics, quantiser = self.microscope.optics, self._quantiser(leg, batch)
        if self._vaccine is None or not leg.stage.vaccinated or quantiser is None:
            return optics.intensity(patches.fields, quantiser, leg.crossed)
        return self._vaccine.intensity(
            optics, quantiser, patches.fields, patches.phase_rad, batch, leg.crossed, each=leg.stage.draws == "patch"
        )

    def _set_up(self, leg: Leg) -> torch.optim.Adam:
        """New optimisers for the leg, with gradients only for what it trains."""
        stage, optics, decoder = leg.stage, self.microscope.optics, self.microscope.decoder
        self.microscope.requires_grad_(False)
        learned: list[tuple[list[nn.Parameter], float | None]] = []
        if "optics" in stage.train:
            last = leg.last or leg.crossed or optics.crossed
            brightness = self.microscope.brightness.parameters()
            learned.append(([*optics.learned(leg.first, last), *brightness], stage.optics_rate))
        if "decoder" in stage.train and decoder is not None:
            learned.append((list(decoder.parameters()), stage.decoder_rate))
        for parameters, _ in learned:
            for parameter in parameters:
                parameter.requires_grad_(True)
        self._optimiser = torch.optim.Adam([{"params": group, "peak": rate} for group, rate in learned])
        if self.perceptual is not None and stage.discriminator_rate is not None:
            self._adversary = Adversary(self.design, self.perceptual, stage.discriminator_rate, self.device)
        return self._optimiser

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue: weights, masks and optimiser moments, by name, on the CPU."""
        tensors = {f"{_WEIGHTS}{key}": value for key, value in self.microscope.state_dict().items()}
        if self._average is not None:
            tensors |= {f"{_AVERAGE}{key}": value for key, value in self._average.state_dict().items()}
        if self._optimiser is not None:
            tensors |= _moments("optimiser", self._optimiser)
        if self._adversary is not None:
            judge = self._adversary.discriminator.state_dict()
            tensors |= {f"discriminator.{key}": value for key, value in judge.items()}
            tensors |= _moments("discriminator_optimiser", self._adversary.optimiser)
        return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor], position: TrainingPosition) -> None:
        """Continue from what `state` gave at a position."""
        self.microscope.load_state_dict(_under(_WEIGHTS, tensors))
        if self._average is not None:
            self._average.load_state_dict(_under(_AVERAGE, tensors))
        self.position, self._optimiser, self._adversary, self._first_loss = position, None, None, None
        if not any(key.startswith("optimiser.") for key in tensors):
            return
        _give_moments(self._set_up(self._legs[position.stage]), "optimiser", tensors)
        if self._adversary is not None:
            self._adversary.discriminator.load_state_dict(_under("discriminator.", tensors))
            _give_moments(self._adversary.optimiser, "discriminator_optimiser", tensors)


def _moments(name: str, optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    """Moments and counts of an optimiser, by name."""
    entries = optimiser.state_dict()["state"].items()
    return {f"{name}.{index}.{key}": value for index, entry in entries for key, value in entry.items()}


def _give_moments(optimiser: torch.optim.Adam, name: str, tensors: dict[str, Tensor]) -> None:
    """Undo `_moments`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(f"{name}.", tensors).items():
        index, entry = key.split(".", 1)
        state.setdefault(int(index), {})[entry] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
