"""GDSII masks, layout `levels`: GDS layer = mask layer, datatype = level, level 0 not drawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from opticdesign.errors import UsageError
from opticdesign.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign_exporters.gds_reader import read_layout

if TYPE_CHECKING:
    import gdstk

    from opticdesign.manifest import Manifest

__all__ = ["GdsExporter", "Raster", "rectangles"]

_UNITS_M = (1e-9, 0.5e-9, 0.2e-9, 0.1e-9)
_INT32_MAX = 2**31 - 1
_MARK_LAYER = 100  # marks and labels of mask layer k are on GDS layer 100 + k
_MAX_LAYERS = 99
# In pixels: marks stay clear of the array, the label clear of the marks; strokes of the label are two pixels wide.
_MARK_OFFSET, _MARK_SIZE, _MARK_ARM, _LABEL_DROP, _LABEL_SIZE = 10, 8, 2, 36, 16


class GdsExporter:
    """Writes one GDSII library: a cell per mask layer in one top cell, with marks and labels."""

    name = "gds"
    summary = "GDSII masks: GDS layer = mask layer, datatype = level"
    usual = True

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `gds/<name>.gds`; the time stamp is fixed, so equal jobs give equal bytes.

        Raises:
            UsageError: more than 99 layers, a pitch below two database units, or coordinates beyond 32 bits.
        """
        import gdstk

        raster = Raster.of(job)
        library = gdstk.Library(job.file_name, unit=1e-6, precision=raster.unit_m)
        top = library.new_cell(_top_name(job.file_name))
        for number, plane in enumerate(job.levels, start=1):
            cell = library.new_cell(f"L{number}")
            cell.add(*_array(plane, number, raster), *_marks(job, number, raster))
            top.add(gdstk.Reference(cell))
        path = f"gds/{job.file_name}.gds"
        (folder / "gds").mkdir()
        library.write_gds(folder / path, max_points=4000, timestamp=datetime(2000, 1, 1))
        description = f"GDSII masks, cells L1 to L{len(job.levels)} in cell {top.name}"
        options: dict[str, int | float | str] = {
            "layout": "levels",
            "top_cell": top.name,
            "database_unit_m": raster.unit_m,
            "largest_edge_error_m": raster.edge_error_m(max(job.levels.shape[1:])),
            "mark_layer_offset": _MARK_LAYER,
        }
        return WrittenFiles([ExportedFile(path, description, f"database unit {raster.unit_m:.1e} m")], options)

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the masks with a record reader of our own."""
        return read_layout(folder, manifest)


class Raster(NamedTuple):
    """Where pixel edges lie on the grid of the file: database unit in metres, pitch in database units."""

    unit_m: float
    pitch: float

    @classmethod
    def of(cls, job: ExportJob) -> Raster:
        """The coarsest unit that divides the pitch, else 1 nm.

        Raises:
            UsageError: the layout does not fit a GDSII file.
        """
        if len(job.levels) > _MAX_LAYERS:
            raise UsageError(f"{len(job.levels)} mask layers", expected=f"at most {_MAX_LAYERS} in one GDSII file")
        ratios = [(unit, job.pitch_m / unit) for unit in _UNITS_M]
        exact = [cls(unit, float(round(ratio))) for unit, ratio in ratios if abs(ratio - round(ratio)) < 1e-9 * ratio]
        raster = exact[0] if exact else cls(*ratios[0])
        if raster.pitch < 2:
            raise UsageError(f"a pitch of {job.pitch_m} m", expected="at least two database units of 1 nm")
        reach = max(job.levels.shape) + 4 * _LABEL_DROP + _LABEL_SIZE * len(_label(job, 1))
        if reach * raster.pitch > _INT32_MAX:
            raise UsageError(
                f"a layout {reach * job.pitch_m:.3g} m wide",
                expected=f"at most {_INT32_MAX * raster.unit_m:.3g} m, the 32-bit coordinates of GDSII",
                remedy="use fewer or smaller neurons",
            )
        return raster

    def edges_um(self, count: int) -> npt.NDArray[np.float64]:
        """Edges of `count` pixels in µm: each rounded by itself, so that errors never add up."""
        edges: npt.NDArray[np.float64] = np.rint(np.arange(count + 1) * self.pitch) * (self.unit_m * 1e6)
        return edges

    def edge_error_m(self, count: int) -> float:
        """Largest distance between an edge and its rounded place."""
        ideal = np.arange(count + 1) * self.pitch
        return float(np.abs(np.rint(ideal) - ideal).max() * self.unit_m)


def rectangles(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Cover each level above 0 with rectangles that do not overlap: runs along rows, merged downwards.

    Args:
        plane: level indices (rows, columns).

    Returns:
        Rectangles (count, 5): first row, end row, first column, end column, level; ordered by first row and column.
    """
    rows, columns = plane.shape
    flat = plane.ravel()
    starts_here = np.ones(plane.shape, dtype=bool)
    starts_here[:, 1:] = plane[:, 1:] != plane[:, :-1]
    starts = np.flatnonzero(starts_here)
    ends = np.append(starts[1:], rows * columns)
    drawn = flat[starts] > 0
    starts, ends = starts[drawn], ends[drawn]
    row, first, level = starts // columns, starts % columns, flat[starts].astype(np.int64)
    end = first + ends - starts
    order = np.lexsort((row, level, end, first))
    row, first, end, level = row[order], first[order], end[order], level[order]
    opens = np.ones(len(row), dtype=bool)
    same = (first[1:] == first[:-1]) & (end[1:] == end[:-1]) & (level[1:] == level[:-1]) & (row[1:] == row[:-1] + 1)
    opens[1:] = ~same
    top = np.flatnonzero(opens)
    bottom = np.append(top[1:], len(row))[: len(top)] - 1
    found = np.stack((row[top], row[bottom] + 1, first[top], end[top], level[top]), axis=1)
    return found[np.lexsort((found[:, 2], found[:, 0]))]


