from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opticdesign.decoders import LinearReader
from opticdesign.design import Design, Stage
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_microscope, camera_period
from opticdesign.learning.distributed import Workers
from opticdesign.learning.training import Trainer
from opticdesign.randomness import torch_stream
from tests.support.tiny_training import check_continuing, draw_batch, finished, stopped, tiny, trainer, with_training


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
    start, (end, _) = trainer(with_reader()).state(), finished(with_reader()).after[3]
    report = finished(with_reader()).reports[3]
    moved = {key for key, value in end.items() if not torch.equal(value, start[key])}
    assert moved == {f"microscope.decoder.reader.{name}" for name in ("weights", "gram", "moment")}
    assert report.trained == ("decoder",)
    assert report.step == report.steps == 4


def test_ridge_stage_finds_what_a_fit_to_all_its_batches_finds() -> None:
    design = with_reader()
    reader = stopped(design, 4).microscope.decoder.reader
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
    check_continuing(with_reader(ema=0.5), stop, tmp_path)


def test_averaged_decoder_has_the_reader_as_it_was_fitted_last() -> None:
    training = stopped(with_reader(ema=0.99), 4)
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
