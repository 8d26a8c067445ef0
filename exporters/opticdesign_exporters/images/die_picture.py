"""The picture of a whole die: all layers as the light meets them, a scale bar, and the colours of the levels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.figures.canvas import SMALL, add_scale_bar, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from opticdesign.handover.export import ExportJob

__all__ = ["die_figure", "draw_die"]

_ACROSS, _MOST = 5, 50  # layers in a row of the picture, and in all
_SIDE = 2.4  # inches, width of one layer
_TICKS = 16  # levels that the bar names at most
_COUNTABLE = 128  # pixels along an axis; no more than these are drawn with sharp edges

Colours = npt.NDArray[np.uint8]


def draw_die(path: Path, job: ExportJob, colours: Colours) -> None:
    """Write `die_figure` of the other arguments as PNG."""
    save_figure(path, die_figure(job, colours))


def die_figure(job: ExportJob, colours: Colours) -> Figure:
    """All layers of a job; a mask that absorbs is the darker the less it lets through.

    Args:
        job: what is to be made.
        colours: red, green and blue of each level (levels, 3).
    """
    layers, rows, columns = job.levels.shape
    shown = min(layers, _MOST)
    across = min(shown, _ACROSS)
    down = -(-shown // across)
    height = _SIDE * min(max(rows * job.pitch_m[0] / (columns * job.pitch_m[1]), 0.3), 3.0)
    sides = " × ".join(dict.fromkeys(f"{side_m * 1e9:.6g}" for side_m in job.pitch_m))
    title = f"{job.file_name}: {layers} layers of {rows} × {columns} pixels of {sides} nm"
    figure, axes = new_figure(down, across, (max(6.0, _SIDE * across + 1.4), (height + 0.4) * down + 0.8), title)
    for place in axes.flat[shown:]:
        place.axis("off")
    for number, place in enumerate(axes.flat[:shown], start=1):
        _show_layer(place, job, number, colours)
    rest = "" if shown == layers else f"; layers {shown + 1} to {layers} are not shown"
    figure.supxlabel(f"the light meets layer 1 first; row 0 is at the top{rest}", fontsize=SMALL)
    _add_bar(figure, list(axes.flat), job, colours)
    return figure


def _show_layer(axes: Axes, job: ExportJob, number: int, colours: Colours) -> None:
    picture = colours[job.levels[number - 1]]
    if job.openings is not None:
        share = job.openings[number - 1, ..., None] / job.spec.layout.halftone**2
        picture = np.rint(picture * share).astype(np.uint8)
    sharp = max(picture.shape[:2]) <= _COUNTABLE
    axes.imshow(picture, interpolation="nearest" if sharp else "antialiased", aspect=job.pitch_m[0] / job.pitch_m[1])
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"layer {number}", fontsize=9)
    add_scale_bar(axes, picture.shape[1], job.pitch_m[1])


def _add_bar(figure: Figure, axes: list[Axes], job: ExportJob, colours: Colours) -> None:
    """One bar beside the layers that names levels and their heights."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    count = len(colours)
    named = torch.arange(0, count, -(-count // _TICKS))
    norm = BoundaryNorm((np.arange(count + 1) - 0.5).tolist(), count)
    scale = ScalarMappable(norm, ListedColormap((colours / 255.0).tolist()))
    bar = figure.colorbar(scale, ax=axes, ticks=named.tolist(), spacing="proportional", aspect=30, pad=0.02)
    heights_nm = (job.process.height_of_level(named) * 1e9).tolist()
    names = [f"{level}: {height:.4g} nm" for level, height in zip(named.tolist(), heights_nm, strict=True)]
    bar.ax.set_yticklabels(names, fontsize=SMALL)
    bar.ax.minorticks_off()
    bar.set_label("level: height", fontsize=SMALL)
