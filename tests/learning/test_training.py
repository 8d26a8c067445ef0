from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design, InterpolatedUNetSpec, Stage, Tolerance
from opticdesign.errors import DivergenceError
from opticdesign.instrument.building import build_microscope
from opticdesign.learning.training import DrawBatch, TrainingPosition, load_weights
from opticdesign.optics.field import middle
from opticdesign.runs.floors import floor_design
from tests.support.tiny_training import check_continuing, draw_batch, finished, same, tiny, trainer, with_training


def test_loss_falls_in_every_stage() -> None:
    training = trainer(tiny(loss="l1", steps=(40, 80, 30)), lambda step: draw_batch(0))
    losses: dict[str, list[float]] = {}
    for report in training.steps():
        losses.setdefault(report.stage, []).append(report.loss)
    assert losses["optics"][-1] < 0.9 * losses["optics"][0]
    assert losses["decoder"][-1] < 0.5 * losses["decoder"][0]
    assert sum(losses["joint"][-5:]) / 5 < sum(losses["decoder"][-5:]) / 5


def test_reports_count_the_steps_of_each_stage_and_of_all() -> None:
    training = trainer(tiny())
    assert training.total_steps == 15
    reports = [(report.stage, report.step, report.steps, report.total) for report in training.steps()]
    expected = [("optics", n, 4, n) for n in range(1, 5)]
    expected += [("decoder", n, 6, 4 + n) for n in range(1, 7)]
    expected += [("joint", n, 5, 10 + n) for n in range(1, 6)]
    assert reports == expected
    assert training.position == TrainingPosition(3, 0, 15)
    assert list(training.steps()) == []


def test_each_stage_changes_only_what_it_trains() -> None:
    states = [trainer(tiny()).state(), *(state for state, _ in finished(tiny()).after)]

    def changed(first: int, last: int, part: str) -> bool:
        keys = [key for key in states[0] if key.startswith(f"microscope.{part}")]
        return any(not torch.equal(states[first][key], states[last][key]) for key in keys)

    masks = "optics.elements"
    assert (changed(0, 4, masks), changed(0, 4, "decoder")) == (True, False)
    assert (changed(4, 10, masks), changed(4, 10, "decoder")) == (False, True)
    assert (changed(10, 15, masks), changed(10, 15, "decoder")) == (True, True)


def test_same_seed_same_result_and_another_seed_another() -> None:
    first, again = finished(tiny()), trainer(tiny())
    assert list(again.steps()) == first.reports
    assert same(again.state(), first.state)
    assert not same(first.state, finished(tiny(seed=1)).state)


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 9, 10, 11, 14, 15])
def test_stopped_training_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    check_continuing(tiny(), stop, tmp_path)


def test_running_means_of_a_decoder_continue_bit_for_bit(tmp_path: Path) -> None:
    spec = InterpolatedUNetSpec.model_validate({"kind": "interpolated-unet", "channels": 2})
    check_continuing(tiny(loss="mse").model_copy(update={"decoder": spec}), 7, tmp_path)


def test_state_is_a_copy() -> None:
    training = trainer(tiny())
    steps = training.steps()
    next(steps)
    before = training.state()
    kept = {key: value.clone() for key, value in before.items()}
    next(steps)
    assert same(before, kept)


def test_a_floor_leaves_the_masks_bit_identical_and_trains_the_decoder() -> None:
    training = trainer(floor_design(tiny(), "random", 0))
    start = training.state()
    names = {report.stage for report in training.steps()}
    end = training.state()
    assert names == {"decoder", "joint"}
    assert training.total_steps == 11
    for key, value in start.items():
        if key.startswith("microscope.optics"):
            assert torch.equal(value, end[key]), key
    assert not torch.equal(start["microscope.decoder.head.0.weight"], end["microscope.decoder.head.0.weight"])


def test_not_a_number_in_the_data_stops_training_and_keeps_the_state_before() -> None:
    def broken(step: int) -> tuple[Tensor, Tensor]:
        fields, phase = draw_batch(step)
        return (fields * math.nan if step == 6 else fields), phase

    training = trainer(tiny(), broken)
    steps = training.steps()
    for _ in range(6):
        next(steps)
    before = training.state()
    with pytest.raises(
        DivergenceError,
        match=r"the loss of step 3 of stage 'decoder' is nan(.|\n)*lower the learning rates of training.stages.decoder",
    ):
        next(steps)
    assert same(training.state(), before)
    assert training.position == TrainingPosition(1, 2, 6)


