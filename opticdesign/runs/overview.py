"""Every run in a folder: what it is of, how far it came, and how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opticdesign.errors import RunError, StorageError
from opticdesign.learning.evaluation import METRICS
from opticdesign.runs.run_folder import read_info, read_records

__all__ = ["RunSummary", "Source", "list_runs", "run_scores"]

Source = Literal["test", "validation"]


@dataclass(frozen=True)
class RunSummary:
    """One run of a list.

    Args:
        folder: where it is.
        design: name of its design.
        state: "complete", "stopped" or "running"; "damaged" where its files do not read. A process that was killed
            leaves "running".
        begun: when, in UTC, as ISO 8601.
        quick: whether it used the smoke budget.
        source: what it was scored on; None where it has no scores yet.
        scores: mean of each metric over patches.
    """

    folder: str
    design: str
    state: str
    begun: str
    quick: bool
    source: Source | None
    scores: Mapping[str, float]


def list_runs(place: Path) -> list[RunSummary]:
    """All runs in a folder and in the folders inside it, those begun first first.

    Raises:
        RunError: there is no such folder, or it holds no run.
    """
    remedy = "name the folder that holds your runs, or make a run: opticdesign optimize DESIGN"
    if not place.is_dir():
        raise RunError(f"{place}: no such folder", expected="a folder of runs", remedy=remedy)
    hidden = len(place.parts)  # what a process is still making, or left unfinished, has a hidden name
    folders = [
        path.parent for path in place.rglob("run.json") if not any(part.startswith(".") for part in path.parts[hidden:])
    ]
    if not folders:
        raise RunError(f"{place}: no run in this folder", expected="folders with a run.json", remedy=remedy)
    return sorted((_summary(folder) for folder in folders), key=lambda run: (run.begun, run.folder))


def _summary(folder: Path) -> RunSummary:
    info = read_info(folder)
    state = str(info.get("status", "damaged"))
    try:
        scores = run_scores(folder)
    except StorageError:
        state, scores = "damaged", {}
    source: Source | None = next(iter(scores), None)
    return RunSummary(
        folder=str(folder),
        design=str(info.get("name", "")),
        state=state,
        begun=str(info.get("created", "")),
        quick=bool(info.get("quick")),
        source=source,
        scores=scores[source] if source else {},
    )


def run_scores(folder: Path) -> dict[Source, dict[str, float]]:
    """Mean of each metric over the test patches, where the run is evaluated, and over those of its last validation.

    Raises:
        StorageError: its evaluation does not read.
    """
    found: dict[Source, dict[str, float]] = {}
    path = folder / "evaluation" / "evaluation.json"
    if path.is_file():
        try:
            row = json.loads(path.read_text("utf-8"))["rows"][0]["patches"]
            found["test"] = {name: float(row[name]["mean"]) for name in METRICS if name in row}
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise StorageError(
                f"{path}: does not read",
                expected="what `opticdesign evaluate` writes",
                remedy=f"evaluate the run again: opticdesign evaluate {folder}",
            ) from error
    validations: list[dict[str, Any]] = [record for record in read_records(folder) if METRICS[0] in record]
    if validations:
        found["validation"] = {name: validations[-1][name] for name in METRICS if name in validations[-1]}
    return found
