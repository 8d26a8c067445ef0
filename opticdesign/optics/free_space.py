"""Free space between two planes with the method and the window chosen, and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import PROPAGATORS, Propagator, fast_length, suitable_propagator

__all__ = ["free_space", "propagate"]


def free_space(
    grid: Grid,
    wavelength_m: float,
    distance_m: float,
    *,
    index: float = 1.0,
    method: str = "auto",
    dtype: torch.dtype = torch.complex64,
) -> Propagator:
    """The propagator over a distance that is right for it; its `why` says what was chosen and for what reason.

    The window is twice as wide as the field, which holds the whole linear convolution: nothing wraps around.

    Args:
        grid: sampling of the field, before and behind the distance.
        wavelength_m: vacuum wavelength in metres.
        distance_m: distance along z in metres; a negative one undoes the positive one on the propagating band.
        index: refractive index of the medium.
        method: name of a propagator, "auto" for the suitable one.
        dtype: complex64 or complex128.

    Raises:
        UsageError: an unknown method, a wavelength or an index out of range, a distance that is not finite.
    """
    if method != "auto" and method not in PROPAGATORS:
        raise UsageError(
            f"unknown method {method!r}", expected="auto, " + ", ".join(PROPAGATORS), remedy="correct the method"
        )
    if method == "auto":
        kind, reason = suitable_propagator(grid, wavelength_m, distance_m, index=index)
    else:
        kind, reason = PROPAGATORS[method], "named by the caller"
    rows, columns = (fast_length(2 * side) for side in grid.shape)
    way = kind(grid, wavelength_m, distance_m, index=index, dtype=dtype, window=(rows, columns))
    way.why = f"{kind.name} in a window of {rows} × {columns} samples: {reason}"
    return way


def propagate(
    field: Tensor,
    distance_m: float,
    grid: Grid,
    wavelength_m: float,
    *,
    index: float = 1.0,
    method: str = "auto",
    say: Callable[[str], object] | None = None,
) -> Tensor:
    """A field after some distance of free space, by the suitable method in a window that holds it all.

    Args:
        field: complex (…, y, x), or a real amplitude of flat phase.
        distance_m: as for `free_space`, and so are the arguments that follow.
        grid: sampling of the field.
        wavelength_m: vacuum wavelength in metres.
        index: refractive index of the medium.
        method: name of a propagator, "auto" for the suitable one.
        say: hears which method and window were chosen and why, such as `print`.

    Returns:
        Complex field (…, y, x) on the same grid.

    Raises:
        UsageError: a field that is not on the grid; as `free_space`.

    Example:
        >>> grid = Grid.square(64, 4e-6)
        >>> wave = propagate(torch.ones(64, 64), 2e-3, grid, 532e-9, say=print)
    """
    if field.shape[-2:] != grid.shape:
        raise UsageError(
            f"a field of {' × '.join(map(str, field.shape))} samples",
            expected=f"(…, {grid.shape[0]}, {grid.shape[1]}), as its grid",
            remedy="give the grid that the field is sampled on",
        )
    dtype = torch.promote_types(field.dtype, torch.complex64)
    way = _kept(grid, wavelength_m, distance_m, index, method, dtype, field.device)
    if say is not None:
        say(way.why)
    result: Tensor = way(field.to(dtype))
    return result


@lru_cache(maxsize=8)
def _kept(
    grid: Grid,
    wavelength_m: float,
    distance_m: float,
    index: float,
    method: str,
    dtype: torch.dtype,
    device: torch.device,
) -> Propagator:
    """The ways that were taken last, so that a loop does not make a transfer function in each turn."""
    return free_space(grid, wavelength_m, distance_m, index=index, method=method, dtype=dtype).to(device)
