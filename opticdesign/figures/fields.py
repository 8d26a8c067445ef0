"""Fields as data: what is learned from, before any optics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.figures.canvas import Scale, add_scale_bar, add_side_bar, check_pitch, new_figure, save_figure, show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FieldPicture", "draw_fields", "fields_figure"]

_ACROSS = 3
_WIDTH, _BAR, _FRAME = 3.4, 0.9, 0.6  # inches: of a picture, of the bar beside it, of its title and caption
_TALLEST = 2.0  # of its width
_LONGEST = 44  # characters of a title


@dataclass(frozen=True)
class FieldPicture:
    """One field.

    Args:
        title: its name.
        caption: what stands below it.
        values: phase or optical path (y, x), not a number where nothing is valid.
        label: of the colour bar.
        pitch_m: distance of samples, for a scale bar; without it there is none.
        box: a patch: first row and column, rows and columns.
    """

    title: str
    caption: str
    values: Tensor
    label: str
    pitch_m: float | None = None
    box: tuple[int, int, int, int] | None = None


def draw_fields(path: Path, pictures: Sequence[FieldPicture], title: str) -> Path:
    """Write `fields_figure` of the other arguments as PNG."""
    return save_figure(path, fields_figure(pictures, title))


def fields_figure(pictures: Sequence[FieldPicture], title: str) -> Figure:
    """Fields three in a row, each with a colour bar of its own over all but its last thousandths.

    Raises:
        UsageError: no picture, or one without a number.
    """
    if not pictures or any(not bool(one.values.isfinite().any()) for one in pictures):
        raise UsageError("nothing to draw", expected="one field or more with valid pixels")
    across = min(_ACROSS, len(pictures))
    rows = math.ceil(len(pictures) / across)
    tallest = max(min(one.values.shape[0] / one.values.shape[1], _TALLEST) for one in pictures)
    size = across * (_WIDTH + _BAR), rows * (_WIDTH * max(tallest, 0.4) + _FRAME) + 0.4
    figure, axes = new_figure(rows, across, size, title)
    for place, one in zip(axes.flat, pictures, strict=False):
        _draw(place, one)
    for place in list(axes.flat)[len(pictures) :]:
        place.set_axis_off()
    return figure


def _draw(axes: Axes, one: FieldPicture) -> None:
    from matplotlib.patches import Rectangle

    finite = one.values[one.values.isfinite()].numpy()
    low, high = (float(end) for end in np.percentile(finite, (0.1, 99.9)))
    margin = 0.05 * max(abs(low), 1e-9) if high - low < 1e-9 * max(1.0, abs(low)) else 0.0
    title = one.title if len(one.title) <= _LONGEST else f"…{one.title[1 - _LONGEST :]}"
    show(axes, one.values, Scale("viridis", low - margin, high + margin, one.label), title, one.caption)
    add_side_bar(axes, Scale("viridis", low - margin, high + margin, one.label))
    if one.pitch_m is not None:
        check_pitch(one.pitch_m)
        add_scale_bar(axes, one.values.shape[1], one.pitch_m)
    if one.box is not None:
        row, column, height, width = one.box
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor="white", linewidth=1.0)
        )
