"""Frames for a phase-only spatial light modulator: one 8-bit grey PNG per layer, or whole frames of a known panel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.level_reader import layer_files, levels_of_values
from opticdesign_exporters.panels.frame_reader import read_frames
from opticdesign_exporters.panels.frame_writer import write_frames
from opticdesign_exporters.png_reader import read_png

if TYPE_CHECKING:
    from opticdesign.fabrication.process import FabricationProcess
    from opticdesign.handover.manifest import Manifest, ProcessRecord

__all__ = ["SlmExporter"]


class SlmExporter:
    """Writes grey = level · two_pi_grey / L, rounded half up; the panel shows the phase 2π · grey / two_pi_grey.

    Of unequal levels it writes grey = height · two_pi_grey / height of 2π. For a known panel it writes whole frames.
    """

    name = "slm"
    summary = "SLM frames: 8-bit grey PNG per layer"
    usual = True

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `slm/layer1.png` …, or `slm/frame1.png` … of a known panel.

        Raises:
            UsageError: more levels than the panel has grey levels in 2π, or two levels that share one; masks that do
                not fit a known panel.
        """
        from PIL import Image

        if job.panel is not None:
            return write_frames(job, job.panel, folder)
        count, two_pi = job.process.levels, job.two_pi_grey
        if count > two_pi:
            raise UsageError(
                f"{count} levels on a panel with {two_pi} grey levels in 2π",
                expected=f"at most {two_pi} levels",
                remedy="use fewer levels, or a panel with more grey levels (slm.two_pi_grey)",
            )
        grey = _greys(job.process, two_pi)
        (folder / "slm").mkdir()
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"slm/layer{number}.png"
            Image.fromarray(grey[plane]).save(folder / path, format="PNG")
            files.append(ExportedFile(path, f"frame of layer {number}, row 0 at the top", f"grey, {two_pi} is 2 pi"))
        share = "level / levels" if job.process.heights_m is None else "height_m / full_height_m"
        return WrittenFiles(files, {"rule": f"grey = floor({share} * two_pi_grey + 1/2)"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the frames with a decoder of our own; the phase is that of the greys."""
        if "panel" in manifest.record(self.name).options:
            return read_frames(folder, manifest, self.name)
        files = layer_files(manifest, self.name, "PNG")
        frames = [read_png(read_exported(folder, file), file.path, manifest.shape[1:]) for file in files]
        level_of_grey = _level_of_grey(manifest.process, manifest.two_pi_grey)
        levels = np.stack(
            [
                levels_of_values(frame, level_of_grey, "grey", f"{file.path}: layer {layer}")
                for layer, (file, frame) in enumerate(zip(files, frames, strict=True), start=1)
            ]
        )
        phase = np.stack(frames).astype(np.float64) * (2.0 * math.pi / manifest.two_pi_grey)
        return ReadBack(levels, phase.astype(np.float32), tuple(file.path for file in files))


def _greys(process: FabricationProcess, two_pi_grey: int) -> npt.NDArray[np.uint8]:
    """The grey of each level."""
    count = process.levels
    if process.heights_m is None:
        # integer arithmetic: floor(x + 1/2) without a rounding error on the way
        return ((2 * np.arange(count) * two_pi_grey + count) // (2 * count)).astype(np.uint8)
    share = np.asarray(process.heights_m) / process.full_height_m
    greys = np.floor(share * two_pi_grey + 0.5).astype(np.int64)
    if len(set((greys % two_pi_grey).tolist())) < count:
        raise UsageError(
            f"two of {count} levels share one of {two_pi_grey} grey levels",
            expected="levels at least one grey level apart",
            remedy="choose other heights, or a panel with more grey levels (slm.two_pi_grey)",
        )
    return greys.astype(np.uint8)


def _level_of_grey(process: ProcessRecord, two_pi_grey: int) -> npt.NDArray[np.int64]:
    """The level each of the 256 greys stands for, or −1."""
    levels, heights_m = process.levels, process.heights_m
    table = np.full(256, -1)
    for level in range(levels):
        turn = level * two_pi_grey / levels
        if heights_m is not None:
            turn = heights_m[level] / process.full_height_m * two_pi_grey
        grey = math.floor(turn + 0.5)
        if grey > 255 or table[grey] >= 0:
            raise VerificationError(f"manifest.json: {levels} levels do not fit {two_pi_grey} grey levels")
        table[grey] = level
    return table
