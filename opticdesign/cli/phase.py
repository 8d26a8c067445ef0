"""The commands that find phase in measured frames."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import Device, Json, app, opened_run, print_json
from opticdesign.errors import UsageError

if TYPE_CHECKING:
    from opticdesign.runs.frame_scale import Level
    from opticdesign.runs.reconstruct import Reconstruction
    from opticdesign.runs.tie import TieResult

__all__ = ["reconstruct", "tie"]

Output = Annotated[Path | None, typer.Option(metavar="FILE", help="TIFF to write, a new file; default here, by NAME")]


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
    result = phase_of_files(frames, settings, _new_file(output or Path(f"{frames[0].stem}-phase.tif"), ".tif", ".tiff"))
    if as_json:
        print_json(asdict(result) | {"path": str(result.path)})
    else:
        _tell(result)


@app.command()
def reconstruct(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] FRAMES...",
            help="run folder, the latest run when left out, and camera frames: tif, png, npy, stacks",
        ),
    ] = None,
    clear: Annotated[
        str | None,
        typer.Option(
            metavar="COUNTS|FILE|mean",
            help="what the camera counts of the light alone, which the model reads as 1; mean: of each frame. "
            "By default floats are the model's readings, and whole numbers are refused",
        ),
    ] = None,
    dark: Annotated[str, typer.Option(metavar="COUNTS|FILE", help="what it counts without light")] = "0",
    material: Annotated[
        str | None, typer.Option(help="material of the sample: write its height in nm instead of its phase")
    ] = None,
    medium: Annotated[str, typer.Option(help="what surrounds the sample")] = "air",
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="GIF of the maps to write, a new file")] = None,
    fps: Annotated[float, typer.Option(help="maps a second in the video")] = 5.0,
    greys: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="PHASE PHASE", help="phases of black and white in the video; default least and greatest"),
    ] = None,
    output: Output = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the phase of measured FRAMES by the decoder of RUN; frames larger than its own by tiles."""
    from opticdesign.processes import choose_device
    from opticdesign.runs.frame_scale import FrameScale
    from opticdesign.runs.reconstruct import Surface, Video, reconstruct_files
    from opticdesign.runs.trained import TrainedRun
    from opticdesign.units import quantity

    frames = list(paths or [])
    named = bool(frames) and (frames[0].is_dir() or frames[0].name == "latest")
    run = opened_run(frames.pop(0) if named else None)
    if not frames:
        raise UsageError("no frames are named", expected="RUN and files of frames", remedy="name one file or more")
    name = f"{frames[0].stem}-{'phase' if material is None else 'height'}.tif"
    path, film = _new_file(output or Path(name), ".tif", ".tiff"), None
    if greys is not None and video is None:
        raise UsageError("--greys is the scale of a video", expected="--video beside it", remedy="add --video maps.gif")
    if video is not None:
        ends = None if greys is None else (quantity(greys[0], "angle"), quantity(greys[1], "angle"))
        film = Video(_new_file(video, ".gif"), fps, ends)
    without = _level(dark)
    if without == "mean":
        raise UsageError("--dark mean", expected="counts, or a file", remedy="give the counts without light")
    result = reconstruct_files(
        TrainedRun(run, choose_device(device)),
        frames,
        path,
        FrameScale(None if clear is None else _level(clear), without),
        None if material is None else Surface(material, medium),
        film,
    )
    if as_json:
        print_json(asdict(result) | {"path": str(result.path)})
    else:
        _tell_maps(result)


def _level(text: str) -> Level:
    """Counts, the name of a file, or "mean"."""
    if text == "mean":
        return "mean"
    try:
        return float(text)
    except ValueError:
        return Path(text)


def _new_file(path: Path, *suffixes: str) -> Path:
    """A name to write to, of a file that does not exist yet."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path}: another type of file",
            expected=f"a name that ends in {suffixes[0]}",
            remedy="choose another name",
        )
    if path.exists():
        raise UsageError(f"{path}: already there", expected="a file that does not exist yet", remedy="choose another")
    return path


def _tell_maps(result: Reconstruction) -> None:
    from opticdesign.units import format_length

    typer.echo(str(result.path))
    rows, columns = result.shape
    maps = f"{result.pages} map{'s' * (result.pages > 1)} of {rows} × {columns} samples"
    low, high = result.span
    typer.echo(f"{maps} of {format_length(result.pitch_m[1])}, {result.quantity} {low:.4g} … {high:.4g} {result.unit}")
    dimmest, brightest = result.readings
    typer.echo(f"readings {dimmest:.3g} … {brightest:.3g} of the light alone; {result.rate:.3g} maps a second")
    if result.scale is not None:
        typer.echo(f"video: black {result.scale[0]:.4g} {result.unit}, white {result.scale[1]:.4g} {result.unit}")
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)


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
