"""What one data file holds, before anything is taken from it: its arrays by name, and what it says about them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.bounds import DENSEST, most_bytes
from opticdesign.data.pixel_size import Mark, StatedPitch, stated_pitch, stated_unit
from opticdesign.errors import DataError

__all__ = ["MAPS", "MASK", "Contents", "Stored", "refuse_bomb"]

MASK, MAPS = "mask", 2  # an array of this name says what is valid; axes of a map
_LEAST_SIDE = 2
_FEW = 8  # no map is so narrow: a last axis of so few counts maps or colours


@dataclass(frozen=True)
class Stored:
    """One array of a file, not read yet.

    Args:
        name: its name, "" where the format knows none.
        stored_shape: its axes as the file lists them, those of MATLAB's stacks put first.
        dtype: type of its numbers.
        read: gives the numbers, in that shape.
        last: whether the file itself lists the axis that counts maps last, as MATLAB does.
    """

    name: str
    stored_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[Any]]
    last: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes without those of one entry, as far as two are left."""
        shape = list(self.stored_shape)
        while len(shape) > MAPS and 1 in shape:
            shape.remove(1)
        return tuple(shape)

    @property
    def is_image(self) -> bool:
        """Whether it may hold maps: numbers, (y, x) or (n, y, x)."""
        return (
            self.dtype.kind in "fcui"
            and len(self.shape) in (MAPS, MAPS + 1)
            and min(self.shape[-MAPS:], default=0) >= _LEAST_SIDE
        )

    def values(self) -> NDArray[Any]:
        """The numbers without axes of one entry."""
        return self.read().reshape(self.shape)

    def maps(self, path: Path) -> NDArray[Any]:
        """The numbers as a stack (n, y, x).

        Raises:
            DataError: they are no maps.
        """
        label = f"{self.name}: " if self.name else ""
        if self.dtype.kind not in "fcui":
            raise DataError(
                path,
                f"{label}numbers of type {self.dtype}",
                expected="floats (a phase), complex numbers (a field) or whole numbers (grey values)",
            )
        shape = self.shape
        if len(shape) not in (MAPS, MAPS + 1) or 0 in shape:
            raise DataError(
                path,
                f"{label}an array of shape {self.stored_shape}",
                expected="a map (y, x) or a stack (n, y, x)",
                remedy="name another array by data.key, or store each map by itself",
            )
        if len(shape) > MAPS and (shape[-1] < _FEW <= min(shape[:-1]) or 2 * shape[-1] <= min(shape[:-1])):
            raise DataError(
                path,
                f"{label}an array of shape {self.stored_shape}: its last axis seems to count maps or colours",
                expected="a stack (n, y, x), maps first",
                remedy=f"store numpy.moveaxis(array, -1, 0), of shape {(shape[-1], *shape[:-1])}",
            )
        if self.last and len(shape) > MAPS and 2 * shape[1] <= min(shape[0], shape[2]):
            listed = (*shape[1:], shape[0])
            raise DataError(
                path,
                f"{label}an array of shape {listed}: its first axis seems to count maps",
                expected="a stack (y, x, n), maps last, as MATLAB has them",
                remedy=f"store numpy.moveaxis(array, 0, -1), of shape {(*listed[1:], listed[0])}",
            )
        return self.values().reshape((-1, *shape[-MAPS:]))


@dataclass(frozen=True)
class Contents:
    """The arrays of a file, and what it says of them.

    Args:
        arrays: the arrays by name.
        marks: numbers and texts that a container keeps beside its arrays.
        pitch: the pixel size that the format itself states.
        notes: what a user should know about how the file was read.
    """

    arrays: Mapping[str, Stored]
    marks: Sequence[Mark] = ()
    pitch: StatedPitch | None = None
    notes: list[str] = field(default_factory=list)

    def pitch_of(self, name: str) -> StatedPitch | None:
        """The pixel size of an array as the file states it."""
        return self.pitch or stated_pitch(self.marks, name)

    def unit_of(self, name: str) -> str | None:
        """The unit of an array's numbers as the file states it, in the file's words."""
        return stated_unit(self.marks, name)


def refuse_bomb(path: Path, shape: Sequence[int], itemsize: int, stored: int) -> None:
    """Refuse an array that would unpack to far more than its file could mean.

    Args:
        path: the file.
        shape: axes of the array.
        itemsize: bytes of a number.
        stored: bytes of the file.

    Raises:
        DataError: it is more than 256 MiB and 100 times the file.
    """
    size = math.prod(shape) * itemsize
    if size > most_bytes(stored):
        raise DataError(
            path,
            f"an array of {' × '.join(map(str, shape))} would unpack to {size / 2**30:.3g} GiB",
            expected=f"at most {DENSEST} times the file's {stored:,} bytes",
            remedy="store it without compression if it is as large as that",
        )
