"""The handle of a trained run: its microscope, its masks as made, and phase from camera frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.decoders.waves import in_radians
from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import BATCH
from opticdesign.instrument.whole_frame import decode_frame
from opticdesign.runs.run_folder import Run
from opticdesign.runs.run_folder import open_run as open_folder
from opticdesign.runs.start import load_trained

__all__ = ["TrainedRun", "open_run"]


@dataclass(frozen=True)
class TrainedRun:
    """A run whose training has come to its end.

    Args:
        run: its folder.
        device: where to compute.
    """

    run: Run
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def folder(self) -> Path:
        """Where the run is."""
        return self.run.folder

    @property
    def design(self) -> Design:
        """The resolved design."""
        return self.run.design

    @property
    def process(self) -> FabricationProcess:
        """What makes the masks."""
        return self._microscope.process

    @cached_property
    def _microscope(self) -> Microscope:
        return load_trained(self.run, self.device)[0]

    @property
    def _pixels(self) -> tuple[int, int]:
        """Rows and columns of the camera."""
        binning, (rows, columns) = self.design.detector.binning, self._microscope.optics.grid.shape
        return rows // binning, columns // binning

    def microscope(self) -> Microscope:
        """The trained microscope, in evaluation; `read(field, run.process)` is what its camera reads of a field."""
        return self._microscope

    def masks(self, made: bool = True) -> Tensor:
        """Phases of the masks in radians (layers, y, x), as the process makes them or, if not, as they were learned."""
        phases_rad = self._microscope.optics.detached_phases().cpu()
        return self.process.phase_of_level(self.process.level_of_phase(phases_rad)) if made else phases_rad

    def reconstruct(self, frames: Tensor | NDArray[np.generic]) -> Tensor:
        """Phase in radians (…, y, x), float32 on the CPU, of camera frames.

        Args:
            frames: what the camera read, (…, y/b, x/b), its dark level taken off, over what the illumination alone,
                without sample and masks, makes it read: as `Microscope.read` gives them. Larger frames than the
                design's are taken by tiles of that size, where the optics act alike everywhere.

        Raises:
            UsageError: frames of another size than the camera's, or values that are not finite.
        """
        given = torch.as_tensor(frames).detach().to(torch.float32)
        self.check_frames(tuple(given.shape))
        if not bool(given.isfinite().all()):
            raise UsageError("a frame holds NaN or infinity", expected="finite values")
        single = given.reshape(-1, *given.shape[-2:])
        if tuple(given.shape[-2:]) == self._pixels:
            parts = torch.split(single.to(self.device), BATCH)
            with torch.no_grad():
                waves = torch.cat([self._microscope.decode(part).cpu() for part in parts])
        else:
            overlap = self.design.evaluation.overlap
            waves = torch.stack([decode_frame(self._microscope, frame, overlap) for frame in single])
        return in_radians(waves).reshape(*given.shape[:-2], *waves.shape[-2:])

    def check_frames(self, shape: tuple[int, ...], name: str = "") -> None:
        """Refuse frames of a shape (…, y, x) that this camera does not read.

        Args:
            shape: of the frames.
            name: of the file that holds them.

        Raises:
            UsageError: another size than the camera's; where the optics act alike everywhere, a smaller one.
        """
        (rows, columns), alike = self._pixels, self.design.optics.acts_alike
        sized = shape[-2:] == (rows, columns) or (
            alike and len(shape) > 1 and shape[-2] >= rows and shape[-1] >= columns
        )
        if sized and math.prod(shape) > 0:
            return
        raise UsageError(
            f"{name}{': ' * bool(name)}frames of {' × '.join(map(str, shape)) or 'no axes'} pixels",
            expected=f"(…, {rows}, {columns}) finite values, as this camera reads"
            + (", or larger ones" if alike else ""),
            remedy="cut the frames to the field of view, with the same binning",
        )


def open_run(path: Path | str, device: str | torch.device = "cpu") -> TrainedRun:
    """Open a run folder, or the latest run in a folder of runs.

    Args:
        path: the folder.
        device: where to compute, "cpu" or "cuda".

    Raises:
        RunError: there is no run, or its design does not read.
        UsageError: its training has not come to its end.
    """
    trained = TrainedRun(open_folder(Path(path)), torch.device(device))
    trained.microscope()
    return trained
