"""Phase along one line of a sample, as it is and as systems reconstruct it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from opticdesign.decoders.waves import in_radians
from opticdesign.errors import UsageError
from opticdesign.figures.canvas import (
    SMALL,
    add_legend,
    add_scale_bar,
    add_side_bar,
    check_images,
    check_pitch,
    new_figure,
    save_figure,
    show,
)
from opticdesign.figures.picture_grid import phase_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_profiles", "profiles_figure", "structured_row"]

# told apart by colour-blind eyes too: M. Okabe, K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES = ("-", "--", ":", "-.")  # a style for each round of colours


def draw_profiles(path: Path, target: Tensor, systems: Mapping[str, Tensor], pitch_m: float, title: str) -> Path:
    """Write `profiles_figure` of the other arguments as PNG."""
    return save_figure(path, profiles_figure(target, systems, pitch_m, title))


def profiles_figure(target: Tensor, systems: Mapping[str, Tensor], pitch_m: float, title: str) -> Figure:
    """The true phase, the most structured row of its middle half marked, and beside it the phase along that row.

    Args:
        target: true phase over 2π, (y, x).
        systems: reconstructions over 2π by the system's name, same shape, at most 24.
        pitch_m: distance between samples, metres.
        title: heading.

    Raises:
        UsageError: no system or too many, or arrays that do not belong together or cannot be drawn.
    """
    check_images("a target", target[None])
    check_pitch(pitch_m)
    if not 0 < len(systems) <= len(_COLOURS) * len(_STYLES):
        raise UsageError(f"{len(systems)} reconstructions", expected=f"1 to {len(_COLOURS) * len(_STYLES)}")
    for name, image in systems.items():
        check_images(f"a reconstruction by {name}", image[None], target[None].shape)
    row = structured_row(target)
    figure, axes = new_figure(1, 2, (11.0, 4.2), title)
    axes[0, 0].get_gridspec().set_width_ratios((1.0, 1.7))
    _picture(axes[0, 0], target, row, pitch_m)
    _lines(axes[0, 1], target[row], [image[row] for image in systems.values()], pitch_m)
    axes[0, 1].set_title(f"along the dashed line, {(row + 0.5) * pitch_m * 1e6:.1f} µm from the top", fontsize=9)
    names = ["true phase", *systems]
    add_legend(figure, axes[0, 1].get_lines(), names, loc="outside lower right", ncols=3, frameon=False)
    return figure


def structured_row(target: Tensor) -> int:
    """The row of an image (y, x), of the middle half, along which its values spread the most (standard deviation)."""
    first, last = len(target) // 4, len(target) - len(target) // 4  # at the rim a line is hidden by the frame
    return first + int(target[first:last].std(dim=1, correction=0).argmax())


def _picture(axes: Axes, target: Tensor, row: int, pitch_m: float) -> None:
    from matplotlib.patheffects import withStroke

    scale = phase_scale(target)
    show(axes, in_radians(target), scale, "true phase")
    axes.axhline(
        row, color="white", linestyle="--", linewidth=1.2, path_effects=[withStroke(linewidth=2.2, foreground="black")]
    )
    add_scale_bar(axes, target.shape[1], pitch_m)
    add_side_bar(axes, scale)


def _lines(axes: Axes, target: Tensor, systems: Sequence[Tensor], pitch_m: float) -> None:
    """The phase in radians against the place in micrometres, from the left edge of the picture."""
    place_um = (np.arange(len(target)) + 0.5) * pitch_m * 1e6
    axes.plot(place_um, in_radians(target).numpy(), color="black", linewidth=1.8)
    for index, values in enumerate(systems):
        turn, colour = divmod(index, len(_COLOURS))
        axes.plot(place_um, in_radians(values).numpy(), _STYLES[turn], color=_COLOURS[colour], linewidth=1.2)
    axes.set(xlim=(0.0, len(target) * pitch_m * 1e6))
    axes.set_xlabel("x / µm", fontsize=9)
    axes.set_ylabel("phase / rad", fontsize=9)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)
