"""The command that says how data is understood, before anything is trained on it."""

from __future__ import annotations

import shlex
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import Json, Setting, app, print_json, quoted, read_design
from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from opticdesign.data import Split
    from opticdesign.design import Design, FolderData
    from opticdesign.runs.data_report import DataReport

__all__ = ["data"]

_PROBLEMS = 3  # that are printed


@app.command()
def data(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a data file, or a folder of them")],
    design: Annotated[
        Path | None, typer.Option(metavar="DESIGN", help="design that would learn from it (TOML)")
    ] = None,
    setting: Setting = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PNG to write; default NAME-data.png here, numbered if taken")
    ] = None,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="draw nothing")] = False,
    as_json: Json = False,
) -> None:
    """Say what the files of PATH hold and how they are understood: arrays, unit, pitch, split; 2 if any is refused."""
    if picture is not None and picture.exists():
        raise UsageError(
            f"{picture}: already there", expected="a file that does not exist yet", remedy="choose another --picture"
        )
    loaded, told = _told(path, design, setting)
    from opticdesign.runs.data_report import inspect_data

    report, split = inspect_data(told, loaded)
    drawn = _draw(picture or _free_name(path), report, split) if any(split) and not no_picture else None
    if as_json:
        print_json(report.plain() | {"picture": None if drawn is None else str(drawn), "ok": not report.problems})
    else:
        _print(report)
        if drawn is not None:
            typer.echo(f"picture: {drawn}", err=True)
    if report.problems:
        raise typer.Exit(2)
    if design is not None:
        typer.echo(f"next: opticdesign optimize {quoted(design)}{_settings(path, setting)}", err=True)


def _told(path: Path, design: Path | None, setting: list[str] | None) -> tuple[Design | None, FolderData]:
    """The design, and the table [data] with this path, changed by --set."""
    from opticdesign.design import DataTables, FolderData, check_tables
    from opticdesign.design.toml_text import toml_value

    if design is None:
        example = "for example --set data.unit=nm; other tables need --design"
        tables = {"data": {"kind": "folder", "path": str(path)}}
        return None, check_tables(tables, DataTables, setting or [], example).data
    loaded = read_design(design, ["data.kind=folder", f"data.path={toml_value(str(path))}", *(setting or [])])
    if not isinstance(loaded.data, FolderData):
        raise UsageError("--set data.kind: this command reads files", expected="folder", remedy="remove it")
    return loaded, loaded.data


def _settings(path: Path, setting: list[str] | None) -> str:
    """The options that make a design learn from this path."""
    from opticdesign.design.toml_text import toml_value

    changes = ["data.kind=folder", f"data.path={toml_value(str(path))}", *(setting or [])]
    return "".join(f" --set {shlex.quote(change)}" for change in changes)


def _free_name(path: Path) -> Path:
    """A name in the current folder that no file has yet."""
    stem = path.resolve().name.partition(".")[0] or "field"
    names = (Path(f"{stem}-data{'' if number == 1 else f'-{number}'}.png") for number in count(1))
    return next(name for name in names if not name.exists())


def _draw(path: Path, report: DataReport, split: Split) -> Path:
    from opticdesign.runs.data_report import draw_data

    return draw_data(path, report, split)


def _print(report: DataReport) -> None:
    from opticdesign.cli.data_tables import data_lines, data_tables
    from opticdesign.cli.tables import print_table

    for table in data_tables(report):
        print_table(table)
    for line in data_lines(report):
        typer.echo(line)
    for problem in report.problems[:_PROBLEMS]:
        typer.echo(f"refused: {problem}", err=True)
    if (more := len(report.problems) - _PROBLEMS) > 0:
        typer.echo(f"refused: {more} more files, which --json lists", err=True)
