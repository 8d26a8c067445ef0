"""The figure of a study of transfer: each metric of every network on the data of every value, as colours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opticdesign.figures.canvas import SMALL, new_figure, save_figure
from opticdesign.learning.evaluation import SMALL_IS_GOOD
from opticdesign.studies.transfer.table import SHOWN, TransferTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_transfer", "transfer_figure"]

_TINY = 6  # points, of the numbers in cells


def draw_transfer(path: Path, table: TransferTable) -> Path:
    """Write `transfer_figure` of the table as PNG."""
    return save_figure(path, transfer_figure(table))


def transfer_figure(table: TransferTable) -> Figure:
    """A map for each metric, a row a network and a column the data of a value; bright is good."""
    note = ", quick (smoke budget)" if table.quick else ""
    side = 2.0 + 0.36 * len(table.values)
    title = f"{table.name}{note}: networks trained at one {table.key}, on the data of each"
    figure, axes = new_figure(1, len(SHOWN), (len(SHOWN) * side, side), title)
    for place, metric in zip(axes[0], SHOWN, strict=True):
        _map(place, table, metric)
    return figure


def _map(axes: Axes, table: TransferTable, metric: str) -> None:
    """Means of one metric with their numbers; a network that failed has none."""
    heading, digits = SHOWN[metric]
    means = np.array(
        [[row.scores[value][metric].mean if row.scores else math.nan for value in table.values] for row in table.rows]
    )
    axes.imshow(means, cmap="viridis_r" if metric in SMALL_IS_GOOD else "viridis")
    for (row, column), mean in np.ndenumerate(means):
        text = axes.text(column, row, f"{mean:.{max(1, digits - 1)}f}", ha="center", va="center", fontsize=_TINY)
        text.set(color="white", bbox={"facecolor": "black", "alpha": 0.35, "linewidth": 0.0, "pad": 0.8})
    axes.set_xticks(range(len(table.values)), table.values, rotation=90)
    axes.set_yticks(range(len(table.rows)), [row.value for row in table.rows])
    axes.tick_params(labelsize=SMALL)
    axes.set_title(heading, fontsize=9)
    axes.set_xlabel("data", fontsize=9)
    axes.set_ylabel("trained at", fontsize=9)
