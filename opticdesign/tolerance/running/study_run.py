"""A tolerance study of a trained run: float → quantised → read back → Monte Carlo, and what is asked of the draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.errors import StudyStopped, UsageError
from opticdesign.figures import draw_comparison
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.processes import one_thread
from opticdesign.runs.run_folder import Run
from opticdesign.tolerance.engine import open_engine
from opticdesign.tolerance.evaluator import Bench
from opticdesign.tolerance.result import ToleranceResult, WorstDraw
from opticdesign.tolerance.runner import Runner
from opticdesign.tolerance.running.collect import result_of, stages_of
from opticdesign.tolerance.running.files import stored_metrics, write_result
from opticdesign.tolerance.running.plan import Prepared, ToleranceOptions, prepare
from opticdesign.tolerance.running.worker import judge_shard
from opticdesign.tolerance.store import Store
from opticdesign.tolerance.study import Study, drawn_values

__all__ = ["Replay", "replay", "tolerate"]

_GPU_ROUNDING = 1e-5
_SHOWN = 3  # images in a picture
_PICTURES = "pictures"
_SHARDS = "shards"  # of all studies of a run, which take up from each other what they have in common


@dataclass(frozen=True)
class Replay:
    """One draw made again, alone.

    Args:
        draw: its parameters and metrics, and its picture.
        stored: the metrics that the study holds.
        units: SI unit of each parameter.
        folder: the study's folder.
        rounding: relative difference between the two that may come from rounding.
    """

    draw: WorstDraw
    stored: dict[str, float]
    units: dict[str, str]
    folder: Path
    rounding: float

    @property
    def same(self) -> bool:
        """Whether the metrics are those of the study."""
        pairs = [(self.draw.metrics[name], value) for name, value in self.stored.items()]
        return all(abs(found - value) <= self.rounding * abs(value) for found, value in pairs)


def tolerate(
    run: Run,
    options: ToleranceOptions,
    on_progress: Callable[[str, int, int], None],
    on_news: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> tuple[ToleranceResult, Path]:
    """Carry a study out, or go on with one, and write result.json, draws.csv, pictures and report.html.

    Args:
        run: a complete run.
        options: where and how.
        on_progress: hears what is judged, points done and points in all.
        on_news: hears of damaged files.
        stop_asked: whether the user asked to stop.

    Returns:
        What was found, and the study's folder.

    Raises:
        StudyStopped: `stop_asked` became true; what is finished is kept.
        UsageError: an unfinished run, or options that do not fit.
        DivergenceError: a draw that cannot be simulated.
    """
    begun = time.monotonic()
    prepared = prepare(run, options)
    subject = prepared.subject
    with one_thread(), open_engine(judge_shard, options.processes, options.scheduler) as engine:
        stages = stages_of(prepared)
        runner = Runner(
            metrics=subject.bench.metrics,
            images=subject.bench.images,
            study=subject.key,
            context={"request": asdict(prepared.request)},
            engine=engine,
            store=Store(prepared.folder.parent / _SHARDS, on_news),
            on_progress=on_progress,
            stop_asked=stop_asked,
        )
        findings = Study(runner, subject.space, prepared.tolerance, prepared.plan, prepared.reaches).findings()
        findings = replace(findings, worst=_pictured(prepared, findings.worst, on_progress, stop_asked))
    result = result_of(prepared, stages, findings, time.monotonic() - begun)
    write_result(result, prepared.folder)
    return result, prepared.folder


def replay(run: Run, options: ToleranceOptions, index: int) -> Replay:
    """Make one draw of a finished study again, alone, and a picture of it.

    Raises:
        UsageError: no such draw.
        RunError: no study was finished with these options.
        StorageError: its result is damaged.
    """
    prepared = prepare(run, options)
    if not 0 <= index < prepared.plan.samples:
        raise UsageError(
            f"--replay {index}: the study has {prepared.plan.samples} draws",
            expected=f"0 to {prepared.plan.samples - 1}",
            remedy="take a number from its table of worst draws, or from draws.csv",
        )
    stored = stored_metrics(prepared.folder, index, prepared.subject.bench.metrics)
    space = prepared.subject.space
    values = drawn_values(space, prepared.plan, index, 1)
    with one_thread():
        table = prepared.subject.bench.evaluate(values, [index])
        draw = WorstDraw(
            index=index,
            values=dict(zip(space.names, values[0].tolist(), strict=True)),
            metrics={name: float(column.mean(axis=1)[0]) for name, column in table.items()},
        )
        (draw,) = _pictured(prepared, (draw,), lambda *_: None, lambda: False)
    units = {parameter.name: parameter.unit for parameter in space.parameters}
    # on a GPU the draws beside one may change its last bits; on a CPU each is computed alone
    rounding = 0.0 if prepared.request.device == "cpu" else _GPU_ROUNDING
    return Replay(draw, stored, units, prepared.folder, rounding)


def _pictured(
    prepared: Prepared,
    draws: Sequence[WorstDraw],
    on_progress: Callable[[str, int, int], None],
    stop_asked: Callable[[], bool],
) -> tuple[WorstDraw, ...]:
    """Draws with pictures of what they make of the first test images, beside nominal.

    Raises:
        StudyStopped: `stop_asked` became true.
    """
    bench, space, design = prepared.subject.bench, prepared.subject.space, prepared.subject.design
    targets = torch.from_numpy(bench.targets[:_SHOWN])
    nominal = _images(bench, space.nominal, NO_PATTERN)
    found = []
    for done, draw in enumerate(draws):
        if stop_asked():
            raise StudyStopped("stopped safely")
        picture = f"{_PICTURES}/draw-{draw.index:05d}.png"
        values = np.array([draw.values[name] for name in space.names], dtype=np.float64)
        systems = {"nominal": nominal, f"draw {draw.index}": _images(bench, values, draw.index)}
        title = f"{design.name}, seed {prepared.plan.seed}: draw {draw.index}"
        draw_comparison(prepared.folder / picture, targets, systems, design.optics.sample_pitch, title)
        found.append(replace(draw, picture=picture))
        on_progress("pictures", done + 1, len(draws))
    return tuple(found)


def _images(bench: Bench, values: NDArray[np.float64], index: int) -> Tensor:
    """Reconstructions of the first test images at one point (images, y, x)."""
    return torch.from_numpy(bench.pictures(values[None], [index])[0, :_SHOWN])
