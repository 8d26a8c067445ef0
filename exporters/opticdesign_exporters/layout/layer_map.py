"""Which layer and datatype of a layout file stands for what, and the exposures that make a mask layer.

Pixels of mask layer k are on layout layer k, their marks on 100 + k. Layout `levels`: the datatype is the number of
steps that stay (tone keep) or are removed (tone etch), marks have datatype 0. Layout `bits`: the datatype is the bit,
of pixels and marks alike. A chrome layer is on 200 + k, with datatype 0 for its pixels and 1 for its marks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from opticdesign.errors import UsageError
from opticdesign.handover.export import ExportJob

__all__ = ["Drawn", "Exposure", "MaskLayer", "mask_layers"]

_MARKS, _CHROME = 100, 200
_MOST_LAYERS, _MOST_CHROME_LAYERS = 99, 55  # layout layers end at 255


class Drawn(NamedTuple):
    """What one layer and datatype stands for.

    Args:
        layer: layout layer.
        datatype: layout datatype.
        content: what is drawn, in words.
        measure: "height", "etch depth" or nothing.
        height_nm: that height or depth in nanometres.
        level: the level that is made there, where there is just one.
    """

    layer: int
    datatype: int
    content: str
    measure: str = ""
    height_nm: float | None = None
    level: int | None = None


class Exposure(NamedTuple):
    """One mask of one mask layer: its name, what its pixels stand for, and what its marks do."""

    name: str
    pixels: tuple[Drawn, ...]
    marks: Drawn


class MaskLayer(NamedTuple):
    """One mask layer: the masks of its relief, in the order in which they are made, and that of its chrome."""

    relief: tuple[Exposure, ...]
    chrome: Exposure | None

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """All of its masks."""
        return self.relief if self.chrome is None else (*self.relief, self.chrome)


def mask_layers(job: ExportJob) -> list[MaskLayer]:
    """The masks of every mask layer.

    Raises:
        UsageError: a layout that these levels cannot have, or more mask layers than there are layout layers.
    """
    layers, layout = len(job.levels), job.spec.layout
    most = _MOST_LAYERS if job.openings is None else _MOST_CHROME_LAYERS
    if layers > most:
        raise UsageError(f"{layers} mask layers", expected=f"at most {most} in one layout file")
    if layout.doses and (layout.kind == "bits" or len(layout.doses) != job.process.levels):
        raise UsageError(
            f"{len(layout.doses)} doses for {job.process.levels} levels in a layout of kind {layout.kind}",
            expected="a dose for each level, in a layout of kind levels",
            remedy="correct export.layout.doses, or leave it out",
        )
    if layout.kind == "bits":
        _check_bits(job)
    relief = _bits if layout.kind == "bits" else _levels
    return [
        MaskLayer(relief(job, number), None if job.openings is None else _chrome(job, number))
        for number in range(1, layers + 1)
    ]


def _check_bits(job: ExportJob) -> None:
    levels = job.process.levels
    if levels & (levels - 1) or job.process.heights_m is not None:
        raise UsageError(
            f"a layout of kind bits for {levels} levels" + (" of unequal steps" if job.process.heights_m else ""),
            expected="a number of equally spaced levels that is a power of two",
            remedy='change fabrication.levels, or use export.layout.kind = "levels"',
        )


def _levels(job: ExportJob, number: int) -> tuple[Exposure, ...]:
    """All levels in one exposure; its marks are exposed as its last datatype is."""
    last = job.process.levels - 1
    heights_nm = (job.process.height_of_level(torch.arange(last + 1)) * 1e9).tolist()
    pixels = []
    for steps in range(1, last + 1):
        if job.spec.layout.tone == "keep":
            pixels.append(Drawn(number, steps, f"layer {number}, level {steps}", "height", heights_nm[steps], steps))
        else:
            level, content = last - steps, f"layer {number}, {steps} of {last} steps removed"
            pixels.append(Drawn(number, steps, content, "etch depth", heights_nm[last] - heights_nm[level], level))
    marks = pixels[-1]._replace(layer=_MARKS + number, datatype=0, content=f"layer {number}, marks")
    return (Exposure(f"L{number}", tuple(pixels), marks),)


def _bits(job: ExportJob, number: int) -> tuple[Exposure, ...]:
    """A mask for each bit, the deepest etch first: bit b etches h(2π) / 2^(b + 1)."""
    done = []
    for bit in range(job.process.levels.bit_length() - 1):
        depth_nm = job.process.full_height_m * 1e9 / 2 ** (bit + 1)
        content = f"layer {number}, bit {bit}, what {'stays' if job.spec.layout.tone == 'keep' else 'is etched'}"
        pixels = Drawn(number, bit, content, "etch depth", depth_nm)
        marks = pixels._replace(layer=_MARKS + number, content=f"layer {number}, bit {bit}, marks")
        done.append(Exposure(f"L{number} B{bit}", (pixels,), marks))
    return tuple(done)


def _chrome(job: ExportJob, number: int) -> Exposure:
    """The half-toned chrome."""
    content = "that stays" if job.spec.layout.tone == "keep" else "that is opened"
    pixels = Drawn(_CHROME + number, 0, f"layer {number}, chrome {content}")
    return Exposure(f"L{number} C", (pixels,), pixels._replace(datatype=1, content=f"layer {number}, chrome, marks"))
