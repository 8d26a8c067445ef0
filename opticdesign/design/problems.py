"""From pydantic's errors to problems that name the place, the value, what was expected and what to do."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from opticdesign.design.fields import NAME, Variant, kind_of
from opticdesign.design.toml_text import one_line, toml_value
from opticdesign.design.values import PROBLEMS
from opticdesign.errors import DesignProblem

__all__ = ["line_numbers", "models_of", "problems_of"]

_MISSING = object()
_MOST_ERRORS = 200  # nobody reads more, and a file that is no design at all can have one a line
_LONGEST_LIST = 200
_KEY = re.compile(r"""[\w\-."' \t]+""")
_PIECE = re.compile(  # texts of several lines and of one, comments, brackets and ends of lines
    r"""'{3}.*?'{3}|"{3}(?:\\.|[^\\])*?"{3}|'[^'\n]*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*|[][{}\n]""", re.DOTALL
)

_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "string_unicode": "text in UTF-8",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_LIMITS = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}


def line_numbers(text: str) -> dict[tuple[str, ...], int]:
    """Line of every table and key of a TOML text, by its path; keys inside one-line tables stand on their table's.

    Of several tables of one name, written [[name]], each has its number in the path: ("name", "0").
    """
    lines: dict[tuple[str, ...], int] = {}
    several: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    continued = _continued(text)
    for number, line in enumerate(text.split("\n"), start=1):
        if number in continued:
            continue
        inside, closed, rest = line.strip().partition("]")
        if inside.startswith("[") and closed and not rest.strip("] \t").partition("#")[0]:
            if _KEY.fullmatch(header := inside.strip("[")):
                table = name = _path(header)
                if inside.startswith("[["):
                    several[name] = several.get(name, -1) + 1
                    lines.setdefault(name, number)
                if (outer := name[:1]) in several:
                    table = (*outer, str(several[outer]), *name[1:])
                lines.setdefault(table, number)
        elif "=" in line and _KEY.fullmatch(key := line.partition("=")[0]):
            lines.setdefault(table + _path(key), number)
    return lines


def _continued(text: str) -> set[int]:
    """The numbers of lines that begin inside a text or a list of several lines."""
    found: set[int] = set()
    number, depth = 1, 0
    for piece in _PIECE.findall(text):
        if piece in "[{":
            depth += 1
        elif piece in "]}":
            depth -= 1
        elif lines := piece.count("\n"):
            if depth or piece != "\n":
                found.update(range(number + 1, number + lines + 1))
            number += lines
    return found


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The tables an annotation allows: none for a plain value, several for a choice of kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.kinds()) if issubclass(annotation, Variant) else [annotation]
    return [model for part in get_args(annotation) for model in models_of(part)]


