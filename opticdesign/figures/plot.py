"""Single pictures for scripts and notebooks: each function returns the matplotlib axes that it has drawn on.

Units stand on the colour bars, and a scale bar in the picture says how large it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.figures.canvas import SMALL, TURN, Scale, add_scale_bar, add_side_bar, check_pitch, show
from opticdesign.instrument.axial_plane import planes_of
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.elements import Element
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import Propagator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["height", "intensity", "phase", "system"]

_SIZE = (4.8, 3.8)  # inches
_WIDE = (7.2, 3.2)
_LENGTHS = ((1.0, "m"), (1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm"))


def phase(
    image: Tensor | NDArray[np.generic], pitch_m: float | Grid, *, title: str = "", axes: Axes | None = None
) -> Axes:
    """A phase map in radians modulo 2π, or the phase of a complex field, in colours that close to a circle.

    Args:
        image: real, radians, or complex (y, x).
        pitch_m: distance between samples in metres, or the grid they are on.
        title: heading.
        axes: where to draw; new ones of a new figure when left out.

    Raises:
        UsageError: no picture (y, x) of finite values, or a pitch that is none.
    """
    values = _picture(image)
    turns = torch.angle(values) if values.is_complex() else values
    return _draw(turns.remainder(TURN), pitch_m, Scale("twilight", 0.0, TURN, "phase / rad"), title, axes)


def intensity(
    image: Tensor | NDArray[np.generic], pitch_m: float | Grid, *, title: str = "", axes: Axes | None = None
) -> Axes:
    """An intensity or a camera's reading over the incident light's; |A|² of a complex field. Arguments as `phase`."""
    values = _picture(image)
    power = values.abs().square() if values.is_complex() else values
    high = max(float(power.max()), 1e-30)
    return _draw(power, pitch_m, Scale("gray", min(0.0, float(power.min())), high, "intensity / incident"), title, axes)


def height(
    image: Tensor | NDArray[np.generic], pitch_m: float | Grid, *, title: str = "", axes: Axes | None = None
) -> Axes:
    """A relief in metres, shown in the unit that suits it; other arguments as `phase`."""
    values = _picture(image)
    if values.is_complex():
        raise UsageError("complex heights", expected="real heights in metres", remedy="see height_of_phase")
    size, unit = _suited(float(values.abs().max()))
    return _draw(values / size, pitch_m, Scale.over(values / size, "viridis", f"height / {unit}"), title, axes)


def system(
    optics: OpticalSystem | Sequence[Element | Propagator | Hop], *, title: str = "", axes: Axes | None = None
) -> Axes:
    """A train of optics from the side, true to scale along each axis: planes with their names, and the gaps between.

    Args:
        optics: an optical system, or elements and free space in the order light meets them.
        title: heading.
        axes: where to draw; new ones of a new figure when left out.

    Raises:
        UsageError: nothing to draw.
    """
    planes = list(optics.planes() if isinstance(optics, OpticalSystem) else planes_of(optics))
    if not planes:
        raise UsageError("a system of no elements", expected="one element or more")
    axes = _new_axes(_WIDE) if axes is None else axes
    along, unit = _suited(max(abs(plane.place_m) for plane in planes))
    tallest_m = max(plane.height_m for plane in planes)
    across, wide = _suited(tallest_m)
    most = tallest_m / across
    for number, (name, place_m, height_m) in enumerate(planes):
        at, half = place_m / along, height_m / across / 2.0
        axes.plot([at, at], [-half, half], color=f"C{number % 10}", linewidth=2.0)
        up = 0.54 + 0.07 * (number % 2)  # neighbours stand side by side
        axes.annotate(name, (at, up * most), ha="center", fontsize=SMALL, color=f"C{number % 10}", parse_math=False)
    axes.axhline(0.0, color="0.6", linewidth=0.8, linestyle="-.", zorder=0)
    axes.set(ylim=(-0.58 * most, 0.7 * most), xlabel=f"z / {unit}", ylabel=f"y / {wide}")
    axes.margins(x=0.08)
    axes.set_title(title, fontsize=9, parse_math=False)
    return axes


def _picture(image: Tensor | NDArray[np.generic]) -> Tensor:
    """A picture (y, x) on the CPU, without its gradient; one of a batch of one too."""
    values = torch.as_tensor(image).detach().cpu()
    values = values.reshape(values.shape[-2:]) if values.ndim > 2 and values[..., 0, 0].numel() == 1 else values
    if values.ndim != 2 or values.numel() == 0:
        shape = " × ".join(map(str, values.shape)) or "no axes"
        raise UsageError(f"a picture of {shape}", expected="one array (y, x)", remedy="choose one, such as fields[0]")
    if not bool(values.isfinite().all()):
        raise UsageError("a picture with NaN or infinity", expected="finite values", remedy="look where they come from")
    return values if values.is_complex() else values.double()


def _draw(values: Tensor, pitch_m: float | Grid, scale: Scale, title: str, axes: Axes | None) -> Axes:
    rows, columns = pitch_m.pitch_m if isinstance(pitch_m, Grid) else (pitch_m, pitch_m)
    check_pitch(rows)
    axes = _new_axes(_SIZE) if axes is None else axes
    show(axes, values, scale, title)
    axes.set_aspect(rows / columns)
    add_scale_bar(axes, values.shape[1], columns)
    add_side_bar(axes, scale)
    return axes


def _new_axes(size: tuple[float, float]) -> Axes:
    """Axes of a figure that pyplot knows, so that `plt.show()` and notebooks show it."""
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")[1]


def _suited(largest_m: float) -> tuple[float, str]:
    """The unit in which the largest length is at least one."""
    return next(((size, name) for size, name in _LENGTHS if largest_m >= size), _LENGTHS[-1])
