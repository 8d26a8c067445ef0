"""Masks from height maps in TIFF: one file a mask, or all masks as pages of one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from opticdesign.errors import DataError
from opticdesign.importing import HeightMap, ImportJob, Masks, SourceFile, masks_of_heights

if TYPE_CHECKING:
    import tifffile

__all__ = ["TiffImporter"]

_UNITS_M = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "nm": 1e-9}
_INCH, _CENTIMETRE = 2, 3  # of the tag ResolutionUnit
_LARGEST = 4 << 30  # bytes of one image: a few kilobytes can claim any size


class TiffImporter:
    """Reads heights as floating-point numbers: a grey value of an integer image stands for no height."""

    name = "tiff"
    summary = "height maps, TIFF: a file for each mask, or pages of one"
    suffixes = (".tif", ".tiff")

    def read(self, job: ImportJob) -> Masks:
        """Read every page of every file.

        Raises:
            DataError: a file that is damaged, holds no heights, or does not fit the design.
        """
        return masks_of_heights([one for file in job.files for one in _maps(file, job.file_unit_m)], job)


def _maps(file: SourceFile, unit_m: float) -> Iterator[HeightMap]:
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(file.data)) as tiff:
            yield from (found for series in tiff.series for found in _series_maps(series, file, unit_m))
    except DataError:
        raise
    except Exception as error:  # tifffile and its codecs raise whatever a damaged file leads them to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise DataError(file.path, f"cannot be read: {reason}", expected="a whole TIFF file") from None


def _series_maps(series: tifffile.TiffPageSeries, file: SourceFile, unit_m: float) -> Iterator[HeightMap]:
    """The height maps of images that belong together."""
    if series.dtype is None or series.dtype.kind != "f" or series.ndim not in (2, 3) or series.nbytes > _LARGEST:
        raise DataError(
            file.path,
            f"an image of type {series.dtype} and shape {series.shape}",
            expected="heights as floating-point numbers (rows, columns) or (masks, rows, columns)",
            remedy="save heights, not grey values",
        )
    page = series.keyframe
    told = _unit_m(page.description) or unit_m
    for number, plane in enumerate(np.atleast_3d(series.asarray().T).T, start=1):
        yield HeightMap(plane.astype(np.float64) * told, _pitch_m(page), f"{file.path}: page {number}")


def _unit_m(description: str) -> float | None:
    """Unit of the heights, as our own files say it in their description."""
    try:
        said: Any = json.loads(description)
        return _UNITS_M.get(said["unit"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _pitch_m(page: Any) -> tuple[float, float] | None:
    """Size of a pixel along y and x in metres; None where there is no unit of length."""
    unit = page.tags.valueof("ResolutionUnit", default=0)
    resolutions = [page.tags.valueof(f"{axis}Resolution") for axis in "YX"]
    if unit not in (_INCH, _CENTIMETRE) or any(one is None or 0 in one for one in resolutions):
        return None
    length_m = 0.0254 if unit == _INCH else 0.01
    (y, per_y), (x, per_x) = resolutions
    return length_m * per_y / y, length_m * per_x / x
