"""Results as tables: columns in a terminal, plain and unwrapped where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from opticdesign.cli.fitting import fitted
from opticdesign.formatting import metric

if TYPE_CHECKING:
    from opticdesign.handover.manifest import Manifest
    from opticdesign.instrument.check import Check
    from opticdesign.runs.drc import RuleCheck
    from opticdesign.runs.evaluate import EvaluatedRun
    from opticdesign.runs.export import Verification
    from opticdesign.runs.planning import Plan
    from opticdesign.studies.files import StudyResult
    from opticdesign.verification.agreement import IndependentModel

__all__ = [
    "QUICK",
    "check_table",
    "evaluation_table",
    "facts_table",
    "manifest_table",
    "new_table",
    "plan_table",
    "print_table",
    "rules_table",
    "study_table",
    "verification_json",
    "verification_table",
]

_STYLES = {"failed": "red", "floor": "dim", "": None}
_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}
QUICK = " — quick: smoke budget, no result"


def print_table(table: Table) -> None:
    """Print a table on standard output: as wide as it needs where that is no terminal, else in parts that fit."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=240)
    for part in fitted(table, console.width):
        console.print(part)


def new_table(title: str, *columns: str) -> Table:
    """An empty table with a title and columns, as all of them look."""
    from rich.box import SIMPLE

    table = Table(*columns, title=title, box=SIMPLE, title_justify="left")
    for column in table.columns:
        column.overflow = "fold"
    return table


def check_table(checks: Sequence[Check]) -> Table:
    """Verdict, number, limit and remedy of each check."""
    from rich.markup import escape

    table = new_table("design check", "check", "verdict", "found, limit and remedy")
    for entry in _folded(checks):
        colour = _COLOURS[entry.verdict]
        lines = [escape(entry.found), f"[dim]limit: {escape(entry.limit)}[/dim]"]
        if entry.remedy:
            lines.append(f"remedy: {escape(entry.remedy)}")
        table.add_row(escape(entry.name), f"[{colour}]{entry.verdict}[/{colour}]", "\n".join(lines))
    return table


def _folded(checks: Sequence[Check]) -> Iterator[Check]:
    """Checks, neighbours of one kind as one where what they found differs in a word at most."""
    group: list[Check] = []
    for entry in (*checks, None):
        if group and (entry is None or not _alike(group[0], entry)):
            ends = [group[0].name, group[-1].name] if len(group) > 2 else [one.name for one in group]
            name = _joined(ends, " … " if len(group) > 2 else ", ")
            yield replace(group[0], name=name, found=_joined([one.found for one in group], ", "))
            group = []
        if entry is not None:
            group.append(entry)


def _alike(one: Check, other: Check) -> bool:
    same = (one.verdict, one.limit, one.remedy) == (other.verdict, other.limit, other.remedy)
    before, after = one.found.split(), other.found.split()
    apart = sum(a != b for a, b in zip(before, after, strict=False))
    return same and one.name.split()[0] == other.name.split()[0] and len(before) == len(after) and apart <= 1


def _joined(texts: Sequence[str], between: str) -> str:
    """Texts, the first and last words that all of them have said once: "0.2%, 0.3% of the power"."""
    words = [text.split() for text in texts]
    start, end = (_shared_words(rows) for rows in (words, [row[::-1] for row in words]))
    if len(set(texts)) == 1:
        return texts[0]
    middles = [" ".join(row[start : len(row) - end]) for row in words]
    return " ".join(filter(None, (*words[0][:start], between.join(middles), *words[0][len(words[0]) - end :])))


def _shared_words(rows: Sequence[Sequence[str]]) -> int:
    """How many words all rows begin with."""
    return sum(1 for _ in takewhile(lambda words: len(set(words)) == 1, zip(*rows, strict=False)))


def plan_table(plan: Plan) -> Table:
    """What an optimisation will take."""
    table = new_table("plan (from two timed steps of each stage)", "what", "expected")
    table.add_row("time", f"{plan.seconds / 60:.1f} min")
    table.add_row("memory", f"{plan.peak_bytes / 2**30:.2f} GiB")
    table.add_row("disk", f"{plan.disk_bytes / 2**20:.0f} MiB")
    table.add_row("trainable numbers", ", ".join(f"{count:,} {part}" for part, count in plan.parameters.items()))
    table.add_row("files", "  ".join(plan.files))
    return table


def evaluation_table(result: EvaluatedRun) -> Table:
    """The design beside its floors."""
    from opticdesign.learning.evaluation import METRICS

    quick = QUICK if result.quick else ""
    title = f"test: mean of {result.patches} patches [95 % interval] | mean of {result.fields} whole fields{quick}"
    if result.start is not None:
        title += f"\nthis design's decoder started from {result.start}; the floors' decoders are without that training"
    table = new_table(title, "optics", *(metric(name).heading for name in METRICS))
    for row in result.rows:
        cells = []
        for name in METRICS:
            score, digits = row.patches[name], 2 if name == "psnr_db" else 3
            cells.append(f"{score.text(digits)} | {row.fields[name]:.{digits}f}".replace("[", r"\["))
        table.add_row(row.name, *cells)
    return table


