"""Reads whole frames of a panel back: every pixel must show what is nearest to a level of its mask."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import VerificationError
from opticdesign.handover.export import ReadBack
from opticdesign.handover.manifest import FileRecord, Manifest, read_exported
from opticdesign.handover.panel import TURN_PARTS, PanelFrames, Place
from opticdesign_exporters.level_reader import refuse_first
from opticdesign_exporters.png_reader import read_png

__all__ = ["read_frames"]

_TURN = 2.0 * math.pi
_NUMBERS = ("carrier", "fill_factor", "gap", "crosstalk", "lut_error")
_LONGEST = 16384  # side of a panel, pixels
_ROUNDING_RAD = 2e-7  # of a phase, within which two greys are equally near

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def read_frames(folder: Path, manifest: Manifest, exporter: str) -> ReadBack:
    """Levels and phases of all masks; each phase is the mean of what the pixels of a superpixel show.

    Raises:
        VerificationError: a file is damaged, or a pixel shows another grey than the nearest to what it should; says
            where.
    """
    files = {file.path: file for file in manifest.record(exporter).files}
    frames = _frames(folder, manifest, exporter, files)
    ladder = _Ladder.of(frames.lut_rad)
    phases = manifest.process.process.phase_of_level(torch.arange(manifest.process.levels)).double().numpy()
    finest = _closest(phases)
    blurred = 2.0 * ladder.reach_rad >= finest
    around = math.ceil(ladder.reach_rad / finest) if blurred else 0
    cells = manifest.halftone**2 if frames.encoded and manifest.halftone is not None else None
    beside = 0 if cells is None else math.ceil(cells * ladder.reach_rad)
    expected, levels, shown, openings = frames.correction_rad[None].repeat(len(frames.greys), 0), [], [], []
    for place in frames.places:
        found = _mask(frames, place, phases, manifest.shape[1:], _Search(around, beside, cells), ladder)
        levels.append(_upright(found.levels, frames))
        shown.append(_upright(found.shown_rad, frames))
        openings.append(_upright(found.openings, frames))
        rows, columns = found.wanted_rad.shape
        expected[place.frame, place.top : place.top + rows, place.left : place.left + columns] = found.wanted_rad
    for number, (grey, wanted) in enumerate(zip(frames.greys, expected, strict=True), start=1):
        bad = ladder.misses(frames.lut_rad[grey], wanted) > _ROUNDING_RAD
        if bad.any():
            right = int(ladder.nearest(wanted[bad][:1])[0])
            refuse_first(bad, f"slm/frame{number}.png:", f"grey {grey[bad][0]}, expected {right}")
    paths = tuple(f"slm/frame{place.frame + 1}.png" for place in frames.places)
    resolution = 2.0 * ladder.reach_rad + _ROUNDING_RAD if blurred else 0.0
    return ReadBack(
        np.stack(levels),
        np.stack(shown).astype(np.float32),
        paths,
        np.stack(openings) if frames.encoded else None,
        resolution_rad=resolution,
        resolution_openings=2 * beside,
        frames=frames,
    )


class _Ladder(NamedTuple):
    """The phases that a panel shows, rising within a turn, each with its lowest grey."""

    steps_rad: Reals
    greys: Ints

    @classmethod
    def of(cls, lut_rad: Reals) -> _Ladder:
        steps, greys = np.unique(np.round(np.mod(lut_rad, _TURN), 9) % _TURN, return_index=True)
        return cls(steps, greys)

    @property
    def reach_rad(self) -> float:
        """Farthest that a phase can be from one that is shown."""
        return float(np.diff(self.steps_rad, append=self.steps_rad[0] + _TURN).max()) / 2.0

    def rank(self, wanted_rad: Reals) -> Ints:
        """Which step is nearest, around the turn."""
        turned, count = np.mod(wanted_rad, _TURN), len(self.steps_rad)
        above = np.searchsorted(self.steps_rad, turned)
        upper, lower = above % count, (above - 1) % count
        nearer = _apart(self.steps_rad[upper], turned) < _apart(self.steps_rad[lower], turned)
        chosen: Ints = np.where(nearer, upper, lower)
        return chosen

    def nearest(self, wanted_rad: Reals) -> Ints:
        """The grey that is nearest."""
        return self.greys[self.rank(wanted_rad)]

    def misses(self, shown_rad: Reals, wanted_rad: Reals) -> Reals:
        """How much farther what is shown lies from what is wanted than the nearest that could be."""
        return _apart(shown_rad, wanted_rad) - _apart(self.steps_rad[self.rank(wanted_rad)], wanted_rad)


class _Search(NamedTuple):
    """How far from what is read a mask is looked for, in levels and in open cells of so many; None: no amplitude."""

    levels: int
    openings: int
    cells: int | None


class _Mask(NamedTuple):
    """A mask as a frame has it: levels, open cells and phase a superpixel, and the phase wanted of each pixel."""

    levels: Ints
    openings: Ints
    shown_rad: Reals
    wanted_rad: Reals


def _mask(
    frames: PanelFrames, place: Place, phases: Reals, shape: tuple[int, int], search: _Search, ladder: _Ladder
) -> _Mask:
    """What is nearest to what is shown; of levels and amplitudes closer than greys, those whose greys are shown."""
    rows, columns = shape[::-1] if frames.turns % 2 else shape
    side = frames.superpixel
    window = slice(place.top, place.top + rows * side), slice(place.left, place.left + columns * side)
    added = frames.correction_rad[window].copy()
    if frames.carrier is not None:
        added += np.arange(window[1].start, window[1].stop) * (_TURN / frames.carrier)
    shown = frames.lut_rad[frames.greys[place.frame][window]]
    mean, spread = _halves(np.exp(1j * (shown - added)), side) if frames.encoded else _whole(shown - added, side)
    order = np.argsort(np.mod(phases, _TURN))
    ranks = _Ladder(np.mod(phases, _TURN)[order], order.astype(np.int64)).rank(mean)
    cells = search.cells or 1
    open_cells = np.rint(np.cos(spread) * cells).astype(np.int64)
    best, opened, least = order[ranks], open_cells, np.full(mean.shape, np.inf)
    for step, wider in _offsets(search):
        tried, cut = order[(ranks + step) % len(order)], np.clip(open_cells + wider, 0, cells)
        missed = ladder.misses(shown, _pixels(phases[tried], cut / cells, side) + added)
        worst = _cells(np.maximum(missed, _ROUNDING_RAD), side).max((1, 3))
        better = worst < least
        best, least = np.where(better, tried, best), np.where(better, worst, least)
        opened = np.where(better, cut, opened)
    exact = phases[best]
    deviation = np.mod(mean - exact + math.pi, _TURN) - math.pi
    realised = exact + np.where(np.abs(deviation) < _ROUNDING_RAD, 0.0, deviation)
    return _Mask(best, opened, realised, _pixels(exact, opened / cells, side) + added)


def _offsets(search: _Search) -> list[tuple[int, int]]:
    """Steps in levels and in open cells, the nearest first."""
    levels, openings = range(-search.levels, search.levels + 1), range(-search.openings, search.openings + 1)
    return sorted(
        ((level, opening) for level in levels for opening in openings), key=lambda pair: abs(pair[0]) + abs(pair[1])
    )


def _whole(phase_rad: Reals, side: int) -> tuple[Reals, Reals]:
    """Mean phase of each superpixel, and no spread."""
    mean = np.angle(_cells(np.exp(1j * phase_rad), side).mean((1, 3)))
    return mean, np.zeros_like(mean)


def _halves(light: npt.NDArray[np.complex128], side: int) -> tuple[Reals, Reals]:
    """Middle of the phases of a superpixel's two halves, and half their distance: 0 to a quarter turn."""
    odd = np.indices(light.shape).sum(0) % 2 == 1
    even, other = (np.angle(_cells(np.where(half, light, 0.0), side).sum((1, 3))) for half in (~odd, odd))
    apart = np.mod(even - other + math.pi / 2.0, _TURN) - math.pi / 2.0
    return even - apart / 2.0, np.clip(apart / 2.0, 0.0, math.pi / 2.0)


