"""The figure of a study of quantisation: quality read back, and what is lost, against the levels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opticdesign.figures.canvas import SMALL, new_figure, save_figure
from opticdesign.learning.evaluation import Score
from opticdesign.studies.quantisation.schema import FLOAT
from opticdesign.studies.quantisation.table import QuantisationTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_quantisation", "quantisation_figure"]

_SHIFT = 1.02  # numbers of levels of one training are drawn so much beside those of the next


def draw_quantisation(path: Path, table: QuantisationTable) -> Path:
    """Write `quantisation_figure` of the table as PNG."""
    return save_figure(path, quantisation_figure(table))


def quantisation_figure(table: QuantisationTable) -> Figure:
    """PSNR read back from files, and PSNR lost from float to there, a line a training, with 95 % intervals."""
    note = ", quick (smoke budget)" if table.quick else ""
    title = f"{table.name}{note}: mean over seeds and test patches, 95 % intervals"
    figure, axes = new_figure(1, 2, (11.0, 4.2), title)
    trainings = list(dict.fromkeys(row.trained for row in table.rows))
    for index, trained in enumerate(trainings):
        rows = [row for row in table.rows if row.trained == trained and row.drop_db is not None]
        places = [row.levels * _SHIFT ** (index - 0.5 * (len(trainings) - 1)) for row in rows]
        label = "trained without levels" if trained == FLOAT else f"trained with levels, {trained}"
        _line(axes[0, 0], places, [row.scores["read back"]["psnr_db"] for row in rows], label)
        _line(axes[0, 1], places, [row.drop_db for row in rows if row.drop_db is not None], label)
    if level := [row.scores["float"]["psnr_db"] for row in table.rows if row.trained == FLOAT and row.scores]:
        axes[0, 0].axhline(level[0].mean, color="0.5", linestyle=":", label="trained without levels, float masks")
    axes[0, 1].axhline(0.0, color="0.5", linewidth=0.8)
    counts = sorted({row.levels for row in table.rows})
    titles = (f"PSNR read back ({table.exporter}) / dB", "PSNR lost, float to read back / dB")
    for place, text in zip(axes[0], titles, strict=True):
        place.set_xscale("log", base=2)
        place.set_xticks(counts, [str(count) for count in counts])
        place.set_xlabel("height levels", fontsize=9)
        place.set_title(text, fontsize=9)
        place.tick_params(labelsize=SMALL)
        place.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=SMALL, frameon=False)
    return figure


def _line(axes: Axes, places: list[float], scores: list[Score], label: str) -> None:
    bars = [[score.mean - score.low for score in scores], [score.high - score.mean for score in scores]]
    means = [score.mean for score in scores]
    axes.errorbar(places, means, bars, fmt=".-", capsize=2.5, linewidth=1.2, label=label)
