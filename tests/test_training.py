from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opticdesign.decoders import LinearReader
from opticdesign.design import Design, Stage, load_design
from opticdesign.distributed import Workers
from opticdesign.errors import DivergenceError, UsageError
from opticdesign.floors import floor_design
from opticdesign.randomness import torch_stream
from opticdesign.storage import load_checkpoint, save_checkpoint
from opticdesign.system import build_microscope, camera_period
from opticdesign.training import DrawBatch, StepReport, Trainer, TrainingPosition, load_weights

D2NN5 = Path(__file__).parents[1] / "designs" / "d2nn5.toml"
STEPS = (4, 6, 5)


def tiny(
    seed: int = 0, steps: tuple[int, int, int] = STEPS, loss: str = "l1+ssim", cell: int = 32, **decoder: object
) -> Design:
    """Three stages on 32 × 32 neurons; `loss` is that of the last one, the rest changes the stage of the decoder."""
    sizes = ("optics.layers=2", "optics.neurons=32", f"optics.cell={cell}", "detector.binning=4")
    rest = ("decoder.channels=8", "evaluation.overlap=8", "training.batch=2", f"training.seed={seed}")
    design = load_design(D2NN5, [*sizes, *rest])
    options = {"train": ["decoder"], "loss": "l1", "steps": steps[1], "decoder_rate": 0.002, **decoder}
    stages = {
        "optics": Stage(train=("optics",), loss="intensity-l1", steps=steps[0], optics_rate=0.01),
        "decoder": Stage.model_validate(options),
        "joint": Stage.model_validate(
            {
                "train": ["optics", "decoder"],
                "loss": loss,
                "steps": steps[2],
                "optics_rate": 0.001,
                "decoder_rate": 0.001,
                "quantised": True,
            }
        ),
    }
    return design.model_copy(update={"training": design.training.model_copy(update={"stages": stages})})


def draw_batch(step: int) -> tuple[Tensor, Tensor]:
    """Two smooth phase objects, other ones at each step."""
    generator = torch.Generator().manual_seed(step)
    phase = 3.0 * torch.nn.functional.interpolate(
        torch.rand((2, 1, 5, 5), generator=generator), (32, 32), mode="bicubic", align_corners=True
    )
    return torch.polar(torch.ones((2, 32, 32)), phase[:, 0]), phase[:, 0]


def trainer(design: Design, draw: DrawBatch = draw_batch) -> Trainer:
    return Trainer(design, build_microscope(design), draw, torch.device("cpu"))


def with_training(design: Design, **changes: object) -> Design:
    return design.model_copy(update={"training": design.training.model_copy(update=changes)})


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def finished(design: Design) -> tuple[list[StepReport], dict[str, Tensor]]:
    training = trainer(design)
    return list(training.steps()), training.state()


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
    training = trainer(tiny())
    states = {0: training.state()}
    for report in training.steps():
        states[report.total] = training.state()

    def changed(first: int, last: int, part: str) -> bool:
        keys = [key for key in states[0] if key.startswith(f"microscope.{part}")]
        return any(not torch.equal(states[first][key], states[last][key]) for key in keys)

    masks = "optics.elements"
    assert (changed(0, 4, masks), changed(0, 4, "decoder")) == (True, False)
    assert (changed(4, 10, masks), changed(4, 10, "decoder")) == (False, True)
    assert (changed(10, 15, masks), changed(10, 15, "decoder")) == (True, True)


def test_same_seed_same_result_and_another_seed_another() -> None:
    (reports, state), (again, state_again) = finished(tiny()), finished(tiny())
    assert reports == again
    assert same(state, state_again)
    assert not same(state, finished(tiny(seed=1))[1])


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 9, 10, 11, 14, 15])
def test_stopped_training_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    reports, state = finished(tiny())
    first = trainer(tiny())
    for report in first.steps():
        if report.total == stop:
            break
    place = save_checkpoint(tmp_path, first.state(), vars(first.position))
    tensors, position = load_checkpoint(place)
    second = trainer(tiny())
    second.restore(tensors, TrainingPosition(**position))
    assert list(second.steps()) == reports[stop:]
    assert same(second.state(), state)


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
    reports, state = finished(tiny())
    training = trainer(tiny())
    again = []
    for report in training.steps():
        again.append(report)
        training.microscope.eval()
    assert again == reports
    assert same(training.state(), state)


