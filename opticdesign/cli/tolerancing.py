"""The command that asks what becomes of a trained design when it is not built exactly as designed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import DataChanged, Device, Json, RunFolder, app, opened_run, print_json

if TYPE_CHECKING:
    from opticdesign.runs.run_folder import Run
    from opticdesign.tolerance.result import ToleranceResult
    from opticdesign.tolerance.running.plan import ToleranceOptions

__all__ = ["tolerance"]


@app.command()
def tolerance(
    run: RunFolder = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of \\[tolerance]; repeatable")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="draws, instead of the design's number")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="seed of the draws, instead of the design's")] = None,
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="processes; default: one a core, or one on a GPU")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="59 draws, less of everything else; marked")] = False,
    sobol: Annotated[
        int,
        typer.Option(
            min=0, max=65536, metavar="N", help="Sobol indices from N base points, a power of two; 0 for none"
        ),
    ] = 0,
    replay: Annotated[
        int | None, typer.Option(metavar="I", help="make draw I of a finished study again, alone, with a picture")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="dask scheduler whose workers compute, tcp://…")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(min=0.1, max=1e6, metavar="GIB", help="memory for judging draws, in all")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="folder of studies; default RUN/tolerance")] = None,
    data_changed: DataChanged = False,
    as_json: Json = False,
) -> None:
    r"""Perturb RUN as its \[tolerance] says: yield, ranking, limits, budget; again to continue. 1: low yield."""
    from opticdesign.processes import choose_device
    from opticdesign.tolerance.running.plan import ToleranceOptions

    opened = opened_run(run)
    options = ToleranceOptions(
        choose_device(device),
        samples=samples,
        seed=seed,
        workers=workers,
        quick=quick,
        sobol=sobol,
        memory_gib=memory,
        scheduler=scheduler,
        output=output,
        changes=tuple(setting or ()),
        data_changed=data_changed,
    )
    if replay is not None:
        _replay(opened, options, replay, as_json)
    else:
        _study(opened, options, as_json)


def _study(run: Run, options: ToleranceOptions, as_json: bool) -> None:
    """Carry out a study and print it."""
    from opticdesign.cli.progress import StopRequest, tolerance_listener
    from opticdesign.errors import StudyStopped
    from opticdesign.tolerance.running.study_run import tolerate

    try:
        with StopRequest() as stop, tolerance_listener() as listen:
            result, folder = tolerate(run, options, listen, lambda news: typer.echo(news, err=True), stop)
    except StudyStopped as stopped:
        typer.echo(f"{stopped}; the same command continues it", err=True)
        raise typer.Exit(130) from None
    if as_json:
        print_json(asdict(result))
    else:
        _print(result)
        typer.echo(f"written to {folder}: report.html, result.json, draws.csv", err=True)
    if not result.yield_found.enough:
        raise typer.Exit(1)


def _print(result: ToleranceResult) -> None:
    from opticdesign.cli.tables import print_table
    from opticdesign.cli.tolerance_tables import tolerance_lines, tolerance_tables

    for table in tolerance_tables(result):
        print_table(table)
    for line in tolerance_lines(result):
        typer.echo(line)


def _replay(run: Run, options: ToleranceOptions, index: int, as_json: bool) -> None:
    """Make one draw again and print it; 1 where it is not what the study holds."""
    from opticdesign.cli.tables import print_table
    from opticdesign.cli.tolerance_tables import replay_table
    from opticdesign.tolerance.running.study_run import replay

    found = replay(run, options, index)
    if as_json:
        print_json({**asdict(found.draw), "stored": found.stored, "same": found.same, "folder": str(found.folder)})
    else:
        print_table(replay_table(found))
        typer.echo(f"picture: {found.folder / (found.draw.picture or '')}", err=True)
    if not found.same:
        raise typer.Exit(1)
