"""Ways to write masks of levels as a layout file: ours, and those of other programs.

Of gdsfactory and pyMOE it is the way that is compared, done here with the libraries underneath: gdsfactory's `from_np`
draws contours of each value and cuts the holes out by a boolean (here at half height: its default of 0.99 shrinks every
shape), pyMOE's `GDSMask.create_layout` in its mode "raster" inserts a box for each pixel of every level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.design import Export, Layout
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import Exporter, ExportJob
from opticdesign_exporters.layout.gds import GdsExporter
from opticdesign_exporters.layout.oasis import OasisExporter

__all__ = ["FORMATS", "LEVELS", "OURS", "WRITERS", "Writer", "job_of", "right_area"]

LEVELS = 8
OURS = "ours"
_EXPORTERS: dict[str, Exporter] = {"gds": GdsExporter(), "oasis": OasisExporter()}
FORMATS = tuple(_EXPORTERS)

Levels = NDArray[np.uint8]
Writer = Callable[[Levels, str, Path], Path]
"""Masks (masks, rows, columns), a format of FORMATS, an empty folder → the file it wrote, layer k for mask k."""

_PITCH_M, _UNIT_M = 316.4e-9, 0.2e-9
_PITCH = round(_PITCH_M / _UNIT_M)
_PITCH_UM, _UNIT_UM = _PITCH_M * 1e6, _UNIT_M * 1e6


def job_of(levels: Levels) -> ExportJob:
    """The masks as a job of ours, without marks."""
    process = FabricationProcess(LEVELS, 632.8e-9, 1.45702)
    job = ExportJob("bench", levels, process, (_PITCH_M, _PITCH_M))
    return replace(job, spec=Export(layout=Layout(marks=False)))


def _ours(levels: Levels, form: str, folder: Path) -> Path:
    written = _EXPORTERS[form].write(job_of(levels), folder)
    return folder / written.files[0].path


def _pixels(levels: Levels, lowest: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Mask from 1, level, column and row from below of each of its pixels."""
    for mask, plane in enumerate(levels, start=1):
        for level in range(lowest, LEVELS):
            row, column = np.nonzero(plane == level)
            yield mask, level, list(zip(column.tolist(), (len(plane) - 1 - row).tolist(), strict=True))


def _gdstk_rectangles(levels: Levels) -> Iterator[tuple[int, int, list[Any]]]:
    import gdstk

    for mask, level, places in _pixels(levels, 1):
        corners = [((x * _PITCH_UM, y * _PITCH_UM), ((x + 1) * _PITCH_UM, (y + 1) * _PITCH_UM)) for x, y in places]
        yield mask, level, [gdstk.rectangle(*pair, layer=mask, datatype=level) for pair in corners]


def _save_gdstk(polygons: Iterator[list[Any]], form: str, folder: Path) -> Path:
    import gdstk

    library = gdstk.Library("bench", unit=1e-6, precision=_UNIT_M)
    cell = library.new_cell("TOP")
    for group in polygons:
        cell.add(*group)
    if form == "gds":
        library.write_gds(folder / "bench.gds", max_points=4000)
        return folder / "bench.gds"
    library.write_oas(folder / "bench.oas")
    return folder / "bench.oas"


def _gdstk_each(levels: Levels, form: str, folder: Path) -> Path:
    return _save_gdstk((group for _, _, group in _gdstk_rectangles(levels)), form, folder)


def _gdstk_boolean(levels: Levels, form: str, folder: Path) -> Path:
    import gdstk

    merged = (
        gdstk.boolean(group, [], "or", precision=_UNIT_UM, layer=mask, datatype=level)
        for mask, level, group in _gdstk_rectangles(levels)
        if group
    )
    return _save_gdstk(merged, form, folder)


def _contours(levels: Levels, form: str, folder: Path) -> Path:
    """As gdsfactory does; corners of pixels are cut, since a contour runs through the centres of sides."""
    return _save_gdstk(_contour_groups(levels), form, folder)


def _contour_groups(levels: Levels) -> Iterator[list[Any]]:
    import gdstk
    from skimage import measure

    for mask, plane in enumerate(levels, start=1):
        for level in range(1, LEVELS):
            padded = np.pad((plane[::-1] == level).astype(float), 2)
            outer: list[Any] = []
            holes: list[Any] = []
            for contour in measure.find_contours(padded, 0.5):  # type: ignore[no-untyped-call]  # as skimage leaves it
                y, x = (contour[:-1] - 1.5).T * _PITCH_UM
                area = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
                corners: Any = np.stack((x, y), axis=1)
                (outer if area > 0 else holes).append(gdstk.Polygon(corners))
            if outer:
                yield gdstk.boolean(outer, holes, "not", precision=_UNIT_UM, layer=mask, datatype=level)


def _save_klayout(layout: Any, form: str, folder: Path) -> Path:
    from klayout import db

    options = db.SaveLayoutOptions()
    options.set_format_from_filename(f"bench.{'gds' if form == 'gds' else 'oas'}")
    if form == "oasis":
        options.oasis_compression_level, options.oasis_write_cblocks = 10, True
    path = folder / f"bench.{'gds' if form == 'gds' else 'oas'}"
    layout.write(str(path), options)
    return path


def _klayout_boxes(levels: Levels, form: str, folder: Path, merge: bool, lowest: int) -> Path:
    from klayout import db

    layout = db.Layout()
    layout.dbu = _UNIT_UM
    top = layout.create_cell("TOP")
    for mask, level, places in _pixels(levels, lowest):
        shapes: Any = db.Region() if merge else top.shapes(layout.layer(mask, level))
        for x, y in places:
            shapes.insert(db.Box(x * _PITCH, y * _PITCH, (x + 1) * _PITCH, (y + 1) * _PITCH))
        if merge:
            shapes.merge()
            top.shapes(layout.layer(mask, level)).insert(shapes)
    return _save_klayout(layout, form, folder)


def _klayout_merge(levels: Levels, form: str, folder: Path) -> Path:
    return _klayout_boxes(levels, form, folder, merge=True, lowest=1)


def _klayout_each(levels: Levels, form: str, folder: Path) -> Path:
    return _klayout_boxes(levels, form, folder, merge=False, lowest=0)


WRITERS: dict[str, Writer] = {
    OURS: _ours,
    "klayout: a box a pixel, merged": _klayout_merge,
    "klayout: a box a pixel, all levels (pyMOE's way)": _klayout_each,
    "gdstk: a rectangle a pixel": _gdstk_each,
    "gdstk: a rectangle a pixel, boolean or": _gdstk_boolean,
    "gdstk: contours, boolean not (gdsfactory's way)": _contours,
}


def right_area(levels: Levels, path: Path) -> bool:
    """Whether each level of each mask covers as much in the file as it has pixels, by klayout."""
    from klayout import db

    layout = db.Layout()
    layout.read(str(path))
    top = layout.top_cell()
    pixel = (_PITCH_UM / layout.dbu) ** 2
    for mask, plane in enumerate(levels, start=1):
        for level in range(1, LEVELS):
            area = db.Region(top.begin_shapes_rec(layout.layer(mask, level))).merged().area()
            if abs(area - int((plane == level).sum()) * pixel) > 0.01 * pixel:
                return False
    return True
