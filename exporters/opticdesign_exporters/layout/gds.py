"""GDSII masks: 64 bytes a rectangle, which every layout program and mask shop reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.layout.gds_records import read_library
from opticdesign_exporters.layout.gds_stream import write_gds
from opticdesign_exporters.layout.layout import Layout
from opticdesign_exporters.layout.reader import layout_file, read_layout
from opticdesign_exporters.layout.tables import write_tables

if TYPE_CHECKING:
    from opticdesign.handover.manifest import Manifest

__all__ = ["GdsExporter"]


class GdsExporter:
    """Writes one GDSII library, with the tables that say what its layers are."""

    name = "gds"
    summary = "GDSII masks: layer = mask layer, datatype = level or bit, with marks"
    usual = True

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `gds/<name>.gds` and its tables; equal jobs give equal bytes.

        Raises:
            UsageError: as `Layout` says.
        """
        layout = Layout(job)
        (folder / self.name).mkdir()
        path = f"{self.name}/{job.file_name}.gds"
        write_gds(folder / path, job.file_name, layout.raster.unit_m, layout.cells())
        file = ExportedFile(path, layout.summary, f"database unit {layout.raster.unit_m * 1e9:g} nm")
        return WrittenFiles([file, *write_tables(layout, folder, self.name)], layout.options)

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the masks with a record reader of our own."""
        file = layout_file(manifest, self.name)
        return read_layout(read_library(read_exported(folder, file), file.path), file.path, manifest, self.name)