def manifest_table(manifest: Manifest, folder: Path, quick: bool) -> Table:
    """The files of an export."""
    table = new_table(f"{folder}{QUICK if quick else ''}", "file", "bytes", "holds", "unit")
    table.columns[0].no_wrap = True
    for record in manifest.exports:
        for file in record.files:
            table.add_row(file.path, f"{file.bytes:,}", file.description, file.unit)
    return table


def verification_table(result: Verification, agree_db: float) -> Table:
    """Metrics from float to read-back, the verdict on each format, and what an independent model says of them."""
    from opticdesign.learning.evaluation import METRICS

    verdicts = {check.exporter: check for check in result.checks}
    headings = [metric(name).heading for name in METRICS]
    verdict = "read-back equals design" if result.ok else "read-back DIFFERS"
    table = new_table(f"{verdict}{QUICK if result.quick else ''}", "masks", *headings, "files")
    for stage in result.stages:
        check = verdicts.get(stage.name.removeprefix("read back, "))
        state = "" if check is None else _state(check.ok, check.phase_error_rad)
        table.add_row(stage.name, *(f"{stage.metrics[name]:.4f}" for name in METRICS), state)
    for check in result.checks:
        if check.readback is None:
            state = "[yellow]only written[/yellow]" if check.one_way else "[red]unreadable[/red]"
            table.add_row(f"read back, {check.exporter}", *("–" for _ in METRICS), state)
    for model in result.independent:
        patches = f"{model.patches} {'patch' if model.patches == 1 else 'patches'}"
        names = ", ".join(model.exporters)
        table.add_row(f"trained model, {patches}", *(f"{model.trained[name]:.4f}" for name in METRICS), names)
        cells = (f"{model.metrics[name]:.4f}" for name in METRICS)
        table.add_row(f"independent model, {patches}", *cells, _agreement(model, agree_db))
    for shown in result.panels:
        light = (
            f"efficiency {shown.efficiency:.2%}, field error {shown.field_error:.2%} rms, "
            f"zero order {shown.zero_order:.2%}"
        )
        table.add_row(f"mask {shown.mask} on {shown.panel}", *("–" for _ in METRICS), light)
    return table


def _agreement(model: IndependentModel, agree_db: float) -> str:
    change = (
        f"{model.change_db:+.3f} dB; reading {model.reading_error:.2%}, intensity {model.intensity_error:.2%} rms; "
        f"{model.how}"
    )
    if model.problem(agree_db):
        return f"[red]differs[/red] by {change}"
    if model.pointlike:
        return f"[yellow]the design is of points, the files of squares[/yellow]: {change}"
    return f"[green]agrees[/green]: {change}"


def _state(ok: bool, phase_error_rad: float | None) -> str:
    if not ok:
        return "[red]differs[/red]"
    if phase_error_rad:
        return f"[green]levels equal[/green], panel rounds by up to {phase_error_rad:.4f} rad"
    return "[green]phase equal bit for bit[/green]"


def verification_json(result: Verification) -> dict[str, Any]:
    """A verification as plain values."""
    return {
        "ok": result.ok,
        "quick": result.quick,
        "problems": list(result.problems),
        "checks": [
            {
                "exporter": check.exporter,
                "ok": check.ok,
                "problems": list(check.problems),
                "phase_error_rad": check.phase_error_rad,
                "one_way": check.one_way,
            }
            for check in result.checks
        ],
        "stages": [{"name": stage.name, **stage.metrics} for stage in result.stages],
        "independent": [{**asdict(model), "change_db": model.change_db} for model in result.independent],
        "panels": [shown._asdict() for shown in result.panels],
        "notes": list(result.notes),
        "data_changed": result.data_changed,
    }


def rules_table(result: RuleCheck) -> Table:
    """Every design rule on every mask layer; a broken one is red."""
    from opticdesign.runs.drc_report import format_value

    layout, quick = result.job.spec.layout, QUICK if result.quick else ""
    verdict = "no rule is broken" if result.ok else "rules are BROKEN"
    title = f"{verdict}: {result.job.name}, layout of {layout.kind}, what is drawn: {layout.tone}{quick}"
    table = new_table(title, "rule", "layer", "limit", "violations", "worst", "first at")
    for row in result.rows():
        limit = (
            "none"
            if row.rule == "corner"
            else f"{'≤' if row.rule == 'aspect' else '≥'} " + format_value(row.rule, row.limit)
        )
        worst = "–" if row.worst is None or row.rule == "corner" else format_value(row.rule, row.worst)
        first = "" if row.first is None else "row {}, column {}, {}".format(*row.first)
        cells = (row.rule, str(row.layer), limit, f"{row.total:,}", worst, first)
        table.add_row(*cells, style="red" if row.total else None)
    return table


def facts_table(facts: Mapping[str, Any]) -> Table:
    """Names and values; those of a mapping in a line each."""
    from rich.markup import escape

    table = new_table("", "what", "value")
    for name, value in facts.items():
        table.add_row(name, escape(_lines(value)))
    return table


def _lines(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_inline(entry)}" for name, entry in value.items())
    return _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return "; ".join(map(_inline, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def study_table(result: StudyResult) -> Table:
    """The rows of a study; one that failed is red, floors are dim."""
    from rich.markup import escape

    headings, rows = result.table()
    table = new_table(f"{result.name}{QUICK if result.quick else ''}", *headings)
    for row, cells in zip(result.rows, rows, strict=True):
        table.add_row(*(escape(cell) for cell in cells), style=_STYLES[row.mark])
    return table
