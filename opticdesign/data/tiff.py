"""TIFF files: one series of maps, and the pixel size in the tags that microscopes and their programs write and read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.contents import Contents, Stored, refuse_bomb
from opticdesign.data.pixel_size import StatedPitch, length_unit_m
from opticdesign.errors import DataError

__all__ = ["exchanges_axes", "open_tiff", "print_resolution", "program_pitch", "tag_pitch", "upright", "write_tiff"]

MAX_COMPRESSION = 2000  # no lossless TIFF codec packs denser; deflate ends at 1032
_COARSEST_M = 10e-6  # what is coarser than this is the resolution of a print, 72 or 300 dpi, and no sample's
_OWN = (1, 8, 32773, 32946, 50013)  # compressions that tifffile unpacks by itself
_TURNED = 5  # orientations from here have rows and columns exchanged
_NAMED = 6  # channels that a refusal names
_LOSSY = (6, 7, 33007, 34892)
_UNITS = {2: 25.4e-3, 3: 1e-2}  # of the tag ResolutionUnit, metres


def open_tiff(path: Path, stack: ExitStack) -> Contents:
    """The maps of the first series of a TIFF file.

    Raises:
        DataError: a colour image, one with parts missing, or one of a compression that cannot be read.
    """
    import tifffile

    file = stack.enter_context(tifffile.TiffFile(path, _multifile=False))  # other files of a set speak for themselves
    series, page = file.series[0], file.series[0].keyframe
    pages = [one for one in series.pages if one is not None]
    _require_grey(path, file, series)
    # A damaged header can promise a giant image, over whose missing pieces tifffile would toil for hours.
    pieces = [(math.prod(one.chunked), len(one.dataoffsets)) for one in pages]
    short = len(pages) < len(series.pages) or any(due != held for due, held in pieces)
    if short or series.nbytes > MAX_COMPRESSION * path.stat().st_size:
        raise DataError(path, f"an image of {series.shape} pixels with parts missing", expected="a whole file")
    refuse_bomb(path, series.shape, series.dtype.itemsize, path.stat().st_size)
    _require_codec(path, page)
    pitch, notes = _stated(file, page)
    if len(file.series) > 1:
        notes.append(f"{len(file.series)} series of images: the first is taken")
    if int(page.compression) in _LOSSY:
        notes.append("JPEG compression: lossy, small phases may be lost")
    inverted = int(page.photometric) == 0 and series.dtype.kind == "u"
    if inverted:
        notes.append("grey values count from white (WhiteIsZero): they are inverted")
    first = series.axes.index("S") if "S" in series.axes else 0  # samples of a pixel are maps of a stack
    shape = (series.shape[first], *series.shape[:first], *series.shape[first + 1 :])
    turn = int(page.tags.valueof("Orientation", default=1))
    if exchanges_axes(turn):
        shape = (*shape[:-2], shape[-1], shape[-2])
        pitch = None if pitch is None else replace(pitch, y=pitch.x, x=pitch.y)

    def read() -> NDArray[Any]:
        values = np.moveaxis(series.asarray(), first, 0)
        return upright(np.iinfo(values.dtype).max - values if inverted else values, turn)

    return Contents({"": Stored("", shape, series.dtype, read)}, pitch=pitch, notes=notes)


def exchanges_axes(orientation: int) -> bool:
    """Whether what the tag Orientation says exchanges rows and columns."""
    return orientation >= _TURNED


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Maps (…, y, x) as the tag Orientation says that they are seen (TIFF 6.0, section 8)."""
    if exchanges_axes(orientation):
        values = values.swapaxes(-1, -2)
    from_right, from_bottom = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return values[..., :: -1 if from_bottom else 1, :: -1 if from_right else 1]


def _require_grey(path: Path, file: Any, series: Any) -> None:
    """Refuse colours, palettes, opacity, single bits, and channels of several names."""
    page = series.keyframe
    coloured = "S" in series.axes and series.dtype.kind != "f" and int(page.photometric) in (2, 5, 6, 8)
    if (
        coloured
        or int(page.photometric) == 3
        or page.bitspersample == 1
        or (page.extrasamples and page.dtype.kind != "f")
    ):
        raise _colour(path)
    names = re.findall(r'<Channel\b[^>]*\bName="([^"]{1,80})"', file.ome_metadata or "")
    if "C" in series.axes and len(set(names)) > 1:
        raise DataError(
            path,
            f"channels named {', '.join(names[:_NAMED])}",
            expected="one channel, the phase",
            remedy="save the channel of the phase alone",
        )


def _colour(path: Path) -> DataError:
    return DataError(
        path,
        "a colour, palette or black-and-white image",
        expected="8- or 16-bit grey values",
        remedy="store the grey values of one channel, as tifffile.imwrite(name, image[..., 0])",
    )


