"""Cells of a layout, in integer database units: what both layout formats write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from opticdesign_exporters.layout.raster import Ints

__all__ = ["Boxes", "Cell", "Placements", "Polygon"]


class Boxes(NamedTuple):
    """Rectangles: layer and datatype of each (count, 2); left, bottom, right and top of each (count, 4)."""

    tags: Ints
    corners: Ints

    @classmethod
    def of(cls, layer: int, datatype: int, corners: Ints) -> Boxes:
        """Rectangles (count, 4) of one layer and datatype."""
        return cls(np.tile(np.array((layer, datatype)), (len(corners), 1)), corners)

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> Boxes:
        """The rectangles of several groups."""
        none = cls(np.zeros((0, 2), np.int64), np.zeros((0, 4), np.int64))
        return cls(*(np.concatenate(arrays) for arrays in zip(none, *parts, strict=True)))


class Polygon(NamedTuple):
    """A polygon: layer, datatype, and its corners (count, 2), the first not repeated."""

    layer: int
    datatype: int
    points: Ints


class Placements(NamedTuple):
    """A cell at several places: its name, and where its origin is each time (count, 2)."""

    cell: str
    origins: Ints


@dataclass(frozen=True)
class Cell:
    """A named group of shapes and placed cells.

    Args:
        name: letters, digits and underscores.
        boxes: rectangles.
        polygons: other shapes, of few corners.
        placements: cells placed in it, neither turned nor scaled.
    """

    name: str
    boxes: Boxes = field(default_factory=lambda: Boxes.joined(()))
    polygons: tuple[Polygon, ...] = ()
    placements: tuple[Placements, ...] = ()
