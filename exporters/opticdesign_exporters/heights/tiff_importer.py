"""Masks from maps in TIFF: one file a mask, or all masks as pages of one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opticdesign.data.tiff import exchanges_axes, program_pitch, tag_pitch, upright
from opticdesign.errors import DataError, OpticDesignError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, check_samples, masks_of_heights
from opticdesign.handover.said import Scale
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.number_scale import heights, unit_of

if TYPE_CHECKING:
    import tifffile

__all__ = ["TiffImporter"]

Sides = tuple[float, float]

_BLACK_IS_ZERO = 1  # of the tag PhotometricInterpretation
_MAPS = re.compile(r"[A-RT-Z]?YX")  # axes of series: no samples (S), such as colours, behind or before


class TiffImporter:
    """Reads floating-point numbers in a unit, or integers whose full scale is said."""

    name = "tiff"
    summary = "maps in TIFF: a file for each mask, or pages of one"
    suffixes = (".tif", ".tiff")
    options = frozenset({"unit", "full_scale", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every page of every file.

        Raises:
            DataError: a file that is damaged, holds no heights, or does not fit the design.
        """
        return masks_of_heights([one for file in job.files for one in _maps(file, job)], job)


def _maps(file: SourceFile, job: ImportJob) -> Iterator[HeightMap]:
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(file.data)) as tiff:
            for series in tiff.series:
                values, told = _calibrated(_values(series, file, job), tiff, series.keyframe)
                stated = program_pitch(tiff, series.keyframe) or tag_pitch(series.keyframe)
                pitch_m = None if stated is None else (stated.y, stated.x)
                for number, plane in enumerate(values, start=1):
                    height_m, sides_m = _upright(heights(plane, file, job, told), pitch_m, series.keyframe)
                    yield HeightMap(height_m, sides_m, f"{file.path}: page {number}")
    except OpticDesignError:
        raise
    except Exception as error:  # tifffile and its codecs raise whatever a damaged file leads them to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise DataError(file.path, f"cannot be read: {reason}", expected="a whole TIFF file") from None


def _values(series: tifffile.TiffPageSeries, file: SourceFile, job: ImportJob) -> npt.NDArray[np.generic]:
    """The numbers of images that belong together (maps, rows, columns)."""
    check_samples(file, series.shape, job)
    grey = series.dtype is not None and (series.dtype.kind == "f" or series.keyframe.photometric == _BLACK_IS_ZERO)
    if not grey or not _MAPS.fullmatch(series.axes):
        raise DataError(
            file.path,
            f"an image of type {series.dtype}, shape {series.shape} and axes {series.axes}, photometric "
            f"{getattr(series.keyframe.photometric, 'name', '(none)')}",
            expected="numbers (rows, columns) or (masks, rows, columns), or grey values of which 0 is black",
            remedy="save heights, or grey values without colours",
        )
    return np.asarray(series.asarray()).reshape(-1, *series.shape[-2:])


def _calibrated(
    values: npt.NDArray[np.generic], tiff: tifffile.TiffFile, page: tifffile.TiffPage
) -> tuple[npt.NDArray[np.generic], Scale | None]:
    """Numbers, and what of them the number 1 stands for: by our description, or by the calibration of ImageJ."""
    said: dict[str, Any] = tiff.imagej_metadata or {}
    if {"c0", "c1"} <= set(said) and said.get("cf", 0) == 0:
        values = values.astype(np.float64) * float(said["c1"]) + float(said["c0"])
    if (scale := unit_of(said.get("vunit", ""))) is not None:
        return values, scale
    try:
        described: Any = json.loads(page.description)
        return values, unit_of(described["unit"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return values, None


def _upright(
    height_m: npt.NDArray[np.float64], pitch_m: Sides | None, page: Any
) -> tuple[npt.NDArray[np.float64], Sides | None]:
    """A map and its pixels as the tag Orientation says that they are seen (TIFF 6.0, section 8)."""
    orientation = int(page.tags.valueof("Orientation", default=1))
    exchanged = exchanges_axes(orientation)
    return upright(height_m, orientation), pitch_m and (pitch_m[1], pitch_m[0]) if exchanged else pitch_m
