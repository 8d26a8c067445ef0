"""A grid of pictures, one row per sample and one column per quantity, columns of one scale above one colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from torch import Tensor

from opticdesign.decoders.waves import in_radians
from opticdesign.errors import UsageError
from opticdesign.figures.canvas import Scale, add_colour_bar, add_scale_bar, new_figure, show
from opticdesign.learning.metrics import psnr_db, ssim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Column", "draw_grid", "phase_scale", "quality"]

_WIDTH, _CAPTION, _FRAME = 2.35, 0.38, 1.0  # inches: of a picture, of title and caption, of heading and bars
_SMALLEST = 6  # samples along an axis, which the window of the similarity needs


@dataclass(frozen=True)
class Column:
    """Pictures of one kind, (rows, y, x), one for each sample, and what stands below each."""

    title: str
    pictures: Tensor
    scale: Scale
    captions: Sequence[str] = ()


def draw_grid(columns: Sequence[Column], title: str, bar_pitch_m: float | None = None) -> Figure:
    """Draw columns side by side; neighbours of one scale share their colour bar.

    Args:
        columns: what is drawn, all of one number of rows.
        title: heading.
        bar_pitch_m: pitch of the first column's pictures, for scale bars in them; without it there are none.
    """
    rows, height, width = columns[0].pictures.shape
    size = _WIDTH * len(columns), rows * (_WIDTH * height / width + _CAPTION) + _FRAME
    figure, axes = new_figure(rows, len(columns), size, title)
    for across, column in enumerate(columns):
        for row, picture in enumerate(column.pictures):
            caption = column.captions[row] if column.captions else ""
            show(axes[row, across], picture, column.scale, "" if row else column.title, caption)
            if bar_pitch_m is not None and across == 0:
                add_scale_bar(axes[row, across], width, bar_pitch_m)
    for scale, group in groupby(range(len(columns)), lambda index: columns[index].scale):
        together = list(group)
        add_colour_bar(list(axes[:, together].flat), scale, span=len(together))
    return figure


def phase_scale(targets: Tensor) -> Scale:
    """From the least to the greatest true phase, of phases over 2π."""
    return Scale.over(in_radians(targets), "viridis", "phase / rad")


def quality(images: Tensor, targets: Tensor) -> list[str]:
    """PSNR and SSIM of each image (n, y, x) against its target, in words.

    Raises:
        UsageError: images too small for the window of the similarity.
    """
    if min(images.shape[-2:]) < _SMALLEST:
        raise UsageError(
            f"images of {images.shape[-2]} × {images.shape[-1]}", expected=f"{_SMALLEST} × {_SMALLEST} samples or more"
        )
    values = zip(psnr_db(images, targets).tolist(), ssim(images, targets).tolist(), strict=True)
    return [f"PSNR {decibels:.1f} dB, SSIM {similarity:.3f}" for decibels, similarity in values]
