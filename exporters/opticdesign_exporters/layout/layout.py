"""What is drawn for a design: the cells of one die, and where the dies are. Pure description, no file format.

Cells L1 … hold the pixels and marks of one mask layer each, DIE holds them all, the top cell holds the dies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from opticdesign.errors import UsageError
from opticdesign.handover.export import ExportJob
from opticdesign_exporters.layout.cell import Boxes, Cell, Placements, Polygon
from opticdesign_exporters.layout.halftone import opening_ranks
from opticdesign_exporters.layout.layer_map import Drawn, MaskLayer, mask_layers
from opticdesign_exporters.layout.marks import Surroundings, frame, surroundings
from opticdesign_exporters.layout.pixels import all_steps, chrome, one_bit
from opticdesign_exporters.layout.raster import Ints, Raster

__all__ = ["Layout"]

_INT32_MAX = 2**31 - 1
_MARK_UNIT_M = 1e-6

_Value = TypeVar("_Value", bound=np.generic)
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Layout:
    """The layout of a job.

    Args:
        job: what is to be made.

    Raises:
        UsageError: a layout that these levels cannot have, pixels or vernier steps finer than the database unit, or
            coordinates beyond 32 bits.
    """

    job: ExportJob

    def __post_init__(self) -> None:
        spec, unit_m = self.job.spec.layout, self.raster.unit_m
        if spec.marks and spec.vernier < unit_m:
            raise UsageError(
                f"a vernier that reads steps of {spec.vernier:.3g} m",
                expected=f"at least the database unit, {unit_m:.3g} m",
                remedy="change export.layout.vernier",
            )
        moved = self.mask_step * (len(self.layers) - 1), 0
        reach = max(
            max(abs(low), high + more + step * (count - 1))
            for low, high, more, step, count in zip(
                self.die_box[:2], self.die_box[2:], moved, self.die_step, reversed(spec.array), strict=True
            )
        )
        if reach > _INT32_MAX:
            raise UsageError(
                f"a layout {reach * unit_m:.3g} m wide",
                expected=f"at most {_INT32_MAX * unit_m:.3g} m, 32-bit coordinates of {unit_m * 1e9:g} nm",
                remedy="use fewer or smaller neurons, or fewer dies",
            )

    @cached_property
    def raster(self) -> Raster:
        """The grid of the file."""
        return Raster.of(self.job.pitch_m, self._parts)

    @cached_property
    def layers(self) -> list[MaskLayer]:
        """The masks of every mask layer."""
        return mask_layers(self.job)

    @cached_property
    def drawn(self) -> list[Drawn]:
        """All layers and datatypes, in rising order."""
        masks = [mask for layer in self.layers for mask in layer.exposures]
        marks = [mask.marks for mask in masks] if self.job.spec.layout.marks else []
        return sorted([one for mask in masks for one in mask.pixels] + marks)

    @cached_property
    def die_box(self) -> Box:
        """Left, bottom, right and top of a mask, whose array begins at the origin, in database units."""
        width, height = self._size
        if not self.job.spec.layout.marks:
            return 0, 0, width, height
        boxes = np.array([marks.bounds for marks in self._marks])
        left, low, _, _ = boxes.min(axis=0).tolist()
        _, _, right, high = boxes.max(axis=0).tolist()
        return (width - right, low, width - left, high) if self._mirror else (left, low, right, high)

    @property
    def mask_step(self) -> int:
        """From one mask of a die to the next, along x, in database units; 0 where they lie over one another."""
        left, _, right, _ = self.die_box
        return right - left + self._space if self.job.spec.layout.arrange == "side by side" else 0

    @cached_property
    def die_step(self) -> tuple[int, int]:
        """From one die to the next, along x and y, in database units."""
        left, low, right, high = self.die_box
        return self.mask_step * len(self.layers) or right - left + self._space, high - low + self._space

    @property
    def _space(self) -> int:
        return math.ceil(self.job.spec.layout.spacing / self.raster.unit_m - 1e-6)

    @property
    def top_cell(self) -> str:
        """A name that no other cell has, nor `main`, which some layout tools reserve."""
        name = self.job.file_name
        taken = name in ("main", "DIE") or (name[:1] in "LC" and name[1:].replace("_", "").isdigit())
        return f"{name[:28]}_top" if taken else name

    @property
    def summary(self) -> str:
        """What the file holds, in a line."""
        (rows, columns), count = self.job.spec.layout.array, len(self.layers)
        return f"masks, cells L1 to L{count} in {rows} x {columns} dies in cell {self.top_cell}"

    @property
    def options(self) -> dict[str, bool | int | float | str]:
        """What a reader has to know beside the design, and what the rounding costs."""
        spec, (_, rows, columns) = self.job.spec.layout, self.job.levels.shape
        return {
            "layout": spec.kind,
            "tone": spec.tone,
            "mirror": spec.mirror,
            "die_rows": spec.array[0],
            "die_columns": spec.array[1],
            "die_step_x": self.die_step[0],
            "die_step_y": self.die_step[1],
            "mask_step_x": self.mask_step,
            "vernier_m": round(spec.vernier / self.raster.unit_m) * self.raster.unit_m if spec.marks else 0.0,
            "top_cell": self.top_cell,
            "database_unit_m": self.raster.unit_m,
            "largest_edge_error_m": self.raster.edge_error_m((rows, columns), self._parts),
        }

    def cells(self) -> Iterator[Cell]:
        """All cells, made one by one as they are asked for; the top cell is the last."""
        names = [f"L{number}" for number in range(1, len(self.layers) + 1)]
        for index, (name, masks) in enumerate(zip(names, self.layers, strict=True)):
            placements = []
            for cell, places in self._chrome(index, masks):
                yield cell
                placements.append(places)
            yield self._layer(name, index, tuple(placements))
        at = np.array([[self.mask_step, 0]], np.int64)
        yield Cell("DIE", placements=tuple(Placements(name, at * index) for index, name in enumerate(names)))
        yield Cell(self.top_cell, placements=(Placements("DIE", self._dies()),))

    @property
    def _mirror(self) -> bool:
        return self.job.spec.layout.mirror

    @property
    def _parts(self) -> int:
        """Cells along a pixel."""
        return 1 if self.job.openings is None else self.job.spec.layout.halftone

    @property
    def _size(self) -> tuple[int, int]:
        """Width and height of the array."""
        rows, columns = self.job.levels.shape[1:]
        return int(self.raster.edges(1, columns)[-1]), int(self.raster.edges(0, rows)[-1])

    def _dies(self) -> Ints:
        """Origins of the dies, row 0 at the top; the lower left array begins at the origin of the top cell."""
        rows, columns = self.job.spec.layout.array
        row, column = np.divmod(np.arange(rows * columns), columns)
        origins: Ints = np.stack((column, rows - 1 - row), axis=1) * np.array(self.die_step)
        return origins

    def _seen(self, plane: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
        """A plane as it lies in the file."""
        return plane[:, ::-1] if self._mirror else plane

    @cached_property
    def _mark_unit(self) -> int:
        return round(max(_MARK_UNIT_M, *self.job.pitch_m) / self.raster.unit_m)

    @cached_property
    def _marks(self) -> list[Surroundings]:
        """The marks of every mask layer, as seen from the front."""
        spec = self.job.spec.layout
        vernier, text = round(spec.vernier / self.raster.unit_m), spec.label or self.job.file_name
        return [
            surroundings(self._size, self._mark_unit, vernier, [f"{text} {mask.name}" for mask in layer.exposures])
            for layer in self.layers
        ]

    def _layer(self, name: str, index: int, placements: tuple[Placements, ...]) -> Cell:
        """The cell of one mask layer: relief and marks, and its chrome as placements."""
        masks = self.layers[index]
        boxes, letters = self._relief(self._seen(self.job.levels[index]), masks), list[Polygon]()
        if self.job.spec.layout.marks:
            boxes.append(Boxes.of(*masks.relief[0].marks[:2], frame(self.die_box, self._mark_unit)))
            for number, mask in enumerate(masks.exposures):
                mirror_at = self._size[0] if self._mirror else None
                own, label = self._marks[index].of(number, *mask.marks[:2], mirror_at)
                boxes.append(own)
                letters += label
        return Cell(name, Boxes.joined(boxes), tuple(letters), placements)

    def _relief(self, levels: npt.NDArray[np.uint8], masks: MaskLayer) -> list[Boxes]:
        top, spec = self.job.process.levels - 1, self.job.spec.layout
        steps = levels if spec.tone == "keep" else top - levels
        first = masks.relief[0].pixels[0]
        if spec.kind == "levels":
            return [all_steps(steps, first.layer, self.raster)]
        weights = [(top + 1) >> (bit + 1) for bit in range(len(masks.relief))]
        return [one_bit(steps, weight, first.layer, bit, self.raster) for bit, weight in enumerate(weights)]

    def _chrome(self, index: int, masks: MaskLayer) -> Iterator[tuple[Cell, Placements]]:
        """Cells of half-toned pixels, and where they are."""
        if self.job.openings is None or masks.chrome is None:
            return
        drawn = np.stack([self._seen(plane) for plane in self._halftone])
        openings = self._seen(self.job.openings[index])
        yield from chrome(openings, drawn, masks.chrome.pixels[0].layer, self.raster, f"C{index + 1}")

    @cached_property
    def _halftone(self) -> npt.NDArray[np.bool_]:
        """By number of open cells, which cells are drawn (side² + 1, side, side)."""
        ranks = opening_ranks(self._parts)
        is_open = ranks < np.arange(ranks.size + 1)[:, None, None]
        return ~is_open if self.job.spec.layout.tone == "keep" else is_open