def _array(plane: npt.NDArray[np.uint8], number: int, raster: Raster) -> Iterator[gdstk.Polygon]:
    """The pixels of one mask layer; row 0 is at the top, y points up."""
    import gdstk

    rows, columns = plane.shape
    x, y = raster.edges_um(columns), raster.edges_um(rows)
    found = rectangles(plane)
    boxes = (x[found[:, 2]], y[rows - found[:, 1]], x[found[:, 3]], y[rows - found[:, 0]])
    for left, low, right, high, level in zip(*(side.tolist() for side in boxes), found[:, 4].tolist(), strict=True):
        yield gdstk.rectangle((left, low), (right, high), layer=number, datatype=level)


def _marks(job: ExportJob, number: int, raster: Raster) -> list[gdstk.Polygon]:
    """A cross outside each corner of the array, and the etched label below it."""
    import gdstk

    _, rows, columns = job.levels.shape
    pixel, layer = raster.pitch * raster.unit_m * 1e6, _MARK_LAYER + number
    corners = [(x, y) for y in (-_MARK_OFFSET, rows + _MARK_OFFSET) for x in (-_MARK_OFFSET, columns + _MARK_OFFSET)]
    crosses = [
        gdstk.cross((x * pixel, y * pixel), _MARK_SIZE * pixel, _MARK_ARM * pixel, layer=layer) for x, y in corners
    ]
    return crosses + list(
        gdstk.text(_label(job, number), _LABEL_SIZE * pixel, (0.0, -_LABEL_DROP * pixel), layer=layer)
    )


def _label(job: ExportJob, number: int) -> str:
    return f"{job.file_name} L{number}"


def _top_name(name: str) -> str:
    """A cell name that is neither that of a layer cell nor `main`, which some layout tools reserve."""
    taken = name == "main" or (name.startswith("L") and name[1:].isdigit())
    return f"{name[:28]}_top" if taken else name
