"""The phase masks of a design."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from opticdesign.figures.canvas import TURN, Scale, add_colour_bar, check_images, new_figure, save_figure, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_masks", "masks_figure"]

_SHOWN = 96  # neurons


def draw_masks(path: Path, phases_rad: Tensor, title: str) -> Path:
    """Write `masks_figure` of the other arguments as PNG."""
    return save_figure(path, masks_figure(phases_rad, title))


def masks_figure(phases_rad: Tensor, title: str) -> Figure:
    """The phase of every mask, (layers, y, x) in radians modulo 2π: the middle, where single neurons can be seen.

    Raises:
        UsageError: phases that cannot be drawn.
    """
    check_images("masks", phases_rad)
    count, side = len(phases_rad), min(_SHOWN, *phases_rad.shape[-2:])
    top, left = ((length - side) // 2 for length in phases_rad.shape[-2:])
    scale = Scale("twilight", 0.0, TURN, "phase / rad")
    figure, axes = new_figure(1, count, (max(5.2, 2.6 * count), 3.7), f"{title}, middle {side} × {side} neurons")
    for index, phase in enumerate(phases_rad[:, top : top + side, left : left + side]):
        show(axes[0, index], phase.remainder(TURN), scale, f"mask {index + 1}")
    add_colour_bar(list(axes[0]), scale, span=count)
    return figure
