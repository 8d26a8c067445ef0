"""Pictures of a run, drawn with matplotlib and written as PNG."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from opticdesign.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_field", "draw_history", "draw_masks", "draw_reconstructions"]

_MASK_SHOWN = 96  # neurons


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray[Any, Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Figure, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
    return path


def _picture(
    axes: Axes, image: Tensor, title: str, cmap: str, low: float | None, high: float | None, unit: str
) -> None:
    shown = axes.imshow(image.numpy(), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)
    axes.figure.colorbar(shown, ax=axes, shrink=0.75, label=unit)


def draw_masks(path: Path, phases_rad: Tensor, title: str) -> Path:
    """The phase of every mask, (layers, y, x) in radians modulo 2π: the middle, where single neurons can be seen."""
    count, side = len(phases_rad), min(_MASK_SHOWN, *phases_rad.shape[-2:])
    top, left = ((length - side) // 2 for length in phases_rad.shape[-2:])
    figure, axes = _figure(1, count, (2.9 * count, 3.1))
    for index, phase in enumerate(phases_rad[:, top : top + side, left : left + side]):
        _picture(axes[0, index], phase.remainder(2 * math.pi), f"mask {index + 1}", "twilight", 0.0, 2 * math.pi, "rad")
    figure.suptitle(f"{title}, middle {side} × {side} neurons", fontsize=10)
    return _save(figure, path)


def draw_reconstructions(
    path: Path, targets: Tensor, readings: Tensor, images: Tensor, captions: Sequence[str], title: str
) -> Path:
    """One row per image: true phase, camera reading, reconstruction, error.

    Args:
        path: PNG file to write.
        targets: phase over 2π, (rows, y, x).
        readings: camera readings, (rows, y/b, x/b).
        images: reconstructions over 2π, (rows, y, x).
        captions: text beside each reconstruction.
        title: heading.
    """
    rows = len(targets)
    figure, axes = _figure(rows, 4, (12.5, 2.9 * rows + 0.4))
    turn = 2 * math.pi
    for row in range(rows):
        target, image = targets[row] * turn, images[row] * turn
        low, high = float(target.min()), float(target.max())
        pixels = "×".join(str(n) for n in readings[row].shape)
        _picture(axes[row, 0], target, "true phase", "viridis", low, high, "rad")
        _picture(axes[row, 1], readings[row], f"camera, {pixels} pixels", "gray", None, None, "of full count")
        _picture(axes[row, 2], image, f"reconstruction, {captions[row]}", "viridis", low, high, "rad")
        _picture(axes[row, 3], image - target, "error", "RdBu_r", -1.0, 1.0, "rad")
    figure.suptitle(title, fontsize=11)
    return _save(figure, path)


def draw_field(path: Path, target: Tensor, image: Tensor, similarity: Tensor, valid: Tensor, title: str) -> Path:
    """A whole field: true phase, reconstruction, error and SSIM map, blank where the data is not valid.

    Args:
        path: PNG file to write.
        target: phase over 2π, (y, x).
        image: reconstruction over 2π, same shape.
        similarity: SSIM map, same shape.
        valid: where the data means something, same shape.
        title: heading.
    """
    turn = 2 * math.pi
    blank = float("nan")
    shown = [layer.where(valid, blank) for layer in (target * turn, image * turn, (image - target) * turn, similarity)]
    low, high = float(target[valid].min()) * turn, float(target[valid].max()) * turn
    height = 1.2 + 3.1 * target.shape[0] / target.shape[1]
    figure, axes = _figure(1, 4, (15.0, height))
    _picture(axes[0, 0], shown[0], "true phase", "viridis", low, high, "rad")
    _picture(axes[0, 1], shown[1], "reconstruction from tiles", "viridis", low, high, "rad")
    _picture(axes[0, 2], shown[2], "error", "RdBu_r", -1.0, 1.0, "rad")
    _picture(axes[0, 3], shown[3], "SSIM map", "magma", 0.0, 1.0, "")
    figure.suptitle(title, fontsize=11)
    return _save(figure, path)


def draw_history(path: Path, records: Sequence[dict[str, Any]], title: str) -> Path:
    """Loss and validation quality over the steps, from the records of metrics.jsonl."""
    figure, axes = _figure(1, 3, (12.5, 3.2))
    for stage in dict.fromkeys(record["stage"] for record in records):
        points = [record for record in records if record["stage"] == stage]
        for column, (key, label) in enumerate((("loss", "loss"), ("psnr_db", "PSNR / dB"), ("ssim", "SSIM"))):
            known = [point for point in points if point.get(key) is not None]
            marker = "-" if key == "loss" else ".-"
            axes[0, column].plot([p["total"] for p in known], [p[key] for p in known], marker, label=stage)
            axes[0, column].set(xlabel="step", ylabel=label)
    axes[0, 0].set_yscale("log")
    axes[0, 0].legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    return _save(figure, path)
