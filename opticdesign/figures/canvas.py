"""What every figure is drawn with: a canvas, colour scales, pictures, colour bars and scale bars."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = [
    "SMALL",
    "TURN",
    "Scale",
    "add_colour_bar",
    "add_legend",
    "add_scale_bar",
    "add_side_bar",
    "check_images",
    "check_pitch",
    "error_scale",
    "new_figure",
    "nice_length",
    "save_figure",
    "show",
]

TURN = 2.0 * math.pi  # radians
SMALL = 8  # points, of captions and bars
_BLANK = "0.85"  # grey where a picture has no value
_COUNTABLE = 128  # samples along an axis; no more than these are drawn with sharp edges
_LONGEST_BAR = 0.3  # of the picture's width


@dataclass(frozen=True)
class Scale:
    """A colour map between two values, and what its bar says."""

    colours: str
    low: float
    high: float
    label: str

    @classmethod
    def over(cls, images: Tensor, colours: str, label: str) -> Scale:
        """From the least to the greatest finite value of some images; a little more where they are one."""
        values = images[images.isfinite()]
        low, high = float(values.min()), float(values.max())
        margin = 0.05 * max(1.0, abs(low)) if high - low < 1e-6 * max(1.0, abs(low)) else 0.0
        return cls(colours, low - margin, high + margin, label)


def error_scale(errors_rad: Tensor) -> Scale:
    """Blue to red around zero, as far as 99 % of the errors reach, rounded up to 1, 2 or 5 and a power of ten."""
    sizes = np.abs(errors_rad[errors_rad.isfinite()].numpy())
    most = max(float(np.percentile(sizes, 99.0)), 1e-3)
    power = 10.0 ** math.floor(math.log10(most))
    limit = next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= most * (1.0 - 1e-9))
    return Scale("RdBu_r", -limit, limit, "error / rad")


def new_figure(rows: int, columns: int, size: tuple[float, float], title: str) -> tuple[Figure, np.ndarray[Any, Any]]:
    """A figure of so many axes, (rows, columns), its size in inches, and its heading."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, parse_math=False)  # names of files may hold a dollar sign
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_figure(path: Path, figure: Figure) -> Path:
    """Write a figure as PNG, whose bytes depend on nothing but what is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
    return path


def show(axes: Axes, image: Tensor, scale: Scale, title: str = "", caption: str = "") -> None:
    """Draw an image (y, x), grey where it is not a number, its title above and its caption below."""
    from matplotlib import colormaps

    colours = colormaps[scale.colours].with_extremes(bad=_BLANK)
    interpolation = "nearest" if max(image.shape) <= _COUNTABLE else "antialiased"
    axes.imshow(image.numpy(), cmap=colours, vmin=scale.low, vmax=scale.high, interpolation=interpolation)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.set_xlabel(caption, fontsize=SMALL, parse_math=False)


def add_colour_bar(axes: Sequence[Axes], scale: Scale, span: int = 1) -> None:
    """One bar below pictures of one scale, `span` of them side by side."""
    placed = {"ax": list(axes), "location": "bottom", "shrink": 0.9, "pad": 0.02, "aspect": 25 * span}
    _bar(axes, scale, extendfrac=0.05 / span, **placed)


def add_side_bar(axes: Axes, scale: Scale) -> None:
    """A bar on the right of a picture, as high as the picture."""
    _bar([axes], scale, cax=axes.inset_axes((1.03, 0.0, 0.04, 1.0)))


def _bar(axes: Sequence[Axes], scale: Scale, **placed: Any) -> None:
    """A colour bar with pointed ends where values of the pictures lie beyond it."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    pictures = [picture for one in axes for picture in one.images]
    arrays = [np.ma.masked_invalid(array) for one in pictures if (array := one.get_array()) is not None]
    below = any(float(array.min()) < scale.low for array in arrays)
    above = any(float(array.max()) > scale.high for array in arrays)
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = axes[0].figure.colorbar(
        pictures[0],
        extend=extend[below, above],
        ticks=MaxNLocator(5, steps=(1, 2, 5, 10)),
        format=ScalarFormatter(useOffset=False),
        **placed,
    )
    bar.set_label(scale.label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def add_scale_bar(axes: Axes, width: int, pitch_m: float) -> None:
    """A bar of round length in the lower left of a picture that is `width` samples wide."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    length_m = nice_length(_LONGEST_BAR * width * pitch_m)
    share, outline = length_m / (width * pitch_m), [withStroke(linewidth=2.0, foreground="black")]
    bar = Rectangle((0.04, 0.04), share, 0.018, transform=axes.transAxes, facecolor="white", path_effects=outline)
    axes.add_patch(bar)
    axes.annotate(
        f"{length_m * 1e6:g} µm",
        (0.04 + 0.5 * share, 0.058),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        color="white",
        fontsize=SMALL,
        path_effects=outline,
    )


def add_legend(owner: Axes | Figure, lines: Sequence[Line2D], names: Sequence[str], **placed: Any) -> None:
    """A legend of axes or of a whole figure, whose names may hold anything."""
    legend = owner.legend(lines, ["-"] * len(lines), fontsize=SMALL, **placed)  # it would leave out a name like "_x"
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def nice_length(most: float) -> float:
    """The greatest of 1, 2 or 5 times a power of ten that is not more than `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= most * (1.0 + 1e-9))


def check_images(name: str, images: Tensor, shape: Sequence[int] | None = None) -> None:
    """Refuse what cannot be drawn as a stack of pictures.

    Args:
        name: what the images are called.
        images: real (n, y, x).
        shape: the shape they must have; any that is filled when left out.

    Raises:
        UsageError: another shape, pictures too small, or values that are not finite.
    """
    received = " × ".join(str(side) for side in images.shape)
    if shape is not None and images.shape != tuple(shape):
        raise UsageError(f"{name} of {received}", expected=" × ".join(str(side) for side in shape))
    if images.ndim != 3 or images.numel() == 0:
        raise UsageError(f"{name} of {received or 'no axes'}", expected="one image or more, (n, y, x)")
    if not bool(images.isfinite().all()):
        raise UsageError(f"{name} with NaN or infinity", expected="finite values")


def check_pitch(pitch_m: float) -> None:
    """Refuse a pitch from which no scale bar can be drawn.

    Raises:
        UsageError: it is not positive and finite.
    """
    if not (math.isfinite(pitch_m) and pitch_m > 0.0):
        raise UsageError(f"a pitch of {pitch_m} m", expected="a positive length")
