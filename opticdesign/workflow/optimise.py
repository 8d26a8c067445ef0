"""From a design to a trained run folder."""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from opticdesign.data import Split
from opticdesign.data.source import LoadedData, load_data, load_split
from opticdesign.design import Design, SyntheticData
from opticdesign.distributed import ALONE, Workers
from opticdesign.errors import RunError, UsageError
from opticdesign.evaluation import image_scores
from opticdesign.figures import draw_history, draw_masks, draw_panel
from opticdesign.microscope import Microscope
from opticdesign.reconstruction import reconstruct
from opticdesign.run import Run, create_run, environment, open_run, resumable_run, resume_command
from opticdesign.schedule import legs_of
from opticdesign.system import build_microscope, build_process
from opticdesign.training import StepReport, Trainer, TrainingPosition, load_weights
from opticdesign.workflow.data_report import report_of
from opticdesign.workflow.patches import batch_source, patch_set
from opticdesign.workflow.run_data import check_data, data_facts, refuse_other_data
from opticdesign.workflow.start import take_over

__all__ = [
    "Plan",
    "Stopped",
    "assist",
    "choose_device",
    "finish_run",
    "load_trained",
    "optimise",
    "plan_optimisation",
    "quick_design",
    "rehearse",
    "train_run",
]

_VALIDATION_PATCHES = 8
_SHOWN = 3  # patches in the picture of a run
_CHECKPOINT_SECONDS = 60.0
_LOGS_PER_STAGE = 40
_VALIDATIONS_PER_STAGE = 4


class Stopped(Exception):  # noqa: N818 (not an error: the user asked for it)
    """Training was stopped safely before its end; the run folder can be resumed."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"stopped; {run.folder} can be resumed")
        self.run = run


@dataclass(frozen=True)
class Plan:
    """What an optimisation will take, from two timed steps of each stage.

    Args:
        seconds: expected time of training and validation.
        peak_bytes: most memory held while the steps were timed.
        disk_bytes: expected size of the run folder.
        files: what the run folder will hold.
        parameters: trainable numbers by part.
    """

    seconds: float
    peak_bytes: int
    disk_bytes: int
    files: tuple[str, ...]
    parameters: dict[str, int]


def choose_device(name: str) -> torch.device:
    """The device of a name, "auto", "cpu" or "cuda"; auto takes CUDA when it is there.

    Raises:
        UsageError: another name, or CUDA is asked for and not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}", expected="auto, cpu or cuda", remedy="correct --device")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError(
            "no CUDA device can be used here",
            expected="an NVIDIA GPU and a CUDA build of torch",
            remedy="use --device cpu, or install a CUDA build of torch",
        )
    if available and name != "cpu":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # each process of torchrun has its own
    return torch.device("cpu")


def quick_design(design: Design) -> Design:
    """The same design at a smoke budget: few steps of two patches, to see the path work, not to get results."""
    return _with_budget(design, steps=12, batch=2)


def _with_budget(design: Design, steps: int, batch: int) -> Design:
    """The design with at most that many steps a leg of each stage and patches a step."""
    training = design.training
    stages = {}
    for name, stage in training.stages.items():
        joint = None if stage.joint_steps is None else min(stage.joint_steps, steps)
        stages[name] = stage.model_copy(update={"steps": min(stage.steps, steps), "joint_steps": joint})
    update = {"stages": stages, "batch": min(training.batch, batch)}
    return design.model_copy(update={"training": training.model_copy(update=update)})


def rehearse(design: Design) -> None:
    """Do all that `optimise` does before its first step, and the cut of its validation data; writes nothing.

    Raises:
        DataError, UsageError: what `optimise` would raise.
    """
    if isinstance(design.data, SyntheticData):  # its fields differ by their seeds alone: one for each part of the split
        design = design.model_copy(update={"data": design.data.model_copy(update={"fields": 3})})
    design, _, loaded, _ = _prepare(design, Options(torch.device("cpu")))
    patch_set(loaded.split.val, design, _VALIDATION_PATCHES)


