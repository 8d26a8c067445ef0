"""Studies whose answers are known: analytic evaluators in the place of a microscope, and the work that judges shards.

A work function is of a module, so that other processes can import it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.data import PatchSet
from opticdesign.perturbed.space import Space
from opticdesign.processes import Here
from opticdesign.tolerance.runner import Engine, Runner, shard_answer
from opticdesign.tolerance.running import worker
from opticdesign.tolerance.sensitivity import widths
from opticdesign.tolerance.store import Store

Table = dict[str, np.ndarray]


@dataclass
class Analytic:
    """An evaluator that computes a metric, in its only image, by a function of parameters (n, d)."""

    function: Callable[[np.ndarray], np.ndarray]
    metrics: tuple[str, ...] = ("psnr_db",)
    images: int = 1
    judged: int = 0

    def evaluate(self, values: np.ndarray, indices: Sequence[int]) -> Table:
        self.judged += len(values)
        column = np.asarray(self.function(values), dtype=np.float64)
        return {name: np.repeat(column[:, None], self.images, axis=1) for name in self.metrics}


def transcendental(values: np.ndarray, indices: Sequence[int]) -> Table:
    """Numbers with all their digits, of two images and two metrics, that depend on the point and its number."""
    phase = values @ np.linspace(0.3, 1.7, values.shape[1]) + 0.1 * np.asarray(indices)
    images = np.stack([np.sin(phase), np.exp(np.cos(phase))], axis=1)
    return {"psnr_db": 20.0 + images, "ssim": 1.0 / (2.0 + images)}


class Transcendental:
    metrics = ("psnr_db", "ssim")
    images = 2

    def evaluate(self, values: np.ndarray, indices: Sequence[int]) -> Table:
        return transcendental(values, indices)

    def retuned(self, values: np.ndarray, indices: Sequence[int]) -> Table:
        return {name: column + 1.0 for name, column in transcendental(values, indices).items()}


def work(text: str) -> str:
    """Judges a shard; as its context asks, it notes its process, is slow, or ends its process."""
    task = json.loads(text)
    if folder := task.get("notes"):
        Path(folder, f"{task['indices'][0]:04d}-{os.getpid()}").touch()
    if task.get("deadly") in task["indices"] and not (once := Path(task["notes"], "died")).exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(task.get("seconds", 0.0))
    return shard_answer(lambda task: Transcendental(), text)


def runner_in(
    folder: Path,
    engine: Engine,
    *,
    context: dict | None = None,
    study: str = "study",
    stop: Callable[[], bool] = lambda: False,
    news: list[str] | None = None,
    progress: list[tuple[str, int, int]] | None = None,
) -> Runner:
    """A runner of `work` that keeps its shards in a folder."""
    heard = [] if progress is None else progress
    return Runner(
        metrics=Transcendental.metrics,
        images=Transcendental.images,
        study=study,
        context=context or {},
        engine=engine,
        store=Store(folder, ([] if news is None else news).append),
        on_progress=lambda what, done, total: heard.append((what, done, total)),
        stop_asked=stop,
    )


def runner_of(folder: Path, bench: object, **options: object) -> Runner:
    """A runner of any bench, in this process."""
    return Runner(
        metrics=bench.metrics,
        images=bench.images,
        study="study",
        context={},
        engine=Engine(Here(), lambda text: shard_answer(lambda task: bench, text), 1),
        store=Store(folder, print),
        **{"on_progress": lambda what, done, total: None, "stop_asked": lambda: False, **options},
    )


class Toy:
    """A bench without light: metrics fall with the squares of errors, and pictures get darker."""

    metrics = ("psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad")

    def __init__(self, space: Space, targets: torch.Tensor) -> None:
        self.targets, self._space, self.judged = targets.numpy(), space, 0

    @property
    def images(self) -> int:
        return len(self.targets)

    def evaluate(self, values: np.ndarray, indices: Sequence[int]) -> dict[str, np.ndarray]:
        self.judged += len(values)
        harm = (((values[:, : len(self._space.names)] - self._space.nominal) / widths(self._space)) ** 2).sum(axis=1)
        harm = harm + 0.01 * (np.asarray(indices) + 1) % 7
        column = np.repeat(harm[:, None], self.images, axis=1) * (1.0 + 0.1 * np.arange(self.images))
        return {name: (1.0 if "mae" in name else -1.0) * column + 20.0 for name in self.metrics}

    def retuned(self, values: np.ndarray, indices: Sequence[int]) -> dict[str, np.ndarray]:
        return self.evaluate(self._space.nominal + 0.5 * (values - self._space.nominal), indices)

    def pictures(self, values: np.ndarray, indices: Sequence[int]) -> np.ndarray:
        return np.stack([self.targets * (0.5 if index >= 0 else 0.9) for index in indices]).astype(np.float32)


@contextmanager
def toy_benches() -> Iterator[list[Toy]]:
    """While open, runs are toleranced with toys for benches; the ones built so far."""
    made: list[Toy] = []

    def build(design: object, microscope: object, space: Space, test: PatchSet, **_: object) -> Toy:
        made.append(Toy(space, test.targets))
        return made[-1]

    worker.load_subject.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "build_bench", build)
        yield made
    worker.load_subject.cache_clear()
