"""A quantitative phase image: what the light carries into the optics, and what the decoder must give back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import DataError

__all__ = ["PhaseField"]


@dataclass(frozen=True, eq=False)
class PhaseField:
    """A field A·exp(iφ) on a square grid at the design's pitch; every array is (y, x), row 0 at the top.

    Args:
        name: how messages and results name the field.
        phase_rad: unwrapped phase φ in radians, float32; thicker is more.
        amplitude: amplitude A, float32, not negative; 1 is a clear field.
        valid: bool, False where nothing was measured.
        source: the file it came from; fields of one source stay together when a split is by file. Default: the name.

    Raises:
        DataError: arrays that are no filled images of one shape and these types, not finite, or of negative amplitude.
    """

    name: str
    phase_rad: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    valid: NDArray[np.bool_]
    source: str = ""

    def __post_init__(self) -> None:
        expected = [
            (self.phase_rad, "phase", np.float32),
            (self.amplitude, "amplitude", np.float32),
            (self.valid, "mask", np.bool_),
        ]
        for array, what, dtype in expected:
            if array.ndim != 2 or array.size == 0:
                raise DataError(self.name, f"{what} of shape {array.shape}", expected="a filled (y, x) image")
            if array.dtype != dtype:
                raise DataError(self.name, f"{what} of type {array.dtype}", expected=str(np.dtype(dtype)))
            if array.shape != self.shape:
                raise DataError(
                    self.name, f"{what} of shape {array.shape} beside a phase of {self.shape}", expected="one shape"
                )
            if not np.isfinite(array).all():
                raise DataError(self.name, f"the {what} holds NaN or infinity", expected="finite values")
        if self.amplitude.min() < 0.0:
            raise DataError(
                self.name, f"an amplitude of {self.amplitude.min():.4g}", expected="amplitudes of 0 or more"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.phase_rad.shape
        return rows, columns

    def crop(self, rows: slice, columns: slice, label: str) -> PhaseField:
        """The part at `rows` and `columns` (views, not copies), named "name:label"."""
        part = rows, columns
        return PhaseField(
            f"{self.name}:{label}",
            self.phase_rad[part],
            self.amplitude[part],
            self.valid[part],
            self.source or self.name,
        )
