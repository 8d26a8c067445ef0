"""Masks from heights in a NumPy archive."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from opticdesign.errors import DataError
from opticdesign.importing import HeightMap, ImportJob, Masks, SourceFile, masks_of_heights

__all__ = ["NpzImporter"]

_HEIGHTS, _PITCH = "height_m", "pitch_m"


class NpzImporter:
    """Reads the array `height_m` in metres, and its `pitch_m` where there is one."""

    name = "npz"
    summary = "height maps, NPZ: height_m (masks, rows, columns), and pitch_m"
    suffixes = (".npz",)

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is damaged, holds no heights, or does not fit the design.
        """
        return masks_of_heights([one for file in job.files for one in _maps(file)], job)


def _maps(file: SourceFile) -> Iterator[HeightMap]:
    try:
        with np.load(io.BytesIO(file.data), allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in (_HEIGHTS, _PITCH) if name in archive.files}
    except Exception as error:  # zipfile and numpy raise whatever a damaged file leads them to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise DataError(file.path, f"cannot be read: {reason}", expected="a whole NPZ file without objects") from None
    height_m, pitch_m = arrays.get(_HEIGHTS), arrays.get(_PITCH)
    if height_m is None or height_m.dtype.kind != "f" or height_m.ndim not in (2, 3):
        found = "no array height_m" if height_m is None else f"height_m of {height_m.dtype} and shape {height_m.shape}"
        expected = "height_m in metres, floating-point, (rows, columns) or (masks, rows, columns)"
        raise DataError(file.path, found, expected=expected, remedy="save heights in metres under that name")
    if pitch_m is not None and not (
        pitch_m.shape in ((), (2,)) and pitch_m.dtype.kind == "f" and bool((pitch_m > 0.0).all())
    ):
        expected = "one positive number in metres, or two, along y and x"
        raise DataError(file.path, f"pitch_m of {pitch_m!r}", expected=expected)
    sides = None if pitch_m is None else tuple(np.broadcast_to(pitch_m, 2).tolist())
    for number, plane in enumerate(np.atleast_3d(height_m.T).T, start=1):
        yield HeightMap(plane.astype(np.float64), sides, f"{file.path}: mask {number}")
