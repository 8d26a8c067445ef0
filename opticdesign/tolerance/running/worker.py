"""What a process does for a tolerance study: it builds the instrument of a run once, and judges shards of points."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

import torch

import opticdesign
from opticdesign.design import Design, Tolerance
from opticdesign.errors import RunError
from opticdesign.perturbed.space import Space, build_space
from opticdesign.processes import choose_device, one_thread
from opticdesign.runs.patches import patch_set
from opticdesign.runs.run_data import run_data
from opticdesign.runs.run_folder import open_run
from opticdesign.runs.start import load_trained
from opticdesign.storage import json_sha256, sha256_file
from opticdesign.tolerance.evaluator import Bench
from opticdesign.tolerance.judging import build_bench
from opticdesign.tolerance.runner import shard_answer

__all__ = ["Request", "Subject", "judge_shard", "load_subject", "study_accuracy"]

_ONE_AT_A_TIME = Lock()  # a worker of a scheduler may have several threads, an instrument is for one
_CALIBRATION_PATCHES = 32
_FINER = 0.3  # than the design's accuracy: errors change a tenth of a reading or less, and that is to be right to 1 %
_PACKAGES = ("opticdesign", "torch", "numpy")
_NOT_JUDGING = (
    "cli/",
    "figures/",
    "runs/",
    "studies/",
    "tolerance/running/",
    "tolerance/report/",
)  # folders whose sources change no metric


@dataclass(frozen=True)
class Request:
    """What is toleranced where, as plain values that a worker elsewhere understands.

    Args:
        run: absolute path of the run folder, the same for all workers.
        tolerance: the table [tolerance] as JSON.
        seed: seed of the draws.
        device: "cpu" or "cuda".
        memory_gib: memory that judging may take in each process; None for what is free.
        data: hash of the data files, "" for synthetic data; files that change ask for another instrument.
        data_changed: whether they may be others than the run was trained on.
    """

    run: str
    tolerance: str
    seed: int
    device: str
    memory_gib: float | None = None
    data: str = ""
    data_changed: bool = False


@dataclass(frozen=True)
class Subject:
    """A run that is toleranced.

    Args:
        design: its design, with the errors of this study.
        checkpoint: SHA-256 of its weights.
        space: the parameters.
        bench: judges points.
        key: hash of everything a metric depends on beside the point.
    """

    design: Design
    checkpoint: str
    space: Space
    bench: Bench
    key: str


def study_accuracy(design: Design) -> float:
    """Accuracy of the camera's reading that the instruments of a study have."""
    return _FINER * design.optics.accuracy


def judge_shard(text: str) -> str:
    """Judge the points of a shard; see `tolerance.runner.Engine`.

    One thread computes, for the number of threads changes the last bits of a sum, and a table must not depend on it.
    """
    with _ONE_AT_A_TIME, one_thread():
        return shard_answer(_bench_of, text)


def _bench_of(task: dict[str, Any]) -> Bench:
    """The instrument that a task asks for.

    Raises:
        RunError: it is another one than the study's.
    """
    request = Request(**task["request"])
    if load_subject(request).key != task["study"]:
        load_subject.cache_clear()  # a worker outlives a study: the run may have changed since
    subject = load_subject(request)
    if subject.key != task["study"]:
        raise RunError(
            f"{task['request']['run']}: a worker has another run, device or version than the study",
            expected="the same run folder, kind of device, sources, and versions of torch and numpy everywhere",
            remedy="install the same versions on all workers, or start workers of one kind",
        )
    return subject.bench


@lru_cache(maxsize=1)
def load_subject(request: Request) -> Subject:
    """Build the instrument of a request, or give the one built before.

    Raises:
        UsageError: an unfinished run, or no such device.
        RunError: other data files than the run was trained on.
    """
    run, device = open_run(Path(request.run)), choose_device(request.device)
    tolerance = Tolerance.model_validate_json(request.tolerance)
    design = run.design.model_copy(update={"tolerance": tolerance})
    microscope, checkpoint = load_trained(run, device, study_accuracy(design))
    split, space = run_data(run, request.data_changed).split, build_space(design)
    test = patch_set(split.test, design, tolerance.images)
    # a decoder is tuned again with what a lab could show it: not with the images that judge it
    calibration = patch_set(split.train, design, _CALIBRATION_PATCHES)
    bench = build_bench(
        design, microscope, space, test, seed=request.seed, memory_gib=request.memory_gib, calibration=calibration
    )
    # not how points are drawn, nor what is asked of their metrics
    key = json_sha256(
        {
            "format": 1,
            "design": design.model_copy(update={"tolerance": None}).digest(),
            "checkpoint": checkpoint,
            "data": [sha256(part.numpy().tobytes()).hexdigest() for part in (*test, *calibration)],
            "parameters": [[one.name, one.group, one.place, one.nominal] for one in space.parameters],
            "patterns": [asdict(pattern) for pattern in space.patterns],
            "seed": request.seed,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "packages": {name: metadata.version(name) for name in _PACKAGES},
            "source": _source_sha256(),
        }
    )
    return Subject(design, checkpoint, space, bench, key)


@lru_cache(maxsize=1)
def _source_sha256() -> str:
    """Hash of the sources that metrics come from, so that what another state of them has judged is judged again."""
    root = Path(opticdesign.__file__).parent
    sources = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    judging = {name: sha256_file(path) for name, path in sources.items() if not name.startswith(_NOT_JUDGING)}
    return json_sha256(judging)
