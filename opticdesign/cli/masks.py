"""The commands around masks as they are made: checking them against the process, and taking them from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

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

if TYPE_CHECKING:
    from opticdesign.runs.run_folder import Run

__all__ = ["drc", "import_masks"]

_Word = TypeVar("_Word", bound=str)


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
    from opticdesign.runs.drc import check_design_rules
    from opticdesign.runs.drc_report import rule_report, write_rule_check
    from opticdesign.runs.run_folder import changed_run

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
            help="a layout (GDSII, OASIS), or a map for each mask in the order of the light: any format of "
            "`export`, and TIFF, PNG, BMP, NPY, NPZ, GSF, XYZ, STL or Grid Sag of others",
        ),
    ],
    design: Annotated[Path, typer.Option(metavar="DESIGN", help="design that these are the masks of (TOML)")],
    setting: Setting = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="run folder, exactly there")] = None,
    layers: Annotated[
        Path | None, typer.Option(metavar="CSV", help="which layer and datatype is which; default: as we export them")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="levels|bits", help="what datatypes of a layout stand for")
    ] = None,
    tone: Annotated[str | None, typer.Option(metavar="keep|etch", help="what is drawn in a layout")] = None,
    mirror: Annotated[
        bool | None, typer.Option("--mirror/--no-mirror", help="a layout is drawn as seen from the back")
    ] = None,
    cell: Annotated[str | None, typer.Option(metavar="NAME", help="cell of a layout that holds the masks")] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="'X, Y'", help="where in a layout the lower left pixel begins: '0 um, -8 um'")
    ] = None,
    off_grid: Annotated[
        bool, typer.Option("--off-grid", help="take pixels of a layout by their centres, wherever edges lie")
    ] = False,
    unit: Annotated[
        str | None, typer.Option(metavar="nm|um|mm|m|rad|waves", help="of numbers in files that do not say it")
    ] = None,
    full_scale: Annotated[
        str | None,
        typer.Option(metavar="HEIGHT|PHASE", help="what the largest grey or integer stands for: '1.2 um' or 2pi"),
    ] = None,
    pitch: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="distance of samples in the files, whatever they say")
    ] = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="masks that are flat at the levels of the design are meant")
    ] = False,
    training: Annotated[bool, typer.Option(help="train the design's decoder for these masks")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="smoke budget; marked in every result")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Make a run of masks from elsewhere, which `evaluate`, `export`, `drc` and the others take as their own."""
    loaded = read_design(design, setting)
    from opticdesign.cli.progress import StopRequest, progress_listener
    from opticdesign.handover.said import Said, Scale
    from opticdesign.handover.source_file import SourceFile
    from opticdesign.processes import choose_device
    from opticdesign.runs.imports import ImportRequest, import_run
    from opticdesign.runs.optimise import Stopped
    from opticdesign.runs.run_folder import resume_command

    said = Said(
        layers=None if layers is None else SourceFile.read(layers),
        kind=_choice("--kind", kind, ("levels", "bits")),
        tone=_choice("--tone", tone, ("keep", "etch")),
        mirror=mirror,
        cell=cell,
        origin_m=_point("--origin", origin),
        off_grid=off_grid,
        unit=None if unit is None else Scale.read(f"1 {unit}"),
        full_scale=None if full_scale is None else Scale.read(full_scale),
        pitch_m=_length("--pitch", pitch),
        flat=flat,
    )
    request = ImportRequest(files, loaded, choose_device(device), output, quick=quick, train=training, said=said)
    try:
        with StopRequest() as stop, progress_listener() as listen:
            run = import_run(request, listen, stop)
    except Stopped as stopped:
        typer.echo(f"stopped safely; continue with\n  {resume_command(stopped.run.folder)}")
        raise typer.Exit(130) from None
    _tell_imported(run, as_json)


def _tell_imported(run: Run, as_json: bool) -> None:
    """Print where the run is, what was assumed of its files and what comes next."""
    imported, decoder = run.info["imported"], run.info["decoder"]
    if as_json:
        print_json({"folder": str(run.folder), "quick": run.quick, **imported, "decoder": decoder})
        return
    typer.echo(str(run.folder))
    for note in imported["notes"]:
        typer.echo(note, err=True)
    typer.echo(f"decoder: {decoder}; next: opticdesign evaluate {quoted(run.folder)}", err=True)


def _choice(option: str, text: str | None, known: tuple[_Word, ...]) -> _Word | None:
    """One of some words, as an option has it."""
    if text is None:
        return None
    for word in known:
        if text == word:
            return word
    raise UsageError(f"{option} {text}", expected=" or ".join(known))


def _point(option: str, text: str | None) -> tuple[float, float] | None:
    """Two lengths in metres, as an option has them."""
    from opticdesign.units import quantity

    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2:
        expected = "two lengths with a comma between them, along x and y"
        raise UsageError(f"{option} {text}", expected=expected, remedy=f'for example {option} "0 um, -8 um"')
    return quantity(parts[0], "length"), quantity(parts[1], "length")


def _length(option: str, text: str | None) -> float | None:
    """A length above zero in metres, as an option has it."""
    from opticdesign.units import quantity

    if text is None:
        return None
    value_m = quantity(text, "length")
    if value_m <= 0.0:
        raise UsageError(f"{option} {text}", expected="a length above 0", remedy=f'for example {option} "300 nm"')
    return value_m