def test_masks_repeat_their_cell_before_and_after_training() -> None:
    training = trainer(tiny(cell=8))
    start = training.microscope.optics.phases_rad()
    list(training.steps())
    end = training.microscope.optics.phases_rad()
    assert not torch.equal(start, end)
    for phases in (start, end):
        assert torch.equal(phases, phases[:, :8, :8].repeat(1, 4, 4))
    assert len(torch.unique(end[0])) == 64


def with_gan(**changes: object) -> Design:
    """A last stage of the generative recipe with a small discriminator, and an averaged decoder."""
    design = tiny()
    stages = dict(design.training.stages)
    stages["joint"] = stages["joint"].model_copy(update={"loss": "gan", "discriminator_rate": 1e-3})
    return with_training(design, stages=stages, discriminator_features=4, ema=0.9, **changes)


@pytest.mark.parametrize("stop", [4, 7, 10, 12, 15])
def test_stopped_generative_training_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    reports, state = finished(with_gan())
    first = trainer(with_gan())
    for report in first.steps():
        if report.total == stop:
            break
    assert any(key.startswith("discriminator.") for key in first.state()) == (stop > 10)
    place = save_checkpoint(tmp_path, first.state(), vars(first.position))
    tensors, position = load_checkpoint(place)
    second = trainer(with_gan())
    second.restore(tensors, TrainingPosition(**position))
    assert list(second.steps()) == reports[stop:]
    assert same(second.state(), state)


def test_discriminator_learns_to_tell_images_from_targets() -> None:
    design = with_gan()
    stages = dict(design.training.stages)
    stages["joint"] = stages["joint"].model_copy(update={"optics_rate": 1e-30, "decoder_rate": 1e-30, "steps": 40})
    training = trainer(with_training(design, stages=stages), lambda step: draw_batch(0))
    losses = [report.loss for report in training.steps() if report.stage == "joint"]
    # the image stands still, so that only a sharper discriminator makes its loss grow
    assert losses[-1] > losses[5]


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


def test_layerwise_stage_trains_each_layer_alone_and_then_with_all_before() -> None:
    design = tiny()
    stage = Stage(
        train=("optics",),
        loss="intensity-l1",
        steps=2,
        optics_rate=0.1,
        layerwise=True,
        joint_steps=3,
        joint_rate=0.01,
    )
    design = with_training(design, stages={"optics": stage})
    training = trainer(design)
    masks = [training.microscope.optics.elements[i].phase_rad for i in range(2)]
    changed: dict[str, set[int]] = {}
    before = [mask.detach().clone() for mask in masks]
    powers: dict[str, list[float]] = {}
    for report in training.steps():
        moved = {i for i, mask in enumerate(masks) if not torch.equal(mask, before[i])}
        changed[report.stage] = changed.get(report.stage, set()) | moved
        before = [mask.detach().clone() for mask in masks]
        powers[report.stage] = training.microscope.optics.powers.detach().tolist()
    assert changed == {"optics, layer 1": {0}, "optics, layer 2": {1}, "optics, layers 1 to 2": {0, 1}}
    assert powers["optics, layer 1"][0] != 1.0
    assert powers["optics, layer 1"][1] == 1.0
    assert powers["optics, layer 2"][0] == powers["optics, layer 1"][0]
    assert powers["optics, layer 2"][1] != 1.0
    assert training.total_steps == 7


def with_reader(*, steps: int = 4, cell: int = 8, **changes: object) -> Design:
    """A stage that fits the linear reader, then one of the network beside it."""
    design = tiny(cell=cell)
    decoder = design.decoder.model_copy(update={"reader": True})
    stages = {
        "reader": Stage(train=("decoder",), loss="ridge", steps=steps),
        "decoder": design.training.stages["decoder"],
    }
    return with_training(design.model_copy(update={"decoder": decoder}), stages=stages, **changes)


