"""Where in a layout from elsewhere the masks lie, and whether its edges are those of their pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from opticdesign.errors import DataError
from opticdesign.handover.importing import ImportJob
from opticdesign.units import format_length
from opticdesign_exporters.layout.drawing import Drawing

__all__ = ["DIE", "Place", "check_grid", "find_place"]

Reals = npt.NDArray[np.float64]

DIE = "DIE"  # the cell of one die in layouts of ours, whose masks begin at its origin
_OFF_GRID = 0.1  # of a pixel that an edge may lie beside those of pixels
_WIDE = 0.5  # of the masks that shapes must reach over, so that a margin is one
_FEW_EDGES = 3  # too few to tell a pitch
_ROUNDING = 0.5 + 1e-6  # database units: each edge is rounded to the grid of the file


class Place(NamedTuple):
    """Where the lower left pixel begins and its sides, along x and y in database units; what was assumed."""

    origin: Reals
    pitch: Reals
    notes: tuple[str, ...] = ()


def find_place(drawing: Drawing, job: ImportJob) -> Place:
    """Where the masks begin: as the user says, or as the shapes leave no doubt.

    Raises:
        DataError: shapes beyond the masks, or so few that the masks may begin anywhere.
    """
    return _Finder(drawing, job).place()


class _Finder:
    def __init__(self, drawing: Drawing, job: ImportJob) -> None:
        self.drawing, self.job, self.unit_m = drawing, job, drawing.unit_m
        low, high = drawing.box()
        self.low, self.high = low.min(axis=0), high.max(axis=0)
        self.pitch = np.array(job.pitch_m[::-1]) / self.unit_m
        self.size = np.array(job.shape[:0:-1]) * self.pitch

    def place(self) -> Place:
        extent = self.high - self.low
        if self.job.said.origin_m is not None:
            return self.told(np.array(self.job.said.origin_m) / self.unit_m)
        if (np.abs(extent - self.size) <= 1.0).all():
            at_origin = (np.abs(self.low) <= 1.0).all()
            origin = np.zeros(2) if at_origin else self.low
            return self.found(origin, () if at_origin else (f"the masks begin at ({self.sides(origin, ', ')})",))
        reach = f"shapes reach over {self.sides(extent)} of {self.sides(self.size)}"
        corners = [np.zeros(2), -0.5 * self.size]
        fitting = [origin for origin in corners if self.within(origin)]
        if self.drawing.cell == DIE and self.within(corners[0]):
            return self.found(corners[0], (reach,))
        if len(fitting) == 1 and (extent >= _WIDE * self.size).all():
            begin = f"the masks are taken to begin at ({self.sides(fitting[0], ', ')})"
            return self.found(fitting[0], (f"{reach}: {begin}",))
        raise self.refused(reach if (extent <= self.size + 1.0).all() else "")

    def told(self, origin: Reals) -> Place:
        """The place that the user says, with what lies beyond."""
        low, high = self.drawing.box()
        inside = ((high > origin) & (low < origin + self.size)).all(axis=1)
        if not inside.any():
            raise self.refused(f"nothing is drawn over masks that begin at ({self.sides(origin, ', ')})")
        beyond = ((low < origin - 1.0) | (high > origin + self.size + 1.0)).any(axis=1)
        return self.found(
            origin, (f"{beyond.sum()} shapes reach beyond the masks, and are cut",) if beyond.any() else ()
        )

    def found(self, origin: Reals, notes: tuple[str, ...]) -> Place:
        return Place(origin, self.pitch, notes)

    def within(self, origin: Reals) -> bool:
        """Whether all shapes lie in masks that begin there."""
        return bool((self.low > origin - 1.0).all() and (self.high < origin + self.size + 1.0).all())

    def refused(self, why: str) -> DataError:
        """Why nothing is guessed."""
        shapes = f"shapes from ({self.sides(self.low, ', ')}) to ({self.sides(self.high, ', ')})"
        pitch = fitting_pitch(self.drawing, self.job, self.pitch)
        remedy = 'say where the lower left pixel begins, as in --origin "0 um, 0 um", or name a design of their size'
        return DataError(
            self.job.files[0].path,
            f"{why}; {shapes}" if why else shapes,
            expected=f"masks of {self.sides(self.size)} that begin at the origin of cell {self.drawing.cell!r}, lie "
            "around it, or fill that size",
            remedy=f"{remedy} (optics.neurons, optics.pitch){_said_pitch(pitch, self.pitch, self.unit_m)}",
        )

    def sides(self, units: Reals, between: str = " × ") -> str:
        """Two lengths in database units for people."""
        return between.join(f"{side * self.unit_m * 1e6:.6g} µm" for side in units.tolist())


def check_grid(drawing: Drawing, place: Place, job: ImportJob) -> tuple[str, ...]:
    """What is to be said of edges that do not run between pixels.

    Raises:
        DataError: one lies further beside than a tenth of a pixel, and the user does not say that it may.
    """
    beside, slanted = _beside(drawing, place)
    worst = float(beside.max(initial=0.0))
    if worst <= _ROUNDING:
        return ()
    told = f"edges lie up to {worst * drawing.unit_m * 1e9:.4g} nm beside those of pixels"
    told += f", {slanted.sum()} of them slanted" if slanted.any() else ""
    if worst <= _OFF_GRID * place.pitch.min() or job.said.off_grid:
        return (f"{told}: the centres of pixels decide",)
    edge = int(beside.argmax())
    layer, datatype = drawing.tags[np.searchsorted(drawing.first, edge, side="right") - 1].tolist()
    middle = 0.5 * (drawing.points[edge] + drawing.points[drawing.following[edge]])
    spot = ", ".join(f"{one * drawing.unit_m * 1e6:.6g} µm" for one in middle.tolist())
    pitch = None if slanted.any() else fitting_pitch(drawing, job, place.pitch)
    fits = _said_pitch(pitch, place.pitch, drawing.unit_m)
    if pitch is not None and not fits:
        fits = "; edges fit the pitch, but from another place: say it with --origin"
    raise DataError(
        job.files[0].path,
        f"{told}: on {layer}/{datatype} at ({spot})",
        expected=f"edges within a tenth of a pixel of {format_length(min(job.pitch_m))}",
        remedy="say --off-grid to take each pixel by what is drawn at its centre"
        + (fits or "; no other pitch fits: are there several shapes in a pixel, or sizes that stand for phases?"),
    )


def _beside(drawing: Drawing, place: Place) -> tuple[Reals, npt.NDArray[np.bool_]]:
    """How far each edge strays from a line between pixels, half a pixel at most, and whether it is slanted (edges,)."""
    off, extent = np.full(len(drawing.points), np.inf), np.full(len(drawing.points), np.inf)
    for axis in (0, 1):
        start = (drawing.points[:, axis] - place.origin[axis]) / place.pitch[axis]
        end = start[drawing.following]
        line = np.rint(0.5 * (start + end))
        stray = np.maximum(np.abs(start - line), np.abs(end - line)).clip(max=0.5)
        off = np.minimum(off, stray * place.pitch[axis])
        extent = np.minimum(extent, np.abs(end - start) * place.pitch[axis])
    return off, extent > 2.0 * _ROUNDING


def _edges(drawing: Drawing, axis: int) -> Reals:
    """Places along an axis of edges across it and of ends of polygons."""
    at = drawing.points[:, axis]
    low, high = drawing.box()
    return np.concatenate((at[at == at[drawing.following]], low[:, axis], high[:, axis]))


def fitting_pitch(drawing: Drawing, job: ImportJob, pitch: Reals) -> Reals | None:
    """The pitch along x and y that all edges are multiples of, seen from their own corner; None where none is."""
    counts = job.shape[:0:-1]
    found = [_pitch(_edges(drawing, axis), float(pitch[axis]), counts[axis]) for axis in (0, 1)]
    return None if None in found else np.array(found, np.float64)


def _pitch(edges: Reals, near: float, count: int) -> float | None:
    """The pitch along one axis: that of as many pixels as the masks have, one near the design's, or the least gap."""
    places = np.unique(edges)
    if len(places) < _FEW_EDGES:
        return None
    places = places - places[0]
    gaps = np.diff(places)
    smallest = float(gaps[gaps > 2.0].min(initial=np.inf))  # but for rounded edges
    for start in (places[-1] / count, near, smallest):
        fitted = _refined(places, start)
        if fitted is not None:
            return fitted
    return None


def _refined(places: Reals, pitch: float) -> float | None:
    """A pitch near another by which places are whole; None where they are not."""
    for number in range(2, len(places)):  # from near to far, so that no count slips
        some = places[: number + 1] if number < 64 else places
        counts = np.rint(some / pitch)
        if not counts.any() or not np.isfinite(pitch):
            return None
        pitch = float(counts @ some / (counts @ counts))
        if len(some) == len(places):
            break
    off = np.abs(places - np.rint(places / pitch) * pitch)
    return pitch if off.max() <= _OFF_GRID * pitch else None


def _said_pitch(found: Reals | None, wanted: Reals, unit_m: float) -> str:
    """A pitch that fits, as the end of a remedy."""
    if found is None or (np.abs(found / wanted - 1.0) < 1e-4).all():
        return ""
    sides = " × ".join(dict.fromkeys(format_length(float(side) * unit_m) for side in found))
    scale = " × ".join(dict.fromkeys(f"{side:.6g}" for side in (wanted / found).tolist()))
    return f"; edges fit a pitch of {sides}: scale the layout by {scale}, or set optics.pitch"
