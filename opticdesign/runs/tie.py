"""Phase from measured frames in several planes, without a design: the transport-of-intensity equation on files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from opticdesign.data.frames import Frames, common_shape, read_frames, stated_pitch_m
from opticdesign.data.tiff import write_tiff
from opticdesign.decoders.phase_solvers import DARKEST, TieMethod, axial_derivative, equally_bright, solve_tie
from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid
from opticdesign.storage import replacing
from opticdesign.units import format_length

__all__ = ["TieResult", "TieSettings", "phase_of_files"]


@dataclass(frozen=True)
class TieSettings:
    """How frames become phase.

    Args:
        dz_m: where the planes of the frames lie along the light, metres: one for each frame, or for each but the first,
            which is in focus then.
        wavelength_m: in the medium in which these are measured, metres.
        pitch_m: pixel size in the object, metres; None for what the files state.
        method, darkest, longest_m: as of `solve_tie`.
        equally_bright: whether frames are scaled to one mean first.
    """

    dz_m: tuple[float, ...]
    wavelength_m: float
    pitch_m: float | None = None
    method: TieMethod = "universal"
    darkest: float = DARKEST
    longest_m: float = math.inf
    equally_bright: bool = True


@dataclass(frozen=True)
class TieResult:
    """A phase that was written.

    Args:
        path: the file.
        shape: rows and columns.
        pitch_m: distance of samples along y and x, metres.
        phase_rad: least and greatest phase, radians.
        means: mean counts of the frames, as they were exposed.
        finest_m: period below which phase comes out too flat, since so far out of focus it is no longer a slope:
            √(2λz), at which it is by a third.
        notes: what a user should know about how the files were read.
    """

    path: Path
    shape: tuple[int, int]
    pitch_m: tuple[float, float]
    phase_rad: tuple[float, float]
    means: tuple[float, ...]
    finest_m: float
    notes: tuple[str, ...]


def phase_of_files(paths: Sequence[Path], settings: TieSettings, output: Path) -> TieResult:
    """Write the phase of frames as float32 TIFF in radians; stacks count as so many frames.

    Raises:
        DataError: a file that holds no frames, or frames that do not go together.
        UsageError: not a plane for each frame, all planes in one place, no pixel size, or an unknown method.
        StorageError: the disk refused.
    """
    files = [read_frames(path) for path in paths]
    shape, z_m = common_shape(files), _planes(files, settings.dz_m)
    pitch_m = stated_pitch_m(files) if settings.pitch_m is None else (settings.pitch_m, settings.pitch_m)
    if pitch_m is None:
        raise UsageError(
            f"{paths[0]}: no pixel size stands in the file",
            expected="the distance of pixels in the object",
            remedy='add --pixel "232.5 nm": the camera\'s pixel over the magnification',
        )
    counts = torch.from_numpy(np.concatenate([file.counts for file in files]).astype(np.float32))
    frames = equally_bright(counts) if settings.equally_bright else counts
    intensity, derivative = axial_derivative(frames, z_m)
    phase = solve_tie(
        intensity,
        derivative,
        Grid(shape, pitch_m),
        settings.wavelength_m,
        settings.method,
        darkest=settings.darkest,
        longest_m=settings.longest_m,
    )
    described = {"quantity": "phase", "unit": "rad", "pitch_m": pitch_m, "method": f"{settings.method} TIE", "z_m": z_m}
    with replacing(output) as new:
        write_tiff(new, [phase.numpy()], described, pitch_m)
    return TieResult(
        output,
        shape,
        pitch_m,
        (float(phase.min()), float(phase.max())),
        tuple(counts.mean(dim=(1, 2)).tolist()),
        math.sqrt(2.0 * settings.wavelength_m * max(abs(z) for z in z_m)),
        tuple(f"{file.path}: {note}" for file in files for note in file.notes),
    )


def _planes(files: Sequence[Frames], dz_m: Sequence[float]) -> tuple[float, ...]:
    """Where each frame lies, metres."""
    count = sum(len(file.counts) for file in files)
    z_m = (0.0, *dz_m) if len(dz_m) == count - 1 else tuple(dz_m)
    if count < 2 or len(z_m) != count:
        raise UsageError(
            f"{count} frame{'s' * (count > 1)} and {len(dz_m)} of --dz",
            expected="two frames or more, and --dz for each of them, or for each but the first, which is in focus then",
            remedy="name another frame, or repeat --dz",
        )
    if len(set(z_m)) == 1:
        raise UsageError(
            f"all frames lie at {format_length(z_m[0])}",
            expected="frames out of focus, in front of it (below 0) or behind it (above 0)",
            remedy='give the defocus, as --dz "2.5 um"',
        )
    return z_m
