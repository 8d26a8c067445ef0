"""Commands around a design and its runs; what is heavy is imported inside them, so that help answers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opticdesign.cli.options import (
    DataChanged,
    DesignFile,
    Device,
    Json,
    RunFolder,
    Setting,
    app,
    opened_run,
    print_json,
    quoted,
    read_design,
)
from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from opticdesign.runs.optimise import Progress

__all__ = ["check", "doctor", "evaluate", "init", "optimize", "schema", "show"]


@app.command()
def optimize(
    design: DesignFile,
    setting: Setting = None,
    device: Device = "auto",
    seed: Annotated[int | None, typer.Option(help="seed of every random draw, instead of the design's")] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="run folder, exactly there")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="smoke budget, under a minute; marked in every result")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="print time, memory and files, then stop")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --output, or the latest one")] = False,
    start_from: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="start with what this complete run has learned")
    ] = None,
) -> None:
    """Train the masks and the decoder of DESIGN in a new run folder; under torchrun, with all its processes."""
    loaded = read_design(design, setting, seed)
    from opticdesign.cli.progress import StopRequest, progress_listener
    from opticdesign.cli.tables import plan_table, print_table
    from opticdesign.learning.distributed import joined_workers
    from opticdesign.processes import choose_device
    from opticdesign.runs.optimise import Options, Stopped, assist, optimise
    from opticdesign.runs.planning import plan_optimisation, quick_design
    from opticdesign.runs.run_folder import resume_command

    place = choose_device(device)
    if plan:
        print_table(plan_table(plan_optimisation(quick_design(loaded) if quick else loaded, place, start_from)))
        return
    with joined_workers(place) as workers, StopRequest() as stop:
        options = Options(place, output, quick=quick, resume=resume, start_from=start_from, workers=workers)
        if not workers.leads:
            assist(loaded, options, stop)
            return
        heading = f"{loaded.name}: training on {place}{', quick: smoke budget' if quick else ''}"
        try:
            with progress_listener() as listen:
                run = optimise(loaded, options, _announced(heading, listen), stop, _tell)
        except Stopped as stopped:  # in here, so that this process leaves together with those that assist
            run = stopped.run
    if not run.complete:
        typer.echo(f"stopped safely; continue with\n  {resume_command(run.folder)}")
        raise typer.Exit(130)
    typer.echo(str(run.folder))
    typer.echo(f"next: opticdesign evaluate {quoted(run.folder)}", err=True)


def _tell(news: str) -> None:
    typer.echo(news, err=True)


def _announced(heading: str, listen: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """A listener that first says what is trained, once the first step shows that it can be."""
    headings = [heading]

    def hear(news: Progress) -> None:
        while headings:
            typer.echo(headings.pop(), err=True)
        listen(news)

    return hear


@app.command()
def evaluate(
    run: RunFolder = None, device: Device = "auto", data_changed: DataChanged = False, as_json: Json = False
) -> None:
    """Score RUN on its test data, beside floors whose decoders are trained equally long; again to continue."""
    from opticdesign.cli.progress import StopRequest, floor_listener
    from opticdesign.cli.tables import evaluation_table, print_table
    from opticdesign.errors import StudyStopped
    from opticdesign.processes import choose_device
    from opticdesign.runs.evaluate import evaluate as evaluate_run

    opened = opened_run(run)
    try:
        with StopRequest() as stop, floor_listener() as listen:
            result = evaluate_run(opened, choose_device(device), listen, stop, data_changed)
    except StudyStopped as stopped:
        typer.echo(f"{stopped}; the same command continues it", err=True)
        raise typer.Exit(130) from None
    if as_json:
        print_json(asdict(result))
    else:
        print_table(evaluation_table(result))
        for note in result.notes:
            typer.echo(f"note: {note}")
        step = "export" if opened.design.optics.masks else "tolerance"
        following = f"opticdesign {step} {quoted(run or opened.folder)}"
        typer.echo(f"written to {opened.folder / 'evaluation'}; next: {following}", err=True)


@app.command()
def check(
    design: DesignFile,
    setting: Setting = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="also simulate masks by an independent model: seconds to minutes")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check sampling, band limit, lost power, thin-mask validity, features and levels of DESIGN, and read its data."""
    loaded = read_design(design, setting)
    from opticdesign.cli.tables import check_table, print_table
    from opticdesign.instrument.checks import check_design
    from opticdesign.runs.optimise import rehearse

    rehearse(loaded)
    checks = check_design(loaded)
    if deep:
        from opticdesign.verification.deep_check import check_deeply

        checks += check_deeply(loaded)
    if as_json:
        print_json([asdict(entry) for entry in checks])
    else:
        print_table(check_table(checks))
    if any(entry.verdict == "fail" for entry in checks):
        raise typer.Exit(1)
    typer.echo(f"next: opticdesign optimize {quoted(design)}", err=True)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="file to write")] = Path("design.toml"),
    name: Annotated[
        str, typer.Option("--from", metavar="NAME", help="shipped design or study to start from")
    ] = "d2nn5",
    names: Annotated[bool, typer.Option("--list", help="say which there are, and write nothing")] = False,
) -> None:
    """Write a commented design file to start from, or a study; never replaces a file."""
    from opticdesign.design.shipped import shipped_designs, starting_text, summary
    from opticdesign.storage import write_text

    if names:
        from opticdesign.cli.tables import facts_table, print_table

        print_table(facts_table({known: summary(file) for known, file in shipped_designs().items()}))
        return
    text = starting_text(name, path)
    if path.exists():
        raise UsageError(
            f"{path}: already there", expected="a file that does not exist yet", remedy="choose another name"
        )
    write_text(path, text)
    typer.echo(str(path))
    command = "study" if shipped_designs()[name].parent.name == "studies" else "check"
    typer.echo(f"next: opticdesign {command} {quoted(path)}", err=True)


