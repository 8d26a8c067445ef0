"""How training went: loss and validation quality over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opticdesign.figures.canvas import SMALL, add_legend, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_history", "draw_validations", "history_figure", "validations_figure"]

_CURVES = (("loss", "loss", "-"), ("psnr_db", "PSNR / dB", ".-"), ("ssim", "SSIM", ".-"))
_VALIDATED = (("psnr_db", "PSNR / dB"), ("ssim", "SSIM"), ("mae_rad", "MAE / rad"))


def draw_history(path: Path, records: Sequence[dict[str, Any]], title: str) -> Path:
    """Write `history_figure` of the other arguments as PNG."""
    return save_figure(path, history_figure(records, title))


def history_figure(records: Sequence[dict[str, Any]], title: str) -> Figure:
    """Loss and validation quality over the steps, one colour a stage, from the records of metrics.jsonl."""
    figure, axes = new_figure(1, len(_CURVES), (12.5, 3.4), title)
    stages = list(dict.fromkeys(record["stage"] for record in records))
    for place, (key, label, style) in zip(axes[0], _CURVES, strict=True):
        _over_steps(place, label)
        for stage in stages:
            _plot(place, [record for record in records if record["stage"] == stage], key, style)
    if any(record["loss"] > 0.0 for record in records):
        axes[0, 0].set_yscale("log")
    if stages:
        add_legend(axes[0, 0], axes[0, 0].get_lines(), stages)
    return figure


def draw_validations(path: Path, records: Mapping[str, Sequence[dict[str, Any]]], title: str) -> Path:
    """Write `validations_figure` of the other arguments as PNG."""
    return save_figure(path, validations_figure(records, title))


def validations_figure(records: Mapping[str, Sequence[dict[str, Any]]], title: str) -> Figure:
    """Validation quality over the steps of several runs, one colour each, from their records of metrics.jsonl by name.

    Where a run learned no decoder it was not validated, and its curve is empty.
    """
    figure, axes = new_figure(1, len(_VALIDATED), (12.5, 3.8), title)
    for place, (key, label) in zip(axes[0], _VALIDATED, strict=True):
        _over_steps(place, label)
        for each in records.values():
            _plot(place, each, key, ".-")
    add_legend(figure, axes[0, 0].get_lines(), list(records), loc="outside lower center")
    return figure


def _over_steps(axes: Axes, label: str) -> None:
    axes.set_xlabel("step", fontsize=9)
    axes.set_ylabel(label, fontsize=9)
    axes.tick_params(which="both", labelsize=SMALL)
    axes.grid(alpha=0.3)


def _plot(axes: Axes, records: Sequence[dict[str, Any]], key: str, style: str) -> None:
    """One curve, of the records that have a value."""
    known = [record for record in records if record.get(key) is not None]
    axes.plot([point["total"] for point in known], [point[key] for point in known], style)
