"""What is drawn in a layout: said by the user, else by the tables of an export beside it, else by the design."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from typing import Literal

from opticdesign.errors import DataError, UsageError
from opticdesign.handover.importing import ImportJob
from opticdesign.handover.manifest import MANIFEST_NAME, Manifest, manifest_beside
from opticdesign.handover.source_file import SourceFile

__all__ = ["Meaning", "layout_meaning", "table_rows"]

_TABLE = "layers.csv"
_HEAD = ["layer", "datatype", "content", "measure", "nm"]  # of ours
_LEVEL = re.compile(r"layer (\d+), level (\d+)")
_STEPS = re.compile(r"layer (\d+), \d+ of (\d+) steps removed")
_BIT = re.compile(r"layer (\d+), bit (\d+), what (stays|is etched)")


@dataclass(frozen=True)
class Meaning:
    """What is drawn.

    Args:
        kind: levels, or bits of them.
        tone: what stays, or what is etched.
        mirror: whether it is seen from the back.
        table: which layer and datatype is which, as the user says; None where they are as in our own layouts.
        sure: whether the tone is more than the design's own setting.
        notes: where all that is from.
    """

    kind: Literal["levels", "bits"]
    tone: Literal["keep", "etch"]
    mirror: bool
    table: SourceFile | None = None
    sure: bool = False
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}, tone {self.tone}, {'mirrored' if self.mirror else 'not mirrored'}"


def layout_meaning(job: ImportJob) -> Meaning:
    """What the layout of a job draws.

    Raises:
        UsageError: the user says two things that contradict each other.
        DataError: a table of ours that is of other masks.
    """
    said, layout = job.said, job.layout
    meaning = Meaning(layout.kind, layout.tone, layout.mirror)
    source = "as the design says (--kind, --tone and --mirror say another)"
    if said.layers is not None:
        if said.kind is not None:
            raise UsageError("--kind with --layers, whose table says it", expected="one of them")
        ours = _of_table(said.layers, job)
        meaning = replace(meaning, table=said.layers) if ours is None else ours
        source = f"as {said.layers.path.name} says of it" if ours else "tone and mirror as the design says"
    elif (beside := _beside(job)) is not None:
        meaning, source = beside
    meaning = replace(
        meaning,
        kind=said.kind or meaning.kind,
        tone=said.tone or meaning.tone,
        mirror=meaning.mirror if said.mirror is None else said.mirror,
        sure=meaning.sure or said.tone is not None,
    )
    if None not in (said.tone, said.mirror) and (said.kind or said.layers):
        return meaning  # all is said
    return replace(meaning, notes=(f"read as {meaning}: {source}",))


def _beside(job: ImportJob) -> tuple[Meaning, str] | None:
    """What the tables of an export beside the layout say, and that they do."""
    path = job.files[0].path
    found = manifest_beside(path)
    if found is not None and (meaning := _of_manifest(found[1])):
        return meaning, f"as the layouts of {MANIFEST_NAME} beside it, which does not list it"
    table = path.parent / _TABLE
    if table.is_file() and (meaning := _of_table(SourceFile.read(table), job)):
        return meaning, f"as {_TABLE} beside it says"
    return None


def _of_manifest(manifest: Manifest) -> Meaning | None:
    """What the layouts of an export draw; None where there are none, or unlike ones."""
    keys = ("layout", "tone", "mirror")
    said = {tuple(record.options.get(key) for key in keys) for record in manifest.exports if "layout" in record.options}
    for kind, tone, mirror in said if len(said) == 1 else ():
        if kind in ("levels", "bits") and tone in ("keep", "etch") and isinstance(mirror, bool):
            return Meaning(kind, tone, mirror, sure=True)  # type: ignore[arg-type]
    return None


def _of_table(table: SourceFile, job: ImportJob) -> Meaning | None:
    """What a table that we write beside layouts says; None where it is another.

    Raises:
        DataError: it is of other masks than the design's.
    """
    try:
        head, *rows = table_rows(table)
    except (ValueError, csv.Error):
        return None
    if head != _HEAD:
        return None
    text = "\n".join(row[2] for row in rows if len(row) > 2)
    levels, steps, bits = (pattern.findall(text) for pattern in (_LEVEL, _STEPS, _BIT))
    masks, mirror = {int(found[0]) for found in (*levels, *steps, *bits)}, ", mirrored" in text
    if bits:
        count = 2 ** (1 + max(int(bit) for _, bit, _ in bits))
        meaning = Meaning("bits", "keep" if bits[0][2] == "stays" else "etch", mirror, sure=True)
    elif levels or steps:
        count = 1 + max(int(one[1]) for one in levels or steps)
        meaning = Meaning("levels", "keep" if levels else "etch", mirror, sure=True)
    else:
        return None
    if (len(masks), count) != (job.shape[0], job.process.levels):
        raise DataError(
            table.path,
            f"{len(masks)} masks of {count} levels",
            expected=f"{job.shape[0]} of {job.process.levels}, as the design has",
            remedy="name the design that they were made of, or move the layout away from this table",
        )
    return meaning


def table_rows(table: SourceFile) -> list[list[str]]:
    """The cells of a table by row, between commas, semicolons or tabs; its head in small letters.

    Raises:
        ValueError: it is no text.
        csv.Error: it is no table.
    """
    text = table.data.decode("utf-8-sig")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    return [[cell.lower() for cell in row] for row in rows[:1]] + rows[1:]