@app.command()
def schema() -> None:
    """Print the JSON schema of design files, for editors."""
    from opticdesign.design import design_schema

    print_json(design_schema())


@app.command()
def show(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="RUN|DESIGN", help="run folder or design file; the latest run when left out"),
    ] = None,
    setting: Setting = None,
    as_json: Json = False,
) -> None:
    """Show a resolved design, or what a run folder holds."""
    from opticdesign.design.shipped import shipped_designs

    shipped = path is not None and not path.exists() and path.name in shipped_designs()
    if path is not None and (shipped or path.suffix == ".toml" or (path.is_file() and path.name != "latest")):
        design = read_design(path, setting)
        if as_json:
            print_json(design.model_dump(mode="json"))
        else:
            typer.echo(design.to_toml())
        return
    run = opened_run(path)
    records = run.records()
    facts: dict[str, Any] = {"folder": str(run.folder), **run.info, "last": records[-1] if records else None}
    if as_json:
        print_json(facts | {"design": run.design.model_dump(mode="json")})
        return
    from opticdesign.cli.tables import facts_table, print_table

    if files := facts.pop("data", None):  # there may be hundreds
        facts["data"] = f"{len(files)} file{'s' * (len(files) > 1)}, their SHA-256 in run.json"
    print_table(facts_table(facts))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Print versions, device, exporters, importers and the environment variables that are read."""
    import os

    import torch

    from opticdesign.cli.tables import facts_table, print_table
    from opticdesign.errors import OpticDesignError
    from opticdesign.handover.export import exporters
    from opticdesign.handover.importing import importers
    from opticdesign.runs.run_folder import environment

    try:
        formats: Any = {name: exporter.summary for name, exporter in exporters().items()}
        sources: Any = {name: importer.summary for name, importer in importers().items()}
    except OpticDesignError as error:
        formats = sources = str(error)
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    facts = environment("cuda" if torch.cuda.is_available() else "cpu", torch.get_num_threads())
    facts |= {"cuda build": torch.version.cuda or "no (CPU build)", "cuda device": cuda}
    facts |= {"exporters": formats, "importers": sources}
    facts["OPTICDESIGN_DEBUG"] = os.environ.get("OPTICDESIGN_DEBUG", "not set (1 shows tracebacks)")
    if as_json:
        print_json(facts)
    else:
        print_table(facts_table(facts))
