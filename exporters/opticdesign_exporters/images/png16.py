"""Height maps as 16-bit grey PNG, with the scale, which PNG cannot hold, in a JSON file beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import ExportedFile, ExportJob, Extent, ReadBack, WrittenFiles
from opticdesign.handover.manifest import read_exported
from opticdesign_exporters.images.png_writer import write_png
from opticdesign_exporters.level_reader import heights_m, layer_files, levels_of_heights, phase_of_heights
from opticdesign_exporters.png_reader import read_png

if TYPE_CHECKING:
    from opticdesign.handover.manifest import FileRecord, Manifest

__all__ = ["Png16Exporter"]

_SCALE = "png16/scale.json"


class Png16Exporter:
    """Writes grey = height / scale, rounded; one scale for all layers, so that equal steps are equal greys."""

    name = "png16"
    summary = "height maps: 16-bit grey PNG per layer, their scale in a JSON file"
    usual = False

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write `png16/layer1.png` … and `png16/scale.json`.

        Raises:
            UsageError: two heights are one grey.
        """
        (folder / "png16").mkdir()
        table_m = job.process.height_of_level(torch.arange(job.process.levels)).numpy()
        top = 65535 // (job.process.levels - 1) * (job.process.levels - 1)  # equal steps are whole numbers of greys
        scale_m = float(table_m[-1]) / top
        grey = np.rint(table_m / scale_m).astype(np.uint16)
        if (np.diff(grey) == 0).any():
            raise UsageError(
                f"heights {scale_m:.3g} m apart or less in a 16-bit image",
                expected=f"levels further apart than {scale_m:.3g} m",
                remedy="choose the format heightmap",
            )
        paths = [f"png16/layer{number}.png" for number in range(1, len(job.levels) + 1)]
        for path, plane in zip(paths, job.levels, strict=True):
            write_png(folder / path, grey[plane], pitch_m=job.pitch_m)
        scale = {
            "quantity": "height above the lowest level",
            "unit": "m",
            "height_per_grey_m": scale_m,
            "pitch_m": list(job.pitch_m),
            "layers": [Path(path).name for path in paths],
        }
        (folder / _SCALE).write_text(json.dumps(scale, indent=2), encoding="ascii", newline="\n")
        files = [ExportedFile(path, "height, row 0 at the top", f"grey, 1 is {scale_m:.9g} m") for path in paths]
        return WrittenFiles(
            [*files, ExportedFile(_SCALE, "height of one grey, pitch", "m")], {"height_per_grey_m": scale_m}
        )

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the images and their scale; the phase is that of the greys."""
        *images, sidecar = layer_files(manifest, self.name, "PNG", extra=1)
        process = manifest.process.process
        scale_m, (dy_m, dx_m) = _scale_m(folder, sidecar, images, manifest)
        levels, phases = [], []
        for layer, image in enumerate(images, start=1):
            grey = read_png(read_exported(folder, image), image.path, manifest.shape[1:], depth=16)
            height_m = grey.astype(np.float64) * scale_m
            place, slack_m = f"{image.path}: layer {layer}", 0.5 * scale_m * (1 + 1e-6)
            levels.append(levels_of_heights(height_m, heights_m(process), "m", place, slack_m))
            phases.append(phase_of_heights(height_m, process))
        extent = Extent((manifest.shape[1] * dy_m, manifest.shape[2] * dx_m))
        paths = tuple(image.path for image in images)
        return ReadBack(np.stack(levels), np.stack(phases), paths, extents=(extent,) * len(paths))


def _scale_m(
    folder: Path, sidecar: FileRecord, images: list[FileRecord], manifest: Manifest
) -> tuple[float, tuple[float, float]]:
    """The height of one grey and the sides of a pixel, which the manifest must confirm."""
    try:
        said: Any = json.loads(read_exported(folder, sidecar))
    except (ValueError, RecursionError):
        said = None
    scale_m = manifest.record("png16").options.get("height_per_grey_m")
    if not isinstance(scale_m, float) or not 1e-18 <= scale_m <= 1.0:
        raise VerificationError(f"manifest.json: png16: height_per_grey_m is {scale_m!r}, expected a small length")
    expected = {
        "quantity": "height above the lowest level",
        "unit": "m",
        "height_per_grey_m": scale_m,
        "pitch_m": list(manifest.pitch_m),
        "layers": [Path(image.path).name for image in images],
    }
    if not isinstance(said, dict) or set(said) != set(expected):
        raise VerificationError(f"{sidecar.path}: not the scale of height maps", remedy="export again")
    for key, value in expected.items():
        if said[key] != value:
            raise VerificationError(f"{sidecar.path}: {key} is {said[key]!r}, expected {value!r}")
    return scale_m, (said["pitch_m"][0], said["pitch_m"][1])
