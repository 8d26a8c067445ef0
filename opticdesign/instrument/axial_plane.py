"""Where the planes of a train of optics stand along the axis, for pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from opticdesign.optics.elements import DiffractiveElement, Element, FourierFilter, ThinLens
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import Propagator

__all__ = ["AxialPlane", "planes_of"]


class AxialPlane(NamedTuple):
    """A plane across the axis.

    Args:
        name: what stands there.
        place_m: how far light has come, metres.
        height_m: its extent along y, metres.
    """

    name: str
    place_m: float
    height_m: float


def planes_of(parts: Sequence[Element | Propagator | Hop]) -> Iterator[AxialPlane]:
    """The planes of elements and ways in the order light meets them; a way at the end goes to a camera."""
    masks = 0
    for place, part in enumerate(parts):
        if isinstance(part, Element):
            masks += isinstance(part, DiffractiveElement)
            names = {ThinLens: "lens", FourierFilter: "4-f filter", DiffractiveElement: f"mask {masks}"}
            name = names.get(type(part), type(part).__name__)
            yield AxialPlane(name, _length(parts[:place]), part.extent_m[0])
    if parts and isinstance(last := parts[-1], Propagator | Hop):
        grid = last.target_grid if isinstance(last, Hop) else last.grid
        yield AxialPlane("camera", _length(parts), grid.extent_m[0])


def _length(parts: Sequence[Element | Propagator | Hop]) -> float:
    """How far light has come, metres."""
    ways = [part.propagator if isinstance(part, Hop) else part for part in parts]
    return sum(float(way.distance_m) for way in ways if isinstance(way, Propagator))
