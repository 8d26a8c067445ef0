"""One cell of a study, a row with one seed: trained, scored and stored, or taken as it is stored."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from opticdesign.data.source import load_split
from opticdesign.design import Design
from opticdesign.errors import OpticDesignError, RunError, StorageError
from opticdesign.runs.optimise import Options, Progress, Stopped, optimise
from opticdesign.runs.run_data import data_facts, refuse_other_data
from opticdesign.runs.run_folder import Run, open_run
from opticdesign.runs.score import ImageScores, score_constant, score_run
from opticdesign.storage import read_record, write_record

__all__ = ["Cell", "Outcome", "attempt", "cell_folder", "outcome_of", "refuse_changed", "stored", "trained_run"]

_SCORE = "score.json"


def cell_folder(folder: Path, row: str, seed: int) -> Path:
    """Where the run of a row with a seed is, in the folder of its study."""
    return folder / f"{row}-seed{seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of a row with one seed: its scores, or why there are none."""

    row: str
    seed: int
    scores: ImageScores | None = None
    problem: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class Cell:
    """One row with one seed.

    Args:
        row: name of the row.
        seed: the seed.
        design: what is trained; for a constant image, what gives the data.
        folder: the run folder.
        start: name of the row whose run of the same seed it starts from.
        constant: whether it is the constant image, which no run makes.
        device: where to compute.
        quick: whether it is trained at the smoke budget.
    """

    row: str
    seed: int
    design: Design
    folder: Path
    start: str | None
    constant: bool
    device: torch.device
    quick: bool

    @property
    def start_folder(self) -> Path | None:
        """The run folder that this one starts from."""
        return None if self.start is None else cell_folder(self.folder.parent, self.start, self.seed)


def outcome_of(cell: Cell, stop_asked: Callable[[], bool]) -> Outcome:
    """The outcome of a cell: its scores, stored ones or those of its run."""
    return attempt(cell, lambda: Outcome(cell.row, cell.seed, _scored(cell, stop_asked)))


def attempt(cell: Cell, work: Callable[[], Outcome]) -> Outcome:
    """The outcome of some work on a cell; whatever fails is told there, so that other rows go on."""
    try:
        return work()
    except Stopped:
        return Outcome(cell.row, cell.seed, stopped=True)
    except OpticDesignError as error:
        return Outcome(cell.row, cell.seed, problem=str(error))
    except Exception as error:
        if os.environ.get("OPTICDESIGN_DEBUG"):
            raise
        return Outcome(cell.row, cell.seed, problem=f"internal error: {type(error).__name__}: {error}")


def _scored(cell: Cell, stop_asked: Callable[[], bool]) -> ImageScores:
    """The scores of a cell: stored ones, or those of its run, which is trained as far as it is not."""
    started = None if cell.start_folder is None else _record(cell.start_folder).get("checkpoint_sha256")

    def make() -> dict[str, Any]:
        if cell.constant:
            scores, checkpoint = score_constant(load_split(cell.design), cell.design), None
        else:
            run = trained_run(cell, started, stop_asked)
            scores, checkpoint = score_run(run, cell.device), run.final().sha256
        return {"checkpoint_sha256": checkpoint, "patches": scores.patches, "fields": scores.fields}

    record = stored(cell, started, make)
    return ImageScores(record["patches"], record["fields"])


def stored(cell: Cell, started: str | None, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What is known of a cell, as its folder has it, or as it is made now and kept there.

    Args:
        cell: the cell.
        started: SHA-256 of the checkpoint that it starts from, None where it starts from nothing.
        make: gives what is to be known, for JSON.

    Raises:
        RunError: what there is is of other data files, or started from another run.
        StorageError: the disk refused.
    """
    record = _record(cell.folder)
    if record:
        _refuse_other_start(cell, record["start_sha256"], started)
        refuse_other_data(str(cell.folder), cell.design, record.get("data"))
        return record
    record = {
        "format": 1,
        "row": cell.row,
        "seed": cell.seed,
        "quick": cell.quick,
        "design_sha256": cell.design.digest(),
        "start_sha256": started,
        "data": data_facts(cell.design),
        **make(),
    }
    write_record(cell.folder / _SCORE, record)
    return record


def trained_run(cell: Cell, started: str | None, stop_asked: Callable[[], bool]) -> Run:
    """The complete run of a cell, trained as far as it is not.

    Args:
        cell: the cell.
        started: SHA-256 of the checkpoint that it starts from, None where it starts from nothing.
        stop_asked: whether the user asked to stop.

    Raises:
        Stopped: `stop_asked` became true.
        RunError: the run there is of other data files, or started from another run.
        OpticDesignError: training failed.
    """
    resume = False
    if (cell.folder / "run.json").exists():
        run = open_run(cell.folder)
        _refuse_other_start(cell, run.info["environment"].get("start_from", {}).get("checkpoint_sha256"), started)
        refuse_other_data(str(run.folder), run.design, run.info.get("data"))
        if run.complete:
            return run
        resume = any(run.checkpoints.glob("step-*"))
        if not resume:  # ended before its first checkpoint; a new beginning starts from the right run again
            with run.locked():
                shutil.rmtree(cell.folder)
    options = Options(cell.device, cell.folder, quick=cell.quick, resume=resume, start_from=cell.start_folder)
    return optimise(cell.design, options, _silent, stop_asked)


def _silent(progress: Progress) -> None:
    """Hear nothing of a step: metrics.jsonl tells."""


def _record(folder: Path) -> dict[str, Any]:
    """The content of a score file; empty where there is none, or a damaged one, and scoring is to be done."""
    try:
        return read_record(folder / _SCORE)
    except (OSError, StorageError):
        return {}


def refuse_changed(cell: Cell) -> None:
    """Refuse a folder that was made with another design than its row now has."""
    made = _record(cell.folder).get("design_sha256")
    if made is None and (cell.folder / "run.json").exists():
        made = open_run(cell.folder).design.digest()
    if made not in (None, cell.design.digest()):
        raise RunError(
            f"{cell.folder}: made with another design than row {cell.row} has now",
            expected="the study, designs and --set values that this folder was begun with",
            remedy="choose another --output for the changed study, or remove this folder to train the row again",
        )


def _refuse_other_start(cell: Cell, made: str | None, now: str | None) -> None:
    """Refuse a run that started from other weights than its row would start from now."""
    if made != now:
        raise RunError(
            f"{cell.folder}: started from another run of {cell.start} than is there now",
            expected=f"the checkpoint that {_SCORE} or run.json records",
            remedy="remove this folder to train the row again, or choose another --output",
        )
