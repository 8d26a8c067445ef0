"""Ranges of a quantity in a design: one value is ± that value, two are the ends."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from opticdesign.design.values import refuse
from opticdesign.errors import DesignProblem, UnitError
from opticdesign.units import Dimension, quantity

__all__ = ["AngleRange", "LengthRange", "NumberRange"]

_EXAMPLES = {"length": '"1 um"', "angle": '"1 mrad"', None: "0.01"}
_SYMBOLS = {"length": " m", "angle": " rad", None: ""}


def _annotations(dimension: Dimension | None) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    """How pydantic reads, writes and describes a range of a quantity, or of plain numbers."""
    one = _EXAMPLES[dimension]
    item: dict[str, Any] = {"type": "number"} if dimension is None else {"type": "string"}

    def number(value: object) -> float:
        if dimension is not None:
            return quantity(value, dimension)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
            raise UnitError("this is not a number of a believable size", expected="a plain number")
        return float(value)

    def read(value: object) -> tuple[float, float]:
        remedy = f"for example range = {one}, which is ±"
        try:
            ends = [number(end) for end in value] if isinstance(value, list | tuple) else [number(value)]
        except UnitError as error:
            refuse([DesignProblem("", error.message, expected=error.expected, remedy=error.remedy or remedy)])
            raise
        low, high = (-ends[0], ends[0]) if len(ends) == 1 else (*ends, 0.0, 0.0)[:2]
        if len(ends) > 2 or not low < high:
            expected = "one value above 0, which stands for ±, or two that rise"
            refuse([DesignProblem("", "this is no range", expected=expected, remedy=remedy)])
        return low, high

    def write(ends: tuple[float, float]) -> list[Any]:
        return [end if dimension is None else f"{end!r}{_SYMBOLS[dimension]}" for end in ends]

    pair = {"type": "array", "items": item, "minItems": 1, "maxItems": 2}
    return BeforeValidator(read), PlainSerializer(write, when_used="json"), WithJsonSchema({"anyOf": [item, pair]})


LengthRange: TypeAlias = Annotated[tuple[float, float], *_annotations("length")]
"""Smallest and largest in metres inside; "1 um" or ["-1 um", "2 um"] outside."""
AngleRange: TypeAlias = Annotated[tuple[float, float], *_annotations("angle")]
"""Smallest and largest in radians inside; "1 mrad" or ["0 mrad", "2 mrad"] outside."""
NumberRange: TypeAlias = Annotated[tuple[float, float], *_annotations(None)]
"""Smallest and largest; 0.02 or [-0.01, 0.02] outside."""
