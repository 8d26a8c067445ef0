"""What readers of height files share: levels from heights or greys, phases, and errors with their place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import VerificationError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import Extent, ReadBack
from opticdesign.handover.manifest import FileRecord, Manifest

__all__ = [
    "check_number",
    "heights_m",
    "layer_files",
    "levels_of_heights",
    "levels_of_values",
    "phase_of_heights",
    "refuse_first",
    "with_designed_phase",
]

Ints = npt.NDArray[np.int64]


def layer_files(manifest: Manifest, exporter: str, noun: str, extra: int = 0) -> tuple[FileRecord, ...]:
    """The files of one exporter: one for each layer, and `extra` others.

    Args:
        manifest: the manifest of the folder.
        exporter: name of the exporter.
        noun: what the files of layers are called.
        extra: number of other files.

    Raises:
        VerificationError: another number of files.
    """
    files = manifest.record(exporter).files
    if len(files) != manifest.shape[0] + extra:
        raise VerificationError(f"manifest.json: {len(files) - extra} {noun} files for {manifest.shape[0]} layers")
    return files


def heights_m(process: FabricationProcess) -> npt.NDArray[np.float64]:
    """The height of every level in metres, rising."""
    table: npt.NDArray[np.float64] = process.height_of_level(torch.arange(process.levels)).numpy()
    return table


def levels_of_heights(
    height: npt.NDArray[np.floating], table: npt.NDArray[np.floating], unit: str, place: str, slack: float = 0.0
) -> Ints:
    """The level of each height (rows, columns).

    Args:
        height: heights as they were read.
        table: height of every level, rising, in the same unit and precision.
        unit: the unit, for messages.
        place: where the heights stand, for messages.
        slack: how far a height may lie from that of its level; zero asks for equal bits.

    Raises:
        VerificationError: a height that is no level; says where, and which level is the nearest.
    """
    with np.errstate(invalid="ignore"):  # damaged files may hold anything
        levels: Ints = np.searchsorted(0.5 * (table[1:] + table[:-1]), height).astype(np.int64)
        bad = ~(np.abs(table[levels] - height) <= slack)  # also true of what is not a number
    if bad.any():
        value = float(height[bad][0])
        nearest = int(levels[bad][0]) if math.isfinite(value) else 0
        refuse_first(
            bad,
            place,
            f"height {value:.9g} {unit} is no level, "
            f"the nearest is level {nearest} with {float(table[nearest]):.9g} {unit}",
        )
    return levels


def levels_of_values(values: npt.NDArray[np.integer], level_of: Ints, noun: str, place: str) -> Ints:
    """The level each integer of an image (rows, columns) stands for.

    Args:
        values: the integers, each an index into `level_of`.
        level_of: the level of each integer, −1 where it has none.
        noun: what the integers are called.
        place: where they stand, for messages.

    Raises:
        VerificationError: an integer without level; says where.
    """
    levels: Ints = level_of[values]
    if (levels < 0).any():
        refuse_first(levels < 0, place, f"{noun} {values[levels < 0][0]} is no level")
    return levels


def refuse_first(bad: npt.NDArray[np.bool_], place: str, why: str) -> None:
    """Refuse the first marked pixel (rows, columns), saying how many others there are.

    Raises:
        VerificationError: a pixel is marked.
    """
    places = np.argwhere(bad)
    if len(places) > 0:
        row, column = (int(index) for index in places[0])
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        raise VerificationError(f"{place} row {row} column {column}: {why}{more}")


def check_number(received: float, expected: float, place: str) -> None:
    """Refuse a number that is not the one the manifest asks for, but for rounding.

    Raises:
        VerificationError: it is another.
    """
    if not abs(received - expected) <= 1e-9 * abs(expected):
        raise VerificationError(f"{place} is {received!r}, expected {expected!r}")


def phase_of_heights(height_m: npt.NDArray[np.float64], process: FabricationProcess) -> npt.NDArray[np.float32]:
    """The phase that heights delay, radians, same shape."""
    return (height_m * (2.0 * math.pi / process.full_height_m)).astype(np.float32)


def with_designed_phase(
    levels: Iterable[Ints], files: Sequence[FileRecord], manifest: Manifest, extents: Iterable[Extent | None] = ()
) -> ReadBack:
    """What was read from files that hold the very heights of their levels.

    Args:
        levels: one plane (rows, columns) for each layer.
        files: the file of each layer.
        manifest: the manifest of the folder.
        extents: where the file of each layer says that its mask lies; none where the format holds no scale.
    """
    stack = np.stack(list(levels))
    phase = manifest.process.process.phase_of_level(torch.from_numpy(stack)).numpy()
    return ReadBack(stack, phase, tuple(file.path for file in files), extents=tuple(extents))
