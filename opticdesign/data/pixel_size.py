"""The pixel size that a file states about its maps, and the unit of their numbers: by names that people give them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from opticdesign.errors import UnitError
from opticdesign.units import format_length, quantity

__all__ = ["Mark", "StatedPitch", "length_unit_m", "stated_pitch", "stated_unit"]

_BASES = (
    "(?:pixel|px|pix|voxel|element|sample|sampling)_?(?:size|pitch|spacing|distance|width|length)s?"
    "|physical_?(?:pixel_?)?size|pitch|spacing|sampling|d(?=_?[xyz])"
)
_NAME = re.compile(rf"(?P<base>{_BASES})(?:_?(?P<axis>[xyz]))?(?:_?(?P<unit>pm|nm|um|µm|microns?|mm|cm|m))?")
_WORDS = {"micron": "um", "microns": "um", "micrometer": "um", "micrometre": "um", "meter": "m", "metre": "m"}
_SAME = 0.01  # sizes that differ by less are the same
_METRES = (1e-9, 1e-4)  # numbers without a unit that can only be metres: 1 nm to 0.1 mm


@dataclass(frozen=True)
class Mark:
    """A small value that a file keeps beside its arrays.

    Args:
        place: name of the array or group that it belongs to, "" for the whole file.
        name: its own name.
        value: a number, a few of them, or a text.
    """

    place: str
    name: str
    value: Any

    @property
    def plain(self) -> str:
        """The name in lower case, blanks and hyphens as underscores."""
        return re.sub(r"[\s\-.]+", "_", self.name.strip().lower().replace("μ", "µ"))

    @property
    def text(self) -> str:
        """The value, where it is a text."""
        value = self.value.item() if isinstance(self.value, np.ndarray) and self.value.size == 1 else self.value
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return value.strip() if isinstance(value, str) else ""

    @property
    def numbers(self) -> list[float]:
        """The value, where it is one to three numbers above 0."""
        array = np.asarray(self.value)
        if array.dtype.kind not in "fui" or not 1 <= array.size <= 3:
            return []
        found = [float(number) for number in array.ravel()]
        return found if all(math.isfinite(number) and number > 0.0 for number in found) else []


@dataclass(frozen=True)
class StatedPitch:
    """A pixel size as a file states it.

    Args:
        y: along y, metres; where there is no unit, the bare number.
        x: along x.
        where: what states it.
        certain: whether the unit is known.
    """

    y: float
    x: float
    where: str
    certain: bool = True

    @property
    def text(self) -> str:
        """The size in words, both sides where they differ."""
        if not self.certain:
            return f"{self.x:g} without a unit"
        y, x = format_length(self.y), format_length(self.x)
        return x if abs(self.y / self.x - 1.0) < _SAME else f"{y} × {x}"

    def agrees(self, pitch_m: float) -> bool:
        """Whether it is a pitch, in whatever unit where it states none."""
        units = (1.0,) if self.certain else (1.0, 1e-3, 1e-6, 1e-9)
        ratios = [[side * unit / pitch_m for side in (self.y, self.x)] for unit in units]
        return any(all(abs(ratio - 1.0) < _SAME for ratio in pair) for pair in ratios)


def length_unit_m(word: str) -> float | None:
    """Metres of a unit of length by its usual names, None where it is none."""
    plain = word.strip().replace("\\u00B5", "µ").replace("μ", "µ")
    try:
        return quantity(f"1 {_WORDS.get(plain.lower(), plain)}", "length")
    except UnitError:
        return None


def stated_unit(marks: Sequence[Mark], name: str) -> str | None:
    """What a file says the numbers of an array are measured in."""
    group, _, leaf = name.rpartition("/")
    beside = {f"{leaf.lower()}_unit", f"{leaf.lower()}_units"}
    for mark in marks:
        own = mark.place == name and mark.plain in ("unit", "units")
        if mark.text and (own or (mark.place == group and mark.plain in beside)):
            return mark.text
    return None


def stated_pitch(marks: Sequence[Mark], name: str) -> StatedPitch | None:
    """The pixel size of an array, from the marks nearest to it: its own, those of its groups, those of the file."""
    place, units = name, {mark.place: mark.text for mark in marks if mark.plain in ("unit", "units")}
    while True:
        near = {mark.plain: mark for mark in marks if mark.place == place}
        for found in _pitches(near, place, units):
            return found
        if not place:
            return None
        place = place.rpartition("/")[0]


def _pitches(marks: Mapping[str, Mark], place: str, units: Mapping[str, str]) -> Iterator[StatedPitch]:
    """The sizes that the marks of one place state; `units` holds those of arrays, by name."""
    axes: dict[str, StatedPitch] = {}
    for plain, mark in marks.items():
        match = _NAME.fullmatch(plain)
        if match is None or match["axis"] == "z":
            continue
        own = units.get(f"{place}/{mark.name}".lstrip("/"))
        sizes, unit_m = _sizes(mark, match["unit"] or own or _companion(marks, plain, match["base"]))
        if not sizes:
            continue
        certain = unit_m is not None or all(_METRES[0] <= size <= _METRES[1] for size in sizes)
        y, x = (size * (unit_m or 1.0) for size in (sizes * 2 if len(sizes) == 1 else sizes)[-2:])
        found = StatedPitch(y, x, f"{mark.name!r}" + (f" of {place}" if place else ""), certain)
        if match["axis"] is None:
            yield found
        else:
            axes[match["axis"]] = found
    if axes:
        first = next(iter(axes.values()))  # one axis alone stands for both
        along_y, along_x = axes.get("y", first), axes.get("x", first)
        yield replace(along_x, y=along_y.y, certain=along_x.certain and along_y.certain)


def _companion(marks: Mapping[str, Mark], plain: str, base: str) -> str | None:
    """The unit that another mark gives for one of this name."""
    names = (f"{stem}_{word}" for stem in (plain, base, plain.rstrip("xyz_")) for word in ("unit", "units"))
    joined = (f"{stem}{word}" for stem in (plain, base) for word in ("unit", "units"))
    return next((marks[key].text for key in (*names, *joined) if key in marks and marks[key].text), None)


def _sizes(mark: Mark, unit: str | None) -> tuple[list[float], float | None]:
    """Numbers of a mark, and metres of their unit if one is known; a text such as "0.5 um" has its own."""
    if mark.text:
        try:
            return [quantity(mark.text, "length")], 1.0
        except UnitError:
            return _number(mark.text), None if unit is None else length_unit_m(unit)
    return mark.numbers, None if unit is None else length_unit_m(unit)


def _number(text: str) -> list[float]:
    try:
        value = float(text)
    except ValueError:
        return []
    return [value] if math.isfinite(value) and value > 0.0 else []
