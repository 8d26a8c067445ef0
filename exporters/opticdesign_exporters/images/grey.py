"""Bitmaps for grey-scale lithography: 8-bit grey PNG whose greys leave the heights, by the resist's contrast curve."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.images.png_writer import write_png
from opticdesign_exporters.level_reader import heights_m, layer_files, levels_of_values, phase_of_heights
from opticdesign_exporters.png_reader import read_png

if TYPE_CHECKING:
    from opticdesign.handover.manifest import Manifest

__all__ = ["GreyExporter"]


class GreyExporter:
    """Writes for each level the grey whose height, straight between the points of the curve, is the nearest."""

    name = "grey"
    summary = "grey-scale lithography: 8-bit grey PNG per layer, through the contrast curve"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `grey/layer1.png` ….

        Raises:
            UsageError: the curve does not reach a height, or two levels are one grey.
        """
        table_m = job.process.height_of_level(torch.arange(job.process.levels)).numpy()
        curve = job.spec.grey.contrast or ((0, 0.0), (255, float(table_m[-1])))
        greys = _greys(table_m, curve)
        (folder / "grey").mkdir()
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"grey/layer{number}.png"
            write_png(folder / path, greys[plane], pitch_m=job.pitch_m)
            files.append(ExportedFile(path, f"dose of layer {number}, row 0 at the top", "grey, through the curve"))
        return WrittenFiles(files, {"contrast": json.dumps(curve), "grey_of_level": json.dumps(greys.tolist())})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the bitmaps; the phase is that of the heights that the curve gives for their greys."""
        files = layer_files(manifest, self.name, "PNG")
        height_of_grey, level_of_grey = _tables(manifest)
        levels, phases = [], []
        for layer, file in enumerate(files, start=1):
            grey = read_png(read_exported(folder, file), file.path, manifest.shape[1:])
            levels.append(levels_of_values(grey, level_of_grey, "grey", f"{file.path}: layer {layer}"))
            phases.append(phase_of_heights(height_of_grey[grey], manifest.process.process))
        return ReadBack(np.stack(levels), np.stack(phases), tuple(file.path for file in files))


def _greys(table_m: npt.NDArray[np.float64], curve: tuple[tuple[int, float], ...]) -> npt.NDArray[np.uint8]:
    """The grey of each level; see `GreyExporter.write`."""
    points = np.array(curve)
    usable = np.arange(curve[0][0], curve[-1][0] + 1)
    made_m = np.interp(usable, points[:, 0], points[:, 1])
    errors_m = np.abs(made_m - table_m[:, None])
    nearest = errors_m.argmin(axis=1)
    steps_m = np.abs(np.diff(made_m))
    reach_m = 0.5 * np.maximum(np.append(steps_m, 0.0), np.append(0.0, steps_m))  # half of the wider step beside a grey
    beyond = errors_m.min(axis=1) > reach_m[nearest] * (1 + 1e-9)
    if beyond.any():
        level = int(np.argmax(beyond))
        raise UsageError(
            f"level {level} is {table_m[level] * 1e9:.6g} nm high, beyond the contrast curve",
            expected=f"heights from {made_m.min() * 1e9:.6g} nm to {made_m.max() * 1e9:.6g} nm",
            remedy="change export.grey.contrast",
        )
    greys: npt.NDArray[np.uint8] = usable[nearest].astype(np.uint8)
    same = np.flatnonzero(np.diff(nearest) == 0)
    if len(same) > 0:
        raise UsageError(
            f"levels {same[0]} and {same[0] + 1} fall on one grey, {greys[same[0]]}",
            expected="a contrast curve that tells all levels apart in 256 greys",
            remedy="use fewer levels, or change export.grey.contrast",
        )
    return greys


def _tables(manifest: Manifest) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Height in metres (NaN off the curve) and level (−1 where there is none) of each of the 256 greys.

    Raises:
        VerificationError: the manifest records no curve, or greys that do not leave the heights of the levels.
    """
    options, table_m = manifest.record("grey").options, heights_m(manifest.process.process)
    try:
        curve: Any = json.loads(str(options.get("contrast")))
        height_of_grey = _heights_of_greys([(int(grey), float(height)) for grey, height in curve])
        greys = [int(grey) for grey in json.loads(str(options.get("grey_of_level")))]
        if len(greys) != len(table_m) or len({*greys, *range(256)}) > 256:
            raise ValueError
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise VerificationError(
            "manifest.json: grey: no curve with the grey of each level", remedy="export again"
        ) from None
    steps_m = np.abs(np.diff(height_of_grey))
    reach_m = 0.5 * np.fmax(np.append(steps_m, 0.0), np.append(0.0, steps_m))
    off = ~(np.abs(height_of_grey[greys] - table_m) <= reach_m[greys] * (1 + 1e-6))
    if off.any():
        level = int(np.argmax(off))
        raise VerificationError(f"manifest.json: grey: grey {greys[level]} does not leave the height of level {level}")
    level_of_grey = np.full(256, -1)
    level_of_grey[greys] = np.arange(len(greys))
    return height_of_grey, level_of_grey


def _heights_of_greys(points: list[tuple[int, float]]) -> npt.NDArray[np.float64]:
    """The height of each of the 256 greys in metres, NaN off the curve.

    Raises:
        ValueError: points that are no curve.
    """
    heights_m = np.full(256, np.nan)
    for (low, start), (high, end) in pairwise(points):
        if not 0 <= low < high <= 255 or not abs(end - start) < 1.0:
            raise ValueError
        for grey in range(low, high + 1):
            heights_m[grey] = start + (end - start) * (grey - low) / (high - low)
    return heights_m