def plan_optimisation(design: Design, device: torch.device, start_from: Path | None = None) -> Plan:
    """Time two steps of each stage and add up; writes nothing.

    Args:
        design: what would be trained.
        device: where to compute.
        start_from: folder of the run that it would start with.

    Raises:
        UsageError: that run is not complete, or its optics do not fit.
    """
    import resource

    split = load_split(design)
    microscope = build_microscope(design)
    if start_from is not None:
        _start_from(start_from, design, microscope)
    short = _with_budget(design, steps=2, batch=design.training.batch)
    took: dict[str, float] = {}
    start = time.perf_counter()
    for report in Trainer(short, microscope, batch_source(design, split), device).steps():
        took[report.stage] = time.perf_counter() - start  # the second step overwrites the first, which warms up
        start = time.perf_counter()
    legs = legs_of(design)
    fields = patch_set(split.val, design, _VALIDATION_PATCHES).fields
    start = time.perf_counter()
    reconstruct(microscope, fields, build_process(design), design.training.seed)
    validation = (time.perf_counter() - start) * _VALIDATIONS_PER_STAGE * len(took)
    parts: dict[str, torch.nn.Module | None] = {"optics": microscope.optics, "decoder": microscope.decoder}
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items() if part is not None}
    on_gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Plan(
        seconds=validation + sum(took[leg.name] * leg.stage.steps for leg in legs),
        peak_bytes=peak,
        # two checkpoints of float32 weights and two moments each, and some figures
        disk_bytes=2 * 3 * 4 * sum(parameters.values()) + 2_000_000,
        files=("design.toml", "run.json", "metrics.jsonl", "metrics.csv", "checkpoints/", "figures/"),
        parameters=parameters,
    )


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
        facts["start_from"] = _start_from(options.start_from, design, microscope)
    draw = batch_source(design, loaded.split)
    trainer = Trainer(design, microscope, draw, options.device, workers=options.workers)
    if trainer.perceptual is not None:
        weights = getattr(trainer.perceptual, "sha256", None)
        facts["perceptual"] = {"name": trainer.perceptual.name, "weights_sha256": weights}
    return design, trainer, loaded, facts


def _start_from(folder: Path, design: Design, microscope: Microscope) -> dict[str, Any]:
    """Give a microscope what another run has learned; says from which run and checkpoint, and which parts.

    Raises:
        UsageError: the run is not complete, or its optics do not fit.
    """
    source = open_run(folder)
    trained, digest = load_trained(source, torch.device("cpu"))
    parts = take_over(microscope, design, trained, source.design, str(source.folder))
    return {"run": source.folder.name, "checkpoint_sha256": digest, "parts": parts}


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
    design, process = run.design, build_process(run.design)
    patches = patch_set(split.val, design, _VALIDATION_PATCHES)
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
        due = last or report.step % max(1, report.steps // _VALIDATIONS_PER_STAGE) == 0
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
        if stop or last or time.monotonic() - saved > _CHECKPOINT_SECONDS:
            run.save(trainer.state(), vars(trainer.position))
            saved = time.monotonic()
        if stop and report.total < trainer.total_steps:
            run.update(status="stopped")
            raise Stopped(run)


def finish_run(run: Run, microscope: Microscope, split: Split) -> None:
    """Figures, the table of metrics, and the mark that the run is complete."""
    title = f"{run.design.name}{', quick (smoke budget)' if run.quick else ''}"
    process = build_process(run.design)
    run.write_csv()
    draw_history(run.folder / "figures" / "training.png", run.records(), title)
    made = process.phase_of_level(process.level_of_phase(microscope.optics.phases_rad().cpu()))
    draw_masks(run.folder / "figures" / "masks.png", made, f"{title}: masks as fabricated, {process.levels} levels")
    shown = patch_set(split.val, run.design, _VALIDATION_PATCHES).first(_SHOWN)
    readings, images = reconstruct(microscope, shown.fields, process, run.design.training.seed)
    path, pitch_m = run.folder / "figures" / "validation.png", run.design.optics.sample_pitch
    draw_panel(path, shown.objects, shown.targets, readings, images, pitch_m, f"{title}: validation patches")
    run.update(status="complete")


def load_trained(run: Run, device: torch.device) -> tuple[Microscope, str]:
    """The trained microscope of a complete run, and the SHA-256 of its checkpoint.

    Raises:
        UsageError: training has not come to its end.
    """
    if not run.complete:
        raise UsageError(
            f"{run.folder}: training has not finished (status {run.info['status']!r})",
            expected="a complete run",
            remedy=resume_command(run.folder),
        )
    tensors, _, digest = run.load()
    microscope = build_microscope(run.design)
    load_weights(microscope, tensors)
    return microscope.to(device).eval(), digest
