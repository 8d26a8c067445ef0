"""One measurement in a process of its own: `python -m benchmarks.worker TASK RESULT`, both JSON files.

The allocator reads its settings when a process starts, and a peak of memory belongs to a process.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.agreement import agreement, reference
from benchmarks.contenders import FLOOR, OURS, WAYS, Contender, contender, missing, rivals
from benchmarks.scene import Scene, Work
from benchmarks.timing import interleave, round_ratios

__all__ = ["TASKS", "compare_speed", "growth_of_time", "own_peak", "peak_memory", "prove_equal"]


def prove_equal(work: Work, **_: object) -> dict[str, Any]:
    """Agreement of every installed contender with ours on one field, by name, or what failed."""
    scene = Scene(work)
    ours, truth = contender(OURS, scene), reference(scene)
    found: dict[str, Any] = {}
    for name in (OURS, *(rival for rival in rivals(work.device) if not missing(rival))):
        try:
            made = contender(name, scene)
            found[name] = {**asdict(agreement(made, ours, truth)), "remark": made.remark}
        except Exception as error:  # other people's code, in any version
            found[name] = {"equal": False, "failed": f"{type(error).__name__}: {error}"}
    return found


def compare_speed(work: Work, names: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Their time over ours in each round (floor: ours over the floor's; other ways: the floor's over theirs)."""
    scene = Scene(work)
    made = {name: contender(name, scene) for name in (OURS, *names)}
    directions: dict[str, Callable[[Contender], Callable[[], object]]] = {
        "forward": lambda each: each.forward,
        "forward+backward": lambda each: each.gradient,
    }
    ratios = {}
    for direction, method in directions.items():
        times = interleave({name: _finished(method(each), work) for name, each in made.items()}, rounds)
        pairs = {FLOOR: (OURS, FLOOR), **{way: (FLOOR, way) for way in WAYS}}
        ratios[direction] = {name: round_ratios(times, *pairs.get(name, (name, OURS))) for name in names}
    return ratios


def growth_of_time(work: Work, larger: Work, rounds: int) -> list[float]:
    """Time of the larger work over that of the smaller in each round, against what N log N per hop asks for."""
    scenes = Scene(work), Scene(larger)
    small, large = (_finished(contender(OURS, scene).gradient, work) for scene in scenes)
    times = interleave({"small": small, "large": large}, rounds)
    ideal = [_transform_cost(scene) for scene in scenes]
    return [ratio * ideal[0] / ideal[1] for ratio in round_ratios(times, "large", "small")]


def peak_memory(work: Work, names: list[str], **_: object) -> int:
    """Largest memory of this process, or of its GPU, in bytes after forward and backward of the first name."""
    contender(names[0], Scene(work)).gradient()
    return own_peak() if work.device == "cpu" else torch.cuda.max_memory_allocated(work.device)


def own_peak() -> int:
    """Largest resident memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` starts at the peak of the parent, which a test runner's can hide ours under
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


TASKS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (prove_equal, compare_speed, growth_of_time, peak_memory)
}


def _finished(run: Callable[[], object], work: Work) -> Callable[[], object]:
    """A run that returns when its device has done the work."""
    if work.device == "cpu":
        return run

    def waited() -> None:
        run()
        torch.cuda.synchronize(work.device)

    return waited


def _transform_cost(scene: Scene) -> float:
    pixels = math.prod(scene.hops[0].window.shape)
    return scene.work.batch * (scene.work.layers + 1) * pixels * math.log(pixels)


def _main(task_file: str, result_file: str) -> None:
    task = json.loads(Path(task_file).read_text())
    torch.set_num_threads(task.pop("threads"))
    if hasattr(os, "sched_setaffinity"):  # for libraries that take every core they see
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: torch.get_num_threads()])
    run = partial(TASKS[task.pop("task")], Work(**task.pop("work")))
    if "larger" in task:
        task["larger"] = Work(**task["larger"])
    Path(result_file).write_text(json.dumps(run(**task)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
