"""The commands that find phase in measured frames."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import Json, app, print_json
from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from opticdesign.runs.tie import TieResult

__all__ = ["tie"]

Output = Annotated[
    Path | None, typer.Option(metavar="FILE", help="TIFF to write, a new file; default NAME-phase.tif here")
]


@app.command()
def tie(
    frames: Annotated[list[Path], typer.Argument(metavar="FRAMES", help="two frames or more: tif, png, npy, stacks")],
    dz: Annotated[
        list[str],
        typer.Option(
            metavar="LENGTH", help="defocus of each frame, or of each but the first, which is in focus; repeatable"
        ),
    ],
    wavelength: Annotated[str, typer.Option(metavar="LENGTH", help="in the medium of the defocus")],
    pixel: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="pixel size in the object; default what the files state")
    ] = None,
    method: Annotated[str, typer.Option(metavar="fft|dct|universal", help="solver")] = "universal",
    longest: Annotated[
        str | None,
        typer.Option(metavar="LENGTH", help="period of which half is believed; default all, however smooth"),
    ] = None,
    darkest: Annotated[
        float, typer.Option(help="share of the usual intensity below which light counts as this share")
    ] = 0.1,
    as_exposed: Annotated[
        bool, typer.Option("--as-exposed", help="do not scale the frames to one mean brightness")
    ] = False,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Find the phase of FRAMES in and out of focus by the transport-of-intensity equation, without learning."""
    from opticdesign.runs.tie import TieSettings, phase_of_files
    from opticdesign.units import quantity

    settings = TieSettings(
        dz_m=tuple(quantity(one, "length") for one in dz),
        wavelength_m=quantity(wavelength, "length"),
        pitch_m=None if pixel is None else quantity(pixel, "length"),
        method=method,  # type: ignore[arg-type]  # the solver refuses another one, and lists them
        darkest=darkest,
        longest_m=math.inf if longest is None else quantity(longest, "length"),
        equally_bright=not as_exposed,
    )
    result = phase_of_files(frames, settings, _new_file(output, frames[0]))
    if as_json:
        print_json(asdict(result) | {"path": str(result.path)})
    else:
        _tell(result)


def _new_file(output: Path | None, first: Path) -> Path:
    """Where to write: a file that does not exist yet."""
    path = output or Path(f"{first.stem}-phase.tif")
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"{path}: no TIFF file", expected="a name that ends in .tif", remedy="choose another --output")
    if path.exists():
        raise UsageError(
            f"{path}: already there", expected="a file that does not exist yet", remedy="choose another --output"
        )
    return path


def _tell(result: TieResult) -> None:
    from opticdesign.units import format_length

    low, high = result.phase_rad
    rows, columns = result.shape
    typer.echo(str(result.path))
    typer.echo(f"{rows} × {columns} pixels of {format_length(result.pitch_m[1])}, phase {low:.3g} … {high:.3g} rad")
    exposures = ", ".join(f"{mean:.4g}" for mean in result.means)
    typer.echo(f"mean counts {exposures}; what is finer than {format_length(result.finest_m)} comes out too flat")
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
