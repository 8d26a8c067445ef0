"""The figure of a study of methods: the phase along one line of a test patch, as it is and as each method finds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opticdesign.figures.canvas import SMALL, add_legend, new_figure, save_figure
from opticdesign.studies.methods.table import MethodRow, MethodsTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_methods", "methods_figure"]


def draw_methods(path: Path, table: MethodsTable) -> Path:
    """Write `methods_figure` of the table as PNG."""
    return save_figure(path, methods_figure(table))


def methods_figure(table: MethodsTable) -> Figure:
    """Profiles of the first seed: what is not learned on the left, networks on the right, each with the true phase."""
    note = ", quick (smoke budget)" if table.quick else ""
    figure, axes = new_figure(1, 2, (12.0, 4.6), f"{table.name}{note}: along a line of the first test patch")
    for place, learned, title in ((axes[0, 0], False, "without a network"), (axes[0, 1], True, "networks")):
        _profiles(place, [row for row in table.rows if row.learned == learned], title)
    axes[0, 1].sharey(axes[0, 0])
    return figure


def _profiles(axes: Axes, rows: list[MethodRow], title: str) -> None:
    """The true phase and that of some methods in radians, against the place in micrometres."""
    known = [(row.name, row.profile) for row in rows if row.profile is not None]
    for _, profile in known[:1]:
        axes.plot([place * 1e6 for place in profile.place_m], profile.true_rad, color="black", linewidth=1.8)
    for _, profile in known:
        axes.plot([place * 1e6 for place in profile.place_m], profile.phase_rad, linewidth=1.1)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("x / µm", fontsize=9)
    axes.set_ylabel("phase / rad", fontsize=9)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)
    if known:
        names = ["true phase", *(name for name, _ in known)]
        add_legend(
            axes, axes.get_lines(), names, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, frameon=False
        )
