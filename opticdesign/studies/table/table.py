"""The table of a study: means and intervals over seeds and images, and which rows beat their floors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from opticdesign.learning.evaluation import SMALL_IS_GOOD, Score, Verdict, crossed_interval, verdict
from opticdesign.studies.cells import Outcome
from opticdesign.studies.files import FAILED, score_cells, write_study
from opticdesign.studies.table.schema import PaperFigures, TableStudy

__all__ = ["COLUMNS", "PAPER", "Comparison", "StudyTable", "TableRow", "claims", "tabulate", "write_table"]

COLUMNS = {
    "psnr_field": "PSNR field / dB",
    "psnr_patch": "PSNR patch / dB",
    "ssim_field": "SSIM field",
    "ssim_patch": "SSIM patch",
    "ssim_rescaled": "SSIM patch rescaled",
    "mae_rad": "MAE patch / rad",
}
"""The columns of scores: their keys and headings."""

PAPER = "paper (other data)"
"""Heading of the column of a paper's figures."""

_SOURCES = {
    "psnr_field": ("fields", "psnr_db"),
    "psnr_patch": ("patches", "psnr_db"),
    "ssim_field": ("fields", "ssim"),
    "ssim_patch": ("patches", "ssim"),
    "ssim_rescaled": ("patches", "ssim_rescaled"),
    "mae_rad": ("patches", "mae_rad"),
}

_Verdict: TypeAlias = Verdict | Literal["has no interval beside"]


@dataclass(frozen=True)
class TableRow:
    """One row of the table.

    Args:
        name: name of the row.
        title: what it shows.
        floor: kind of floor, or None for a row that learns its optics.
        of: the row it is a floor of.
        seeds: the seeds whose runs are in the means.
        patches: test patches of a seed.
        fields: whole test fields of a seed.
        scores: column → mean and 95 % interval; empty where every seed failed.
        paper: what the paper reports, by column.
        problems: what failed, a line for each seed.
    """

    name: str
    title: str
    floor: str | None
    of: str | None
    seeds: tuple[int, ...]
    patches: int
    fields: int
    scores: dict[str, Score]
    paper: dict[str, float] | None
    problems: tuple[str, ...]

    @property
    def mark(self) -> Literal["failed", "floor", ""]:
        """What sets the row apart in its table."""
        return "failed" if self.problems else "floor" if self.floor else ""


@dataclass(frozen=True)
class Comparison:
    """How a row's interval in one column lies beside that of its best floor there, whose interval reaches farthest."""

    row: str
    column: str
    floor: str
    verdict: _Verdict


