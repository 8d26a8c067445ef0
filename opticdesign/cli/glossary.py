"""The command that explains the words of tables, reports and designs, from the glossary of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import app
from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Entry", "explain", "glossary"]


@dataclass(frozen=True)
class Entry:
    """One entry: the names it has, and what they mean."""

    names: tuple[str, ...]
    text: str


def glossary() -> list[Entry]:
    """The entries of docs/glossary.md, in a checkout or as it is installed."""
    installed = Path(__file__).parents[1] / "_glossary.md"
    page = installed if installed.is_file() else Path(__file__).parents[2] / "docs" / "glossary.md"
    _, *parts = page.read_text("utf-8").split("\n## ")
    return [Entry(tuple(heading.split(" · ")), text.strip()) for heading, _, text in (p.partition("\n") for p in parts)]


@app.command()
def explain(
    term: Annotated[str, typer.Argument(metavar="TERM", help="a word of a table or report, or a key of the design")],
) -> None:
    """Explain TERM: a word of tables and reports, or a key of the design file."""
    entries = {name.casefold(): entry for entry in glossary() for name in entry.names}
    keys = {key.casefold(): (key, text) for key, text in _keys()}
    asked = term.strip().casefold()
    if asked in entries:
        typer.echo(f"{' · '.join(entries[asked].names)}\n{entries[asked].text}")
    found = [keys[key] for key in keys if asked in (key, key.rpartition(".")[2])]
    for key, text in found:
        typer.echo(f"{key}: {text}")
    if asked in entries or found:
        return
    names = [name for entry in glossary() for name in entry.names] + [key for key, _ in keys.values()]
    near = get_close_matches(term, names, n=6, cutoff=0.5) or [name for name in names if asked in name.casefold()][:6]
    raise UsageError(
        f"no entry {term!r}",
        expected="a word of docs/glossary.md, or a key of the design file",
        remedy=f"did you mean {', '.join(near)}?" if near else "opticdesign explain floors, for example",
    )


def _keys() -> Iterator[tuple[str, str]]:
    """Every key of the design file, dotted, and what it is; of tables of several kinds those of each."""
    from opticdesign.design import Design

    return _keys_of(Design, "")


def _keys_of(table: type[BaseModel], above: str) -> Iterator[tuple[str, str]]:
    from opticdesign.design.problems import models_of
    from opticdesign.design.toml_text import toml_value

    for name, field in table.model_fields.items():
        key = f"{above}{field.alias or name}"
        if field.description:
            example = f"; for example {toml_value(field.examples[0])}" if field.examples else ""
            yield key, f"{field.description}{example}"
        named = f"{key}.NAME." if field.annotation is not None and "dict" in str(field.annotation)[:4] else f"{key}."
        for inner in models_of(field.annotation):
            yield from _keys_of(inner, named)
