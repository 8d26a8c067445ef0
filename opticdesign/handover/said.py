"""What a user says of files that do not say it themselves: units, scales, what is drawn, where."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, NamedTuple

from opticdesign.errors import UnitError, UsageError
from opticdesign.units import quantity

if TYPE_CHECKING:
    from opticdesign.fabrication.process import FabricationProcess
    from opticdesign.handover.source_file import SourceFile

__all__ = ["Said", "Scale", "usual_units"]

_TURNS = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)?\s*(pi|π|waves?)\s*")
_USUAL = ("nm", "um", "mm", "m", "rad", "waves")
_NAME = re.compile(r"[^\W\d_]*\s*$")  # of the unit of a quantity
_UNITS = ("nm", "um", "µm", "mm", "m", "cm", "pm", "rad", "mrad", "urad", "deg")  # and turns
_TURN = {"pi": math.pi, "π": math.pi, "wave": 2.0 * math.pi, "waves": 2.0 * math.pi}  # radians


class Scale(NamedTuple):
    """What a number stands for: a height in metres, or a phase in radians."""

    size: float
    phase: bool = False

    @classmethod
    def read(cls, text: str) -> Scale:
        """A height such as "1.2 um", or a phase such as "2pi", "3.1 rad" or "1 waves".

        Raises:
            UnitError: neither, or not above 0.
        """
        scale = cls._read(text)
        if not (scale.size > 0.0 and math.isfinite(scale.size)):
            raise UnitError(f"{text!r} is not above 0", expected='a height such as "1.2 um", or a phase such as 2pi')
        return scale

    @classmethod
    def _read(cls, text: str) -> Scale:
        if match := _TURNS.fullmatch(text):
            try:
                return cls(float(match[1] or 1.0) * _TURN[match[2]], phase=True)
            except ValueError:
                raise UnitError(f"{text!r} is no number", expected='a phase such as "2pi" or "1 waves"') from None
        name = _NAME.findall(text)[0].strip().replace("\u03bc", "µ")
        if name and name not in _UNITS:
            raise UnitError(f"{name!r} is no unit of masks", expected=f"{', '.join(_UNITS)} or waves")
        try:
            return cls(quantity(text, "angle"), phase=True)
        except UnitError:
            return cls(quantity(text, "length"))

    def __str__(self) -> str:
        return f"{self.size!r} {'rad' if self.phase else 'm'}"

    def height_m(self, process: FabricationProcess) -> float:
        """The height that it is in a process, metres."""
        return self.size * process.full_height_m / (2.0 * math.pi) if self.phase else self.size


@dataclass(frozen=True)
class Said:
    """What is said, each by the option of its name; nothing where it is None or false.

    Args:
        layers: a table of which layer and datatype of a layout is which.
        kind: whether a layout draws levels or bits.
        tone: whether what is drawn stays or is etched.
        mirror: whether a layout is seen from the back.
        cell: the cell of a layout that holds the masks.
        origin_m: where the lower left pixel begins in that cell, x and y in metres.
        off_grid: pixels are taken by their centres, however far edges lie beside those of pixels.
        unit: what the number 1 stands for, of heights or phases.
        full_scale: what the largest number of an integer format stands for, above 0.
        pitch_m: distance of samples in metres, whatever the files say.
        flat: masks that delay all light alike are meant.
    """

    layers: SourceFile | None = None
    kind: Literal["levels", "bits"] | None = None
    tone: Literal["keep", "etch"] | None = None
    mirror: bool | None = None
    cell: str | None = None
    origin_m: tuple[float, float] | None = None
    off_grid: bool = False
    unit: Scale | None = None
    full_scale: Scale | None = None
    pitch_m: float | None = None
    flat: bool = False

    def record(self) -> dict[str, object]:
        """What is said, by option and as JSON can hold it."""
        told = {_option(name): getattr(self, name) for name in self._fields()}
        if self.layers is not None:
            told["--layers"] = self.layers.path.name
        return {option: str(value) if isinstance(value, Scale) else value for option, value in told.items()}

    def other_units(self, turns: float, process: FabricationProcess) -> str:
        """Units in which numbers that span some turns would be a usual mask, where the unit is as the user says."""
        if self.unit is None or turns == 0.0:
            return ""
        return usual_units(turns * process.full_height_m / self.unit.height_m(process), process)

    def _fields(self) -> list[str]:
        """The fields of what is said."""
        return [one.name for one in fields(self) if getattr(self, one.name) != one.default]

    def refuse_all_but(self, known: Collection[str], what: str) -> None:
        """Refuse what is said although it means nothing.

        Args:
            known: the fields that do mean something.
            what: the files for which nothing else does.

        Raises:
            UsageError: something else is said.
        """
        idle = [name for name in self._fields() if name not in known]
        if idle:
            allowed = ", ".join(_option(one.name) for one in fields(self) if one.name in known)
            raise UsageError(
                f"{', '.join(map(_option, idle))}: meaningless for {what}",
                expected=f"one of {allowed}, or none",
                remedy="leave it out",
            )


def usual_units(span: float, process: FabricationProcess) -> str:
    """Units in which numbers of a span would be a usual mask, as the end of a remedy."""
    turns = {unit: span * Scale.read(f"1 {unit}").height_m(process) / process.full_height_m for unit in _USUAL}
    fitting = [f"{part:.3g} of 2π in {unit}" for unit, part in turns.items() if 0.1 <= part <= 10.0]
    return f" (they would span {' or '.join(fitting)})" if fitting else ""


def _option(field: str) -> str:
    return "--" + field.removesuffix("_m").replace("_", "-")
