"""What frames count of the light that the model reckons with: from counts to readings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from opticdesign.data.frames import Frames, common_shape, read_frames
from opticdesign.design import DetectorSpec
from opticdesign.errors import DataError, UsageError

__all__ = ["FrameReading", "FrameScale", "Level"]

Level: TypeAlias = float | Path | Literal["mean"]

_BRIGHTEST = 100.0  # no sample gathers more than a few times the light; what reads more is in counts


@dataclass(frozen=True)
class FrameScale:
    """What a frame counts of the light that the model reckons with, whose reading is 1 without sample and masks.

    Args:
        clear: counts of that light, a number or a frame of it; "mean" for the mean of each frame; None for frames that
            are the model's readings themselves.
        dark: counts without light, which are taken off both first: a number, or a frame.
    """

    clear: Level | None = None
    dark: float | Path = 0.0


class FrameReading:
    """Frames in the model's unit.

    Args:
        files: all frames.
        scale: what they count.
        camera: the design's camera.

    Raises:
        DataError: a frame of dark or clear light that holds several, or of another size.
        UsageError: whole numbers without a scale, or a scale that is not above 0.
    """

    def __init__(self, files: Sequence[Frames], scale: FrameScale, camera: DetectorSpec) -> None:
        self.scale = scale
        self.most = min(_BRIGHTEST, _full(camera) * (1.0 + 1e-3))
        whole = next((file for file in files if file.whole), None)
        if whole is not None and scale.clear is None:
            raise UsageError(
                f"{whole.path}: whole numbers of type {whole.counts.dtype} hold no scale",
                expected="--clear, what the camera counts of the light alone, which the model reads as 1",
                remedy="add --clear 2400, --clear FILE with a frame of it, or --clear mean for the mean of each frame",
            )
        self.dark = _level(scale.dark, files)
        self.clear: Any = 1.0
        if scale.clear not in (None, "mean"):
            self.clear = _level(scale.clear, files) - self.dark
            if float(np.min(self.clear)) <= 0.0:
                raise UsageError(
                    f"the clear light counts {float(np.min(self.clear)):.4g} above the dark",
                    expected="more than 0 everywhere",
                    remedy="correct --clear and --dark",
                )

    def of(self, file: Frames, number: int) -> torch.Tensor:
        """The reading (y/b, x/b) of a frame of a file, float32.

        Raises:
            DataError: more light than there can be.
        """
        counts = file.counts[number].astype(np.float32) - self.dark
        reading = counts / (self.clear if self.scale.clear != "mean" else float(counts.mean(dtype=np.float64)))
        top, middle = float(reading.max()), float(reading.mean(dtype=np.float64))
        if not (middle > 0.0 and top <= self.most):
            raise DataError(
                file.name(number),
                f"a reading of {middle:.4g} on average and up to {top:.4g} of the light alone",
                expected=f"more than 0 on average, and at most {self.most:.4g}, by the camera of this run",
                remedy="set --clear to the counts of the light alone, and --dark to those without it",
            )
        return torch.from_numpy(np.asarray(reading, np.float32))


def _full(camera: DetectorSpec) -> float:
    """Reading of a full well; infinite for a well without end."""
    well = math.inf if camera.full_well is None else camera.full_well
    return well / (camera.quantum_efficiency * camera.max_photons)


def _level(given: Level, files: Sequence[Frames]) -> Any:
    """Counts that are a number, or those of a file's one frame."""
    if not isinstance(given, Path):
        return np.float32(given)
    level = read_frames(given)
    if len(level.counts) != 1:
        raise DataError(given, f"{len(level.counts)} frames", expected="one", remedy="store their mean as one frame")
    common_shape([files[0], level])
    return level.counts[0].astype(np.float32)
