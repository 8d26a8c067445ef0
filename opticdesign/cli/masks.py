"""The commands around masks as they are made: checking them against the process, and taking them from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opticdesign.cli.options import (
    Device,
    ExportSetting,
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

__all__ = ["drc", "import_masks"]


@app.command()
def drc(
    run: RunFolder = None,
    min_feature: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="smallest width and gap, such as '300 nm'; default: the design's"),
    ] = None,
    setting: ExportSetting = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="folder of the report; default RUN/drc")] = None,
    as_json: Json = False,
) -> None:
    """Check the masks of RUN, as they are exported, against what the process can make: 1 if a rule is broken."""
    smallest_m = _length("--min-feature", min_feature)
    from opticdesign.cli.tables import print_table, rules_table
    from opticdesign.run import changed_run
    from opticdesign.workflow.drc import check_design_rules
    from opticdesign.workflow.drc_report import rule_report, write_rule_check

    opened = changed_run(opened_run(run), setting or [], "export", "slm")
    result = check_design_rules(opened, smallest_m)
    folder = to or opened.folder / "drc"
    write_rule_check(result, folder)
    if as_json:
        print_json(rule_report(result))
    else:
        print_table(rules_table(result))
        for note in result.notes:
            typer.echo(note)
    typer.echo(f"written to {folder}: report.json, violations.csv and, for klayout, violations.lyrdb", err=True)
    for remedy in result.remedies():
        typer.echo(f"remedy for {remedy}", err=True)
    if not result.ok:
        raise typer.Exit(1)


@app.command("import")
def import_masks(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="a layout (GDSII, OASIS), or height maps (TIFF, NPZ, Grid Sag) in the order of the light",
        ),
    ],
    design: Annotated[Path, typer.Option(metavar="DESIGN", help="design that these are the masks of (TOML)")],
    setting: Setting = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="run folder, exactly there")] = None,
    layers: Annotated[
        Path | None, typer.Option(metavar="CSV", help="which layer and datatype is which; default: as we export them")
    ] = None,
    unit: Annotated[str, typer.Option(metavar="nm|um|mm|m", help="of heights in files that do not say it")] = "nm",
    pitch: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="distance of samples in the files, whatever they say")
    ] = None,
    training: Annotated[bool, typer.Option(help="train the design's decoder for these masks")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="smoke budget; marked in every result")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Make a run of masks from elsewhere, which `evaluate`, `export`, `drc` and the others take as their own."""
    loaded = read_design(design, setting)
    pitch_m, unit_m = _length("--pitch", pitch), _length("--unit", f"1 {unit}")
    from opticdesign.cli.progress import StopRequest, progress_listener
    from opticdesign.run import resume_command
    from opticdesign.workflow.imports import ImportRequest, import_run
    from opticdesign.workflow.optimise import Stopped, choose_device

    request = ImportRequest(
        files,
        loaded,
        choose_device(device),
        output,
        quick=quick,
        train=training,
        layers=layers,
        pitch_m=pitch_m,
        unit_m=unit_m or 1.0,
    )
    try:
        with StopRequest() as stop, progress_listener() as listen:
            run = import_run(request, listen, stop)
    except Stopped as stopped:
        typer.echo(f"stopped safely; continue with\n  {resume_command(stopped.run.folder)}")
        raise typer.Exit(130) from None
    if as_json:
        print_json(
            {"folder": str(run.folder), "quick": run.quick, **run.info["imported"], "decoder": run.info["decoder"]}
        )
        return
    typer.echo(str(run.folder))
    for note in run.info["imported"]["notes"]:
        typer.echo(note, err=True)
    typer.echo(f"decoder: {run.info['decoder']}; next: opticdesign evaluate {quoted(run.folder)}", err=True)


def _length(option: str, text: str | None) -> float | None:
    """A length above zero in metres, as an option has it."""
    from opticdesign.units import quantity

    if text is None:
        return None
    value_m = quantity(text, "length")
    if value_m <= 0.0:
        raise UsageError(f"{option} {text}", expected="a length above 0", remedy=f'for example {option} "300 nm"')
    return value_m
