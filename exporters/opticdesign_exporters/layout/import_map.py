"""Which layer and datatype of a layout from elsewhere is which level, or which bit, of which mask."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opticdesign.errors import DataError
from opticdesign.handover.importing import ImportJob
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.layout.meaning import Meaning, table_rows

__all__ = ["ImportMap", "import_map"]

Tag = tuple[int, int]
_CHROME = 200  # our own: chrome of mask k on layer 200 + k, datatype 0, and marks on 100 + k and 200 + k
_EXPECTED = "columns layer, datatype, mask, and level or bit; masks count from 1, bit 0 is the deepest etch"
_REMEDY = "begin the table with the line layer,datatype,mask,level or layer,datatype,mask,bit"


@dataclass(frozen=True)
class ImportMap:
    """What layers and datatypes stand for.

    Args:
        bits: whether values are bits, which add up; else levels, of which one is drawn in a pixel.
        masks: for each mask, layer and datatype → the level it makes, or the place of the bit in the level.
        chrome: for each mask, layer and datatype of its half-toned chrome; empty where there is none.
        named: all that the user's table names, also what stands for nothing; empty where there is no table.
    """

    bits: bool
    masks: tuple[Mapping[Tag, int], ...]
    chrome: tuple[Tag, ...] = ()
    named: frozenset[Tag] = frozenset()

    @property
    def tags(self) -> set[Tag]:
        """All layers and datatypes that stand for something."""
        return {tag for mask in self.masks for tag in mask} | set(self.chrome)


def import_map(job: ImportJob, meaning: Meaning) -> ImportMap:
    """The map of a job: its table, or that of our own layouts.

    Raises:
        DataError: a table that cannot be read, or that names masks, levels or bits the design has not.
    """
    if meaning.table is not None:
        return _told(meaning.table, job)
    count, levels = job.shape[0], job.process.levels
    numbers = range(1, count + 1)
    chrome = tuple((_CHROME + number, 0) for number in numbers)
    if meaning.kind == "bits":
        places = (levels - 1).bit_length()
        return ImportMap(True, tuple({(k, b): places - 1 - b for b in range(places)} for k in numbers), chrome)
    keep = meaning.tone == "keep"
    steps = range(1, levels)
    return ImportMap(False, tuple({(k, s): s if keep else levels - 1 - s for s in steps} for k in numbers), chrome)


def _told(table: SourceFile, job: ImportJob) -> ImportMap:
    """The map of a table."""
    rows = list(_rows(table))
    kinds = {kind for kind in ("level", "bit") for row in rows if row.get(kind) is not None}
    if len(kinds) != 1:
        told = f"values of {' and '.join(sorted(kinds)) or 'no kind'}"
        raise DataError(table.path, told, expected=_EXPECTED, remedy=_REMEDY)
    (kind,) = kinds
    places = (job.process.levels - 1).bit_length()
    most = {"mask": job.shape[0], "level": job.process.levels - 1, "bit": places - 1}
    masks: tuple[dict[Tag, int], ...] = tuple({} for _ in range(job.shape[0]))
    named: set[Tag] = set()
    for number, row in enumerate(rows, start=2):
        nothing = not row.keys() & {"mask", kind}
        for key, least in () if nothing else (("mask", 1), (kind, 0)):
            value = row.get(key)
            if value is None or not least <= value <= most[key]:
                raise DataError(table.path, f"line {number}: {key} {value}", expected=f"{least} to {most[key]}")
        layer, datatype = row.get("layer"), row.get("datatype")
        if layer is None or datatype is None or (layer, datatype) in named:
            raise DataError(table.path, f"line {number}: layer {layer} datatype {datatype}", expected="each once")
        named.add((layer, datatype))
        if not nothing:
            value = row[kind]
            masks[row["mask"] - 1][layer, datatype] = places - 1 - value if kind == "bit" else value
    return ImportMap(kind == "bit", masks, named=frozenset(named))


def _rows(table: SourceFile) -> Iterator[dict[str, int]]:
    """The whole numbers of a table by column, one row a line; empty cells and other columns are left out."""
    try:
        head, *rows = table_rows(table) or [[]]
        for row in filter(any, rows):
            cells = dict(zip(head, row, strict=False))
            wanted = {key: cells.get(key, "") for key in ("layer", "datatype", "mask", "level", "bit")}
            yield {key: int(value) for key, value in wanted.items() if value}
    except (ValueError, csv.Error) as error:
        reason = str(error).splitlines()[0][:160]
        raise DataError(table.path, f"no table of layers: {reason}", expected=_EXPECTED, remedy=_REMEDY) from None
