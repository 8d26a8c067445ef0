"""How training went: loss and validation quality over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opticdesign.figures.canvas import SMALL, add_legend, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_history", "history_figure"]

_CURVES = (("loss", "loss", "-"), ("psnr_db", "PSNR / dB", ".-"), ("ssim", "SSIM", ".-"))


def draw_history(path: Path, records: Sequence[dict[str, Any]], title: str) -> Path:
    """Write `history_figure` of the other arguments as PNG."""
    return save_figure(path, history_figure(records, title))


def history_figure(records: Sequence[dict[str, Any]], title: str) -> Figure:
    """Loss and validation quality over the steps, one colour a stage, from the records of metrics.jsonl."""
    figure, axes = new_figure(1, len(_CURVES), (12.5, 3.4), title)
    stages = list(dict.fromkeys(record["stage"] for record in records))
    for place, (key, label, style) in zip(axes[0], _CURVES, strict=True):
        place.set_xlabel("step", fontsize=9)
        place.set_ylabel(label, fontsize=9)
        place.tick_params(which="both", labelsize=SMALL)
        place.grid(alpha=0.3)
        for stage in stages:
            known = [record for record in records if record["stage"] == stage and record.get(key) is not None]
            place.plot([point["total"] for point in known], [point[key] for point in known], style)
    if any(record["loss"] > 0.0 for record in records):
        axes[0, 0].set_yscale("log")
    if stages:
        add_legend(axes[0, 0], axes[0, 0].get_lines(), stages)
    return figure
