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
    "(?:pixel|px|pix|voxel|element)_?(?:size|pitch|spacing|distance|width|length)s?"
    "|(?:sample|sampling)_?(?:size|pitch|spacing)s?|physical_?(?:pixel_?)?size|pitch|spacing|sampling|d(?=_?[xyz])"
)
_UNIT_WORDS = "pm|nm|um|µm|microns?|micromet(?:er|re)s?|mm|cm|m"
_NAME = re.compile(rf"(?P<base>{_BASES})(?:_?(?P<axis>[xyz]))?(?:_?(?P<unit>{_UNIT_WORDS}))?")
_PER = re.compile(rf"(?P<base>(?P<unit>{_UNIT_WORDS})_(?:per|/)_?(?:pixel|px|pix))(?P<axis>(?!))?|(?P<mpp>mpp)")
_TEXT = re.compile(
    r"(?P<first>[0-9.,]+(?:e-?[0-9]+)?)(?:\s*[x×,;]\s*(?P<second>[0-9.,]+(?:e-?[0-9]+)?))?\s*(?P<unit>.*)", re.I
)
_STEMS = {"micron": "um", "micrometer": "um", "micrometre": "um", "nanometer": "nm", "nanometre": "nm"}
_STEMS |= {"millimeter": "mm", "millimetre": "mm", "meter": "m", "metre": "m", "å": "angstrom"}
_PER_PIXEL = re.compile(r"\s*(?:/|per\b)\s*(?:pixel|px|pix|sample|voxel)s?$")
_UNIT_IN_NAME = re.compile(r"_(rad|mrad|deg|degrees|waves?|nm|um|µm|microns?|mm)$")
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
        doubt: why it is not certain, as it stands behind the size; "" where it is.
        bare: whether it is a number without a unit that is known.
    """

    y: float
    x: float
    where: str
    doubt: str = ""
    bare: bool = False

    @property
    def certain(self) -> bool:
        """Whether the size is known."""
        return not self.doubt

    @property
    def text(self) -> str:
        """The size in words, both sides where they differ."""
        y, x = (f"{side:g}" if self.bare else format_length(side) for side in (self.y, self.x))
        return f"{x if abs(self.y / self.x - 1.0) < _SAME else f'{y} × {x}'} {self.doubt}".rstrip()

    def agrees(self, pitch_m: float) -> bool:
        """Whether it is a pitch, in whatever unit where it states none."""
        units = (1.0, 1e-3, 1e-6, 1e-9) if self.bare else (1.0,)
        ratios = [[side * unit / pitch_m for side in (self.y, self.x)] for unit in units]
        return any(all(abs(ratio - 1.0) < _SAME for ratio in pair) for pair in ratios)


def length_unit_m(word: str) -> float | None:
    """Metres of a unit of length by its usual names, also of one "per pixel"; None where it is none."""
    plain = word.strip().replace("\\u00B5", "µ").replace("μ", "µ").strip("[]()").lower()
    plain = _PER_PIXEL.sub("", plain)
    plain = _STEMS.get(plain.removesuffix("s"), plain)
    try:
        return quantity(f"1 {plain}", "length")
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
    called = _UNIT_IN_NAME.search(leaf.lower())
    return called[1] if called else None


def stated_pitch(marks: Sequence[Mark], name: str) -> StatedPitch | None:
    """The pixel size of an array, from the marks nearest to it: its own, those of its groups, those of the file."""
    place, units = name, {mark.place: mark.text for mark in marks if mark.plain in ("unit", "units")}
    while True:
        near = {mark.plain: mark for mark in marks if mark.place == place}
        if found := list(_pitches(near, place, units)):
            others = [other for other in found[1:] if not other.agrees(found[0].x)]
            return replace(found[0], doubt=f"beside {others[0].text} by {others[0].where}") if others else found[0]
        if not place:
            return None
        place = place.rpartition("/")[0]


def _pitches(marks: Mapping[str, Mark], place: str, units: Mapping[str, str]) -> Iterator[StatedPitch]:
    """The sizes that the marks of one place state; `units` holds those of arrays, by name."""
    axes: dict[str, StatedPitch] = {}
    for plain, mark in marks.items():
        match = _NAME.fullmatch(plain) or _PER.fullmatch(plain)
        if match is None or match["axis"] == "z":
            continue
        own = units.get(f"{place}/{mark.name}".lstrip("/"))
        named = "um" if plain == "mpp" else match["unit"]
        sizes, unit = _sizes(mark, named or own or _companion(marks, plain, match["base"]))
        if not sizes:
            continue
        unit_m = None if unit is None else length_unit_m(unit)
        plausible = all(_METRES[0] <= size <= _METRES[1] for size in sizes)
        bare = unit_m is None and not (unit is None and plausible)
        (down, across), doubt = _sides(sizes, "" if not bare else f"in {unit!r}" if unit else "without a unit")
        y, x = down * (unit_m or 1.0), across * (unit_m or 1.0)
        found = StatedPitch(y, x, f"{mark.name!r}" + (f" of {place}" if place else ""), doubt, bare)
        if match["axis"] is None:
            yield found
        else:
            axes[match["axis"]] = found
    if axes:
        first = next(iter(axes.values()))  # one axis alone stands for both
        along_y, along_x = axes.get("y", first), axes.get("x", first)
        doubt = along_x.doubt or along_y.doubt
        yield replace(along_x, y=along_y.y, doubt=doubt, bare=along_x.bare or along_y.bare)


def _sides(sizes: Sequence[float], doubt: str) -> tuple[tuple[float, float], str]:
    """Sides along y and x of one, two or three numbers; of three, the two alike are the sides of a pixel."""
    if len(sizes) < 3:
        return (sizes[0], sizes[-1]), doubt
    first, second, third = sizes
    pairs = [(first, second), (second, third)]
    alike = [pair for pair in pairs if abs(pair[0] / pair[1] - 1.0) < _SAME]
    return (
        (alike[0], doubt) if alike else (pairs[1], doubt or f"of {first:g}, {second:g}, {third:g} in an unknown order")
    )


def _companion(marks: Mapping[str, Mark], plain: str, base: str) -> str | None:
    """The unit that another mark gives for one of this name."""
    names = (f"{stem}_{word}" for stem in (plain, base, plain.rstrip("xyz_")) for word in ("unit", "units"))
    joined = (f"{stem}{word}" for stem in (plain, base) for word in ("unit", "units"))
    return next((marks[key].text for key in (*names, *joined) if key in marks and marks[key].text), None)


def _sizes(mark: Mark, unit: str | None) -> tuple[list[float], str | None]:
    """Numbers of a mark, and their unit; a text such as "0.5 um" or "0,5 x 0,5 µm/px" has its own."""
    if not mark.text:
        return mark.numbers, unit
    match = _TEXT.fullmatch(mark.text)
    found = [] if match is None else [_number(part) for part in (match["first"], match["second"]) if part]
    return ([], unit) if match is None or 0.0 in found else (found, match["unit"].strip() or unit)


def _number(text: str) -> float:
    """A number above 0 with a point or a comma, else 0."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0.0 else 0.0