def _pixels(phase_rad: Reals, amplitude: Reals, side: int) -> Reals:
    """Phase of each pixel of a mask: the halves of a superpixel are as far apart as its amplitude asks."""
    turn = np.arccos(amplitude).repeat(side, 0).repeat(side, 1)
    turn[(np.indices(turn.shape).sum(0) % 2) == 1] *= -1.0
    return phase_rad.repeat(side, 0).repeat(side, 1) + turn


def _cells(values: npt.NDArray[np.generic], side: int) -> npt.NDArray[np.generic]:
    """The pixels of each superpixel (rows, side, columns, side)."""
    return values.reshape(values.shape[0] // side, side, values.shape[1] // side, side)


def _upright(seen: npt.NDArray[np.generic], frames: PanelFrames) -> npt.NDArray[np.generic]:
    """A mask as light sees it, of what the panel shows."""
    reversed_axis = {"rows": 0, "columns": 1}.get(frames.flip)
    flipped = seen if reversed_axis is None else np.flip(seen, reversed_axis)
    return np.rot90(flipped, frames.turns)


def _apart(one: Reals, other: Reals) -> Reals:
    """Distance of phases around the turn."""
    distance: Reals = np.abs(np.mod(one - other + math.pi, _TURN) - math.pi)
    return distance


def _closest(phases: Reals) -> float:
    turned = np.sort(np.mod(phases, _TURN))
    return float(np.diff(turned, append=turned[0] + _TURN).min())


def _frames(folder: Path, manifest: Manifest, exporter: str, files: dict[str, FileRecord]) -> PanelFrames:
    """The frames, the table and the correction, as their files and the manifest have them."""
    options = manifest.record(exporter).options
    try:
        shape, bits = (int(options["rows"]), int(options["columns"])), int(options["bits"])
        side, turns, flip = int(options["superpixel"]), int(options["turns"]), str(options["flip"])
        places = tuple(Place(*(int(number) for number in place)) for place in json.loads(str(options["places"])))
        carrier, fill_factor, gap, crosstalk, lut_error = (float(options[key]) for key in _NUMBERS)
        lut = np.array(list(_table(read_exported(folder, files["slm/lut.csv"]).decode("utf-8"))))
        listed = [files[f"slm/frame{number}.png"] for number in range(1, max(place.frame for place in places) + 2)]
        _require(bits in (8, 10, 12) and len(lut) == 2**bits and len(places) == manifest.shape[0])
        _require(flip in ("none", "rows", "columns") and 0 <= turns <= 3 and side >= 1)
        _require(options["encode"] in ("none", "checkerboard") and (options["encode"] == "none" or side % 2 == 0))
        _require(min(shape) >= 1 and max(shape) <= _LONGEST)
        rows, columns = manifest.shape[1:] if turns % 2 == 0 else manifest.shape[:0:-1]
        for place in places:
            _require(0 <= place.top <= shape[0] - rows * side and 0 <= place.left <= shape[1] - columns * side)
            _require(place.frame >= 0)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        raise VerificationError(
            "manifest.json: slm: no panel with its table and the places of the masks", remedy="export again"
        ) from None
    depth = 8 if bits == 8 else 16
    greys = np.stack([read_png(read_exported(folder, file), file.path, shape, depth) for file in listed])
    for file, frame in zip(listed, greys, strict=True):
        refuse_first(frame >= 2**bits, f"{file.path}:", f"a grey above {2**bits - 1}")
    correction = np.zeros(shape)
    if "slm/correction.png" in files:
        parts = read_exported(folder, files["slm/correction.png"])
        correction += read_png(parts, "slm/correction.png", shape, 16) * (_TURN / TURN_PARTS)
    return PanelFrames(
        greys=greys,
        lut_rad=lut,
        correction_rad=correction,
        carrier=carrier or None,
        superpixel=side,
        encoded=options["encode"] == "checkerboard",
        places=places,
        flip=flip,
        turns=turns,
        fill_factor=fill_factor,
        gap=gap,
        crosstalk=crosstalk,
        lut_error=lut_error,
        panel=str(options["panel"]),
    )


def _table(text: str) -> Iterator[float]:
    """The phases of greys that count from 0."""
    for number, line in enumerate(text.splitlines()[1:]):
        grey, phase = line.split(",")
        _require(int(grey) == number and math.isfinite(float(phase)))
        yield float(phase)


def _require(whether: bool) -> None:
    if not whether:
        raise ValueError
