"""Masks from a layout, ours or foreign: polygons become pixels at the pitch of the design."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import DataError
from opticdesign.importing import ImportJob, Masks
from opticdesign_exporters import gds_records, oasis_records
from opticdesign_exporters.import_map import Tag, import_map
from opticdesign_exporters.layout_library import Library, Shapes
from opticdesign_exporters.polygon_raster import Outlines, covers

__all__ = ["LayoutImporter"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_DIE = "DIE"  # the cell of one die in layouts of ours, of which there may be an array
_MOST_SHAPES = 1 << 27
_NAMED = 5  # layers that stand for nothing are named up to here


class LayoutImporter:
    """Reads cell DIE, or else the one top cell; the array begins at the origin, or fills the box of all shapes."""

    name = "layout"
    summary = "layouts, GDSII and OASIS: levels or bits of all masks"
    suffixes = (".gds", ".gds2", ".gdsii", ".oas", ".oasis")

    def read(self, job: ImportJob) -> Masks:
        """Read one file.

        Raises:
            DataError: several files, nothing on the layers of masks, shapes beyond the masks, or two levels in a pixel.
            VerificationError: the file is damaged, or holds what masks do not need.
        """
        if len(job.files) != 1:
            raise DataError(job.files[1].path, "a second layout", expected="one file with all masks")
        return _Layout(job).masks()


class _Layout:
    """One layout and the masks it should hold."""

    def __init__(self, job: ImportJob) -> None:
        self.job, self.path, self.map = job, job.files[0].path, import_map(job)
        self.library = _library(job)
        self.root = _DIE if _DIE in self.library.cells else self.library.top
        self.pitch = np.array(job.pitch_m[::-1]) / self.library.unit_m  # along x and y, as shapes have it
        self.notes: list[str] = []

    def masks(self) -> Masks:
        """All masks."""
        groups = [self.shapes(tuple(tags)) for tags in self.map.masks]
        self.check_layers(groups)
        origin = self.origin([shapes for shapes in groups if len(shapes)])
        self.check_grid(groups, origin)
        levels = np.stack([self.levels(number, shapes, origin) for number, shapes in enumerate(groups, start=1)])
        phase = self.job.process.phase_of_level(torch.from_numpy(levels)).numpy()
        return Masks(phase, tuple(self.notes), self.amplitudes(origin))

    def shapes(self, tags: Sequence[Tag]) -> Shapes:
        """All shapes on some layers and datatypes, in the coordinates of the die."""
        return Shapes.joined(list(self.library.flat(self.root, _MOST_SHAPES, _on(tags))))

    def check_layers(self, groups: list[Shapes]) -> None:
        """Refuse a layout without masks; note masks without shapes, and layers that stand for nothing."""
        known = [tag for tags in self.map.masks for tag in tags]
        others: set[Tag] = set()
        for found in self.library.flat(self.root, _MOST_SHAPES, lambda shapes: ~_on(known)(shapes)):
            others |= set(zip(found.layer.tolist(), found.datatype.tolist(), strict=True))
        if self.job.layer_map is None:  # ours: layers above 100 are marks and chrome
            others = {tag for tag in others if not 100 < tag[0] <= 255}
        names = ", ".join(f"{layer}/{datatype}" for layer, datatype in sorted(others)[:_NAMED])
        if not any(map(len, groups)):
            raise DataError(
                self.path,
                f"nothing is drawn on the layers of masks{f'; there are {names}' if names else ''}",
                expected="layer k for mask k, and datatypes for its levels or bits, as export.layout.kind says",
                remedy="say with --layers CSV which layer and datatype is which",
            )
        if others:
            self.notes.append(
                f"left out: {names}{' and others' if len(others) > _NAMED else ''}, which stand for nothing"
            )
        empty = [str(number) for number, shapes in enumerate(groups, start=1) if not len(shapes)]
        if empty:
            self.notes.append(f"nothing is drawn of mask {', '.join(empty)}")

    def origin(self, groups: list[Shapes]) -> Ints:
        """Where the lower left pixel begins, in database units."""
        low = np.min([shapes.low.min(axis=0) for shapes in groups], axis=0)
        high = np.max([shapes.high.max(axis=0) for shapes in groups], axis=0)
        size = np.array(self.job.shape[:0:-1]) * self.pitch
        if (low > -1.0).all() and (high < size + 1.0).all():
            if (high - low < size - 2.0 * self.pitch).any():
                self.accept_border(f"shapes reach over {self.sides(high - low)} of {self.sides(size)}")
            return np.zeros(2, np.int64)
        if (np.abs(high - low - size) <= 1.0).all():
            self.notes.append(f"the masks begin at ({self.sides(low, ', ')})")
            return np.asarray(low, np.int64)
        raise DataError(
            self.path,
            f"shapes from ({self.sides(low, ', ')}) to ({self.sides(high, ', ')})",
            expected=f"masks of {self.sides(size)} that begin at the origin of cell {self.root!r}, or fill that size",
            remedy="move the masks to the origin, or name a design of their size and pitch",
        )

    def accept_border(self, found: str) -> None:
        """Note that nothing is drawn along an edge of the masks; from elsewhere it may be a layout of other masks."""
        if self.root != _DIE:
            raise DataError(
                self.path,
                found,
                expected="masks of the size of the design",
                remedy="name a design of their size and pitch (optics.neurons, optics.pitch); or, if there should be "
                f"nothing beside them, call their cell {_DIE}, which begins where the masks of the design do",
            )
        self.notes.append(found)

    def sides(self, units: npt.NDArray[np.floating] | Ints, between: str = " × ") -> str:
        """Two lengths in database units for people."""
        return between.join(f"{side * self.library.unit_m * 1e6:.6g} µm" for side in units.tolist())

    def check_grid(self, groups: list[Shapes], origin: Ints) -> None:
        """Note edges that do not run between pixels."""
        places = (side - origin for shapes in groups for side in (shapes.low, shapes.high))
        off = max(np.abs(side - np.rint(side / self.pitch) * self.pitch).max(initial=0.0) for side in places)
        if off > 0.5 + 1e-6:  # each edge is rounded to the grid of the file
            far = off * self.library.unit_m * 1e9
            self.notes.append(f"edges lie up to {far:.4g} nm beside those of pixels, whose centres decide")

    def levels(self, number: int, shapes: Shapes, origin: Ints) -> Ints:
        """Levels (rows, columns) of one mask."""
        tags, keep = self.map.masks[number - 1], self.job.layout.tone == "keep"
        drawn = {value: self.covered(shapes, tag, origin) for tag, value in tags.items()}
        if self.map.bits:
            return sum(
                ((inside == keep).astype(np.int64) << place for place, inside in drawn.items()),
                start=np.zeros(self.job.shape[1:], np.int64),
            )
        twice = sum(
            (inside.astype(np.int64) for inside in drawn.values()), start=np.zeros(self.job.shape[1:], np.int64)
        )
        if twice.max() > 1:
            row, column = np.argwhere(twice > 1)[0].tolist()
            raise DataError(
                self.path,
                f"mask {number} row {row} column {column} has {twice[row, column]} levels",
                expected="one level in each pixel",
                remedy='cut what overlaps, or choose export.layout.kind = "bits" for masks of bits',
            )
        levels = np.full(self.job.shape[1:], 0 if keep else self.job.process.levels - 1, np.int64)
        for level, inside in drawn.items():
            levels[inside] = level
        return levels

    def covered(self, shapes: Shapes, tag: Tag, origin: Ints, parts: int = 1) -> Bools:
        """Whether something is drawn in the middle of each pixel, or of each of `parts`² cells of it."""
        _, rows, columns = self.job.shape
        outlines = self.outlines(shapes.only(_on([tag])(shapes)), origin)
        inside = covers(outlines, (rows * parts, columns * parts), tuple(self.pitch[::-1] / parts)) > 0
        return inside[:, ::-1] if self.job.layout.mirror else inside

    def outlines(self, shapes: Shapes, origin: Ints) -> Outlines:
        """The corners of shapes, seen from an origin."""
        boxes = shapes.only(shapes.rectangular)
        (left, low), (right, high) = (boxes.low - origin).T, (boxes.high - origin).T
        points = [np.stack((left, low, left, high, right, high, right, low), axis=1).reshape(-1, 2)]
        sizes = [np.full(len(boxes), 4, np.int64)]
        others = shapes.only(~shapes.rectangular)
        for offset, corner in zip(others.offset.tolist(), others.low, strict=True):
            outline = self.library.outlines.get(offset)
            if outline is None:
                raise DataError(self.path, f"byte {offset}: no rectangle", remedy="save the layout as GDSII")
            points.append(outline - outline.min(axis=0) + corner - origin)
            sizes.append(np.array([len(outline)]))
        counts = np.concatenate(sizes)
        return Outlines(np.concatenate(points), np.cumsum(counts) - counts)

    def amplitudes(self, origin: Ints) -> npt.NDArray[np.float32] | None:
        """Amplitudes (masks, rows, columns) of half-toned chrome; None where there is none, or the design has none."""
        side = self.job.halftone
        if side is None or not self.map.chrome:
            return None
        groups = [(tag, self.shapes([tag])) for tag in self.map.chrome]
        if not any(len(shapes) for _, shapes in groups):
            return None
        _, rows, columns = self.job.shape
        cells = np.stack([self.covered(shapes, tag, origin, side) for tag, shapes in groups])
        drawn = cells.reshape(-1, rows, side, columns, side).mean(axis=(2, 4), dtype=np.float64)
        amplitude: npt.NDArray[np.float64] = 1.0 - drawn if self.job.layout.tone == "keep" else drawn
        return amplitude.astype(np.float32)


def _library(job: ImportJob) -> Library:
    file = job.files[0]
    if file.path.suffix.lower().startswith(".oas"):
        return oasis_records.read_library(file.data, str(file.path), _MOST_SHAPES)
    return gds_records.read_library(file.data, str(file.path))


def _on(tags: Sequence[Tag]) -> Callable[[Shapes], Bools]:
    """Whether shapes are on one of some layers and datatypes."""
    wanted: dict[int, list[int]] = {}
    for layer, datatype in tags:
        wanted.setdefault(layer, []).append(datatype)

    def chosen(shapes: Shapes) -> Bools:
        found = np.zeros(len(shapes), dtype=bool)
        for layer, datatypes in wanted.items():  # layer by layer: all pairs at once would have to be sorted
            here = np.flatnonzero(shapes.layer == layer)
            found[here] = np.isin(shapes.datatype[here], datatypes)
        return found

    return chosen