def _require_codec(path: Path, page: Any) -> None:
    """Refuse a compression that nothing here unpacks, by its name."""
    import importlib.util

    if int(page.compression) in _OWN or importlib.util.find_spec("imagecodecs"):
        return
    raise DataError(
        path,
        f"TIFF with {page.compression.name} compression",
        expected="imagecodecs, which unpacks it",
        remedy="pip install imagecodecs",
    )


def print_resolution(per_y: float, per_x: float, unit_m: float) -> tuple[StatedPitch | None, list[str]]:
    """The pixel size by points for each unit of length, or a note where that is the resolution of a print.

    Args:
        per_y: points along y for each unit.
        per_x: points along x.
        unit_m: the unit, metres.
    """
    if not (math.isfinite(per_y) and math.isfinite(per_x) and per_y > 0.0 and per_x > 0.0):
        return None, []
    y, x = unit_m / per_y, unit_m / per_x
    if max(y, x) > _COARSEST_M:
        return None, [f"a resolution of {25.4e-3 / x:.0f} dpi is that of a print, not of a microscope: not used"]
    return StatedPitch(y, x, "the resolution tags"), []


def _stated(file: Any, page: Any) -> tuple[StatedPitch | None, list[str]]:
    """The pixel size by OME-XML, by ImageJ, or by the plain tags."""
    found, by_tags = program_pitch(file, page), tag_pitch(page)
    if found is not None or by_tags is None or (file.imagej_metadata or {}).get("unit"):
        return found, []
    return print_resolution(1.0 / by_tags.y, 1.0 / by_tags.x, 1.0)


def program_pitch(file: Any, page: Any) -> StatedPitch | None:
    """The pixel size that a program states in its own words: OME-XML, or ImageJ's unit beside the resolution.

    Args:
        file: tifffile's TiffFile.
        page: the first page of the images.
    """
    if file.ome_metadata and (found := _ome(file.ome_metadata)):
        return found
    unit = (file.imagej_metadata or {}).get("unit")
    return _resolution(page, length_unit_m(str(unit)) if unit else None, "ImageJ's tags")


def tag_pitch(page: Any) -> StatedPitch | None:
    """The pixel size by the plain tags of a page, be it that of a print; in inches where no unit stands there."""
    tag = page.tags.get("ResolutionUnit")
    return _resolution(page, _UNITS.get(2 if tag is None else int(tag.value)), "the resolution tags")


def _resolution(page: Any, unit_m: float | None, where: str) -> StatedPitch | None:
    """The pixel size of which so many lie along a unit."""
    per_y, per_x = (_ratio(page.tags.get(name)) for name in ("YResolution", "XResolution"))
    if unit_m is None or min(per_y, per_x) <= 0.0:
        return None
    return StatedPitch(unit_m / per_y, unit_m / per_x, where)


def _ratio(tag: Any) -> float:
    if tag is None:
        return 0.0
    above, below = tag.value
    return float(above) / float(below) if below else 0.0


def _ome(text: str) -> StatedPitch | None:
    """PhysicalSizeX and Y of the first image, one of them for both; micrometres where no unit stands beside them."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (expat bounds what entities unpack to)
    except ElementTree.ParseError:
        return None
    for pixels in (node for node in root.iter() if node.tag.endswith("Pixels")):
        sizes = []
        for axis in (one for one in "YX" if f"PhysicalSize{one}" in pixels.attrib):
            unit_m = length_unit_m(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            try:
                sizes.append(float(pixels.attrib[f"PhysicalSize{axis}"]) * (unit_m or math.nan))
            except ValueError:
                sizes.append(math.nan)
        if sizes and all(math.isfinite(size) and size > 0.0 for size in sizes):
            return StatedPitch(sizes[0], sizes[-1], "its OME-XML")
        return None
    return None


def write_tiff(
    path: Path,
    maps: Iterable[NDArray[np.float32]],
    description: Mapping[str, Any],
    pitch_m: tuple[float, float],
    *,
    big: bool = False,
) -> None:
    """Write maps as float32 pages of one TIFF file, one in memory at a time, their pixel size in the resolution tags.

    Args:
        path: the file, whose folder exists.
        maps: the pages, each (y, x), row 0 at the top.
        description: what every page says of itself, as JSON.
        pitch_m: distance of the samples along y and x, metres.
        big: whether the pages may be more than 4 GiB together.
    """
    import tifffile

    dy_m, dx_m = pitch_m
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=big) as file:
        for page in maps:
            file.write(
                page,
                photometric="minisblack",
                metadata=None,
                software=False,
                description=json.dumps(description),
                resolution=(1e-2 / dx_m, 1e-2 / dy_m),
                resolutionunit="CENTIMETER",
                contiguous=False,
            )
