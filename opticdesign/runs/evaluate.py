"""A trained run beside the floors: what a constant, clear or random optics with an equal decoder reaches."""

from __future__ import annotations

import csv
import io
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from opticdesign.data import PatchSet, Split
from opticdesign.design import Design
from opticdesign.errors import StudyStopped
from opticdesign.figures import draw_comparison, draw_field, draw_panel, draw_profiles
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.learning.evaluation import METRICS, Score, interval
from opticdesign.learning.metrics import ssim_map
from opticdesign.learning.training import Trainer, TrainingPosition
from opticdesign.runs.floors import floors_of
from opticdesign.runs.patches import TEST_PATCHES, batch_source, patch_set
from opticdesign.runs.run_data import run_data
from opticdesign.runs.run_folder import CHECKPOINT_SECONDS, Run
from opticdesign.runs.score import ImageScores, Judged, judge, score_constant
from opticdesign.runs.start import load_trained
from opticdesign.storage import json_sha256, newest_checkpoint, save_checkpoint, try_folder, write_json, write_text

__all__ = ["EvaluatedRun", "Row", "evaluate", "fit_power"]

_SHOWN = 3  # patches that figures show
_PACKAGES = ("opticdesign", "torch", "numpy")


@dataclass(frozen=True)
class Row:
    """One line of the table: scores on patches, each image one sample, and on whole fields."""

    name: str
    patches: dict[str, Score]
    fields: dict[str, float]


@dataclass(frozen=True)
class EvaluatedRun:
    """All rows, the design first, and what they were measured on.

    Args:
        rows: the rows.
        patches: number of test patches.
        fields: number of test fields.
        quick: whether the run used the smoke budget.
        start: name of the run that this one's decoder started from; those of the floors started untrained.
        data_changed: whether the data files are others than the run was trained on, as was asked for.
        notes: what is to be said about them.
    """

    rows: tuple[Row, ...]
    patches: int
    fields: int
    quick: bool
    start: str | None = None
    data_changed: bool = False
    notes: tuple[str, ...] = ()


def evaluate(
    run: Run,
    device: torch.device,
    on_step: Callable[[str, int, int], None],
    stop_asked: Callable[[], bool],
    data_changed: bool = False,
) -> EvaluatedRun:
    """Score a run and its floors on the test data, and write table and figures to RUN/evaluation.

    The floors' decoders see the same batches, noise, objectives and rates for as many steps as the design's decoder
    does in this run. Without a decoder, the scale of a floor's image is the best for the training data. What they have
    learned is kept in RUN/evaluation/floors, from where the next evaluation goes on.

    Args:
        run: a complete run.
        device: where to compute.
        on_step: hears the row's name, the step and the number of steps while a floor is trained.
        stop_asked: whether the user asked to stop; the floor being trained is kept as far as it is.
        data_changed: whether other data files are taken than the run was trained on.

    Raises:
        StudyStopped: `stop_asked` became true; the same call continues.
        UsageError: the run is not complete.
        RunError: another process works in the run folder, or its data files are others.
        DataError, DivergenceError, StorageError: as their names say.
    """
    with run.locked():
        try_folder(run.folder / "evaluation")
        return _evaluate(run, device, on_step, stop_asked, data_changed)


def _evaluate(
    run: Run,
    device: torch.device,
    on_step: Callable[[str, int, int], None],
    stop_asked: Callable[[], bool],
    data_changed: bool,
) -> EvaluatedRun:
    design, seed = run.design, run.design.training.seed
    microscope, _ = load_trained(run, device)
    data = run_data(run, data_changed)
    split = data.split
    test, seen = patch_set(split.test, design, TEST_PATCHES), _data_sha256(split)
    judged = {"this design": judge(microscope, split.test, design)}
    for name, floor_design in floors_of(design):
        kept = _KeptFloor(run.folder / "evaluation" / "floors" / re.sub(r"\W+", "-", name), floor_design, seen)
        floor = _trained_floor(kept, split, device, partial(on_step, name), stop_asked)
        judged[name] = judge(floor, split.test, floor_design)
    rows = [_row(name, found.scores, seed) for name, found in judged.items()]
    rows.insert(1, _row("constant image", score_constant(split, design), seed))
    start = run.info["environment"].get("start_from", {"parts": []})
    source = start["run"] if "decoder" in start["parts"] and microscope.decoder is not None else None
    counts = len(test.targets), len(split.test)
    result = EvaluatedRun(tuple(rows), *counts, run.quick, source, data.changed, data.notes)
    _write(run, result)
    _draw(run, microscope, test.first(_SHOWN), judged)
    return result