@dataclass(frozen=True)
class _Place:
    """A place in a design: its path, the value found there and the field that describes it."""

    path: tuple[str | int, ...]
    value: object
    field: FieldInfo | None
    siblings: tuple[str, ...]

    @property
    def key(self) -> str:
        return one_line("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip("."))

    @property
    def leaf(self) -> str:
        """The last key of the path; a number in a list has none of its own."""
        return one_line(next((part for part in reversed(self.path) if isinstance(part, str)), ""))

    @property
    def nearest_sibling(self) -> str:
        """The key of the same table that looks most like this one."""
        return next(iter(get_close_matches(self.leaf, self.siblings, n=1)), "")

    @property
    def header(self) -> str:
        """The line of TOML that begins the table at this place, or the next one of several."""
        several = self.field is not None and get_origin(self.field.annotation) is tuple
        name = re.sub(r"\[\d+\]", "", self.key)
        return f"[[{name}]]" if several else f"[{name}]"

    @property
    def description(self) -> str:
        return (self.field.description or "") if self.field else ""

    @property
    def example(self) -> str:
        """A line of TOML that would do."""
        examples = self.field.examples if self.field else None
        return f"{self.leaf} = {toml_value(examples[0])}" if examples else ""


def problems_of(
    error: ValidationError, data: Mapping[str, Any], model: type[BaseModel], example: str
) -> list[DesignProblem]:
    """The problems behind `model`'s refusal of `data`, without line and source; missing keys of a table are one."""
    found: list[DesignProblem] = []
    missing: dict[tuple[int | str, ...], list[_Place]] = {}
    misspelt: set[tuple[int | str, ...]] = set()
    details = error.errors(include_url=False)[:_MOST_ERRORS]
    for detail in details:
        kind, loc = detail["type"], detail["loc"]
        if kind == "too_short" and any(other["loc"][:-1][: len(loc)] == loc for other in details):
            continue  # pydantic counts only the parts that are in order; what is wrong with the others is told
        if kind.startswith("union_tag"):
            loc = (*loc, "kind")
        if kind == "missing" and isinstance(loc[-1], int):  # a list that is too short
            found += _describe(detail, _locate(loc[:-1], data, model))
        elif kind == "missing":
            missing.setdefault(loc[:-1], []).append(_locate(loc, data, model))
        else:
            place = _locate(loc, data, model)
            found += _describe(detail, place)
            if kind == "extra_forbidden" and (near := place.nearest_sibling):
                misspelt.add((*place.path[:-1], near))
    absent = [[place for place in places if place.path not in misspelt] for places in missing.values()]
    return [*dict.fromkeys(found), *(_missing(places, example) for places in absent if places)]


def _locate(loc: Sequence[str | int], data: Mapping[str, Any], schema: type[BaseModel]) -> _Place:
    """Walk the data and the schema along pydantic's location, which also holds the kind chosen in a union."""
    path: list[str | int] = []
    value: Any = data
    model: type[BaseModel] | None = schema
    field: FieldInfo | None = None
    by_name = False
    siblings: tuple[str, ...] = ()
    for part in loc:
        if part in ("[key]", "(name)", "(own)") or (
            isinstance(value, Mapping) and part not in value and part == value.get("kind")
        ):
            continue
        path.append(part)
        value = _inside(value, part)
        if by_name or (isinstance(part, int) and model is not None):  # the name of a stage, or one of several tables
            by_name = False
            continue
        if model is not None:
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            siblings = tuple(fields)
            field = fields.get(str(part))
            models = models_of(field.annotation) if field else []
            model = _chosen(models, value)
            by_name = field is not None and get_origin(field.annotation) is dict
    return _Place(tuple(path), value, field, siblings)


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return _MISSING


def _chosen(models: Sequence[type[BaseModel]], value: object) -> type[BaseModel] | None:
    """The model of the kind a table names."""
    if len(models) == 1:
        return models[0]
    kind = value.get("kind") if isinstance(value, Mapping) else None
    return next((model for model in models if kind_of(model) == kind), None)


def _missing(places: Sequence[_Place], example: str) -> DesignProblem:
    """One problem for all that is missing in one table."""
    names = [place.leaf for place in places]
    tables = [
        place.leaf
        for place in places
        if place.field is None or (models_of(place.field.annotation) and not place.example)
    ]
    if len(names) > 1:
        kinds = "tables" if tables == names else "keys"
        remedy = f"add them; {example}"
        return DesignProblem(
            ", ".join(place.key for place in places), f"missing {kinds} {', '.join(names)}", remedy=remedy
        )
    key = places[0].key
    if tables:
        header = places[0].header
        remedy = f"add a table {header}; {example}"
        return DesignProblem(key, f"missing table {header}", expected="a table of this name", remedy=remedy)
    place = places[0]
    return DesignProblem(key, f"missing key {names[0]!r}", expected=place.description, remedy=f"add {place.example}")


def _describe(detail: ErrorDetails, place: _Place) -> list[DesignProblem]:
    """The problems of one pydantic error: our own, carried in its context, or one put into words here."""
    plain = place.value is not _MISSING and not isinstance(place.value, Mapping)
    value = one_line(toml_value(place.value)) if plain else ""
    if detail["type"] == PROBLEMS:
        return [_own(problem, place.key, value) for problem in detail["ctx"]["problems"]]
    return [DesignProblem(place.key, *_words(detail, place, value))]


def _own(problem: DesignProblem, table: str, value: str) -> DesignProblem:
    """A problem of a rule, its key made complete; one without a key is about the value itself."""
    if not problem.key:
        return replace(problem, key=table, value=value)
    keys = (f"{table}.{key}" if table else key for key in problem.key.split(", "))
    return replace(problem, key=", ".join(keys))


def _words(detail: ErrorDetails, place: _Place, value: str) -> tuple[str, str, str, str]:
    """Message, value, expected and remedy of one pydantic error."""
    leaf, what, context = place.leaf, place.description, detail.get("ctx", {})
    match detail["type"]:
        case "quantity":
            return context["message"], value, context["expected"], context["remedy"]
        case "extra_forbidden":
            remedy = f"did you mean {place.nearest_sibling!r}?" if place.nearest_sibling else "remove it"
            known = textwrap.shorten("one of " + ", ".join(place.siblings), _LONGEST_LIST, placeholder=" …")
            return f"unknown key {leaf!r}", value, known, remedy
        case "literal_error" | "union_tag_invalid":
            words = re.findall(r"'([^']*)'", str(context.get("expected_tags") or context["expected"]))
            near = get_close_matches(str(place.value), words, n=1)
            remedy = f'did you mean "{near[0]}"?' if near else "choose one of these words"
            return f"unknown {leaf}", value, " or ".join(f'"{word}"' for word in words), remedy
        case "union_tag_not_found":
            kinds = [kind_of(model) for model in models_of(place.field.annotation)] if place.field else []
            return "missing key 'kind'", "", " or ".join(f'"{kind}"' for kind in kinds), f'add kind = "{kinds[0]}"'
        case "string_pattern_mismatch" if context["pattern"] == NAME:
            expected = "letters, digits, - and _, at most 32 of them, the first no sign"
            return f"{leaf!r} does not hold a name" if value else f"{leaf!r} is no name", value, expected, "rename it"
    limits = [text.format(context[name]) for name, text in _LIMITS.items() if name in context]
    message = f"{leaf} is out of range" if limits else f"{leaf} has the wrong form"
    expected = _TYPES.get(detail["type"]) or next(iter(limits), "")
    expected = f"{expected} ({what})" if expected and what else expected or what
    remedy = f"for example {place.example}" if place.example else f"write {place.header} and its keys below"
    return message, value, expected, remedy