def test_ridge_stage_fits_the_reader_and_leaves_optics_and_network_alone() -> None:
    training = trainer(with_reader())
    start = training.state()
    for report in training.steps():
        if report.total == 4:
            break
    moved = {key for key, value in training.state().items() if not torch.equal(value, start[key])}
    assert moved == {f"microscope.decoder.reader.{name}" for name in ("weights", "gram", "moment")}
    assert report.trained == ("decoder",)
    assert report.step == report.steps == 4


def test_ridge_stage_finds_what_a_fit_to_all_its_batches_finds() -> None:
    design = with_reader()
    training = trainer(design)
    for report in training.steps():
        if report.total == 4:
            break
    reader = training.microscope.decoder.reader
    alone = LinearReader(4, camera_period(design))
    assert alone.period == 2
    microscope = build_microscope(design)
    shown = []
    with torch.no_grad():
        for step in range(4):
            fields, phase = draw_batch(step)
            reading = microscope.read(fields, None, torch_stream(design.training.seed, "noise", step))
            shown.append((reading, phase / (2.0 * math.pi)))
    alone.fit(*alone.seen(*(torch.cat(parts) for parts in zip(*shown, strict=True))))
    torch.testing.assert_close(reader.weights, alone.weights, rtol=1e-3, atol=1e-5)
    # the loss of a step is told before the step
    first = next(trainer(design).steps())
    assert first.loss == pytest.approx(shown[0][1].abs().mean().item(), rel=1e-6)


def test_reader_reads_better_the_more_it_was_shown() -> None:
    training = trainer(with_reader(steps=40, cell=32))
    losses = [report.loss for report in training.steps() if report.stage == "reader"]
    assert sum(losses[-10:]) < 0.5 * losses[0] * 10
    assert sum(losses[-10:]) < sum(losses[1:11])


@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_training_stopped_in_or_after_the_ridge_stage_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    design = with_reader(ema=0.5)
    reports, state = finished(design)
    first = trainer(design)
    for report in first.steps():
        if report.total == stop:
            break
    tensors, position = load_checkpoint(save_checkpoint(tmp_path, first.state(), vars(first.position)))
    second = trainer(design)
    second.restore(tensors, TrainingPosition(**position))
    assert list(second.steps()) == reports[stop:]
    assert same(second.state(), state)


def test_averaged_decoder_has_the_reader_as_it_was_fitted_last() -> None:
    training = trainer(with_reader(ema=0.99))
    for report in training.steps():
        if report.total == 4:
            break
    kept, now = training.averaged().decoder, training.microscope.decoder
    assert torch.equal(kept.reader.weights, now.reader.weights)
    assert torch.count_nonzero(kept.reader.weights) > 0


def test_a_ridge_step_of_two_batches_sees_what_two_steps_see() -> None:
    def fitted(steps: int, accumulate: int) -> tuple[list[float], Tensor]:
        training = trainer(with_reader(steps=steps, accumulate=accumulate))
        losses = []
        for report in training.steps():
            losses.append(report.loss)
            if report.total == steps:
                break
        return losses, training.microscope.decoder.reader.gram

    (losses, together), (_, apart) = fitted(2, 2), fitted(4, 1)
    torch.testing.assert_close(together, apart)
    unread = [draw_batch(step)[1].abs().mean().item() / (2.0 * math.pi) for step in range(2)]
    assert losses[0] == pytest.approx(sum(unread) / 2, rel=1e-6)


