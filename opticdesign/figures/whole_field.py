"""A whole field of view: what it is, what was made of it, and where the two agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from opticdesign.decoders.waves import in_radians
from opticdesign.errors import UsageError
from opticdesign.figures.canvas import (
    Scale,
    add_scale_bar,
    add_side_bar,
    check_images,
    check_pitch,
    error_scale,
    new_figure,
    save_figure,
    show,
)
from opticdesign.learning.metrics import mae_rad, psnr_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_field", "field_figure"]

_WIDTH, _BAR, _FRAME = 4.8, 0.8, 0.45  # inches: of a picture, of the bar beside it, of its title and caption


def draw_field(
    path: Path,
    target: Tensor,
    image: Tensor,
    similarity: Tensor,
    valid: Tensor,
    title: str,
    pitch_m: float | None = None,
) -> Path:
    """Write `field_figure` of the other arguments as PNG."""
    return save_figure(path, field_figure(target, image, similarity, valid, title, pitch_m))


def field_figure(
    target: Tensor, image: Tensor, similarity: Tensor, valid: Tensor, title: str, pitch_m: float | None = None
) -> Figure:
    """True phase, reconstruction, error and SSIM map, grey where the data is not valid, which no figure counts.

    Args:
        target: phase over 2π, (y, x).
        image: reconstruction over 2π, same shape.
        similarity: SSIM map, same shape.
        valid: where the data means something, bool, same shape.
        title: heading.
        pitch_m: distance between samples, metres; without it there is no scale bar.

    Raises:
        UsageError: arrays that do not belong together or cannot be drawn, or nothing valid.
    """
    layers = {"target": target, "reconstruction": image, "SSIM map": similarity, "mask": valid}
    for name, layer in layers.items():
        check_images(f"a {name}", layer[None], target[None].shape)
    if pitch_m is not None:
        check_pitch(pitch_m)
    if not bool(valid.any()):
        raise UsageError("a field without valid samples", expected="a mask that is True somewhere")
    true_rad, image_rad, error_rad, similar = (
        layer.where(valid, torch.nan)
        for layer in (in_radians(target), in_radians(image), in_radians(image - target), similarity)
    )
    weight = valid.to(image)
    decibels, miss_rad = float(psnr_db(image, target, weight)), float(mae_rad(image, target, weight))
    caption = f"PSNR {decibels:.1f} dB, SSIM {float(similarity[valid].mean()):.3f}"
    phase = Scale.over(true_rad, "viridis", "phase / rad")
    pictures = [
        (true_rad, phase, "true phase", ""),
        (image_rad, phase, "reconstruction", caption),
        (error_rad, error_scale(error_rad), "error", f"mean |error| {miss_rad:.3f} rad"),
        (similar.clamp(max=1.0), Scale("magma", 0.0, 1.0, "SSIM"), "SSIM map", ""),
    ]
    height = _WIDTH * target.shape[0] / target.shape[1] + _FRAME
    figure, axes = new_figure(2, 2, (2.0 * (_WIDTH + _BAR), 2.0 * height + 0.3), title)
    for place, (picture, scale, name, caption) in zip(axes.flat, pictures, strict=True):
        show(place, picture, scale, name, caption)
        add_side_bar(place, scale)
    if pitch_m is not None:
        add_scale_bar(axes[0, 0], target.shape[1], pitch_m)
    return figure
