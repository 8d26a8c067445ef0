"""Runs side by side: their scores, and where their designs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opticdesign.errors import UsageError
from opticdesign.figures import draw_validations
from opticdesign.runs.overview import Source, run_scores
from opticdesign.runs.run_folder import Run, open_run

__all__ = ["RunComparison", "compare_runs", "draw_comparison_of_runs"]


@dataclass(frozen=True)
class RunComparison:
    """Some runs side by side.

    Args:
        runs: their folders.
        states: how far each came.
        quick: whether each used the smoke budget.
        scores: of each run, mean of each metric over patches, by what it was scored on.
        differences: dotted key of the designs → its value in each run, None where that has no such key.
    """

    runs: tuple[str, ...]
    states: tuple[str, ...]
    quick: tuple[bool, ...]
    scores: tuple[Mapping[Source, Mapping[str, float]], ...]
    differences: Mapping[str, tuple[Any, ...]]


def compare_runs(folders: Sequence[Path]) -> tuple[RunComparison, list[Run]]:
    """Scores and differences of the designs of two runs or more, and the runs.

    Raises:
        UsageError: fewer than two runs, or one twice.
        RunError: one of them is no run, or its design does not read.
        StorageError: an evaluation does not read.
    """
    runs = [open_run(folder) for folder in folders]
    if len({run.folder.resolve() for run in runs}) < max(2, len(runs)):
        raise UsageError(
            f"{', '.join(map(str, folders))}: not two runs or more, each once",
            expected="two run folders or more",
            remedy="name another run; `opticdesign runs` lists them",
        )
    comparison = RunComparison(
        runs=tuple(str(run.folder) for run in runs),
        states=tuple(str(run.info["status"]) for run in runs),
        quick=tuple(run.quick for run in runs),
        scores=tuple(run_scores(run.folder) for run in runs),
        differences=_differences([run.design.model_dump(mode="json", exclude_none=True) for run in runs]),
    )
    return comparison, runs


def draw_comparison_of_runs(path: Path, runs: Sequence[Run]) -> Path:
    """Draw how validation went in some runs, one curve each, as PNG."""
    return draw_validations(path, {str(run.folder): run.records() for run in runs}, "validation")


def _differences(designs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Keys whose values are not the same in all designs."""
    flat = [dict(_leaves(design)) for design in designs]
    rows = {key: tuple(design.get(key) for design in flat) for key in dict.fromkeys(key for one in flat for key in one)}
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested tables with its dotted key."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