@dataclass(frozen=True)
class StudyTable:
    """The whole table of a study.

    Args:
        name: name of the study.
        quick: whether all rows are smoke runs, which are no result.
        rows: the rows in the study's order.
        comparisons: every row that has floors, in every column.
        notes: what the numbers are.
        kind: kind of study.
    """

    name: str
    quick: bool
    rows: tuple[TableRow, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    kind: Literal["table"] = "table"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""
        return ["row", "what", "seeds", *COLUMNS.values(), PAPER], [_cells(row) for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows for programs."""
        return [{**_record(row), "quick": self.quick, "problems": " | ".join(row.problems)} for row in self.rows]

    def remarks(self) -> dict[str, Sequence[str]]:
        """What is said below the table: what its numbers are, which rows beat their floors, what failed."""
        failed = [f"{row.name}, {problem}" for row in self.rows for problem in row.problems]
        return {"Notes": self.notes, "Against the floors": claims(self), FAILED: failed}


def tabulate(study: TableStudy, outcomes: Sequence[Outcome], quick: bool) -> StudyTable:
    """The table of a study's outcomes."""
    rows = []
    for row in study.rows:
        own = [outcome for outcome in outcomes if outcome.row == row.name]
        scored = [outcome.scores for outcome in own if outcome.scores is not None]
        scores = {
            column: crossed_interval([getattr(images, part)[metric] for images in scored])
            for column, (part, metric) in _SOURCES.items()
            if scored
        }
        rows.append(
            TableRow(
                name=row.name,
                title=row.title or (f"{row.floor}, a floor of {row.of}" if row.floor else row.name),
                floor=row.floor,
                of=row.of,
                seeds=tuple(outcome.seed for outcome in own if outcome.scores is not None),
                patches=len(scored[0].patches["psnr_db"]) if scored else 0,
                fields=len(scored[0].fields["psnr_db"]) if scored else 0,
                scores=scores,
                paper=None if row.paper is None else row.paper.model_dump(),
                problems=tuple(f"seed {outcome.seed}: {outcome.problem}" for outcome in own if outcome.problem),
            )
        )
    return StudyTable(study.name, quick, tuple(rows), tuple(_comparisons(rows)), tuple(_notes(rows, quick)))


def _comparisons(rows: Sequence[TableRow]) -> Iterator[Comparison]:
    for row in rows:
        floors = [
            floor
            for floor in rows
            if floor.scores and floor.floor is not None and (floor.of == row.name or floor.floor == "constant")
        ]
        if row.floor is not None or not row.scores or not floors:
            continue
        for column in COLUMNS:
            sign = -1.0 if _SOURCES[column][1] in SMALL_IS_GOOD else 1.0
            best = max(floors, key=lambda floor: _best_end(floor.scores[column], sign))
            yield Comparison(row.name, column, best.name, _verdict(row, best, column))


def _best_end(score: Score, sign: float) -> float:
    """How far an interval reaches towards what is good: whoever beats the farthest floor beats all."""
    return max(sign * score.low, sign * score.high)


def _verdict(row: TableRow, floor: TableRow, column: str) -> _Verdict:
    if min(_count(row, column), _count(floor, column)) < 2:
        return "has no interval beside"
    return verdict(row.scores[column], floor.scores[column], _SOURCES[column][1])


def _count(row: TableRow, column: str) -> int:
    """The number of values behind a score."""
    part, _ = _SOURCES[column]
    return len(row.seeds) * (row.fields if part == "fields" else row.patches)


def claims(table: StudyTable) -> list[str]:
    """The comparisons in words, a line for each row: what it beats in which columns, where it overlaps or is below."""
    lines = []
    for row in table.rows:
        found: dict[tuple[str, str], list[str]] = {}
        for entry in table.comparisons:
            if entry.row == row.name:
                found.setdefault((entry.verdict, entry.floor), []).append(COLUMNS[entry.column].partition(" /")[0])
        said = [f"{verdict} {floor} in {', '.join(columns)}" for (verdict, floor), columns in found.items()]
        if said:
            lines.append(f"{row.name} {'; '.join(said)}")
        elif row.floor is None:
            lines.append(f"{row.name} has no floor in this table")
    return lines


def _notes(rows: Sequence[TableRow], quick: bool) -> Iterator[str]:
    if quick:
        yield "quick: smoke budget, no result"
    counts = sorted({len(row.seeds) for row in rows if row.seeds})
    if counts == [1]:
        yield "means over the test images of one seed [95 % interval over images only: it says nothing of other seeds]"
    elif counts:
        seeds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        yield f"means over {seeds} seeds and their test images [95 % interval over both]"
    yield "a row is compared with the best of its floors: optics that learned nothing, a decoder trained as long"
    if any(row.paper for row in rows):
        yield f"{PAPER}: PSNR / dB, then SSIM, of whole field / patch, on the paper's own data and not on these"


def _record(row: TableRow) -> dict[str, Any]:
    """What a row has by column: floats for scores, and for what the paper reports."""
    record: dict[str, Any] = {"row": row.name, "title": row.title, "floor": row.floor, "of": row.of}
    record |= {"seeds": len(row.seeds), "patches": row.patches, "fields": row.fields}
    for column in COLUMNS:
        record |= score_cells(column, row.scores.get(column))
    return record | {f"paper_other_data_{key}": (row.paper or {}).get(key) for key in PaperFigures.model_fields}


def _cells(row: TableRow) -> list[str]:
    """What stands in the columns of a row: name, title, seeds, scores, the paper's figures."""
    cells = [row.name, row.title, str(len(row.seeds))]
    for column in COLUMNS:
        score, digits = row.scores.get(column), 2 if column.startswith("psnr") else 3
        if score is None:
            cells.append("–")
        elif _count(row, column) < 2:
            cells.append(f"{score.mean:.{digits}f}")
        else:
            cells.append(score.text(digits))
    paper = row.paper
    if paper is None:
        return [*cells, ""]
    pairs = (("psnr", ".2f"), ("ssim", ".3f"))
    psnr, ssim = (f"{paper[f'{name}_field']:{form}} / {paper[f'{name}_patch']:{form}}" for name, form in pairs)
    return [*cells, f"{psnr}, {ssim}"]


def write_table(folder: Path, table: StudyTable) -> None:
    """Write the files of a table into a folder.

    Raises:
        StorageError: the disk refused.
    """
    write_study(folder, table, asdict(table))
