"""Frames of a camera from files, as they were counted: nothing is scaled, and what is no measurement is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.pixel_size import StatedPitch
from opticdesign.data.readers import open_contents
from opticdesign.errors import DataError
from opticdesign.units import format_length

__all__ = ["Frames", "common_shape", "read_frames", "stated_pitch_m"]

_FULL = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))  # counts at which converters end
_SATURATED = 1e-3  # share of the pixels: hot ones and dust are fewer


@dataclass(frozen=True)
class Frames:
    """The frames of one file.

    Args:
        path: the file.
        counts: what the camera counted, (n, y, x), in the type of the file.
        pitch: the pixel size that the file states, None where it states none.
        notes: what a user should know about how the file was read.
    """

    path: Path
    counts: NDArray[Any]
    pitch: StatedPitch | None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.counts.shape[1:]
        return rows, columns

    @property
    def whole(self) -> bool:
        """Whether they are whole numbers, as a camera counts."""
        return self.counts.dtype.kind in "iu"

    def name(self, number: int) -> str:
        """How messages call a frame, counted from 0."""
        return f"{self.path}[{number}]" if len(self.counts) > 1 else str(self.path)


def read_frames(path: Path) -> Frames:
    """All frames of a tif, png or npy file, a stack's in its order.

    Raises:
        DataError: no file, an unknown or damaged one, colours, several arrays, complex numbers, numbers that are not
            finite, a frame without light, or one that is saturated.
    """
    if not path.is_file():
        raise DataError(path, "no such file", expected="a tif, png or npy file", remedy="check the path")
    with open_contents(path) as contents:
        if list(contents.arrays) != [""]:
            raise DataError(
                path, "a file of named arrays", expected="tif, png or npy", remedy="store the frames alone, as npy"
            )
        counts = contents.arrays[""].maps(path)
        frames = Frames(path, counts, contents.pitch, tuple(contents.notes))
        if counts.dtype.kind not in "uif":
            raise DataError(path, f"numbers of type {counts.dtype}", expected="counts, or intensities as floats")
        for number in range(len(counts)):
            _check(frames, number)
    return frames


def _check(frames: Frames, number: int) -> None:
    """Refuse a frame that is no measurement."""
    counts, name = frames.counts[number], frames.name(number)
    if not np.isfinite(counts).all():
        raise DataError(
            name, "NaN or infinity", expected="finite numbers", remedy="cut the frame to pixels that were measured"
        )
    top = float(counts.max())
    if top <= 0.0 or float(counts.mean()) <= 0.0:
        raise DataError(name, "no light: no count above 0 on average", expected="an exposed frame", remedy="expose it")
    share = float(np.mean(counts == top))
    if frames.whole and top in _FULL and share > _SATURATED:
        raise DataError(
            name,
            f"saturated: {share:.2%} of the pixels read {top:g}, where a converter ends",
            expected=f"at most {_SATURATED:.1%} of them",
            remedy="expose it shorter",
        )


def common_shape(frames: Sequence[Frames]) -> tuple[int, int]:
    """Rows and columns of the frames of several files.

    Raises:
        DataError: they differ.
    """
    first = frames[0]
    for other in frames[1:]:
        if other.shape != first.shape:
            raise DataError(
                other.path,
                f"frames of {other.shape[0]} × {other.shape[1]} pixels",
                expected=f"{first.shape[0]} × {first.shape[1]}, as those of {first.path}",
                remedy="cut all frames to the same field",
            )
    return first.shape


def stated_pitch_m(frames: Sequence[Frames]) -> tuple[float, float] | None:
    """The pixel size (y, x) that the files state, metres; None where none does for certain.

    Raises:
        DataError: two files state different ones.
    """
    stated = [(one, one.pitch) for one in frames if one.pitch is not None and one.pitch.certain]
    for one, pitch in stated[1:]:
        if not pitch.agrees(stated[0][1].x):
            raise DataError(
                one.path,
                f"pixels of {pitch.text}",
                expected=f"{format_length(stated[0][1].x)}, as {stated[0][0].path} states",
                remedy="say the pixel size that is right by --pixel",
            )
    return (stated[0][1].y, stated[0][1].x) if stated else None
