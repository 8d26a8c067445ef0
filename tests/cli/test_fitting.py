from __future__ import annotations

import io

import pytest
from rich.console import Console

from opticdesign.cli.fitting import fitted
from opticdesign.cli.tables import new_table

SCORE = "19.70 [18.76, 20.68]"
WORDS = "no name or number may break, whatever the terminal"


def printed(width: int, *columns: str, rows: list[tuple[str, ...]]) -> list[str]:
    table = new_table("title", *columns)
    for row in rows:
        table.add_row(*row)
    console = Console(width=width, record=True, file=io.StringIO())
    for part in fitted(table, width):
        console.print(part)
    return [line.rstrip() for line in console.export_text().splitlines() if line.strip()]


def test_table_that_fits_is_left_as_it_is() -> None:
    assert printed(60, "row", "PSNR", rows=[("B1", SCORE)])[-1].split() == ["B1", *SCORE.split()]


@pytest.mark.parametrize("width", [50, 80, 120])
def test_wide_table_stands_in_parts_that_begin_with_its_first_column(width: int) -> None:
    lines = printed(width, "row", *"ABCDEFGH", rows=[("D2NN-10000-4", *[SCORE] * 8)])
    assert max(map(len, lines)) <= width
    rows = [line.split() for line in lines if "D2NN-10000-4" in line]
    assert len(rows) > 1 and all(row[0] == "D2NN-10000-4" for row in rows)
    assert sum(line.count("19.70") for line in lines) == sum(line.count("[18.76, 20.68]") for line in lines) == 8
    assert [line.count("title") for line in lines] == [1] + [0] * (len(lines) - 1)


def test_words_are_whole_and_what_wants_more_room_gets_it() -> None:
    lines = printed(60, "check", "found", rows=[("overlay_rotation of a mask", f"{WORDS}: {WORDS}")])
    assert max(map(len, lines)) <= 60
    text = " ".join(" ".join(lines).split())
    assert "overlay_rotation" in text
    assert all(word in text.split() for word in WORDS.split())
    assert any("no name or number may break," in line for line in lines)


def test_word_wider_than_the_terminal_breaks_alone() -> None:
    lines = printed(60, "what", "value", rows=[("design_sha256", "a" * 90), ("folder", "here")])
    assert max(map(len, lines)) <= 60
    assert any(line.split()[0] == "design_sha256" for line in lines)
    assert sum(line.count("a" * 10) for line in lines) >= 8


def test_colours_take_no_room_and_stay() -> None:
    assert len(list(fitted(filled("[green]pass[/green]"), 14))) == 1
    part = next(iter(fitted(filled(f"[green]{'word ' * 9}[/green]"), 40)))
    assert next(iter(part.columns[1].cells)).startswith("[green]")


def filled(cell: str):
    table = new_table("", "a", "b")
    table.add_row("x", cell)
    return table
