"""The same samples as several systems reconstruct them, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from opticdesign.decoders.waves import in_radians
from opticdesign.errors import UsageError
from opticdesign.figures.canvas import check_images, check_pitch, save_figure
from opticdesign.figures.picture_grid import Column, draw_grid, phase_scale, quality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["comparison_figure", "draw_comparison"]

_TITLE = 24  # characters of a line above a picture


def draw_comparison(path: Path, targets: Tensor, systems: Mapping[str, Tensor], pitch_m: float, title: str) -> Path:
    """Write `comparison_figure` of the other arguments as PNG."""
    return save_figure(path, comparison_figure(targets, systems, pitch_m, title))


def comparison_figure(targets: Tensor, systems: Mapping[str, Tensor], pitch_m: float, title: str) -> Figure:
    """One row per sample: true phase, then each system's reconstruction with PSNR and SSIM, all on one scale.

    Args:
        targets: true phase over 2π, (rows, y, x).
        systems: reconstructions over 2π by the system's name, same shape, in the order of the columns.
        pitch_m: distance between samples, metres.
        title: heading.

    Raises:
        UsageError: no system, or arrays that do not belong together or cannot be drawn.
    """
    check_images("targets", targets)
    check_pitch(pitch_m)
    if not systems:
        raise UsageError("no reconstructions to compare", expected="one system or more")
    scale = phase_scale(targets)
    columns = [Column("true phase", in_radians(targets), scale)]
    for name, images in systems.items():
        check_images(f"reconstructions by {name}", images, targets.shape)
        columns.append(Column(textwrap.fill(name, _TITLE), in_radians(images), scale, quality(images, targets)))
    return draw_grid(columns, title, pitch_m)
