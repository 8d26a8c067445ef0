"""The commands that turn a trained run into files, and read them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import (
    DataChanged,
    Device,
    ExportFolder,
    ExportSetting,
    Json,
    RunFolder,
    app,
    opened_run,
    pair,
    print_json,
    quoted,
)
from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from opticdesign.handover.panel import Mounting

__all__ = ["export", "verify"]


@app.command()
def export(
    run: RunFolder = None,
    gds: Annotated[bool, typer.Option("--gds", help="GDSII lithography file")] = False,
    oasis: Annotated[bool, typer.Option("--oasis", help="OASIS lithography file, many times smaller")] = False,
    heightmap: Annotated[bool, typer.Option("--heightmap", help="height maps: float32 TIFF and NPZ")] = False,
    slm: Annotated[bool, typer.Option("--slm", help="8-bit PNG frames for a phase panel")] = False,
    panel: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="panel of whole frames: a profile (.toml), or the name of a shipped one"),
    ] = None,
    center: Annotated[
        str | None, typer.Option(metavar="'X Y'", help="middle of a mask on the panel, pixels; default: the middle")
    ] = None,
    carrier: Annotated[
        float | None, typer.Option(metavar="PERIOD", help="blazed grating along x that is added, pixels")
    ] = None,
    tiles: Annotated[
        str | None, typer.Option(metavar="'ROWS COLUMNS'", help="equal parts of the panel, a mask in each; default 1 1")
    ] = None,
    superpixel: Annotated[
        int | None, typer.Option(metavar="N", help="panel pixels along a mask's; default: the nearest to its size")
    ] = None,
    encode: Annotated[
        str | None, typer.Option(metavar="checkerboard", help="show amplitudes of masks too, as means of two phases")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="NAME", help="any format that `opticdesign doctor` lists; repeatable"),
    ] = None,
    setting: ExportSetting = None,
    to: ExportFolder = None,
    as_json: Json = False,
) -> None:
    """Write the trained masks of RUN as files, the usual formats when none is named, with a manifest of hashes."""
    from opticdesign.cli.tables import manifest_table, print_table
    from opticdesign.handover.export import TwoWayExporter, exporters
    from opticdesign.runs.export import export as export_run
    from opticdesign.runs.export import exports_folder
    from opticdesign.runs.run_folder import changed_run

    opened = changed_run(opened_run(run), setting or [], "export", "slm")
    flags = {"gds": gds, "oasis": oasis, "heightmap": heightmap, "slm": slm}
    names = [name for name, asked in flags.items() if asked]
    chosen = (*names, *(formats or ()))
    mounting = _mounting(panel, center, carrier, tiles, superpixel, encode, chosen)
    manifest = export_run(opened, chosen, to, panel, mounting)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        print_table(manifest_table(manifest, exports_folder(opened, to), opened.quick))
    known = exporters()
    for record in manifest.exports:
        if record.exporter in known and not isinstance(known[record.exporter], TwoWayExporter):
            typer.echo(f"{record.exporter} is only written: verify and import cannot read it back", err=True)
        if note := record.options.get("note"):
            typer.echo(f"{record.exporter}: {note}", err=True)
    following = f"opticdesign verify {quoted(run or opened.folder)}{'' if to is None else f' --to {quoted(to)}'}"
    typer.echo(f"next: {following}", err=True)


def _mounting(
    panel: str | None,
    center: str | None,
    carrier: float | None,
    tiles: str | None,
    superpixel: int | None,
    encode: str | None,
    formats: tuple[str, ...],
) -> Mounting:
    """How masks lie on a panel, as the options have it."""
    from opticdesign.handover.panel import Mounting

    given = {
        "--center": center,
        "--carrier": carrier,
        "--tiles": tiles,
        "--superpixel": superpixel,
        "--encode": encode,
    }
    if panel is None:
        for option, value in given.items():
            if value is not None:
                raise UsageError(f"{option} {value} without a panel", expected="--panel PROFILE beside it")
    elif formats and "slm" not in formats:
        raise UsageError(f"--panel {panel} without frames", expected="--slm beside it", remedy="add --slm")
    return Mounting(
        None if center is None else pair("--center", center, float, "x and y in pixels", "960 540"),
        carrier,
        (1, 1) if tiles is None else pair("--tiles", tiles, int, "rows and columns", "1 2"),
        superpixel,
        encode,
    )


@app.command()
def verify(
    run: RunFolder = None,
    device: Device = "auto",
    to: ExportFolder = None,
    agree: Annotated[
        float, typer.Option(min=0.0, metavar="DB", help="PSNR by which an independent model may differ")
    ] = 0.2,
    independent: Annotated[
        int, typer.Option(min=0, help="test patches that the independent model looks at; 0 leaves it out")
    ] = 4,
    data_changed: DataChanged = False,
    as_json: Json = False,
) -> None:
    """Read the exported files of RUN back, re-simulate them through the decoder, and by an independent model."""
    from opticdesign.cli.tables import print_table, verification_json, verification_table
    from opticdesign.processes import choose_device
    from opticdesign.runs.export import verify as verify_run

    opened = opened_run(run)
    result = verify_run(
        opened,
        choose_device(device),
        to,
        independent=independent,
        agree_db=agree,
        data_changed=data_changed,
    )
    if as_json:
        print_json(verification_json(result))
    else:
        print_table(verification_table(result, agree))
        for note in result.notes:
            typer.echo(note)
    for problem in (*result.problems, *(line for check in result.checks for line in check.problems)):
        typer.echo(problem, err=True)
    if not result.ok:
        raise typer.Exit(1)
    typer.echo(f"next: opticdesign tolerance {quoted(run or opened.folder)}", err=True)
