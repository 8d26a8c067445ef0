"""From a design to a trained run folder."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from opticdesign.data import Split
from opticdesign.data.source import LoadedData, load_data
from opticdesign.design import Design, SyntheticData
from opticdesign.errors import RunError
from opticdesign.figures import draw_history, draw_masks, draw_panel
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.family import as_learned
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.learning.distributed import ALONE, Workers
from opticdesign.learning.evaluation import image_scores
from opticdesign.learning.training import StepReport, Trainer, TrainingPosition
from opticdesign.runs.data_report import report_of
from opticdesign.runs.patches import VALIDATION_PATCHES, batch_source, patch_set
from opticdesign.runs.planning import VALIDATIONS_PER_STAGE, quick_design
from opticdesign.runs.run_data import check_data, data_facts, refuse_other_data
from opticdesign.runs.run_folder import CHECKPOINT_SECONDS, Run, create_run, environment, resumable_run
from opticdesign.runs.start import take_over_run

__all__ = ["Stopped", "assist", "finish_run", "optimise", "rehearse", "train_run"]

_SHOWN = 3  # patches in the picture of a run
_LOGS_PER_STAGE = 40


class Stopped(Exception):  # noqa: N818 (not an error: the user asked for it)
    """Training was stopped safely before its end; the run folder can be resumed."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"stopped; {run.folder} can be resumed")
        self.run = run


def rehearse(design: Design) -> None:
    """Do all that `optimise` does before its first step, and the cut of its validation data; writes nothing.

    Raises:
        DataError, UsageError: what `optimise` would raise.
    """
    if isinstance(design.data, SyntheticData):  # its fields differ by their seeds alone: one for each part of the split
        design = design.model_copy(update={"data": design.data.model_copy(update={"fields": 3})})
    design, _, loaded, _ = _prepare(design, Options(torch.device("cpu")))
    patch_set(loaded.split.val, design, VALIDATION_PATCHES)


@dataclass(frozen=True)
class Options:
    """Where and how a run is made.

    Args:
        device: where to compute.
        output: the run folder exactly; left out, runs/<name>/<time>-<hash>.
        parent: folder of all runs.
        quick: a smoke budget, marked in every result.
        resume: continue the run instead of starting one.
        start_from: folder of a complete run whose masks, and whose decoder if it is of the same kind and size, this one
            starts with.
        workers: the processes that train together; the first of them writes.
    """

    device: torch.device
    output: Path | None = None
    parent: Path = Path("runs")
    quick: bool = False
    resume: bool = False
    start_from: Path | None = None
    workers: Workers = ALONE


@dataclass(frozen=True)
class Progress:
    """What a listener hears after each step: the step, the whole, and the newest validation."""

    report: StepReport
    total_steps: int
    seconds_left: float
    validation: dict[str, float]


def optimise(
    design: Design,
    options: Options,
    on_progress: Callable[[Progress], None],
    stop_asked: Callable[[], bool],
    on_news: Callable[[str], None] = lambda _: None,
) -> Run:
    """Train a design, stage by stage, in a run folder.

    Args:
        design: what is trained.
        options: where and how.
        on_progress: hears of each step.
        stop_asked: whether the user asked to stop.
        on_news: hears how the data was understood, a line at a time.

    Raises:
        Stopped: `stop_asked` became true; a checkpoint was written first.
        DivergenceError, DataError, RunError, StorageError: as their names say.
    """
    design = quick_design(design) if options.quick else design
    if options.resume:
        run = resumable_run(design, options.output, options.parent)
        refuse_other_data(str(run.folder), design, run.info.get("data"))
        for note in check_data(run)[0]:
            on_news(note)
    files = data_facts(design)
    design, trainer, loaded, facts = _prepare(design, options)
    split, report = loaded.split, report_of(design, loaded)
    if not options.resume:
        info: dict[str, Any] = {"quick": options.quick, "status": "running", "environment": facts, "data": files}
        run = create_run(design, options.output, options.parent, **info)
    with run.locked():
        if report is not None and not options.resume:
            report.keep(run.folder, split)
            for line in report.lines():
                on_news(line)
        if options.resume:
            _restore(run, trainer, facts.get("start_from"))
            run.rewind(trainer.position.total)
            run.update(status="running", environment={**run.info["environment"], **facts})
        train_run(run, trainer, split, options.workers, on_progress, stop_asked)
        finish_run(run, trainer.averaged(), split)
    return run


def assist(design: Design, options: Options, stop_asked: Callable[[], bool]) -> None:
    """Do this process's share of the steps of `optimise`, which another process leads; writes nothing."""
    design, trainer, _, facts = _prepare(design, options)
    if options.resume:
        run = resumable_run(design, options.output, options.parent)
        _restore(run, trainer, facts.get("start_from"))
    for _ in trainer.steps():
        if options.workers.total(stop_asked(), options.device):
            return


