"""A tiny design of three stages, its trainer, and what its training ends with, shared by the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from opticdesign.design import Design, Stage, load_design
from opticdesign.instrument.building import build_microscope
from opticdesign.learning.training import DrawBatch, StepReport, Trainer, TrainingPosition
from opticdesign.storage import load_checkpoint, save_checkpoint
from tests.support.design_texts import D2NN5

STEPS = (4, 6, 5)


def tiny(
    seed: int = 0, steps: tuple[int, int, int] = STEPS, loss: str = "l1+ssim", cell: int = 32, **decoder: object
) -> Design:
    """Three stages on 32 × 32 neurons behind a field stop; `loss` is the last one's, the rest changes the decoder's."""
    sizes = ("optics.layers=2", "optics.neurons=32", f"optics.cell={cell}", "detector.binning=4")
    alone = ("optics.surroundings=field-stop",)
    rest = ("decoder.channels=8", "evaluation.overlap=8", "training.batch=2", f"training.seed={seed}")
    design = load_design(D2NN5, [*sizes, *alone, *rest])
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


class Finished(NamedTuple):
    """What a training reported, its state and position after each step, and its state at the end."""

    reports: list[StepReport]
    after: list[tuple[dict[str, Tensor], TrainingPosition]]
    state: dict[str, Tensor]


_FINISHED: dict[str, Finished] = {}


def finished(design: Design) -> Finished:
    """A training from beginning to end; one of an equal design is remembered."""
    if (key := design.digest()) not in _FINISHED:
        training = trainer(design)
        reports, after = [], []
        for report in training.steps():
            reports.append(report)
            after.append((training.state(), training.position))
        _FINISHED[key] = Finished(reports, after, training.state())
    return _FINISHED[key]


def stopped(design: Design, steps: int) -> Trainer:
    """A training that was stopped after some steps."""
    training = trainer(design)
    for report in training.steps():
        if report.total == steps:
            break
    return training


def check_continuing(design: Design, stop: int, folder: Path) -> None:
    """Training that continues from a checkpoint after some steps reports and ends as the one that was not stopped."""
    whole = finished(design)
    state, position = whole.after[stop - 1]
    tensors, where, _ = load_checkpoint(save_checkpoint(folder, state, vars(position)))
    second = trainer(design)
    second.restore(tensors, TrainingPosition(**where))
    assert list(second.steps()) == whole.reports[stop:]
    assert same(second.state(), whole.state)
