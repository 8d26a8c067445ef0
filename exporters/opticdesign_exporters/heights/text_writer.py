"""Writes one line of text for each pixel, row by row, so that the memory it takes is that of a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["write_pixels"]


def write_pixels(
    path: Path, head: str, plane: npt.NDArray[np.uint8], starts: Sequence[str], ends: Iterable[Sequence[str]]
) -> None:
    """Write a head and then, for each pixel from the top left on, a start and an end.

    Args:
        path: the file.
        head: what stands above the pixels.
        plane: level indices (rows, columns).
        starts: what a line begins with, by column.
        ends: what it ends with, by row and level.
    """
    with path.open("w", encoding="ascii", newline="") as stream:
        stream.write(head)
        for levels, row_ends in zip(plane.tolist(), ends, strict=True):
            stream.write("".join([start + row_ends[level] for start, level in zip(starts, levels, strict=True)]))
