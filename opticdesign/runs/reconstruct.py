"""Phase from measured camera frames by the decoder of a run: to files, frame by frame."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.frames import Frames, common_shape, read_frames, stated_pitch_m
from opticdesign.data.tiff import write_tiff
from opticdesign.design import Design
from opticdesign.errors import DataError, UsageError
from opticdesign.figures.video import write_video
from opticdesign.optics.materials import material
from opticdesign.optics.relief import Relief
from opticdesign.runs.frame_scale import FrameReading, FrameScale
from opticdesign.runs.trained import TrainedRun
from opticdesign.storage import replacing
from opticdesign.units import format_length

__all__ = ["Reconstruction", "Surface", "Video", "reconstruct_files"]

_CLASSIC_BYTES = 2**32 - 2**25  # of a TIFF file, less what its tags take


@dataclass(frozen=True)
class Surface:
    """A relief whose height is asked instead of its phase.

    Args:
        material: what it is made of.
        medium: what surrounds it.
    """

    material: str
    medium: str = "air"


@dataclass(frozen=True)
class Video:
    """A moving picture of the maps.

    Args:
        path: a GIF file.
        rate: maps a second.
        phase_range_rad: phases of black and white; None for the least and greatest of all maps.

    Raises:
        UsageError: a range that does not rise, or a rate that GIF cannot say.
    """

    path: Path
    rate: float = 5.0
    phase_range_rad: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        low, high = self.phase_range_rad or (0.0, 1.0)
        if not (low < high and 0.1 <= self.rate <= 50.0):
            raise UsageError(
                f"a video of {self.rate:g} maps a second on a grey scale from {low:g} to {high:g}",
                expected="0.1 to 50 maps a second, and a scale that rises",
                remedy="correct --fps or --greys",
            )


@dataclass(frozen=True)
class Reconstruction:
    """Maps that were written.

    Args:
        path: the TIFF file.
        quantity: "phase" or "height".
        unit: of the numbers, "rad" or "nm".
        pages: number of maps.
        shape: rows and columns of each.
        pitch_m: distance of samples in the object along y and x, metres.
        span: least and greatest number.
        readings: least and greatest of the frames as the model reads them; 1 is the light alone.
        rate: maps a second, reading and writing apart.
        scale: numbers of black and white in the video, None without one.
        notes: what a user should know.
    """

    path: Path
    quantity: str
    unit: str
    pages: int
    shape: tuple[int, int]
    pitch_m: tuple[float, float]
    span: tuple[float, float]
    readings: tuple[float, float]
    rate: float
    scale: tuple[float, float] | None
    notes: tuple[str, ...]


def reconstruct_files(
    trained: TrainedRun,
    paths: Sequence[Path],
    output: Path,
    scale: FrameScale,
    surface: Surface | None = None,
    video: Video | None = None,
) -> Reconstruction:
    """Write what a run's decoder makes of frames as float32 TIFF, a page for each frame in their order.

    One map is in memory at a time.

    Raises:
        DataError: a file that holds no frames, or frames that are not the light of this design.
        UsageError: frames of a size that this camera does not read, whole numbers without a scale, an unknown material.
        StorageError: the disk refused.
    """
    files = [read_frames(path) for path in paths]
    design, shape = trained.design, common_shape(files)
    trained.check_frames(shape, str(files[0].path))
    _check_pixel(files, design)
    reading = FrameReading(files, scale, design.detector)
    factor, quantity, unit = _asked(design, surface)
    binning, pitch = design.detector.binning, design.optics.sample_pitch
    whole, count = (shape[0] * binning, shape[1] * binning), sum(len(file.counts) for file in files)
    seconds, ends, seen = [0.0], [math.inf, -math.inf], [math.inf, -math.inf]

    def maps() -> Iterator[NDArray[np.float32]]:
        for file in files:
            for number in range(len(file.counts)):
                frame = reading.of(file, number)
                began = time.perf_counter()
                found = (factor * trained.reconstruct(frame)).numpy()
                seconds[0] += time.perf_counter() - began
                seen[:] = min(seen[0], float(frame.min())), max(seen[1], float(frame.max()))
                ends[:] = min(ends[0], float(found.min())), max(ends[1], float(found.max()))
                yield found

    described: dict[str, Any] = {"quantity": quantity, "unit": unit, "pitch_m": [pitch, pitch]}
    described |= {"run": trained.folder.name, "design": design.name, "design_sha256": design.digest()}
    with replacing(output) as new:
        write_tiff(new, maps(), described, (pitch, pitch), big=count * math.prod(whole) * 4 > _CLASSIC_BYTES)
    return Reconstruction(
        output,
        quantity,
        unit,
        count,
        whole,
        (pitch, pitch),
        (ends[0], ends[1]),
        (seen[0], seen[1]),
        count / seconds[0],
        None if video is None else _film(video, output, factor, (ends[0], ends[1])),
        tuple(_notes(files, trained)),
    )


def _notes(files: Sequence[Frames], trained: TrainedRun) -> Iterator[str]:
    yield from (f"{file.path}: {note}" for file in files for note in file.notes)
    if trained.run.quick:
        yield "a quick run: its decoder has hardly learned"


def _check_pixel(files: Sequence[Frames], design: Design) -> None:
    """Refuse frames whose files state another pixel than the camera's in the object."""
    stated, pixel_m = stated_pitch_m(files), design.optics.sample_pitch * design.detector.binning
    if stated is not None and any(abs(side / pixel_m - 1.0) > 0.01 for side in stated):
        raise DataError(
            files[0].path,
            f"pixels of {format_length(stated[1])} in the object",
            expected=f"{format_length(pixel_m)}, optics.pitch times detector.binning of this run",
            remedy="take frames of this camera, or correct the pixel size in the file",
        )


def _asked(design: Design, surface: Surface | None) -> tuple[float, str, str]:
    """What a phase in radians is times, and what that is in which unit."""
    if surface is None:
        return 1.0, "phase", "rad"
    relief = Relief(material(surface.material), material(surface.medium), design.light.wavelength)
    return 1e9 / (2.0 * math.pi * relief.turns_per_m()), "height", "nm"


def _film(video: Video, path: Path, factor: float, ends: tuple[float, float]) -> tuple[float, float]:
    """Show the pages of a TIFF file; gives the numbers of black and white."""
    import tifffile

    given = video.phase_range_rad
    scale = ends if given is None else (factor * given[0], factor * given[1])
    with tifffile.TiffFile(path) as file:
        write_video(video.path, (page.asarray() for page in file.pages), scale, video.rate)
    return scale
