"""The handle of a trained run: its microscope, its masks as made, and phase from camera frames."""

from __future__ import annotations

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
                without sample and masks, makes it read: as `Microscope.read` gives them.

        Raises:
            UsageError: frames of another size than the camera's, or values that are not finite.
        """
        given = torch.as_tensor(frames).detach().to(self.device, torch.float32)
        binning, whole = self.design.detector.binning, self._microscope.optics.grid.shape
        pixels = (whole[0] // binning, whole[1] // binning)
        if given.shape[-2:] != pixels or given.numel() == 0 or not bool(given.isfinite().all()):
            raise UsageError(
                f"frames of {' × '.join(map(str, given.shape)) or 'no axes'} pixels",
                expected=f"(…, {pixels[0]}, {pixels[1]}) finite values, as this camera reads",
                remedy="cut the frames to the field of view, with the same binning",
            )
        with torch.no_grad():
            parts = torch.split(given.reshape(-1, *pixels), BATCH)
            waves = torch.cat([self._microscope.decode(part).cpu() for part in parts])
        return in_radians(waves).reshape(*given.shape[:-2], *waves.shape[-2:])


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
