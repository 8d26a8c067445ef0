"""What surrounds the array of a die: alignment marks, verniers, frame, an F that shows the orientation, and a label.

The first mask of a layer has a solid cross at each corner of the array and, further out, a window of four squares for
each later mask, whose own cross fits into it. A later mask also has the moving scales of two verniers; the fixed ones,
on the first mask, have a slightly smaller pitch, so that the bar that meets its neighbour counts the steps by which
the later mask is displaced.

All of it is drawn on a grid of `unit` database units, a micrometre or the longer side of a pixel, whichever is larger.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from opticdesign_exporters.layout.cell import Boxes, Polygon
from opticdesign_exporters.layout.raster import Ints

__all__ = ["Surroundings", "frame", "surroundings"]

# In units of the marks.
_GAP = 10  # between the array and marks, and between groups of marks
_CROSS, _ARM, _WINDOW = 20, 4, 6  # a cross, the width of its arms, the squares of a window around it
_SLOT = _CROSS + 8  # from one mask's cross to the next
_BAR, _BAR_PITCH, _BAR_LENGTH, _BARS = 2, 4, 10, 10  # bars of a vernier; how many on each side of the middle
_MIDDLE_BAR, _SCALES = 14, 32  # the longer bar in the middle; from one mask's vernier to the next
_LETTER, _LINE = 16, 24  # height of letters, and of lines of text
_FRAME = 2
_F = ((0, 0, 4, 20), (4, 16, 12, 20), (4, 8, 10, 12))


class Surroundings(NamedTuple):
    """Rectangles of each mask of a layer (count, 4), corners of each letter of its label, and the box around all."""

    boxes: list[Ints]
    labels: list[list[Ints]]
    bounds: tuple[int, int, int, int]

    def of(self, mask: int, layer: int, datatype: int, mirror_at: int | None) -> tuple[Boxes, list[Polygon]]:
        """The marks of one mask on one layer and datatype.

        Args:
            mask: which mask.
            layer: layout layer.
            datatype: layout datatype.
            mirror_at: width of the array, to reverse x about its middle; None to leave it.
        """
        boxes, letters = self.boxes[mask], self.labels[mask]
        if mirror_at is not None:
            boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (mirror_at, 0, mirror_at, 0)
            letters = [points * (-1, 1) + (mirror_at, 0) for points in letters]
        return Boxes.of(layer, datatype, boxes), [Polygon(layer, datatype, points) for points in letters]


def surroundings(size: tuple[int, int], unit: int, vernier: int, labels: list[str]) -> Surroundings:
    """Draw the marks of one mask layer.

    Args:
        size: width and height of the array, whose lower left corner is the origin, in database units.
        unit: unit of the marks in database units.
        vernier: step that the verniers read in database units.
        labels: text of the label of each mask.
    """
    masks = len(labels)
    drawn: list[list[Ints]] = [[_f(unit, (0, size[1] + (2 * _GAP + _CROSS) * unit))] for _ in labels]
    for slot in range(masks):
        crosses, windows = _corners(size, slot, unit)
        drawn[slot].append(crosses)
        if slot:
            fixed, moving = _verniers(slot, masks, unit, vernier)
            drawn[0] += [windows, fixed]
            drawn[slot].append(moving)
    texts = [_text(label, unit, line) for line, label in enumerate(labels)]
    boxes = [np.concatenate(parts) for parts in drawn]
    corners = np.concatenate([part.reshape(-1, 2) for part in boxes] + [points for text in texts for points in text])
    low = np.minimum(corners.min(axis=0), 0) - _GAP * unit
    high = np.maximum(corners.max(axis=0), size) + _GAP * unit
    bounds = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    return Surroundings(boxes, texts, bounds)


def _f(unit: int, place: tuple[int, int]) -> Ints:
    drawn: Ints = np.array(_F) * unit + np.tile(place, 2)
    return drawn


def _corners(size: tuple[int, int], slot: int, unit: int) -> tuple[Ints, Ints]:
    """Crosses of a mask outside the corners of the array, and the windows around them."""
    near, far = (_GAP + _SLOT * slot) * unit, _GAP * unit
    side = _CROSS * unit
    places = [(x, y) for y in (-far - side, size[1] + far) for x in (-near - side, size[0] + near)]
    low, high, end = (_CROSS - _ARM) // 2, (_CROSS + _ARM) // 2, _CROSS - _WINDOW
    cross = [(low, 0, high, _CROSS), (0, low, low, high), (high, low, _CROSS, high)]
    window = [(x, y, x + _WINDOW, y + _WINDOW) for y in (0, end) for x in (0, end)]
    crosses, windows = (
        np.concatenate([np.array(shape) * unit + np.tile(place, 2) for place in places]) for shape in (cross, window)
    )
    return crosses, windows


def _verniers(slot: int, masks: int, unit: int, vernier: int) -> tuple[Ints, Ints]:
    """Fixed and moving scales of a mask, along x below the array and along y left of it."""
    depth = _SCALES * slot
    below = -(2 * _GAP + _CROSS + _LINE * masks + _GAP + depth) * unit
    left = -(2 * _GAP + _SLOT * masks + depth) * unit
    scales = []
    for step, away in ((0, -1), (vernier, 1)):
        bars = _scale(unit, vernier, step, away)
        along_x, along_y = bars + np.array((0, below, 0, below)), bars[:, [1, 0, 3, 2]] + np.array((left, 0, left, 0))
        scales.append(np.concatenate((along_x, along_y)))
    return scales[0], scales[1]


def _scale(unit: int, vernier: int, step: int, away: int) -> Ints:
    """Bars along x from the origin on, above the axis (`away` 1) or below it (−1); the middle bar is longer."""
    # Coarse enough that the outermost bars do not yet meet the neighbours of their partners.
    pitch = max(_BAR_PITCH * unit, 2 * _BARS * vernier)
    count = np.arange(-_BARS, _BARS + 1)
    left = _BARS * (pitch + vernier) + count * (pitch + step)
    length = np.where(count == 0, _MIDDLE_BAR, _BAR_LENGTH) * unit * away
    zero = np.zeros_like(left)
    return np.stack((left, np.minimum(zero, length), left + _BAR * unit, np.maximum(zero, length)), axis=1)


def _text(text: str, unit: int, line: int) -> list[Ints]:
    """The letters of a label below the array, each line below the one before."""
    import gdstk

    low = -(2 * _GAP + _CROSS + _LETTER + _LINE * line) * unit
    letters = gdstk.text(text, _LETTER * unit, (0, low))
    return [np.rint(letter.points).astype(np.int64) for letter in letters]


def frame(box: tuple[int, int, int, int], unit: int) -> Ints:
    """Four bars just inside a box: left, bottom, right, top (4, 4)."""
    left, low, right, high = box
    width = _FRAME * unit
    inner_low, inner_high = low + width, high - width
    return np.array(
        (
            (left, low, right, inner_low),
            (left, inner_high, right, high),
            (left, inner_low, left + width, inner_high),
            (right - width, inner_low, right, inner_high),
        )
    )
