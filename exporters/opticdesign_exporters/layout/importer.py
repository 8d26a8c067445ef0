"""Masks from a layout, ours or foreign: polygons become pixels at the pitch of the design."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import DataError
from opticdesign.handover.importing import ImportJob, Masks
from opticdesign_exporters.layout.drawing import Drawing, read_drawing
from opticdesign_exporters.layout.import_map import Tag, import_map
from opticdesign_exporters.layout.meaning import layout_meaning
from opticdesign_exporters.layout.place import DIE, check_grid, find_place
from opticdesign_exporters.layout.polygon_raster import Outlines, covers

__all__ = ["LayoutImporter"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_OURS = range(101, 256)  # layers of marks and chrome in layouts of ours
_CHROME = 200
_NAMED = 5  # layers that stand for nothing are named up to here


class LayoutImporter:
    """Reads the cell that is named, else DIE, else the one top cell that draws masks."""

    name = "layout"
    summary = "layouts, GDSII and OASIS: levels or bits of all masks"
    suffixes = (".gds", ".gds2", ".gdsii", ".oas", ".oasis")
    options = frozenset({"layers", "kind", "tone", "mirror", "cell", "origin_m", "off_grid"})

    def read(self, job: ImportJob) -> Masks:
        """Read one file.

        Raises:
            DataError: several files, nothing on the layers of masks, something that no mask has, shapes beyond the
                masks or beside their pixels, two levels in a pixel, or what looks inverted.
            UsageError: the user says two things that contradict each other.
        """
        if len(job.files) != 1:
            raise DataError(job.files[1].path, "a second layout", expected="one file with all masks")
        return _Layout(job).masks()


class _Layout:
    """One layout and the masks it should hold."""

    def __init__(self, job: ImportJob) -> None:
        self.job, self.path, self.meaning = job, job.files[0].path, layout_meaning(job)
        self.map = import_map(job, self.meaning)
        relief = {tag for mask in self.map.masks for tag in mask}
        tags = self.map.tags if job.halftone is not None else relief
        self.drawing = read_drawing(job, tags, len(self.map.masks[0]) if self.map.bits else 1)
        self.notes = list(self.meaning.notes)

    def masks(self) -> Masks:
        """All masks."""
        self.check_layers()
        self.place = find_place(self.drawing, self.job)
        self.notes += [*self.place.notes, *check_grid(self.relief(), self.place, self.job)]
        levels = np.stack([self.levels(number) for number in range(1, self.job.shape[0] + 1)])
        if not self.meaning.sure:
            self.check_tone(levels)
        phase = self.job.process.phase_of_level(torch.from_numpy(levels)).numpy()
        return Masks(phase, tuple(self.notes), self.amplitudes())

    def relief(self) -> Drawing:
        """The drawing without its chrome."""
        return self.drawing if not self.map.chrome else self.drawing.without(self.map.chrome)

    def check_layers(self) -> None:
        """Refuse a layout without masks and layers that look like theirs; note empty masks and other layers."""
        drawn, others = self.drawing.drawn(), set(self.drawing.others)
        names = _listed(others)
        if not drawn:
            raise DataError(
                self.path,
                f"nothing is drawn on the layers of masks in cell {self.drawing.cell!r}"
                f"{f'; there are {names}' if names else ''}",
                expected=f"layer k for mask k, and datatypes for its {self.meaning.kind}, as --kind says",
                remedy="say with --layers CSV which layer and datatype is which",
            )
        if self.meaning.table is None:
            self.check_kind(drawn, others)
            self.check_more(others)
        if self.drawing.cell == DIE:
            others = {tag for tag in others if tag[0] not in _OURS}
        numbers = [str(number) for number, tags in enumerate(self.map.masks, start=1) if not drawn & set(tags)]
        empty = [f"nothing is drawn of mask {', '.join(numbers)}"] if numbers else []
        self.check_unknown(others, empty)
        if others:
            self.notes.append(f"left out: {_listed(others)}, which stand for nothing")
        self.notes += empty

    def check_unknown(self, others: set[Tag], empty: list[str]) -> None:
        """Refuse layers that a table of the user's leaves out, and any where a mask is empty: they may be it."""
        table, unknown = self.meaning.table, others - self.map.named
        if not unknown or (table is None and not empty):
            return
        what = empty if table is None else [f"{table.path.name} does not name them"]
        raise DataError(
            self.path,
            f"{_listed(unknown)} stand for nothing, and {what[0]}",
            expected="layer k for mask k" if table is None else "a table that names every layer and datatype",
            remedy="say with --layers CSV which layer and datatype is which; mask and level are empty where it is none",
        )

    def check_kind(self, drawn: set[Tag], others: set[Tag]) -> None:
        """Refuse datatypes that stand for nothing on the layers of masks."""
        masks, levels = self.job.shape[0], self.job.process.levels
        strange = {tag for tag in others if 1 <= tag[0] <= masks}
        if not strange:
            return
        kinds = {"levels": range(1, levels), "bits": range((levels - 1).bit_length())}
        known, kind = kinds[self.meaning.kind], "levels" if self.map.bits else "bits"
        fits = all(datatype in kinds[kind] for _, datatype in strange | {tag for tag in drawn if tag[0] <= masks})
        raise DataError(
            self.path,
            f"{_listed(strange)} stand for nothing in a layout of {self.meaning.kind}",
            expected=f"datatypes {known[0]} to {known[-1]} on the layers of masks, for {levels} levels",
            remedy=f"say --kind {kind}, as which they would fit"
            if fits
            else "say with --layers CSV which layer and datatype is which, or name a design with their levels",
        )

    def check_more(self, others: set[Tag]) -> None:
        """Refuse a mask beyond those of the design, and chrome that they have not."""
        masks, datatypes = self.job.shape[0], {datatype for _, datatype in self.map.masks[-1]}
        if more := {tag for tag in others if tag[0] in (0, masks + 1) and tag[1] in datatypes}:
            raise DataError(
                self.path,
                f"{_listed(more)} look like another mask than the {masks} of the design",
                expected=f"layers 1 to {masks}",
                remedy="set optics.layers, or say with --layers CSV which layer and datatype is which",
            )
        if chrome := {tag for tag in others if self.drawing.cell == DIE and tag in self.map.chrome}:
            raise DataError(
                self.path,
                f"chrome on {_listed(chrome)}, for masks that absorb nothing",
                expected="a design whose masks absorb",
                remedy='set optics.mode = "amplitude+phase", or say with --layers CSV which layers are masks',
            )

    def levels(self, number: int) -> Ints:
        """Levels (rows, columns) of one mask."""
        tags, keep = self.map.masks[number - 1], self.meaning.tone == "keep"
        drawn = {value: self.covered(tag) for tag, value in tags.items()}
        if self.map.bits:
            return self.of_bits({place: inside == keep for place, inside in drawn.items()}, number)
        twice = sum(
            (inside.astype(np.int64) for inside in drawn.values()), start=np.zeros(self.job.shape[1:], np.int64)
        )
        if twice.max() > 1:
            row, column = np.argwhere(twice > 1)[0].tolist()
            raise DataError(
                self.path,
                f"mask {number} row {row} column {column} has {twice[row, column]} levels",
                expected="one level in each pixel",
                remedy="say --kind bits if these are masks of bits, else cut what overlaps",
            )
        levels = np.full(self.job.shape[1:], 0 if keep else self.job.process.levels - 1, np.int64)
        for level, inside in drawn.items():
            levels[inside] = level
        return levels

    def of_bits(self, bits: dict[int, Bools], number: int) -> Ints:
        """The levels (rows, columns) that the bits of one mask make, by their places."""
        levels = sum(
            (inside.astype(np.int64) << place for place, inside in bits.items()),
            start=np.zeros(self.job.shape[1:], np.int64),
        )
        if levels.max() >= self.job.process.levels:
            row, column = np.argwhere(levels >= self.job.process.levels)[0].tolist()
            raise DataError(
                self.path,
                f"mask {number} row {row} column {column} has the level {levels[row, column]} by its bits",
                expected=f"levels below {self.job.process.levels}",
                remedy="name a design with their levels (fabrication.levels), or say --kind levels",
            )
        return levels

    def check_tone(self, levels: Ints) -> None:
        """Refuse masks that look inverted: all around as high as can be, with holes of the lowest level in them."""
        top = self.job.process.levels - 1
        rims = (levels[:, 0], levels[:, -1], levels[:, :, 0], levels[:, :, -1])
        if self.meaning.tone == "keep" and all((rim == top).all() for rim in rims) and (levels == 0).any():
            raise DataError(
                self.path,
                "looks inverted: the highest level is drawn all around the masks, and nothing in places within",
                expected="what stays is drawn, as export.layout.tone = keep says",
                remedy="say --tone etch if what is etched is drawn, or --tone keep if this is meant",
            )

    def covered(self, tag: Tag, parts: int = 1) -> Bools:
        """Whether something is drawn in the middle of each pixel, or of each of `parts`² cells of it."""
        _, rows, columns = self.job.shape
        outlines = self.drawing.on(tag)
        moved = Outlines(outlines.points - self.place.origin, outlines.first)
        pitch = (float(self.place.pitch[1]) / parts, float(self.place.pitch[0]) / parts)
        inside = covers(moved, (rows * parts, columns * parts), pitch) > 0
        return inside[:, ::-1] if self.meaning.mirror else inside

    def amplitudes(self) -> npt.NDArray[np.float32] | None:
        """Amplitudes (masks, rows, columns) of half-toned chrome; None where there is none, or the design has none."""
        side, drawn = self.job.halftone, self.drawing.drawn()
        if side is None or not drawn & set(self.map.chrome):
            return None
        _, rows, columns = self.job.shape
        cells = np.stack([self.covered(tag, side) for tag in self.map.chrome])
        share = cells.reshape(-1, rows, side, columns, side).mean(axis=(2, 4), dtype=np.float64)
        amplitude: npt.NDArray[np.float64] = 1.0 - share if self.meaning.tone == "keep" else share
        return amplitude.astype(np.float32)


def _listed(tags: set[Tag]) -> str:
    """Layers and datatypes for people, a few of them."""
    names = ", ".join(f"{layer}/{datatype}" for layer, datatype in sorted(tags)[:_NAMED])
    return f"{names}{' and others' if len(tags) > _NAMED else ''}"
