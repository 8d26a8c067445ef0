from __future__ import annotations

from pathlib import Path

import pytest

from opticdesign.design import Design
from tests.support.tiny_training import check_continuing, draw_batch, finished, tiny, trainer, with_training


def with_gan(**changes: object) -> Design:
    """A last stage of the generative recipe with a small discriminator, and an averaged decoder."""
    design = tiny()
    stages = dict(design.training.stages)
    stages["joint"] = stages["joint"].model_copy(update={"loss": "gan", "discriminator_rate": 1e-3})
    return with_training(design, stages=stages, discriminator_features=4, ema=0.9, **changes)


@pytest.mark.parametrize("stop", [4, 7, 10, 12, 15])
def test_stopped_generative_training_continues_bit_for_bit(tmp_path: Path, stop: int) -> None:
    state, _ = finished(with_gan()).after[stop - 1]
    assert any(key.startswith("discriminator.") for key in state) == (stop > 10)
    check_continuing(with_gan(), stop, tmp_path)


def test_discriminator_learns_to_tell_images_from_targets() -> None:
    design = with_gan()
    stages = dict(design.training.stages)
    stages["joint"] = stages["joint"].model_copy(update={"optics_rate": 1e-30, "decoder_rate": 1e-30, "steps": 40})
    training = trainer(with_training(design, stages=stages), lambda step: draw_batch(0))
    losses = [report.loss for report in training.steps() if report.stage == "joint"]
    # the image stands still, so that only a sharper discriminator makes its loss grow
    assert losses[-1] > losses[5]
