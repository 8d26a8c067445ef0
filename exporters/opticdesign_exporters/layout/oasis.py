"""OASIS masks: the same layout as in GDSII, tens of times smaller; equal rectangles are one, repeated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.layout.cell import Boxes, Cell
from opticdesign_exporters.layout.layout import Layout
from opticdesign_exporters.layout.oasis_records import read_library
from opticdesign_exporters.layout.raster import Ints
from opticdesign_exporters.layout.reader import layout_file, most_shapes, read_layout
from opticdesign_exporters.layout.tables import write_tables

if TYPE_CHECKING:
    import gdstk

    from opticdesign.handover.manifest import Manifest

__all__ = ["OasisExporter"]

T = TypeVar("T", bound="gdstk.Polygon | gdstk.Reference")


class OasisExporter:
    """Writes one OASIS file, with the tables that say what its layers are."""

    name = "oasis"
    summary = "OASIS masks: the layout of the GDSII file, tens of times smaller"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `oasis/<name>.oas` and its tables; equal jobs give equal bytes.

        Raises:
            UsageError: as `Layout` says.
        """
        import gdstk

        layout = Layout(job)
        # Unit and precision are the database unit, so that gdstk is given whole numbers and rounds nothing.
        library = gdstk.Library(job.file_name, unit=layout.raster.unit_m, precision=layout.raster.unit_m)
        made: dict[str, gdstk.Cell] = {}
        for cell in layout.cells():
            made[cell.name] = _converted(cell, made)
        library.add(*made.values())
        (folder / self.name).mkdir()
        path = f"{self.name}/{job.file_name}.oas"
        library.write_oas(folder / path, compression_level=6, validation="crc32")
        file = ExportedFile(path, layout.summary, f"database unit {layout.raster.unit_m * 1e9:g} nm")
        return WrittenFiles([file, *write_tables(layout, folder, self.name)], layout.options)

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the masks with a record reader of our own."""
        file = layout_file(manifest, self.name)
        library = read_library(read_exported(folder, file), file.path, most_shapes(manifest, self.name))
        return read_layout(library, file.path, manifest, self.name)


def _converted(cell: Cell, others: Mapping[str, gdstk.Cell]) -> gdstk.Cell:
    """A cell with each kind of rectangle once, at all of its places; cells placed in it are among the others."""
    import gdstk

    made = gdstk.Cell(cell.name)
    for boxes in _alike(cell.boxes):
        (layer, datatype), (left, low, right, high) = boxes.tags[0].tolist(), boxes.corners[0].tolist()
        shape = gdstk.rectangle((left, low), (right, high), layer=layer, datatype=datatype)
        made.add(_repeated(shape, boxes.corners[:, :2]))
    for polygon in cell.polygons:
        made.add(gdstk.Polygon(polygon.points.tolist(), layer=polygon.layer, datatype=polygon.datatype))
    for placements in cell.placements:
        reference = gdstk.Reference(others[placements.cell], placements.origins[0].tolist())
        made.add(_repeated(reference, placements.origins))
    return made


def _alike(boxes: Boxes) -> list[Boxes]:
    """Rectangles by layer, datatype, width and height; in a group they keep their order."""
    kinds = np.zeros(len(boxes.tags), dtype=np.int64)
    for column in (*boxes.tags.T, *(boxes.corners[:, 2:] - boxes.corners[:, :2]).T):
        values, which = np.unique(column, return_inverse=True)
        kinds = kinds * len(values) + which
    order = np.argsort(kinds, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1)
    return [Boxes(boxes.tags[group], boxes.corners[group]) for group in groups if len(group)]


def _repeated(element: T, places: Ints) -> T:
    """An element that stands at the first of the places, repeated at the others."""
    import gdstk

    if len(places) > 1:
        element.repetition = gdstk.Repetition(offsets=(places[1:] - places[0]).astype(np.float64))
    return element