@dataclass(frozen=True)
class _KeptFloor:
    """What the decoder of a floor has learned so far, as a checkpoint.

    Args:
        folder: where it is kept.
        design: the floor, its seed among it.
        data: SHA-256 of what it is trained on.
    """

    folder: Path
    design: Design
    data: str

    def _key(self, trainer: Trainer) -> str:
        """Hash of all that it depends on; the run's masks and weights are not among it."""
        versions = {name: metadata.version(name) for name in _PACKAGES}
        weights = getattr(trainer.perceptual, "sha256", None)
        return json_sha256([self.design.digest(), self.data, weights, versions])

    def restore(self, trainer: Trainer) -> None:
        """Continue from what is kept, unless it is of something else or cannot be read."""
        found = newest_checkpoint(self.folder)
        if found is not None and found.position.get("key") == self._key(trainer):
            stage, step, total = (found.position[name] for name in ("stage", "step", "total"))
            trainer.restore(found.tensors, TrainingPosition(stage, step, total))
        elif self.folder.exists():
            shutil.rmtree(self.folder)  # steps are counted anew, and the newest checkpoint is the one of most steps

    def save(self, trainer: Trainer) -> None:
        """Keep what is learned by now."""
        save_checkpoint(self.folder, trainer.state(), {**vars(trainer.position), "key": self._key(trainer)})


def _data_sha256(split: Split) -> str:
    """Hash of the fields that decoders are trained on."""
    parts = [(field.amplitude, field.phase_rad, field.valid) for field in split.train]
    return json_sha256([[sha256(part.tobytes()).hexdigest() for part in field] for field in parts])


def _trained_floor(
    kept: _KeptFloor,
    split: Split,
    device: torch.device,
    on_step: Callable[[int, int], None],
    stop_asked: Callable[[], bool],
) -> Microscope:
    """A microscope with fixed masks whose decoder is trained as the design's was, from where it was left."""
    floor = kept.design
    trainer = Trainer(floor, build_microscope(floor), batch_source(floor, split), device)
    kept.restore(trainer)
    begun, saved = trainer.position, time.monotonic()
    for report in trainer.steps():
        on_step(report.total, trainer.total_steps)
        stop = stop_asked() and report.total < trainer.total_steps
        if stop or time.monotonic() - saved > CHECKPOINT_SECONDS:
            kept.save(trainer)
            saved = time.monotonic()
        if stop:
            raise StudyStopped(f"stopped safely in {kept.folder.parent}")
    if trainer.position != begun:
        kept.save(trainer)  # by now without moments of the optimiser
    if stop_asked():
        raise StudyStopped(f"stopped safely in {kept.folder.parent}")
    if trainer.microscope.decoder is None:
        fit_power(trainer.microscope, floor, split)
    return trainer.averaged()


def fit_power(microscope: Microscope, design: Design, split: Split) -> None:
    """Give a microscope without a decoder the brightness whose image P²I of the training data is nearest to φ/2π."""
    patches = patch_set(split.train, design, TEST_PATCHES)
    readings, _ = reconstruct(microscope, patches.fields, microscope.process, design.training.seed)
    scale = (readings * patches.targets).sum() / readings.square().sum()
    with torch.no_grad():
        microscope.brightness.powers.fill_(scale.clamp(min=0.0).sqrt())


def _row(name: str, scores: ImageScores, seed: int) -> Row:
    fields = {metric: sum(values) / len(values) for metric, values in scores.fields.items()}
    return Row(name, {metric: interval(values, seed) for metric, values in scores.patches.items()}, fields)


def _write(run: Run, result: EvaluatedRun) -> None:
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


def _draw(run: Run, microscope: Microscope, shown: PatchSet, judged: dict[str, Judged]) -> None:
    title = f"{run.design.name}{', quick (smoke budget)' if run.quick else ''}: test"
    folder, pitch_m = run.folder / "evaluation", run.design.optics.sample_pitch
    readings, images = reconstruct(microscope, shown.fields, microscope.process, run.design.training.seed)
    draw_panel(folder / "patches.png", shown.objects, shown.targets, readings, images, pitch_m, f"{title} patches")
    systems = {name: found.images[: len(images)] for name, found in judged.items()}
    draw_comparison(folder / "comparison.png", shown.targets, systems, pitch_m, f"{title} patches")
    lines = {name: images[0] for name, images in systems.items()}
    draw_profiles(folder / "profiles.png", shown.targets[0], lines, pitch_m, f"{title} patch 1")
    whole = judged["this design"].whole[0]
    similarity = ssim_map(whole.image[None], whole.target[None])[0]
    caption = f"{title} field {whole.name}"
    draw_field(folder / "field.png", whole.target, whole.image, similarity, whole.valid, caption, pitch_m)
