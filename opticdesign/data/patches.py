"""Patches cut from fields with what surrounds them: at random for training, on a grid for validation and test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.phase_field import PhaseField
from opticdesign.data.window import Window
from opticdesign.errors import DataError, UsageError

__all__ = ["PatchSampler", "admissible_positions", "grid_patches"]

Patches = tuple[NDArray[np.float32], NDArray[np.float32]]

VALID_SHARE = 0.95  # of a patch; the rest may lie outside the mask, or a round field of view would lose its rim


def _counts(marked: NDArray[np.bool_], patch: tuple[int, int]) -> NDArray[np.int64]:
    """Marked pixels in the patch at each top-left corner, (rows - y + 1, columns - x + 1), by a summed-area table.

    F. C. Crow, Summed-area tables for texture mapping, SIGGRAPH (1984), doi:10.1145/800031.808600.
    """
    height, width = patch
    if marked.shape[0] < height or marked.shape[1] < width:
        return np.zeros((0, 0), np.int64)
    table = np.zeros((marked.shape[0] + 1, marked.shape[1] + 1), np.int64)
    table[1:, 1:] = marked.cumsum(0, dtype=np.int64).cumsum(1)
    return table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]


def _enough(patch: tuple[int, int]) -> int:
    return math.ceil(VALID_SHARE * patch[0] * patch[1])


def admissible_positions(field: PhaseField, patch: tuple[int, int]) -> NDArray[np.bool_]:
    """Top-left corners at which a patch (y, x) has at least 95 % valid pixels: bool (rows - y + 1, columns - x + 1)."""
    return _counts(field.valid, patch) >= _enough(patch)


def _filled_positions(field: PhaseField, window: Window) -> NDArray[np.bool_]:
    """Those of the admissible positions at which a patch is not empty, as the window has it; same shape."""
    allowed = admissible_positions(field, window.patch)
    if window.least_edges == 0.0 or not allowed.any():
        return allowed
    edges = np.hypot(*np.gradient(field.phase_rad)) > window.edge_rad
    least = math.ceil(window.least_edges * window.patch[0] * window.patch[1])
    return allowed & (_counts(edges & field.valid, window.patch) >= least)


def _no_patch(fields: Sequence[PhaseField], window: Window) -> DataError:
    names = ", ".join(field.name for field in fields[:3]) + (", …" if len(fields) > 3 else "")
    height, width = max((field.shape for field in fields), key=min, default=(0, 0))
    filled = f" and {window.least_edges:.2%} on edges" if window.least_edges else ""
    return DataError(
        names or "no fields",
        f"no patch of {window.patch[0]} × {window.patch[1]} pixels with {VALID_SHARE:.0%} of them valid{filled}",
        expected=f"at least one patch; the largest field has {height} × {width} pixels at the design's pitch",
        remedy="use a larger field, fewer neurons or a larger pitch" + (", or lower data.least_edges" * bool(filled)),
    )


def _orient(image: NDArray[np.float32], code: int) -> NDArray[np.float32]:
    """Orientation 0 … 7 of the square; 0 … 3 (flips only) keep the shape of any rectangle."""
    if code & 1:
        image = image[::-1]
    if code & 2:
        image = image[:, ::-1]
    return image.T if code & 4 else image


class PatchSampler:
    """Draws random patches, every admissible position of every field being equally likely.

    Args:
        fields: the fields to draw from.
        window: the patch, and what is cut around it.

    Raises:
        DataError: no admissible position in any field.
    """

    def __init__(self, fields: Sequence[PhaseField], window: Window) -> None:
        self.window = window
        maps = [_filled_positions(field, window) for field in fields]
        kept = [(field, allowed) for field, allowed in zip(fields, maps, strict=True) if allowed.any()]
        if not kept:
            raise _no_patch(fields, window)
        self.fields = [field for field, _ in kept]
        self._allowed = [allowed for _, allowed in kept]
        self._row_ends = [np.cumsum(np.count_nonzero(allowed, axis=1)) for allowed in self._allowed]
        self._field_ends = np.cumsum([ends[-1] for ends in self._row_ends])

    @property
    def positions(self) -> int:
        """Number of admissible positions over all fields."""
        return int(self._field_ends[-1])

    def draw(self, count: int, rng: np.random.Generator) -> Patches:
        """`count` patches, each flipped or rotated at random together with its margin (my, mx).

        Returns:
            amplitude: A, float32 (count, y + 2·my, x + 2·mx).
            phase: φ in radians, float32, same shape.
        """
        numbers = rng.integers(self.positions, size=count)
        orientations = rng.integers(8 if self.window.square else 4, size=count)
        phase = np.empty((count, *self.window.shape), np.float32)
        amplitude = np.empty_like(phase)
        for i, (number, code) in enumerate(zip(numbers, orientations, strict=True)):
            field, row, column = self._locate(int(number))
            phase[i] = _orient(self.window.cut(field.phase_rad, row, column), int(code))
            amplitude[i] = _orient(self.window.cut(field.amplitude, row, column), int(code))
        return amplitude, phase

    def _locate(self, number: int) -> tuple[PhaseField, int, int]:
        """Field, row and column of the admissible position `number`, counted field by field and row by row."""
        index = int(np.searchsorted(self._field_ends, number, side="right"))
        number -= int(self._field_ends[index - 1]) if index else 0
        ends = self._row_ends[index]
        row = int(np.searchsorted(ends, number, side="right"))
        number -= int(ends[row - 1]) if row else 0
        column = int(np.flatnonzero(self._allowed[index][row])[number])
        return self.fields[index], row, column


def grid_patches(fields: Sequence[PhaseField], window: Window, stride: int | tuple[int, int]) -> Patches:
    """Every admissible patch on a grid of `stride` pixels that includes the last row and column, field by field.

    A field whose mask leaves no grid position, though it has admissible ones, gives its most valid patch.

    Args:
        fields: the fields to cut.
        window: the patch, and what is cut around it, a margin of (my, mx) pixels.
        stride: step between patches in pixels, or the steps (y, x).

    Returns:
        amplitude: A, float32 (n, y + 2·my, x + 2·mx).
        phase: φ in radians, float32, same shape.

    Raises:
        DataError: no admissible position in any field.
        UsageError: a stride below 1.
    """
    steps = (stride, stride) if isinstance(stride, int) else stride
    if min(steps) < 1:
        raise UsageError(f"a stride of {stride} pixels", expected="1 or more")
    places = [(field, place) for field in fields for place in _grid(field, window, steps)]
    if not places:
        raise _no_patch(fields, window)
    phase = np.stack([window.cut(field.phase_rad, *place) for field, place in places])
    amplitude = np.stack([window.cut(field.amplitude, *place) for field, place in places])
    return amplitude, phase


def _grid(field: PhaseField, window: Window, steps: tuple[int, int]) -> list[tuple[int, int]]:
    """Top-left corners of the grid patches of one field."""
    allowed = _filled_positions(field, window)
    if not allowed.any():
        return []
    rows, columns = (
        sorted({*range(0, last + 1, step), last})
        for last, step in zip((allowed.shape[0] - 1, allowed.shape[1] - 1), steps, strict=True)
    )
    found = [(row, column) for row in rows for column in columns if allowed[row, column]]
    most = np.where(allowed, _counts(field.valid, window.patch), 0)
    best = np.unravel_index(int(most.argmax()), most.shape)
    return found or [(int(best[0]), int(best[1]))]