def test_infinite_loss_stops_training_in_the_first_step() -> None:
    training = trainer(tiny(), lambda step: (draw_batch(step)[0], draw_batch(step)[1] + math.inf))
    with pytest.raises(DivergenceError, match="the loss of step 1 of stage 'optics' is inf"):
        next(training.steps())


def test_a_loss_that_explodes_stops_training_and_keeps_the_state_before() -> None:
    training = trainer(tiny(decoder_rate=100.0, steps=(1, 20, 1)))
    before = training.state()
    with pytest.raises(
        DivergenceError,
        match=r"the loss of step \d+ of stage 'decoder' is .*e\+\d+(.|\n)*the first one, (.|\n)*lower the",
    ):
        for _ in training.steps():
            before = training.state()
    assert same(training.state(), before)


def test_a_loss_that_grows_but_not_without_bounds_is_no_divergence() -> None:
    larger = trainer(tiny(), lambda step: (draw_batch(step)[0], draw_batch(step)[1] * 10.0**step))
    losses = [report.loss for report in islice(larger.steps(), 4)]
    assert losses[-1] > 100.0 * losses[0]


class Behind:
    """In the place of what computes light: the amplitude of the field of view, and a memory of what came."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def light(self, fields: Tensor, quantiser: object = None, crossed: int | None = None) -> Tensor:
        self.seen.append(fields)
        return middle(fields, (32, 32)).abs()

    def vaccinated(
        self,
        optics: object,
        quantiser: object,
        fields: Tensor,
        phase_rad: Tensor,
        batch: int,
        crossed: int | None,
        *,
        each: bool,
    ) -> Tensor:
        self.seen += [fields, phase_rad]
        return middle(fields, (32, 32)).abs()


@pytest.mark.parametrize("margin", [(0, 0), (3, 5), (40, 1)])
def test_optics_are_given_the_margin_and_images_are_compared_with_the_middle(margin: tuple[int, int]) -> None:
    """Light as bright as the phase over 2π is the right image, and any other pixel would show in the loss."""
    draw = torch.Generator().manual_seed(1)
    phase_rad = 2.0 * math.pi * torch.rand((2, 32 + 2 * margin[0], 32 + 2 * margin[1]), generator=draw)
    fields = torch.polar(phase_rad / (2.0 * math.pi), phase_rad)
    training, behind = trainer(tiny(), lambda step: (fields, phase_rad)), Behind()
    training.microscope.optics.intensity = behind.light  # type: ignore[method-assign]
    assert next(training.steps()).loss == pytest.approx(0.0, abs=1e-6)
    assert torch.equal(behind.seen[0], fields)


def test_a_vaccine_is_given_phase_and_field_with_their_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(2)
    phase_rad = 6.0 * math.pi * torch.rand((2, 38, 42), generator=draw)  # not wrapped
    fields = torch.polar(middle(phase_rad, (38, 42)) / (2.0 * math.pi), phase_rad)
    stage = {"train": ["optics"], "loss": "intensity-l1", "steps": 1, "optics_rate": 0.01}
    stages = {"optics": Stage.model_validate({**stage, "quantised": True, "vaccinated": True})}
    design = with_training(tiny(), stages=stages).model_copy(update={"tolerance": Tolerance()})
    training, behind = trainer(design, lambda step: (fields, phase_rad)), Behind()
    monkeypatch.setattr(training._vaccine, "intensity", behind.vaccinated)
    assert next(training.steps()).loss == pytest.approx(0.0, abs=1e-6)
    assert torch.equal(behind.seen[0], fields) and torch.equal(behind.seen[1], phase_rad)


def test_batches_are_drawn_by_the_number_of_all_steps() -> None:
    drawn: list[int] = []

    def watched(step: int) -> tuple[Tensor, Tensor]:
        drawn.append(step)
        return draw_batch(step)

    list(trainer(tiny(), watched).steps())
    assert drawn == list(range(15))


def test_noise_and_quantisation_of_a_stage_are_heeded() -> None:
    def loss(**decoder: bool) -> float:
        return next(trainer(floor_design(tiny(**decoder), "random", 0)).steps()).loss

    assert loss(noise=False) == loss(noise=False)
    assert loss(noise=True) != loss(noise=False)
    assert loss(noise=False, quantised=True) != loss(noise=False)


def test_noise_is_another_one_in_every_step() -> None:
    # weights that do not move and one batch leave the noise alone to change the loss
    design = tiny(decoder_rate=1e-30)
    still = trainer(floor_design(design, "random", 0), lambda step: draw_batch(0))
    losses = [report.loss for report in still.steps() if report.stage == "decoder"]
    assert len(set(losses)) == len(losses)


def test_evaluation_between_steps_changes_nothing() -> None:
    whole = finished(tiny())
    training = trainer(tiny())
    again = []
    for report in training.steps():
        again.append(report)
        training.microscope.eval()
    assert again == whole.reports
    assert same(training.state(), whole.state)


def test_masks_repeat_their_cell_before_and_after_training() -> None:
    training = trainer(tiny(cell=8))
    start = training.microscope.optics.detached_phases()
    list(training.steps())
    end = training.microscope.optics.detached_phases()
    assert not torch.equal(start, end)
    for phases in (start, end):
        assert torch.equal(phases, phases[:, :8, :8].repeat(1, 4, 4))
    assert len(torch.unique(end[0])) == 64


def test_averaged_weights_are_the_running_mean_and_what_a_run_keeps() -> None:
    design = with_training(tiny(), ema=0.5)
    training = trainer(design)
    key = "head.0.weight"
    mean: Tensor | None = None
    for report in training.steps():
        now = training.microscope.decoder.state_dict()[key].clone()
        if "decoder" in report.trained:
            mean = now if mean is None else 0.5 * mean + 0.5 * now
    assert mean is not None
    torch.testing.assert_close(training.averaged().decoder.state_dict()[key], mean)
    assert not torch.equal(mean, training.microscope.decoder.state_dict()[key])
    loaded = build_microscope(design)
    load_weights(loaded, training.state())
    assert torch.equal(loaded.decoder.state_dict()[key], training.averaged().decoder.state_dict()[key])


def test_two_accumulated_batches_make_the_step_of_one_twice_as_large() -> None:
    def small_batches(step: int) -> tuple[Tensor, Tensor]:
        fields, phase = draw_batch(step // 2)
        return fields[step % 2][None], phase[step % 2][None]

    def first_step(accumulate: int, draw: DrawBatch) -> tuple[float, Tensor]:
        design = tiny(steps=(1, 1, 1), noise=False)
        training = trainer(with_training(floor_design(design, "random", 0), accumulate=accumulate), draw)
        report = next(training.steps())
        return report.loss, training.microscope.decoder.head[0].weight.grad

    (loss, gradient), (whole_loss, whole) = first_step(2, small_batches), first_step(1, draw_batch)
    assert loss == pytest.approx(whole_loss, rel=1e-6)
    torch.testing.assert_close(gradient, whole, rtol=1e-4, atol=1e-8)


def test_bfloat16_changes_the_arithmetic_and_not_the_weights_type() -> None:
    design = floor_design(tiny(noise=False), "random", 0)
    exact, half = next(trainer(design).steps()), trainer(with_training(design, precision="bfloat16"))
    report = next(half.steps())
    assert report.loss == pytest.approx(exact.loss, rel=0.02)
    assert report.loss != exact.loss
    assert {parameter.dtype for parameter in half.microscope.parameters()} == {torch.float32}


def layerwise() -> Design:
    """A stage that trains each of two layers alone, then both."""
    legs = {"layerwise": True, "joint_steps": 3, "joint_rate": 0.01}
    stage = Stage(train=("optics",), loss="intensity-l1", steps=2, optics_rate=0.1, **legs)
    return with_training(tiny(), stages={"optics": stage})


def test_layerwise_stage_trains_each_layer_alone_and_then_with_all_before() -> None:
    training = trainer(layerwise())
    masks = [training.microscope.optics.elements[i].phase_rad for i in range(2)]
    changed: dict[str, set[int]] = {}
    before = [mask.detach().clone() for mask in masks]
    powers: dict[str, list[float]] = {}
    for report in training.steps():
        moved = {i for i, mask in enumerate(masks) if not torch.equal(mask, before[i])}
        changed[report.stage] = changed.get(report.stage, set()) | moved
        before = [mask.detach().clone() for mask in masks]
        powers[report.stage] = training.microscope.brightness.powers.detach().tolist()
    assert changed == {"optics, layer 1": {0}, "optics, layer 2": {1}, "optics, layers 1 to 2": {0, 1}}
    assert powers["optics, layer 1"][0] != 1.0
    assert powers["optics, layer 1"][1] == 1.0
    assert powers["optics, layer 2"][0] == powers["optics, layer 1"][0]
    assert powers["optics, layer 2"][1] != 1.0
    assert training.total_steps == 7


@pytest.mark.parametrize("stop", [1, 2, 4, 5, 7])
def test_layerwise_training_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    check_continuing(layerwise(), stop, tmp_path)
