"""Roundings of levels in training, and weights on masks that are hard to make."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design, Stage
from opticdesign.fabrication.penalties import narrow_parts, total_variation
from opticdesign.instrument.building import build_microscope
from opticdesign.runs.floors import floor_design
from tests.support.tiny_training import check_continuing, draw_batch, finished, same, tiny, trainer, with_training


def with_rounding(rounding: str, cell: int = 32, **changes: object) -> Design:
    """A first stage that learns through levels, of a loss that masks of another cell would change."""
    design = tiny(cell=cell)
    options = {"train": ["optics"], "loss": "intensity-l1", "steps": 6, "optics_rate": 0.3, "quantised": True}
    annealed = {} if rounding == "straight-through" else {"rounding": rounding, "temperature": [1.0, 0.05]}
    stages = {"optics": Stage.model_validate(options | annealed | changes), "joint": design.training.stages["joint"]}
    optics = design.optics.model_copy(update={"start": "random"})
    return with_training(design.model_copy(update={"optics": optics}), stages=stages)


@pytest.mark.parametrize("rounding", ["soft", "gumbel"])
@pytest.mark.parametrize("stop", [1, 3, 5, 6, 8])
def test_training_stopped_while_levels_cool_continues_bit_for_bit(tmp_path: Path, rounding: str, stop: int) -> None:
    check_continuing(with_rounding(rounding, variation=0.1), stop, tmp_path)


def test_roundings_differ_and_repeat() -> None:
    states = {rounding: finished(with_rounding(rounding)).state for rounding in ("straight-through", "soft", "gumbel")}
    key = "microscope.optics.elements.0.phase_rad"
    assert not torch.equal(states["straight-through"][key], states["soft"][key])
    assert not torch.equal(states["soft"][key], states["gumbel"][key])
    again = trainer(with_rounding("gumbel"))
    list(again.steps())
    assert same(again.state(), states["gumbel"])


def test_draws_of_levels_are_other_ones_in_every_step() -> None:
    design = with_rounding("gumbel", optics_rate=1e-30, temperature=[1.0, 1.0])
    losses = [report.loss for report in trainer(design, lambda step: draw_batch(0)).steps() if report.stage == "optics"]
    assert len(set(losses)) == len(losses)
    still = with_rounding("soft", optics_rate=1e-30, temperature=[1.0, 1.0])
    losses = [report.loss for report in trainer(still, lambda step: draw_batch(0)).steps() if report.stage == "optics"]
    assert len(set(losses)) == 1


def test_cells_stay_alike_while_levels_are_drawn() -> None:
    training = trainer(with_rounding("gumbel", cell=8))
    seen: list[Tensor] = []
    optics = training.microscope.optics
    forward = optics.forward

    def watched(field: Tensor, process: object = None, crossed: int | None = None) -> Tensor:
        seen.append(torch.stack([element.phase(process).detach() for element in optics.elements]))
        return forward(field, process, crossed)

    optics.forward = watched  # type: ignore[method-assign]
    next(training.steps())
    (phases,) = seen
    assert torch.equal(phases, phases[:, :8, :8].repeat(1, 4, 4))
    assert len(torch.unique(phases[0])) == 8  # the levels
    assert not torch.equal(phases[0], phases[1])
    made = training.microscope.optics.detached_phases()
    assert torch.equal(made, made[:, :8, :8].repeat(1, 4, 4))


def test_a_decoder_alone_sees_masks_as_they_are_made() -> None:
    """Rounding belongs to the stages that train optics; floors have none."""
    floor = floor_design(
        with_rounding("gumbel", train=["optics", "decoder"], loss="l1", decoder_rate=0.01, feature=1.0), "random", 0
    )
    stage = floor.training.stages["optics"]
    assert (stage.rounding, stage.temperature, stage.feature, stage.variation) == ("straight-through", None, None, None)
    assert Stage.model_validate(stage.model_dump()) == stage  # a stage that may stand in a file
    list(trainer(floor).steps())


def test_soft_levels_learn_masks_of_few_levels_better_than_none_at_all() -> None:
    """At two levels the masks as made get better when training sees them softly than when it does not see them."""

    def made_loss(rounding: str, **changes: object) -> float:
        design = with_rounding(rounding, steps=80, optics_rate=0.1, **changes)
        fabrication = design.fabrication.model_copy(update={"levels": 2})
        stages = {"optics": design.training.stages["optics"]}
        training = trainer(with_training(design.model_copy(update={"fabrication": fabrication}), stages=stages))
        list(training.steps())
        optics, process = training.microscope.optics, training._process
        with torch.no_grad():
            errors = []
            for step in range(100, 105):
                fields, phase = draw_batch(step)
                image = optics.intensity(fields, process)
                target = phase / (2.0 * math.pi)
                scale = (image * target).sum() / image.square().sum()
                errors.append((scale * image - target).abs().mean().item())
        return sum(errors)

    seen, unseen = made_loss("soft", temperature=[1.0, 0.01]), made_loss("straight-through", quantised=False)
    assert seen < 0.98 * unseen


@pytest.mark.parametrize("weight", ["variation", "feature"])
def test_weights_on_masks_add_their_penalty_to_the_loss_once(weight: str) -> None:
    def first_loss(accumulate: int = 1, **changes: object) -> float:
        design = with_rounding("straight-through", **changes)
        fabrication = design.fabrication.model_copy(update={"min_feature": 2.5 * design.optics.pitch})
        design = with_training(design.model_copy(update={"fabrication": fabrication}), accumulate=accumulate)
        return next(trainer(design, lambda step: draw_batch(0)).steps()).loss

    optics = build_microscope(with_rounding("straight-through")).optics
    process = trainer(with_rounding("straight-through"))._process
    phases = process.phase(optics.detached_phases())
    expected = total_variation(phases) if weight == "variation" else narrow_parts(phases, 3)
    for accumulate in (1, 2):
        added = first_loss(accumulate, **{weight: 0.5}) - first_loss(accumulate)
        assert added == pytest.approx(0.5 * expected.item(), rel=1e-4)


def test_weights_on_masks_make_masks_easier_to_make() -> None:
    def masks(**changes: object) -> Tensor:
        design = with_rounding("straight-through", steps=60, optics_rate=0.1, **changes)
        fabrication = design.fabrication.model_copy(update={"min_feature": 2.0 * design.optics.pitch})
        stages = {"optics": design.training.stages["optics"]}
        training = trainer(with_training(design.model_copy(update={"fabrication": fabrication}), stages=stages))
        list(training.steps())
        return training._process.phase(training.microscope.optics.detached_phases())

    plain = masks()
    assert total_variation(masks(variation=1.0)) < 0.7 * total_variation(plain)
    assert narrow_parts(masks(feature=10.0), 2) < 0.7 * narrow_parts(plain, 2)