def test_two_processes_fit_the_reader_that_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process sees its batches; what the others saw comes by the sum, here made by hand."""
    design = with_reader(steps=1, accumulate=2)
    whole = trainer(design)
    report = next(whole.steps())
    seen: list[list[Tensor]] = []
    monkeypatch.setattr(Workers, "add", lambda self, tensors: seen.append([tensor.clone() for tensor in tensors]))
    losses = []
    for rank in range(2):
        one = Trainer(design, build_microscope(design), draw_batch, torch.device("cpu"), workers=Workers(rank, 2))
        losses.append(next(one.steps()).loss)
    gram = seen[0][0] + seen[2][0]
    torch.testing.assert_close(gram, whole.microscope.decoder.reader.gram)
    assert sum(losses) == pytest.approx(report.loss)


def test_ridge_without_a_reader_is_a_clear_error() -> None:
    design = with_reader()
    plain = design.model_copy(update={"decoder": design.decoder.model_copy(update={"reader": False})})
    with pytest.raises(UsageError, match=r"stage 'reader' fits a linear reader(.|\n)*decoder.reader = true"):
        next(trainer(plain).steps())


@pytest.mark.parametrize("stop", [1, 2, 4, 5, 7])
def test_layerwise_training_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    legs = {"layerwise": True, "joint_steps": 3, "joint_rate": 0.01}
    stage = Stage(train=("optics",), loss="intensity-l1", steps=2, optics_rate=0.1, **legs)
    design = with_training(tiny(), stages={"optics": stage})
    reports, state = finished(design)
    assert len(reports) == 7
    first = trainer(design)
    for report in first.steps():
        if report.total == stop:
            break
    tensors, position = load_checkpoint(save_checkpoint(tmp_path, first.state(), vars(first.position)))
    second = trainer(design)
    second.restore(tensors, TrainingPosition(**position))
    assert list(second.steps()) == reports[stop:]
    assert same(second.state(), state)


# rounding, and weights on masks


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
    design = with_rounding(rounding, variation=0.1)
    reports, state = finished(design)
    first = trainer(design)
    for report in first.steps():
        if report.total == stop:
            break
    tensors, position = load_checkpoint(save_checkpoint(tmp_path, first.state(), vars(first.position)))
    second = trainer(design)
    second.restore(tensors, TrainingPosition(**position))
    assert list(second.steps()) == reports[stop:]
    assert same(second.state(), state)


def test_roundings_differ_and_repeat() -> None:
    states = {rounding: finished(with_rounding(rounding))[1] for rounding in ("straight-through", "soft", "gumbel")}
    key = "microscope.optics.elements.0.phase_rad"
    assert not torch.equal(states["straight-through"][key], states["soft"][key])
    assert not torch.equal(states["soft"][key], states["gumbel"][key])
    assert same(finished(with_rounding("gumbel"))[1], states["gumbel"])


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
    made = training.microscope.optics.phases_rad()
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
    from opticdesign.penalties import narrow_parts, total_variation

    def first_loss(accumulate: int = 1, **changes: object) -> float:
        design = with_rounding("straight-through", **changes)
        fabrication = design.fabrication.model_copy(update={"min_feature": 2.5 * design.optics.pitch})
        design = with_training(design.model_copy(update={"fabrication": fabrication}), accumulate=accumulate)
        return next(trainer(design, lambda step: draw_batch(0)).steps()).loss

    optics = build_microscope(with_rounding("straight-through")).optics
    process = trainer(with_rounding("straight-through"))._process
    phases = process.phase(optics.phases_rad())
    expected = total_variation(phases) if weight == "variation" else narrow_parts(phases, 3)
    for accumulate in (1, 2):
        added = first_loss(accumulate, **{weight: 0.5}) - first_loss(accumulate)
        assert added == pytest.approx(0.5 * expected.item(), rel=1e-4)


def test_weights_on_masks_make_masks_easier_to_make() -> None:
    from opticdesign.penalties import narrow_parts, total_variation

    def masks(**changes: object) -> Tensor:
        design = with_rounding("straight-through", steps=60, optics_rate=0.1, **changes)
        fabrication = design.fabrication.model_copy(update={"min_feature": 2.0 * design.optics.pitch})
        stages = {"optics": design.training.stages["optics"]}
        training = trainer(with_training(design.model_copy(update={"fabrication": fabrication}), stages=stages))
        list(training.steps())
        return training._process.phase(training.microscope.optics.phases_rad())

    plain = masks()
    assert total_variation(masks(variation=1.0)) < 0.7 * total_variation(plain)
    assert narrow_parts(masks(feature=10.0), 2) < 0.7 * narrow_parts(plain, 2)
