"""Tables that fit a terminal: no word is broken; what is too wide side by side stands in parts below one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

__all__ = ["fitted"]

_COMFORT = 20  # characters that a line of a text should hold
_EDGES, _BETWEEN = 1, 3  # of a table, and of each of its columns: what box and padding take


@dataclass(frozen=True)
class _Width:
    """Characters that a column takes without breaking a line, and without breaking a word that fits half the width."""

    most: int
    least: int


def fitted(table: Table, width: int) -> Iterator[Table]:
    """The table as it is if that is no wider than `width`, else parts of its columns, the first one in each of them.

    An interval then stands below its number.

    Args:
        table: a table of texts.
        width: characters.
    """
    if _total([_width(column, _texts(column), width).most for column in table.columns]) <= width:
        yield table
        return
    cells = [[_below(text) for text in _texts(column)] for column in table.columns]
    widths = [_width(column, texts, width) for column, texts in zip(table.columns, cells, strict=True)]
    for number, part in enumerate(_parts([one.least for one in widths], width)):
        shown = _shared([widths[at] for at in part], width)
        yield _part(table, table.title if number == 0 else None, cells, dict(zip(part, shown, strict=True)))


def _texts(column: Column) -> list[str]:
    return [str(cell) for cell in column.cells]


def _below(text: str) -> str:
    """A text, what is in brackets in a line of its own."""
    return text.replace(" [", "\n[").replace(" \\[", "\n\\[")


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * len(widths) + _EDGES


def _width(column: Column, texts: Sequence[str], width: int) -> _Width:
    lines = [line for text in texts for line in Text.from_markup(text).plain.split("\n")]
    title = Text.from_markup(str(column.header)).plain
    longest = max(map(cell_len, lines), default=0)
    # str.split would break at no-break spaces too
    words = max(cell_len(word) for line in (title, *lines) for word in line.split(" "))
    return _Width(max(longest, cell_len(title)), min(max(words, min(longest, _COMFORT)), width // 2))


def _parts(least: Sequence[int], width: int) -> list[list[int]]:
    """Places of the columns of each part."""
    parts = [[0]]
    for place in range(1, len(least)):
        if len(parts[-1]) > 1 and _total([least[at] for at in (*parts[-1], place)]) > width:
            parts.append([0])
        parts[-1].append(place)
    return parts


def _shared(widths: Sequence[_Width], width: int) -> list[int]:
    """Widths of the columns of a part: what is left over the least ones goes where more is wanted, in proportion."""
    left = max(0, width - _total([one.least for one in widths]))
    wanted = sum(one.most - one.least for one in widths)
    share = min(1.0, left / wanted) if wanted else 0.0
    return [one.least + int(share * (one.most - one.least)) for one in widths]


def _part(table: Table, title: str | Text | None, cells: Sequence[Sequence[str]], widths: dict[int, int]) -> Table:
    part = Table(title=title, box=table.box, title_justify=table.title_justify)
    for place, width in widths.items():
        column = table.columns[place]
        part.add_column(column.header, justify=column.justify, overflow=column.overflow, width=width)
    for number, row in enumerate(table.rows):
        part.add_row(*(cells[place][number] for place in widths), style=row.style)
    return part
