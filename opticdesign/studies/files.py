"""The files of a study's table, named by the study: .json with all there is, .csv for programs, .md for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from opticdesign.errors import RunError
from opticdesign.learning.evaluation import Score
from opticdesign.storage import write_json, write_text

__all__ = ["FAILED", "StudyResult", "TableRow", "refuse_other_files", "score_cells", "study_stem", "write_study"]

FAILED = "Failed"
"""Heading of the remarks on what failed."""

Record: TypeAlias = Mapping[str, Any]
"""Column → value of a row, None for an empty cell."""


class TableRow(Protocol):
    """A row of a table."""

    @property
    def mark(self) -> Literal["failed", "floor", ""]:
        """What sets the row apart."""


class StudyResult(Protocol):
    """The table of a study."""

    @property
    def kind(self) -> str:
        """Kind of the study."""

    @property
    def name(self) -> str:
        """Name of the study."""

    @property
    def quick(self) -> bool:
        """Whether all rows are from the smoke budget, which is no result."""

    @property
    def rows(self) -> Sequence[TableRow]:
        """The rows."""

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""

    def records(self) -> Sequence[Record]:
        """The rows for programs."""

    def remarks(self) -> Mapping[str, Sequence[str]]:
        """Heading → what is said below the table, a line each."""


def study_stem(name: str, quick: bool) -> str:
    """What the files of a study are called, and its folder where none is asked for."""
    return f"{name}-quick" if quick else name


def refuse_other_files(folder: Path, kind: str, name: str, quick: bool) -> None:
    """Refuse a folder in which the files of a study would replace those of another one, or of the user.

    Raises:
        RunError: a file is there that no study of this kind and name has written.
    """
    stem = study_stem(name, quick)
    there = [path for end in ("json", "csv", "md", "png") if (path := folder / f"{stem}.{end}").exists()]
    try:
        record = json.loads((folder / f"{stem}.json").read_text("utf-8"))
        ours = isinstance(record, dict) and (record.get("kind"), record.get("name")) == (kind, name)
    except (OSError, ValueError):
        ours = False
    if there and not ours:
        raise RunError(
            f"{there[0]}: not of the study {name!r} of kind {kind!r}; it is left as it is",
            expected="a folder without files of this name",
            remedy="choose another --output, rename the study, or move the file",
        )


def write_study(folder: Path, result: StudyResult, content: Mapping[str, Any]) -> None:
    """Write the table of a study into a folder.

    Args:
        folder: the folder.
        result: the table.
        content: what stands in the .json, the table's kind and name among it.

    Raises:
        StorageError: the disk refused.
    """
    stem = study_stem(result.name, result.quick)
    write_json(folder / f"{stem}.json", content)
    write_text(folder / f"{stem}.csv", _csv(result.records()))
    write_text(folder / f"{stem}.md", "\n".join(_markdown(result)) + "\n")


def score_cells(column: str, score: Score | None) -> dict[str, float | None]:
    """The cells of a score: its mean, and the ends of its interval."""
    values = (None, None, None) if score is None else (score.mean, score.low, score.high)
    return dict(zip((column, f"{column}_low", f"{column}_high"), values, strict=True))


def _csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: _plain(value) for column, value in record.items()} for record in records)
    return text.getvalue()


def _plain(value: object) -> object:
    """A cell that a spreadsheet takes for text where it is text, whatever it begins with."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _escaped(text: str) -> str:
    """Text as Markdown shows it: no column, no tag of HTML."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _markdown(result: StudyResult) -> Iterator[str]:
    headings, rows = result.table()
    yield from (f"# {result.name}", "")
    for cells in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(map(_escaped, cells))} |"
    for heading, lines in result.remarks().items():
        if lines:
            yield from ("", f"**{heading}**", "", *(f"- {_escaped(line)}" for line in lines))
