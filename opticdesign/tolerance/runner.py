"""Judging many points: in shards of fixed size, on one process or many, kept as they are finished.

The same points give the same table bit for bit whoever computes them: a shard is computed from its own points only, and
by one thread. So a study that was killed, or that another number of workers goes on with, ends as if it had not been.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import DivergenceError, OpticDesignError, StorageError, StudyStopped, UsageError
from opticdesign.tolerance.store import Shard, Store, Table

if TYPE_CHECKING:
    from opticdesign.tolerance.evaluator import Bench

__all__ = ["SHARD_POINTS", "Engine", "Runner", "shard_answer"]

SHARD_POINTS = 8
_POLL_SECONDS = 0.2
_KINDS = MappingProxyType({kind.exit_code: kind for kind in (UsageError, DivergenceError, StorageError)})
_DEATHS = 3  # of workers, with nothing finished between them, after which a study gives up


@dataclass(frozen=True)
class Engine:
    """Who computes.

    Args:
        executor: takes a function and a text, and gives a future of a text.
        work: judges the points of one shard: JSON in, JSON out, see `shard_answer`.
        width: shards that are submitted at the same time.
        deaths: errors of a future whose worker died.
    """

    executor: Executor
    work: Callable[[str], str]
    width: int
    deaths: tuple[type[BaseException], ...] = ()


@dataclass(frozen=True)
class Runner:
    """An evaluator that keeps what it has judged.

    Args:
        metrics: names of the metrics.
        images: test images in every point.
        study: hash of everything a metric depends on beside the point.
        context: what `Engine.work` needs beside the points, JSON values.
        engine: who computes.
        store: where finished shards are.
        on_progress: hears what is judged, points done and points in all.
        stop_asked: whether the user asked to stop.
        what: what is judged now.
        points: points that make a shard.
    """

    metrics: tuple[str, ...]
    images: int
    study: str
    context: Mapping[str, Any]
    engine: Engine
    store: Store
    on_progress: Callable[[str, int, int], None]
    stop_asked: Callable[[], bool]
    what: str = ""
    points: int = SHARD_POINTS

    def named(self, what: str, points: int = SHARD_POINTS) -> Runner:
        """The same runner for points that are called something else, so many of them in a shard."""
        return replace(self, what=what, points=points)

    def evaluate(self, values: NDArray[np.float64], indices: Sequence[int]) -> Table:
        """Metrics (n, images) of points (n, d) with their numbers.

        Raises:
            StudyStopped: the user asked to stop; what is finished is kept.
            DivergenceError: a metric is not finite.
            OpticDesignError: workers died again and again.
        """
        return self._judged("evaluate", values, indices, self.points)

    def retuned(self, values: NDArray[np.float64], indices: Sequence[int]) -> Table:
        """As `evaluate`, each point with the decoder tuned again to that very instrument, which takes long."""
        return self._judged("retuned", values, indices, 1)

    def _judged(self, kind: str, values: NDArray[np.float64], indices: Sequence[int], size: int) -> Table:
        shards = [
            Shard.of(self.study, kind, values[at : at + size], indices[at : at + size])
            for at in range(0, len(values), size)
        ]
        tables = {place: table for place, shard in enumerate(shards) if (table := self.store.read(shard)) is not None}
        self.on_progress(self.what, self._points(shards, tables), len(values))
        missing = [place for place in range(len(shards)) if place not in tables]
        for place, answer in self._answers(shards, missing):
            tables[place] = _table(answer, shards[place], self.metrics, self.images)
            self.store.write(shards[place], tables[place])
            self.on_progress(self.what, self._points(shards, tables), len(values))
        ordered = [tables[place] for place in range(len(shards))]
        return {name: np.concatenate([table[name] for table in ordered]) for name in self.metrics}

    @staticmethod
    def _points(shards: Sequence[Shard], tables: Mapping[int, Table]) -> int:
        return sum(len(shards[place].indices) for place in tables)

    def _answers(self, shards: Sequence[Shard], missing: Sequence[int]) -> Iterator[tuple[int, str]]:
        """The answers to shards as they come; those of workers that died are asked for again.

        A process that dies takes the others with it, so that what ran beside it is tried again as well.
        """
        waiting, running = deque(missing), dict[Future[str], int]()
        stopped, deaths = False, 0
        while waiting or running:
            if self.stop_asked():
                stopped = True
                waiting.clear()
                for future in [future for future in running if future.cancel()]:
                    del running[future]
            while waiting and len(running) < self.engine.width:
                place = waiting.popleft()
                running[self._submitted(shards[place])] = place
            finished, _ = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
            dead = [future for future in finished if self._died(future)]
            waiting.extendleft(running.pop(future) for future in dead)
            deaths += bool(dead)
            if deaths > _DEATHS:
                raise OpticDesignError(
                    "workers died again and again, for want of memory perhaps",
                    remedy="fewer --workers; the same command continues the study",
                )
            for future in finished.difference(dead):
                deaths = 0
                yield running.pop(future), future.result()
        if stopped:
            raise StudyStopped("stopped safely")

    def _died(self, future: Future[str]) -> bool:
        if future.cancelled():  # not by us: the scheduler forgets its work when it ends
            raise OpticDesignError(
                "the connection to the scheduler is lost",
                remedy="start the scheduler again; the same command continues the study",
            )
        return isinstance(future.exception(), self.engine.deaths)

    def _submitted(self, shard: Shard) -> Future[str]:
        task = {**self.context, **asdict(shard)}
        return self.engine.executor.submit(self.engine.work, json.dumps(task, allow_nan=False))


def shard_answer(bench_of: Callable[[dict[str, Any]], Bench], text: str) -> str:
    """What a worker answers: the metrics of a shard as JSON, or what was wrong.

    Args:
        bench_of: gives the judge that a task asks for.
        text: the task as JSON: the runner's context, and a `store.Shard`.
    """
    task = json.loads(text)
    try:
        bench = bench_of(task)
        judge = bench.retuned if task["kind"] == "retuned" else bench.evaluate
        table = judge(np.asarray(task["values"], dtype=np.float64), task["indices"])
    except OpticDesignError as error:
        facts = {"expected": error.expected, "remedy": error.remedy, "message": error.message}
        return json.dumps({"error": facts, "exit_code": error.exit_code})
    return json.dumps({"metrics": {name: column.tolist() for name, column in table.items()}})


def _table(answer: str, shard: Shard, metrics: Sequence[str], images: int) -> Table:
    """The metrics in an answer.

    Raises:
        OpticDesignError: what was wrong, as the worker tells it.
        DivergenceError: a metric is not finite.
    """
    found = json.loads(answer)
    if "error" in found:
        facts = found["error"]
        kind = _KINDS.get(found["exit_code"], OpticDesignError)
        raise kind(facts["message"], expected=facts["expected"], remedy=facts["remedy"])
    table = {name: np.asarray(found["metrics"][name], dtype=np.float64) for name in metrics}
    for name, column in table.items():
        if column.shape != (len(shard.indices), images):
            raise OpticDesignError(f"{name} has the shape {column.shape}", expected=f"{(len(shard.indices), images)}")
        if not np.isfinite(column).all():
            row = int(np.argwhere(~np.isfinite(column))[0, 0])
            raise DivergenceError(
                f"{name} of draw {shard.indices[row]} is not finite",
                expected="perturbations small enough to simulate",
                remedy="check the largest tolerances in [tolerance]",
            )
    return table