def _prepare(design: Design, options: Options) -> tuple[Design, Trainer, LoadedData, dict[str, Any]]:
    """The design at its budget, its trainer, its data, and what its result depends on."""
    if options.quick:
        design = quick_design(design)
    loaded = load_data(design)
    microscope = build_microscope(design)
    facts = environment(str(options.device), torch.get_num_threads(), options.workers.count)
    if options.start_from is not None:
        facts["start_from"] = take_over_run(options.start_from, design, microscope)
    draw = batch_source(design, loaded.split)
    trainer = Trainer(design, microscope, draw, options.device, workers=options.workers)
    if trainer.perceptual is not None:
        weights = getattr(trainer.perceptual, "sha256", None)
        facts["perceptual"] = {"name": trainer.perceptual.name, "weights_sha256": weights}
    return design, trainer, loaded, facts


def _restore(run: Run, trainer: Trainer, start: dict[str, Any] | None) -> None:
    """Continue a run from its newest checkpoint; `start` says what `--from` has given the trainer.

    Raises:
        RunError: the run started from another run than that, or there is no checkpoint and it started from a run.
    """
    began = run.info["environment"].get("start_from")
    if start is not None and (began is None or began["checkpoint_sha256"] != start["checkpoint_sha256"]):
        raise RunError(
            f"{run.folder}: did not start from {start['run']} as it is now",
            expected=f"--from with {began['run']}, or none" if began else "no --from",
            remedy="remove --from, or start a new run",
        )
    if any(run.checkpoints.glob("step-*")):
        tensors, position, _ = run.load()
        trainer.restore(tensors, TrainingPosition(**position))
    elif began is not None and start is None:  # nothing learned here yet: from the start again
        raise RunError(
            f"{run.folder}: stopped before its first checkpoint, and it started from another run",
            expected="that run",
            remedy=f"add --from with the folder of {began['run']}",
        )


def train_run(
    run: Run,
    trainer: Trainer,
    split: Split,
    workers: Workers,
    on_progress: Callable[[Progress], None],
    stop_asked: Callable[[], bool],
) -> None:
    """Train from where a trainer stands to the end of its stages, with records and checkpoints in a run folder.

    Raises:
        Stopped: `stop_asked` became true; a checkpoint was written first.
    """
    design, process = run.design, trainer.microscope.process
    patches = patch_set(split.val, design, VALIDATION_PATCHES)
    begun = saved = time.monotonic()
    pace: deque[float] = deque(maxlen=20)  # seconds of the last steps; their median leaves out saving and validation
    validation: dict[str, float] = {}
    for report in trainer.steps():
        record: dict[str, Any] = {
            "stage": report.stage,
            "step": report.step,
            "total": report.total,
            "loss": report.loss,
        }
        last = report.step == report.steps
        due = last or report.step % max(1, report.steps // VALIDATIONS_PER_STAGE) == 0
        if due and "decoder" in report.trained:
            _, images = reconstruct(trainer.averaged(), patches.fields, process, design.training.seed)
            scores = image_scores(images, patches.targets)
            validation = {name: float(values.mean()) for name, values in scores.items()}
            record |= validation
        if last or "psnr_db" in record or report.step % max(1, report.steps // _LOGS_PER_STAGE) == 0:
            run.log(record)
        took, begun = time.monotonic() - begun, time.monotonic()
        pace.append(took)
        left = statistics.median(pace) * (trainer.total_steps - report.total)
        on_progress(Progress(report, trainer.total_steps, left, validation))
        stop = workers.total(stop_asked(), trainer.device) > 0
        if stop or last or time.monotonic() - saved > CHECKPOINT_SECONDS:
            run.save(trainer.state(), vars(trainer.position))
            saved = time.monotonic()
        if stop and report.total < trainer.total_steps:
            run.update(status="stopped")
            raise Stopped(run)


def finish_run(run: Run, microscope: Microscope, split: Split) -> None:
    """Figures, the table of metrics, what else than masks was learned, and the mark that the run is complete."""
    title = f"{run.design.name}{', quick (smoke budget)' if run.quick else ''}"
    process = microscope.process
    run.write_csv()
    draw_history(run.folder / "figures" / "training.png", run.records(), title)
    if microscope.optics.mask_count:
        made = process.phase_of_level(process.level_of_phase(microscope.optics.detached_phases().cpu()))
        draw_masks(run.folder / "figures" / "masks.png", made, f"{title}: masks as fabricated, {process.levels} levels")
    shown = patch_set(split.val, run.design, VALIDATION_PATCHES).first(_SHOWN)
    readings, images = reconstruct(microscope, shown.fields, process, run.design.training.seed)
    path, pitch_m = run.folder / "figures" / "validation.png", run.design.optics.sample_pitch
    draw_panel(path, shown.objects, shown.targets, readings, images, pitch_m, f"{title}: validation patches")
    learned = as_learned(run.design, microscope.optics).optics.model_dump(mode="json", exclude_none=True)
    designed = run.design.optics.model_dump(mode="json")
    found = {key: value for key, value in learned.items() if value != designed[key]}
    run.finish(**({"learned": found} if found else {}))
