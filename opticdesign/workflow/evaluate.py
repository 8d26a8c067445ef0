"""A trained run beside the floors: what a constant, clear or random optics with an equal decoder reaches."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from opticdesign.data import PhaseField, Split
from opticdesign.data.source import load_split
from opticdesign.design import Design
from opticdesign.evaluation import METRICS, FullField, Score, image_scores, reconstruct, reconstruct_field, summarise
from opticdesign.fabrication import FabricationProcess
from opticdesign.figures import draw_field, draw_reconstructions
from opticdesign.metrics import ssim_map
from opticdesign.run import Run
from opticdesign.storage import write_json, write_text
from opticdesign.system import Microscope, build_microscope, build_process
from opticdesign.training import Trainer
from opticdesign.workflow.optimise import TEST_PATCHES, batch_source, load_trained, patch_set

__all__ = ["Evaluation", "Row", "evaluate"]


@dataclass(frozen=True)
class Row:
    """One line of the table: scores on patches, each image one sample, and on whole fields."""

    name: str
    patches: dict[str, Score]
    fields: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """All rows, the design first, and what they were measured on."""

    rows: tuple[Row, ...]
    patches: int
    fields: int
    quick: bool


@dataclass(frozen=True)
class _TestSet:
    fields: Tensor
    targets: Tensor
    whole: list[PhaseField]


def evaluate(run: Run, device: torch.device, on_step: Callable[[str, int, int], None]) -> Evaluation:
    """Score a run and its floors on the test data, and write table and figures to RUN/evaluation.

    The floors' decoders see the same batches, noise, objectives and rates for as many steps as the design's decoder.

    Args:
        run: a complete run.
        device: where to compute.
        on_step: hears the row's name, the step and the number of steps while a floor is trained.
    """
    design, process = run.design, build_process(run.design)
    split = load_split(design)
    microscope, _ = load_trained(run, device)
    test = _TestSet(*patch_set(split.test, design.optics.shape, TEST_PATCHES), split.test)
    rows = [_score("this design", microscope, test, process, design), _constant_row(split, test, design)]
    for name, floor_design in _floor_optics(design):
        floor = _trained_floor(floor_design, split, device, partial(on_step, name))
        rows.append(_score(name, floor, test, process, design))
    result = Evaluation(tuple(rows), len(test.targets), len(test.whole), run.quick)
    _write(run, result)
    _draw(run, microscope, test, process)
    return result


def _floor_optics(design: Design) -> Iterator[tuple[str, Design]]:
    """Name and design of every optics that is not learned: flat, random, and random in cells as the design's are."""
    optics, training = design.optics, design.training

    def variant(start: str, cell: int | None, seed: int) -> Design:
        update = {
            "optics": optics.model_copy(update={"start": start, "cell": cell}),
            "training": training.model_copy(update={"seed": seed}),
        }
        return design.model_copy(update=update)

    yield "clear aperture + decoder", variant("clear", None, training.seed)
    for index in range(design.evaluation.random_masks):
        yield f"random masks {index + 1} + decoder", variant("random", None, training.seed + index)
        if optics.cell is not None:
            yield f"random cells {index + 1} + decoder", variant("random", optics.cell, training.seed + index)


def _trained_floor(
    floor: Design, split: Split, device: torch.device, on_step: Callable[[int, int], None]
) -> Microscope:
    """A microscope with fixed masks whose decoder is trained as the design's was."""
    microscope = build_microscope(floor)
    trainer = Trainer(floor, microscope, batch_source(floor, split), device, frozen_optics=True)
    for report in trainer.steps():
        on_step(report.total, trainer.total_steps)
    return microscope


def _score(name: str, microscope: Microscope, test: _TestSet, process: FabricationProcess, design: Design) -> Row:
    seed = design.training.seed
    _, images = reconstruct(microscope, test.fields, process, seed)
    whole = [reconstruct_field(microscope, field, process, design.evaluation.overlap, seed) for field in test.whole]
    return _row(name, images, test, whole, seed)


def _constant_row(split: Split, test: _TestSet, design: Design) -> Row:
    """The image that is everywhere the mean phase of the training fields."""
    total = sum(float(field.phase_rad[field.valid].sum(dtype="float64")) for field in split.train)
    mean = total / sum(int(field.valid.sum()) for field in split.train) / (2.0 * math.pi)
    whole = []
    for field in test.whole:
        target = torch.from_numpy(field.phase_rad) / (2.0 * math.pi)
        whole.append(FullField(field.name, torch.full_like(target, mean), target, torch.from_numpy(field.valid)))
    return _row("constant image", torch.full_like(test.targets, mean), test, whole, design.training.seed)


def _row(name: str, images: Tensor, test: _TestSet, whole: list[FullField], seed: int) -> Row:
    scored = [image_scores(f.image[None], f.target[None], f.valid[None].to(f.image)) for f in whole]
    fields = {metric: sum(float(scores[metric]) for scores in scored) / len(scored) for metric in METRICS}
    return Row(name, summarise(image_scores(images, test.targets), seed), fields)


def _write(run: Run, result: Evaluation) -> None:
    folder = run.folder / "evaluation"
    write_json(folder / "evaluation.json", asdict(result))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spread = [f"patch_{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
    writer.writerow(["name", *spread, *(f"field_{metric}" for metric in METRICS), "quick"])
    for row in result.rows:
        cells: list[Any] = [row.name]
        for metric in METRICS:
            score = row.patches[metric]
            cells += [score.mean, score.low, score.high]
        writer.writerow([*cells, *(row.fields[metric] for metric in METRICS), result.quick])
    write_text(folder / "evaluation.csv", text.getvalue())


def _draw(run: Run, microscope: Microscope, test: _TestSet, process: FabricationProcess) -> None:
    title = f"{run.design.name}{', quick (smoke budget)' if run.quick else ''}: test"
    fields, targets = test.fields[:3], test.targets[:3]
    seed = run.design.training.seed
    readings, images = reconstruct(microscope, fields, process, seed)
    captions = [f"PSNR {value:.1f} dB" for value in image_scores(images, targets)["psnr_db"].tolist()]
    folder = run.folder / "evaluation"
    draw_reconstructions(folder / "patches.png", targets, readings, images, captions, f"{title} patches")
    whole = reconstruct_field(microscope, test.whole[0], process, run.design.evaluation.overlap, seed)
    similarity = ssim_map(whole.image[None], whole.target[None])[0]
    draw_field(folder / "field.png", whole.target, whole.image, similarity, whole.valid, f"{title} field {whole.name}")
