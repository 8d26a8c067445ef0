"""Pictures to look at: a palettised PNG of each layer whose palette index is the level, and one of the whole die."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from opticdesign.handover.export import ExportedFile, ExportJob, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.images.die_picture import draw_die
from opticdesign_exporters.images.png_writer import write_png
from opticdesign_exporters.level_reader import layer_files, levels_of_values, with_designed_phase
from opticdesign_exporters.png_reader import read_palettised_png

if TYPE_CHECKING:
    from opticdesign.handover.manifest import Manifest

__all__ = ["PreviewExporter"]

_DIE = "preview/die.png"


class PreviewExporter:
    """Writes one pixel for each pixel of the mask, in a colour for each level."""

    name = "preview"
    summary = "pictures: palettised PNG per layer (index = level), and die.png with all layers"
    usual = True

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `preview/layer1.png` … and `preview/die.png`."""
        (folder / "preview").mkdir()
        colours = _colours(job.process.levels)
        files = []
        for number, plane in enumerate(job.levels, start=1):
            path = f"preview/layer{number}.png"
            write_png(folder / path, plane, colours, job.pitch_m)
            files.append(ExportedFile(path, f"levels of layer {number}, row 0 at the top", "palette index = level"))
        draw_die(folder / _DIE, job, colours)
        return WrittenFiles([*files, ExportedFile(_DIE, "all layers as the light meets them", "picture")], {})

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the levels of the layers; the picture of the die is for the eye alone."""
        *images, _ = layer_files(manifest, self.name, "PNG", extra=1)
        count = manifest.process.levels
        level_of_index = np.append(np.arange(count), np.full(256 - count, -1))
        levels = []
        for layer, image in enumerate(images, start=1):
            indices = read_palettised_png(read_exported(folder, image), image.path, manifest.shape[1:], count)
            levels.append(levels_of_values(indices, level_of_index, "index", f"{image.path}: layer {layer}"))
        return with_designed_phase(levels, images, manifest)


def _colours(count: int) -> npt.NDArray[np.uint8]:
    """Colours of the levels (count, 3), around a circle as the phases of the levels are."""
    from matplotlib import colormaps

    colours: npt.NDArray[np.uint8] = colormaps["twilight"](np.arange(count) / count, bytes=True)[:, :3]
    return np.ascontiguousarray(colours)
