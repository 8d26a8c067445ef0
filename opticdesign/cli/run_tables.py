"""Several runs as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from opticdesign.cli.tables import new_table
from opticdesign.design.toml_text import toml_value
from opticdesign.formatting import MISSING, metric
from opticdesign.learning.evaluation import METRICS

if TYPE_CHECKING:
    from opticdesign.runs.comparison import RunComparison
    from opticdesign.runs.overview import RunSummary, Source

__all__ = ["differences_table", "runs_table", "scores_table"]

_SOURCES: tuple[Source, ...] = ("test", "validation")


def runs_table(runs: Sequence[RunSummary]) -> Table:
    """Every run with its state and its scores."""
    headings = (metric(name).heading for name in METRICS)
    table = new_table("", "run", "design", "state", "begun", "scored on", *headings)
    for run in runs:
        state = f"{run.state}, quick" if run.quick else run.state
        facts = (run.folder, run.design or MISSING, state, run.begun.replace("T", " ")[:19], run.source or MISSING)
        table.add_row(*map(escape, facts), *(_score(run.scores, name) for name in METRICS))
    return table


def scores_table(comparison: RunComparison) -> Table:
    """Scores of runs, a column each."""
    table = new_table("scores: mean over patches", "score", *map(escape, comparison.runs))
    for source in _SOURCES:
        for name in METRICS:
            cells = [_score(scores.get(source) or {}, name) for scores in comparison.scores]
            if set(cells) != {MISSING}:
                table.add_row(f"{source}, {metric(name).heading}", *cells)
    table.add_row("state", *comparison.states)
    if any(comparison.quick):
        table.add_row("budget", *("quick: smoke budget, no result" if quick else "full" for quick in comparison.quick))
    return table


def differences_table(comparison: RunComparison) -> Table:
    """Keys in which designs differ, a column for each run."""
    table = new_table("designs, where they differ", "key", *map(escape, comparison.runs))
    for key, values in comparison.differences.items():
        table.add_row(escape(key), *(escape(_value(value)) for value in values))
    return table


def _score(scores: Mapping[str, float], name: str) -> str:
    return metric(name).number(scores[name]) if name in scores else MISSING


def _value(value: Any) -> str:
    return MISSING if value is None else toml_value(value)
