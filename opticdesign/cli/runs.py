"""The commands that look at several runs: which there are, and how they compare."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from opticdesign.cli.options import Json, app, print_json

__all__ = ["compare", "runs"]


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="folder that holds runs")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the runs in FOLDER and in the folders inside it: design, state, when begun, scores."""
    from opticdesign.runs.overview import list_runs

    found = list_runs(folder)
    if as_json:
        print_json([asdict(run) for run in found])
        return
    from opticdesign.cli.run_tables import runs_table
    from opticdesign.cli.tables import print_table

    print_table(runs_table(found))


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="run folders, two or more")],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder for validation.png, the curves of all runs")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: scores side by side, and the keys in which their designs differ."""
    from opticdesign.runs.comparison import compare_runs, draw_comparison_of_runs

    comparison, opened = compare_runs(folders)
    drawn = None if output is None else draw_comparison_of_runs(output / "validation.png", opened)
    if as_json:
        print_json(asdict(comparison) | {"picture": None if drawn is None else str(drawn)})
        return
    from opticdesign.cli.run_tables import differences_table, scores_table
    from opticdesign.cli.tables import print_table

    print_table(scores_table(comparison))
    if comparison.differences:
        print_table(differences_table(comparison))
    else:
        typer.echo("the designs are the same")
    if drawn is not None:
        typer.echo(f"written to {drawn}", err=True)
