"""What the tables of a design share: strictness, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    WithJsonSchema,
)
from pydantic_core.core_schema import CoreSchema, literal_schema

from opticdesign.design.values import check_material, refuse
from opticdesign.errors import DesignProblem
from opticdesign.optics.materials import MATERIALS
from opticdesign.plugins import subclass

__all__ = [
    "NAME",
    "DataUnit",
    "Factor",
    "Fraction",
    "MaterialName",
    "Name",
    "NeuronPair",
    "OneOf",
    "Part",
    "StepNumber",
    "Table",
    "Temperature",
    "Variant",
    "automatic",
    "distinct",
    "kind_of",
    "sequence",
    "usual_unit",
    "variant",
]

_T = TypeVar("_T")
_Variant = TypeVar("_Variant", bound="Variant")


class Table(BaseModel):
    """A table of the design file: unknown keys, other types and changes are refused.

    Its schema is made when it is first used: by then what other packages add to it can be imported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class Variant(Table):
    """A table of one of several kinds: in a design that names no other, any of `kinds`.

    Attributes:
        kind: the word by which it is told apart from the others.
    """

    kind: str

    @classmethod
    def kinds(cls) -> tuple[type[Variant], ...]:
        """The kinds of table that may stand where this one is named: itself, unless it says others."""
        return (cls,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = cls.kinds()
        if kinds == (cls,):
            return handler(source)
        return handler.generate_schema(Annotated[Union[kinds], Field(discriminator="kind")])  # noqa: UP007 (of a tuple)


def kind_of(table: type[BaseModel]) -> str:
    """The word by which a table is told apart from others that may stand in its place."""
    return str(get_args(table.model_fields["kind"].annotation)[0])


def variant(base: type[_Variant]) -> Callable[[str, Any], type[_Variant]]:
    """What gives the kind of a table that an entry names, and raises TypeError where it is none, or of another word."""
    checked = subclass(base)

    def of_word(name: str, named: Any) -> type[_Variant]:
        table = checked(name, named)
        words = get_args(table.model_fields["kind"].annotation)
        if words != (name,):
            raise TypeError(f"its kind is {' or '.join(map(repr, words)) or 'any text'}")
        return table

    return of_word


@dataclass(frozen=True)
class OneOf:
    """Annotation of a text that is one of several words.

    Args:
        words: gives them when the schema is made.
    """

    words: Callable[[], Sequence[str]]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return literal_schema(list(self.words()))


def pair(value: object) -> object:
    """One number for both axes, or the pair itself."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else sequence(value)


def sequence(value: object) -> object:
    """A TOML list as the tuple it becomes."""
    return tuple(value) if isinstance(value, list) else value


def automatic(kind: str, minimum: float | None = None, maximum: float | None = None) -> tuple[object, ...]:
    """Annotations of a value that may be left to the program: "auto" in the file, None in the design.

    Args:
        kind: its JSON type.
        minimum: least value.
        maximum: greatest value.
    """
    bounds = {key: value for key, value in (("minimum", minimum), ("maximum", maximum)) if value is not None}
    schema = {"anyOf": [{"const": "auto"}, {"type": kind, **bounds}]}
    return BeforeValidator(lambda value: None if value == "auto" else value), WithJsonSchema(schema)


def distinct(values: tuple[_T, ...]) -> tuple[_T, ...]:
    """The values, unless one stands there twice."""
    if len(set(values)) < len(values):
        message = "a value stands there twice"
        refuse([DesignProblem("", message, expected="different values", remedy="remove one")])
    return values


NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
"""What a name looks like: letters, digits, - and _, the first no sign."""
Neurons: TypeAlias = Annotated[int, Field(ge=8, le=8192)]
_NEURONS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 8, "maximum": 8192},
        {"type": "array", "items": {"type": "integer", "minimum": 8, "maximum": 8192}, "minItems": 2, "maxItems": 2},
    ]
}
NeuronPair: TypeAlias = Annotated[tuple[Neurons, Neurons], BeforeValidator(pair), WithJsonSchema(_NEURONS_SCHEMA)]
MaterialName: TypeAlias = Annotated[
    str, AfterValidator(check_material), WithJsonSchema({"type": "string", "enum": list(MATERIALS)})
]
Name: TypeAlias = Annotated[str, Field(pattern=NAME)]
Factor: TypeAlias = Annotated[float, Field(gt=0, le=10)]
Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Temperature: TypeAlias = Annotated[float, Field(gt=0, le=1)]
StepNumber: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
Part: TypeAlias = Literal["optics", "decoder"]
DataUnit: TypeAlias = Literal[
    "rad", "mrad", "deg", "waves", "nm", "um", "mm", "m",
    "full scale", "8 bit", "10 bit", "12 bit", "14 bit", "16 bit",
]  # fmt: skip
_UNIT_WORDS = {
    "radians": "rad", "degrees": "deg", "degree": "deg", "wave": "waves", "µm": "um", "μm": "um",
    "micron": "um", "microns": "um", "micrometers": "um", "nanometers": "nm", "meters": "m", "metres": "m",
}  # fmt: skip


def usual_unit(word: object) -> object:
    """A unit of data by the name that we use for it."""
    return _UNIT_WORDS.get(word, word) if isinstance(word, str) else word
