"""Masks from grey pictures, PNG or BMP, one a mask: what their largest grey stands for has to be said."""

from __future__ import annotations

import io
import warnings

import numpy as np
import numpy.typing as npt

from opticdesign.errors import DataError, OpticDesignError
from opticdesign.handover.importing import HeightMap, ImportJob, Masks, check_samples, masks_of_heights
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.number_scale import full_scale

__all__ = ["ImageImporter"]

_SCREENS = (72, 96, 100, 120, 144, 150, 200, 300, 400, 600, 1200, 2400)  # dots an inch that say nothing of a mask
_DEEP = ("I", "I;16", "I;16B", "I;16L")


class ImageImporter:
    """Reads 1, 8 and 16 bits of grey; colours only where they are grey, and opaque."""

    name = "image"
    summary = "grey pictures, PNG and BMP: a file for each mask, with --full-scale"
    suffixes = (".png", ".bmp")
    options = frozenset({"full_scale", "pitch_m"})

    def read(self, job: ImportJob) -> Masks:
        """Read every file.

        Raises:
            DataError: a file that is damaged, has colours, no scale that is said, or does not fit the design.
        """
        maps, tops = zip(*(_map(file, job) for file in job.files), strict=True)
        masks = masks_of_heights(maps, job)
        scale = job.said.full_scale
        kind = "a phase" if scale is not None and scale.phase else "a height"
        return masks._replace(notes=(*masks.notes, f"greys are taken as {kind} in proportion, 0 to {max(tops)}"))


def _map(file: SourceFile, job: ImportJob) -> tuple[HeightMap, int]:
    """The heights of a picture, and its largest possible grey."""
    try:
        greys, top, pitch_m = _greys(file, job)
    except OpticDesignError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file leads it to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        expected = "a whole PNG or BMP file"
        raise DataError(file.path, f"cannot be read: {reason}", expected=expected) from None
    height_m = greys * full_scale(top, int(greys.max()), file, job)
    return HeightMap(height_m, pitch_m, str(file.path)), top


def _greys(file: SourceFile, job: ImportJob) -> tuple[npt.NDArray[np.float64], int, tuple[float, float] | None]:
    """Greys (rows, columns), the largest possible one, and the size of a pixel where the file says one."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked against the design's
        image = Image.open(io.BytesIO(file.data), formats=["PNG", "BMP"])
    with image:
        check_samples(file, (image.height, image.width), job)
        dpi, deep, bits = image.info.get("dpi"), image.mode in _DEEP, image.mode == "1"
        known = deep or bits or image.mode == "L"
        values = np.asarray(image) if known else _grey_of_colours(np.asarray(image), image.mode)
    if values is None:
        raise DataError(
            file.path,
            f"a picture with colours, of mode {image.mode}",
            expected="greys of 1, 8 or 16 bits, and nothing transparent",
            remedy="save it as grey values",
        )
    sides_m = None if dpi is None or round(float(dpi[0])) in _SCREENS else tuple(0.0254 / float(one) for one in dpi)
    pitch_m = None if sides_m is None else (sides_m[1], sides_m[0])
    return values.astype(np.float64), 65535 if deep else 1 if bits else 255, pitch_m


def _grey_of_colours(values: npt.NDArray[np.uint8], mode: str) -> npt.NDArray[np.uint8] | None:
    """The greys of a picture with colour channels or opacity; None where it has colours or is not opaque."""
    if mode not in ("RGB", "RGBA", "LA"):
        return None
    colours = values[..., :3] if mode.startswith("RGB") else values[..., :1]
    opaque = not mode.endswith("A") or bool((values[..., -1] == 255).all())
    return colours[..., 0] if opaque and (colours == colours[..., :1]).all() else None
