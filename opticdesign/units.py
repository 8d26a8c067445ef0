"""Quantities at the door: text with a unit comes in, an SI float goes on; pint is used here only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from opticdesign.errors import UnitError

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = ["Angle", "Dimension", "Electrons", "Length", "Photons", "Time", "Wavelength", "format_length", "quantity"]

Dimension = Literal["length", "wavelength", "angle", "time", "photon", "electron"]


@dataclass(frozen=True)
class _Kind:
    """What one dimension is called, its SI unit, the size of it that is believed, and the units people write."""

    noun: str
    root: str
    symbol: str
    largest: float
    example: str
    usual: tuple[str, ...]

    @property
    def unit(self) -> str:
        """The unit of the example."""
        return self.example.split()[-1]


_KINDS = MappingProxyType(
    {
        "length": _Kind("a length", "meter", "m", 1e6, "632.8 nm", ("pm", "nm", "um", "µm", "mm", "cm", "m")),
        "wavelength": _Kind(
            "a length or a frequency", "meter", "m", 1e6, "632.8 nm", ("nm", "um", "µm", "mm", "GHz", "THz")
        ),
        "angle": _Kind("an angle", "radian", "rad", 1e6, "6.28 rad", ("urad", "mrad", "rad", "deg")),
        "time": _Kind("a time", "second", "s", 1e6, "20 ms", ("us", "ms", "s")),
        "photon": _Kind("a number of photons", "photon", "photon", 1e15, "10000 photon", ("photon", "photons")),
        "electron": _Kind(
            "a number of electrons", "electron", "electron", 1e15, "6 electron", ("electron", "electrons")
        ),
    }
)
_LENGTHS = ("meter", "micron", "angstrom", "inch", "thou")
_LIGHT_M_PER_S = Decimal(299_792_458)
_SMALLEST = 1e-30
_LONGEST_TEXT = 64
# One number and one unit name, nothing else: pint would evaluate powers and uncertainties, and reads "nm" as 1 nm.
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_UNIT = r"[A-Za-zµμÅ]+"
_PATTERN = re.compile(rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT})\s*")


@cache
def _registry() -> UnitRegistry[Decimal]:
    """The one registry, made on first use; decimal arithmetic keeps 632.8 nm equal to the float nearest 6.328e-07 m."""
    from pint import UnitRegistry

    registry: UnitRegistry[Decimal] = UnitRegistry(non_int_type=Decimal)
    registry.define("photon = [photon]")
    registry.define("electron = [electron]")
    return registry


def quantity(text: object, dimension: Dimension) -> float:
    """Read a quantity such as "632.8 nm" as a float in the SI unit of its dimension.

    Args:
        text: one decimal number and one unit, at most 64 characters.
        dimension: what it must be: "length" (metres), "wavelength" (a length, or a frequency such as "0.4 THz", whose
            wavelength in vacuum it becomes, metres), "angle" (radians), "time" (seconds), "photon" or "electron"
            (counts).

    Returns:
        The value in the SI unit, finite, correctly rounded.

    Raises:
        UnitError: no text, no number, no unit, an unknown unit, another dimension, or a value out of bounds.

    Example:
        >>> quantity("632.8 nm", "length")
        6.328e-07
    """
    kind = _KINDS[dimension]
    number, unit = _split(text, kind)
    if dimension == "wavelength" and (hertz := _hertz(unit)) and Decimal(number) != 0:
        value = float(_LIGHT_M_PER_S / (Decimal(number) * hertz))
    else:
        value = float(Decimal(number) * _factor(unit, kind, text))
    if abs(value) > kind.largest or (abs(value) < _SMALLEST and Decimal(number) != 0):
        raise UnitError(
            f"{_shown(text)} is out of bounds",
            expected=f"{kind.noun}, zero or of a size from {_SMALLEST:g} to {kind.largest:g} {kind.symbol}",
            remedy="check the exponent and the unit",
        )
    return value


def _split(text: object, kind: _Kind) -> tuple[str, str]:
    """The number and the unit of a text, or the reason why there are none."""
    expected = f'{kind.noun} as text with a unit, such as "{kind.example}"'
    if not isinstance(text, str):
        bare = re.fullmatch(_NUMBER, _shown(text))
        remedy = f'write the unit, in quotes: "{_with_unit(_shown(text), kind)}"' if bare else f'write "{kind.example}"'
        raise UnitError(f"{_shown(text)} has no unit", expected=expected, remedy=remedy)
    if len(text) <= _LONGEST_TEXT and (match := _PATTERN.fullmatch(text)):
        return match["number"], match["unit"]
    raise UnitError(f"{_shown(text)} is not {kind.noun}", expected=expected, remedy=_remedy(text, kind))


def _remedy(text: str, kind: _Kind) -> str:
    """What to change in a text that is not one number and one unit."""
    if len(text) > _LONGEST_TEXT:
        return f"write at most {_LONGEST_TEXT} characters"
    if re.fullmatch(rf"\s*{_NUMBER}\s*", text):
        return f'add the unit: "{_with_unit(text.strip(), kind)}"'
    if re.fullmatch(rf"\s*{_UNIT}\s*", text):
        return f'add the number: "1 {text.strip()}"'
    if re.fullmatch(rf"\s*[+-]?[0-9]+,[0-9]+\s*{_UNIT}\s*", text):
        return f'write a decimal point: "{" ".join(text.replace(",", ".").split())}"'
    return "write one decimal number and one unit, without operators or uncertainties"


def _with_unit(number: str, kind: _Kind) -> str:
    """A bare number with the unit that suits its size: lengths below 1e-3 are metres, as programs write them."""
    if kind.symbol != "m" or not 0.0 < abs(float(number)) < 10.0:
        return f"{number} {kind.unit}"
    return format_length(float(number)) if abs(float(number)) < 1e-3 else f"{number} um"


def _factor(unit: str, kind: _Kind, text: object) -> Decimal:
    """Size of a unit in the SI unit of the dimension."""
    from pint.errors import PintError

    expected = f"{kind.noun}, in a unit such as {', '.join(kind.usual)}"
    registry = _registry()
    try:
        factor, root = registry.get_root_units(registry.parse_units(unit))
    except (PintError, ValueError, AttributeError):  # pint names one unknown unit in more than one way
        near = get_close_matches(unit, kind.usual, n=1, cutoff=0.4)
        remedy = f"did you mean {near[0]}?" if near else f'write it as "{kind.example}"'
        raise UnitError(f"{_shown(text)} has the unknown unit {unit!r}", expected=expected, remedy=remedy) from None
    if str(root) != kind.root or (kind.root == "meter" and not _of_the_trade(registry, unit)):
        remedy = f'write {kind.noun}, as in "{kind.example}"'
        raise UnitError(f"{_shown(text)} is not {kind.noun}", expected=expected, remedy=remedy)
    return Decimal(str(factor))


def _hertz(unit: str) -> Decimal | None:
    """Size of a unit of frequency in hertz; None for another unit."""
    registry = _registry()
    if not any(name == "hertz" for _, name, _ in registry.parse_unit_name(unit)):
        return None
    return Decimal(str(registry.get_root_units(registry.parse_units(unit))[0]))


def _of_the_trade(registry: UnitRegistry[Decimal], unit: str) -> bool:
    """Whether a length is in metres or what optics uses beside them; pint knows pixels, points and furlongs too."""
    return any(name in _LENGTHS for _, name, _ in registry.parse_unit_name(unit))


def _shown(value: object) -> str:
    """A received value, quoted and short enough for one line."""
    try:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = "a very large number"
    text = "".join(character if character.isprintable() else "�" for character in text[: _LONGEST_TEXT + 1])
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def format_length(metres: float) -> str:
    """A length in the unit that suits its size, at most six significant digits.

    Args:
        metres: a finite length in metres.

    Example:
        >>> format_length(316.4e-9), format_length(0.0)
        ('316.4 nm', '0 m')
    """
    rounded = float(f"{metres:.6g}")  # first, so that 999.9999999 nm becomes 1 µm
    scales = (("m", 0), ("mm", -3), ("µm", -6), ("nm", -9), ("pm", -12))
    fitting = (scale for scale in scales if rounded == 0 or abs(rounded) >= 10.0 ** scale[1])
    symbol, power = next(fitting, scales[-1])
    text = f"{Decimal(repr(rounded)).scaleb(-power):f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {symbol}"


def _annotations(dimension: Dimension) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    """How pydantic reads, writes and describes a quantity of one dimension."""
    kind = _KINDS[dimension]

    def read(value: object) -> float:
        try:
            return quantity(value, dimension)
        except UnitError as error:
            context = {"message": error.message, "expected": error.expected, "remedy": error.remedy}
            raise PydanticCustomError("quantity", "{message}", context) from None

    def write(value: float) -> str:
        return f"{value!r} {kind.symbol}"

    schema = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*{_UNIT}\s*$", "examples": [kind.example]}
    return BeforeValidator(read), PlainSerializer(write, when_used="json"), WithJsonSchema(schema)


Length = Annotated[float, *_annotations("length")]
"""Metres inside, text such as "632.8 nm" outside."""
Wavelength = Annotated[float, *_annotations("wavelength")]
"""Vacuum wavelength in metres inside, text such as "632.8 nm" or "0.4 THz" outside."""
Angle = Annotated[float, *_annotations("angle")]
"""Radians inside, text such as "3.14 rad" outside."""
Time = Annotated[float, *_annotations("time")]
"""Seconds inside, text such as "20 ms" outside."""
Photons = Annotated[float, *_annotations("photon")]
"""A number of photons inside, text such as "10000 photon" outside."""
Electrons = Annotated[float, *_annotations("electron")]
"""A number of electrons inside, text such as "6 electron" outside."""
