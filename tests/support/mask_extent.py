"""The size of the first mask of an export, along y and x in metres, as other programs read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
import trimesh
from klayout import db

from opticdesign.handover.export import ExportJob

__all__ = ["EXTENTS"]

Size = tuple[float, float]


def _layout(path: Path) -> Size:
    """The box of everything drawn on the layers of masks: random levels reach every edge."""
    layout = db.Layout()
    layout.read(str(path))
    box = db.Box()
    for index in layout.layer_indexes():
        if layout.get_info(index).layer == 1:
            box += layout.cell("L1").bbox(index)
    return box.height() * layout.dbu * 1e-6, box.width() * layout.dbu * 1e-6


def _tiff(folder: Path) -> Size:
    with tifffile.TiffFile(folder / "heightmap/layer1.tif") as tiff:
        page = tiff.pages[0]
        (across, per_across), (down, per_down) = (page.tags[f"{axis}Resolution"].value for axis in "XY")
        assert page.tags["ResolutionUnit"].value == 3  # per centimetre
        rows, columns = page.shape
    with np.load(folder / "heightmap/heights.npz") as archive:
        sides_m = archive["pitch_m"]
    size = rows * per_down / down * 1e-2, columns * per_across / across * 1e-2
    np.testing.assert_allclose(size, (rows * sides_m[0], columns * sides_m[1]), rtol=1e-6)
    return size


def _gsf(folder: Path) -> Size:
    lines = (folder / "gsf/layer1.gsf").read_bytes().partition(b"\0")[0].decode().splitlines()[1:]
    said = dict(line.split(" = ") for line in lines)
    return float(said["YReal"]), float(said["XReal"])


def _solid(path: Path, unit_m: float) -> Size:
    x, y, _ = trimesh.load(path, force="mesh").extents * unit_m
    return y, x


def _points(folder: Path) -> Size:
    x, y, _ = np.loadtxt(folder / "xyz/layer1.csv", delimiter=",").T * 1e-6
    (xs, ys) = np.unique(x), np.unique(y)
    return np.diff(ys).mean() * len(ys), np.diff(xs).mean() * len(xs)


def _grid(folder: Path) -> Size:
    nx, ny, dx_mm, dy_mm, *_ = map(float, (folder / "zemax/layer1_sag.DAT").read_text().split("\n")[0].split())
    return ny * dy_mm * 1e-3, nx * dx_mm * 1e-3


def _sidecar(folder: Path) -> Size:
    said = json.loads((folder / "png16/scale.json").read_text())
    from PIL import Image

    with Image.open(folder / "png16/layer1.png") as image:
        return image.height * said["pitch_m"][0], image.width * said["pitch_m"][1]


EXTENTS: dict[str, Callable[[Path, ExportJob], Size]] = {
    "gds": lambda folder, job: _layout(folder / f"gds/{job.name}.gds"),
    "oasis": lambda folder, job: _layout(folder / f"oasis/{job.name}.oas"),
    "heightmap": lambda folder, job: _tiff(folder),
    "gsf": lambda folder, job: _gsf(folder),
    "stl": lambda folder, job: _solid(folder / "stl/layer1.stl", 1e-3),
    "3mf": lambda folder, job: _solid(folder / "3mf/layer1.3mf", 1e-6),
    "xyz": lambda folder, job: _points(folder),
    "zemax": lambda folder, job: _grid(folder),
    "png16": lambda folder, job: _sidecar(folder),
}
