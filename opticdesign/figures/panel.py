"""Samples, what the camera saw of them and what was made of it, one sample a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from opticdesign.decoders.waves import in_radians
from opticdesign.errors import UsageError
from opticdesign.figures.canvas import Scale, check_images, check_pitch, error_scale, save_figure
from opticdesign.figures.picture_grid import Column, draw_grid, phase_scale, quality
from opticdesign.learning.metrics import mae_rad

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_panel", "panel_figure"]


def draw_panel(
    path: Path, fields: Tensor, targets: Tensor, readings: Tensor, images: Tensor, pitch_m: float, title: str
) -> Path:
    """Write `panel_figure` of the other arguments as PNG."""
    return save_figure(path, panel_figure(fields, targets, readings, images, pitch_m, title))


def panel_figure(
    fields: Tensor, targets: Tensor, readings: Tensor, images: Tensor, pitch_m: float, title: str
) -> Figure:
    """One row per sample: amplitude, true phase, camera reading, reconstruction with PSNR and SSIM, error.

    Args:
        fields: complex samples, (rows, y, x).
        targets: true phase over 2π, same shape.
        readings: camera readings, (rows, y/b, x/b).
        images: reconstructions over 2π, (rows, y, x).
        pitch_m: distance between samples, metres.
        title: heading.

    Raises:
        UsageError: arrays that do not belong together or cannot be drawn.
    """
    amplitudes = fields.abs()
    check_images("amplitudes", amplitudes)
    check_pitch(pitch_m)
    amplitude = Column("amplitude", amplitudes, Scale.over(amplitudes, "gray", "amplitude"))
    check_images("targets", targets, amplitudes.shape)
    check_images("reconstructions", images, targets.shape)
    return draw_grid([amplitude, *_columns(targets, readings, images, quality(images, targets))], title, pitch_m)


def _columns(targets: Tensor, readings: Tensor, images: Tensor, captions: Sequence[str]) -> list[Column]:
    """True phase, camera, reconstruction and error, the phases on one scale."""
    check_images("targets", targets)
    check_images("readings", readings)
    check_images("reconstructions", images, targets.shape)
    if not len(targets) == len(readings) == len(captions):
        raise UsageError(
            f"{len(targets)} targets, {len(readings)} readings and {len(captions)} captions", expected="equal numbers"
        )
    phase, error_rad = phase_scale(targets), in_radians(images - targets)
    pixels = f"camera, {readings.shape[-2]} × {readings.shape[-1]} pixels"
    misses = [f"mean |error| {value:.3f} rad" for value in mae_rad(images, targets).tolist()]
    return [
        Column("true phase", in_radians(targets), phase),
        Column(pixels, readings, Scale.over(readings, "gray", "reading / full count")),
        Column("reconstruction", in_radians(images), phase, captions),
        Column("error", error_rad, error_scale(error_rad), misses),
    ]
