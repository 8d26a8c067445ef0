"""Frames for a phase-only spatial light modulator: one 8-bit grey PNG per layer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from opticdesign.errors import UsageError, VerificationError
from opticdesign.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.manifest import read_exported
from opticdesign_exporters.png_reader import read_png

if TYPE_CHECKING:
    from opticdesign.manifest import Manifest

__all__ = ["SlmExporter"]


class SlmExporter:
    """Writes grey = level · two_pi_grey / L, rounded half up; the panel shows the phase 2π · grey / two_pi_grey."""

    name = "slm"
    summary = "SLM frames: 8-bit grey PNG per layer"
    usual = True

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `slm/layer1.png` ….

        Raises:
            UsageError: more levels than the panel has grey levels in 2π.
        """
        from PIL import Image

        count, two_pi = job.process.levels, job.two_pi_grey
        if count > two_pi:
            raise UsageError(
                f"{count} levels on a panel with {two_pi} grey levels in 2π",
                expected=f"at most {two_pi} levels",
                remedy="use fewer levels, or a panel with more grey levels (slm.two_pi_grey)",
            )
        # Integer arithmetic: floor(x + 1/2) without a rounding error on the way.
        grey = ((2 * np.arange(count) * two_pi + count) // (2 * count)).astype(np.uint8)
        (folder / "slm").mkdir()
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"slm/layer{number}.png"
            Image.fromarray(grey[plane]).save(folder / path, format="PNG")
            files.append(ExportedFile(path, f"frame of layer {number}, row 0 at the top", f"grey, {two_pi} is 2 pi"))
        return WrittenFiles(files, {"rule": "grey = floor(level * two_pi_grey / levels + 1/2)"})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the frames with a decoder of our own; the phase is that of the greys."""
        files = manifest.record(self.name).files
        if len(files) != manifest.shape[0]:
            raise VerificationError(f"manifest.json: {len(files)} PNG files for {manifest.shape[0]} layers")
        frames = [read_png(read_exported(folder, file), file.path, manifest.shape[1:]) for file in files]
        level_of_grey = _level_of_grey(manifest.process.levels, manifest.two_pi_grey)
        levels = np.stack(
            [
                _levels(frame, level_of_grey, f"{file.path}: layer {layer}")
                for layer, (file, frame) in enumerate(zip(files, frames, strict=True), start=1)
            ]
        )
        phase = np.stack(frames).astype(np.float64) * (2.0 * math.pi / manifest.two_pi_grey)
        return ReadBack(levels, phase.astype(np.float32), tuple(file.path for file in files))


def _level_of_grey(levels: int, two_pi_grey: int) -> npt.NDArray[np.int64]:
    """The level each of the 256 greys stands for, or −1."""
    table = np.full(256, -1)
    for level in range(levels):
        grey = math.floor(level * two_pi_grey / levels + 0.5)
        if grey > 255 or table[grey] >= 0:
            raise VerificationError(f"manifest.json: {levels} levels do not fit {two_pi_grey} grey levels")
        table[grey] = level
    return table


def _levels(frame: npt.NDArray[np.uint8], level_of_grey: npt.NDArray[np.int64], place: str) -> npt.NDArray[np.int64]:
    levels = level_of_grey[frame]
    places = np.argwhere(levels < 0)
    if len(places) > 0:
        row, column = (int(index) for index in places[0])
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        raise VerificationError(f"{place} row {row} column {column}: grey {frame[row, column]} is no level{more}")
    return levels
