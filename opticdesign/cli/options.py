"""The application that commands register with, and the arguments that several of them take."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from opticdesign.design import Design
    from opticdesign.runs.run_folder import Run

__all__ = [
    "DataChanged",
    "DesignFile",
    "Device",
    "ExportFolder",
    "ExportSetting",
    "Json",
    "RunFolder",
    "Setting",
    "app",
    "opened_run",
    "pair",
    "print_json",
    "quoted",
    "read_design",
]

_Number = TypeVar("_Number", int, float)

app = typer.Typer(
    name="opticdesign",
    help="Design diffractive optics with their decoder, and export masks that are read back and re-simulated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"opticdesign {version('opticdesign')}")
        raise typer.Exit(0)


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


DesignFile = Annotated[
    Path, typer.Argument(metavar="DESIGN", help="design file (TOML), or the name of a shipped design")
]
RunFolder = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN", help="run folder, or a folder whose `latest` names one; the latest run when left out"
    ),
]
Setting = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change one key of the design; repeatable")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="where to compute")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")]
DataChanged = Annotated[
    bool, typer.Option("--data-changed", help="take other data files than RUN was trained on; recorded in the result")
]
ExportSetting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="change a key of \\[export] or \\[slm]; repeatable"),
]
ExportFolder = Annotated[Path | None, typer.Option("--to", metavar="DIR", help="export folder; default RUN/exports")]


def opened_run(path: Path | None) -> Run:
    """The run that a command is to work on; where none is named the latest complete one, which is said."""
    from opticdesign.runs.run_folder import latest_run, open_run

    if path is not None:
        return open_run(path)
    run = latest_run(Path())
    typer.echo(f"RUN: {run.folder}, the latest complete run", err=True)
    return run


def read_design(path: Path, settings: list[str] | None, seed: int | None = None) -> Design:
    """A design file with --set and --seed."""
    from opticdesign.design import load_design
    from opticdesign.design.shipped import design_file

    changes = list(settings or [])
    if seed is not None:
        changes.append(f"training.seed={seed}")
    return load_design(design_file(path), changes)


def pair(option: str, text: str, kind: type[_Number], expected: str, example: str) -> tuple[_Number, _Number]:
    """Two numbers with a space or a comma between them, as an option has them."""
    try:
        first, second = (kind(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise UsageError(f"{option} {text}", expected=expected, remedy=f'for example {option} "{example}"') from None
    return first, second


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def print_json(value: object) -> None:
    """Print a result as JSON on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
