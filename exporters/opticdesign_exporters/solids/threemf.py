"""3MF packages for prints: a stepped relief on a plate, a closed solid for each layer, in micrometres.

3MF Consortium, 3D Manufacturing Format, Core Specification 1.3 (2021): a ZIP archive whose part 3D/3dmodel.model holds
a mesh as XML, found through the relationships of the package.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.level_reader import layer_files, with_designed_phase
from opticdesign_exporters.solids.solid_reader import SolidReader
from opticdesign_exporters.solids.stepped_solid import stepped_solid
from opticdesign_exporters.solids.threemf_reader import read_mesh

if TYPE_CHECKING:
    from opticdesign.handover.manifest import Manifest

__all__ = ["ThreeMfExporter"]

_UNIT_M = 1e-6
_LEVEL = 4  # of the compression: 6 is half as fast and 5 % smaller
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = (
    f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>\n'
)
_RELATIONS = (
    f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="model" Target="/3D/3dmodel.model" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>\n'
)
_HEAD = (
    f'{_XML}<model unit="micron" xml:lang="en-US" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">\n'
    '<metadata name="Title">{title}</metadata>\n<resources><object id="1" type="model"><mesh>\n'
)
_TAIL = '</mesh></object></resources>\n<build><item objectid="1"/></build>\n</model>\n'


class ThreeMfExporter:
    """Writes x to the right, y up and z out of the plate, with the underside of the plate at z = 0."""

    name = "3mf"
    summary = "solids for printing: 3MF package per layer (um)"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `3mf/layer1.3mf` …."""
        (folder / "3mf").mkdir()
        scale = job.spec.print.magnification / _UNIT_M
        heights_m = job.process.height_of_level(torch.arange(job.process.levels)).numpy()
        tops = (job.spec.print.base + heights_m) * scale
        sides, files = (job.pitch_m[0] * scale, job.pitch_m[1] * scale), []
        for number, plane in enumerate(job.levels, start=1):
            path = f"3mf/layer{number}.3mf"
            solid = stepped_solid(plane)
            points = solid.placed(len(plane), sides, tops)
            mesh = _vertices(points) + _triangles(solid.triangles)
            head = _HEAD.format(title=f"{job.file_name} layer {number}")
            parts = {"[Content_Types].xml": _TYPES, "_rels/.rels": _RELATIONS, "3D/3dmodel.model": head + mesh + _TAIL}
            (folder / path).write_bytes(_archive(parts))
            files.append(ExportedFile(path, f"solid of layer {number}, z = 0 under the plate", "um"))
        options = {"base_m": job.spec.print.base, "magnification": job.spec.print.magnification, "unit_m": _UNIT_M}
        return WrittenFiles(files, options)

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the solids: closed, stepped on the pixel grid, each pixel as high as a level."""
        files = layer_files(manifest, self.name, "3MF")
        reader = SolidReader(manifest, self.name, _UNIT_M)
        levels, extents = [], []
        for layer, file in enumerate(files, start=1):
            corners = read_mesh(read_exported(folder, file), file.path, manifest.shape[1:])
            levels.append(reader.levels(corners, file.path, layer))
            extents.append(reader.extent(corners))
        return with_designed_phase(levels, files, manifest, extents)


def _vertices(points: npt.NDArray[np.float64]) -> str:
    """The vertices of a mesh; a coordinate that occurs often is turned into text once."""
    columns = []
    for axis, coordinates in zip("xyz", points.T, strict=True):
        values, at = np.unique(coordinates, return_inverse=True)
        texts = [f'{axis}="{value:.15g}" ' for value in values.tolist()]
        columns.append([texts[index] for index in at.tolist()])
    lines = [f"<vertex {x}{y}{z}/>\n" for x, y, z in zip(*columns, strict=True)]
    return f"<vertices>\n{''.join(lines)}</vertices>\n"


def _triangles(triangles: npt.NDArray[np.int64]) -> str:
    lines = '<triangle v1="%d" v2="%d" v3="%d"/>\n' * len(triangles) % tuple(triangles.ravel().tolist())
    return f"<triangles>\n{lines}</triangles>\n"


def _archive(parts: dict[str, str]) -> bytes:
    """A ZIP archive that holds no time and no system of its writing."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(info, text, compresslevel=_LEVEL)
    return stream.getvalue()
