"""Reading a design file, with overrides from the command line, through one validator."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from opticdesign.design.fields import kind_of
from opticdesign.design.problems import line_numbers, models_of, problems_of
from opticdesign.design.schema import Design
from opticdesign.design.toml_text import one_line, printable, toml_value
from opticdesign.errors import DesignError, DesignProblem

__all__ = ["check_tables", "load_design", "load_tables", "read_tables"]

_Tables = TypeVar("_Tables", bound=BaseModel)

_LARGEST_FILE = 1_000_000
# tomllib's time grows with the square of a key's parts
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")
_OVERRIDE = "--set"
_INIT = "`opticdesign init` writes a complete design"


@dataclass(frozen=True)
class _Override:
    """One --set: the path of a key and its value."""

    path: tuple[str, ...]
    value: object

    @property
    def sets_kind(self) -> bool:
        return self.path[-1] == "kind"

    def concerns(self, path: tuple[str, ...]) -> bool:
        """Whether a problem at a path comes from here: the key itself, around it, inside it, or due to a new kind."""
        shared = min(len(path), len(self.path) - self.sets_kind)
        return shared > 0 and path[:shared] == self.path[:shared]


def load_design(path: Path | str, overrides: Sequence[str] = (), **settings: object) -> Design:
    """Read and check a design.

    Args:
        path: as for `load_tables`. A relative `data.path` inside starts at the current directory, not at the file.
        overrides: as for `load_tables`.
        settings: values in the place of the file's by table, such as `optics={"layers": 3}`, or by dotted key, such as
            `**{"optics.layers": 3}`; quantities are text with a unit.

    Returns:
        The design in SI units.

    Raises:
        DesignError: the file cannot be read, or the design has problems; it holds all of them.
    """
    return load_tables(path, Design, [*overrides, *_texts(settings)])


def _texts(settings: Mapping[str, object], table: str = "") -> Iterator[str]:
    """Each of nested settings as "key=value"."""
    for key, value in settings.items():
        name = f"{table}.{key}" if table else key
        if isinstance(value, Mapping):
            yield from _texts(value, name)
        else:
            yield f"{name}={toml_value(str(value) if isinstance(value, Path) else value)}"


def load_tables(
    path: Path | str, model: type[_Tables], overrides: Sequence[str] = (), example: str = _INIT, noun: str = "study"
) -> _Tables:
    """Read a file and check it against a schema: a design, a study of designs, or what `noun` says.

    Args:
        path: a TOML file in UTF-8.
        model: the schema.
        overrides: "key=value" texts, such as "optics.layers=3"; the value is TOML, or else text as it stands. Naming
            another `kind` of a table drops the keys that only the old kind has.
        example: where the user finds a complete file of this kind, for remedies.
        noun: what a file is that is no design.

    Raises:
        DesignError: the file cannot be read, or it has problems; the error holds all of them.
    """
    text, data = _read_tables(path, example)
    source = printable(str(path))
    _refuse_other_kind(data, model, source, noun)
    return _validated(data, model, overrides, source, text, Path(path).parent, example)


def read_tables(path: Path | str) -> dict[str, Any]:
    """The tables of a TOML file as they stand there.

    Raises:
        DesignError: the file cannot be read.
    """
    return _read_tables(path, _INIT)[1]


def _read_tables(path: Path | str, example: str) -> tuple[str, dict[str, Any]]:
    """The text of a file, and its tables."""
    source = printable(str(path))
    text = _read(Path(path), source, example)
    return text, _parse(text, source, example)


def check_tables(data: dict[str, Any], model: type[_Tables], overrides: Sequence[str], example: str) -> _Tables:
    """Tables that no file holds, changed by "key=value" texts, against a schema.

    Raises:
        DesignError: they have problems; the error holds all of them.
    """
    return _validated(data, model, overrides, _OVERRIDE, "", Path(), example)


def _validated(
    data: dict[str, Any],
    model: type[_Tables],
    overrides: Sequence[str],
    source: str,
    text: str,
    folder: Path,
    example: str,
) -> _Tables:
    """Tables with their overrides, as the schema reads them; `text` is what they stand in, for numbers of lines."""
    changes = [_override(entry) for entry in overrides]
    for change in sorted(changes, key=lambda change: not change.sets_kind):  # a kind decides what the other keys mean
        _apply(change, data, model)
    try:
        return model.model_validate(data, context={"folder": folder})  # for paths inside
    except ValidationError as error:
        lines = line_numbers(text)
        found = problems_of(error, data, model, example)
        problems = [_placed(problem, source, lines, changes) for problem in found]
        raise DesignError(sorted(problems, key=lambda problem: problem.line or 0)) from None


def _error(source: str, message: str, **rows: Any) -> DesignError:
    return DesignError([DesignProblem(rows.pop("key", ""), message, source=source, **rows)])


def _read(path: Path, source: str, example: str) -> str:
    """The text of a file."""
    expected = "a file in TOML"
    try:
        if path.is_dir():
            raise _error(source, "this is a folder", expected=expected, remedy="name a .toml file inside")
        if path.exists() and not path.is_file():
            raise _error(source, "this is no plain file", expected=expected, remedy="save it to a file on a disk")
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _error(source, "no such file", expected=expected, remedy=f"check the path; {example}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = printable(getattr(error, "strerror", None) or str(error))
        remedy = "check the path and its permissions"
        raise _error(source, f"the file cannot be read: {reason}", expected=expected, remedy=remedy) from None
    if len(raw) > _LARGEST_FILE:
        remedy = "name the design, not a data file"
        raise _error(source, "the file is too large for a design", expected="at most 1 MB of TOML", remedy=remedy)
    if not raw.strip():
        raise _error(source, "the file is empty", expected=expected, remedy=example)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        value = f"byte 0x{raw[error.start]:02x}"
        message = "the file is not UTF-8 text"
        raise _error(
            source, message, value=value, expected="TOML in UTF-8", remedy="save it as UTF-8", line=line
        ) from None


def _parse(text: str, source: str, example: str) -> dict[str, Any]:
    """The TOML tables of a text."""
    if long := _LONG_KEY.search(text):
        line, shown = text.count("\n", 0, long.start()) + 1, one_line(long[0])
        raise _error(
            source, "a key of 64 parts or more", value=shown, expected="table.key", remedy="shorten it", line=line
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rpartition(" (at ")  # tomllib gives the place in words only
        lines = text.rstrip().split("\n")
        number = re.match(r"line (\d+)", place)
        line = int(number[1]) if number else len(lines)
        shown = one_line(lines[line - 1].strip()) if line <= len(lines) else ""
    except RecursionError:
        raise _error(source, "lists are nested too deeply", expected="TOML", remedy=example) from None
    except ValueError as error:  # a number of thousands of digits
        raise _error(source, one_line(str(error)), expected="TOML", remedy="write a shorter number") from None
    twice = "twice" in reason or "overwrite" in reason or "mutate" in reason
    remedy = "keep one of the two" if twice else 'text and quantities stand in quotes, as in wavelength = "632.8 nm"'
    raise _error(source, f"not TOML: {one_line(reason)}", value=shown, expected="key = value", remedy=remedy, line=line)


def _refuse_other_kind(data: Mapping[str, Any], model: type[BaseModel], source: str, noun: str) -> None:
    """Refuse a study where a design is wanted, and a design elsewhere, by one word instead of one for each key."""
    design = bool(data.keys() & {"light", "optics"})
    if model is Design and "kind" in data and not design:
        remedy = f"opticdesign study {shlex.quote(source)}"
        raise _error(source, "this is a study, not a design", expected="a design file", remedy=remedy)
    if model is not Design and design and "kind" not in data:
        remedy = f"opticdesign optimize {shlex.quote(source)}"
        raise _error(source, f"this is a design, not a {noun}", expected=f"a {noun} file", remedy=remedy)


def _override(entry: str) -> _Override:
    """Read one "key=value" text."""
    key, sign, raw = (part.strip() for part in entry.partition("="))
    if not sign or not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", key):
        shown, remedy = one_line(entry), f"for example {_OVERRIDE} optics.layers=3"
        raise _error(
            _OVERRIDE, "this is not key=value", value=shown, expected="a dotted key, =, a value", remedy=remedy
        )
    try:
        table = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        table = {}
    return _Override(tuple(key.split(".")), table["value"] if len(table) == 1 else raw)


def _apply(change: _Override, data: dict[str, Any], model: type[BaseModel]) -> None:
    """Set one key of the tables, in place."""
    table = data
    for depth, part in enumerate(change.path[:-1], start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            key = ".".join(change.path[:depth])
            remedy = f"set {key} itself"
            raise _error(
                _OVERRIDE, f"{key} has no keys inside", key=".".join(change.path), expected="a key", remedy=remedy
            )
    if change.sets_kind:
        for key in _outdated(change, table.get("kind"), model):
            table.pop(key, None)
    table[change.path[-1]] = change.value


def _outdated(change: _Override, old_kind: object, model: type[BaseModel]) -> set[str]:
    """Keys that only the old kind of a table has."""
    field = model.model_fields.get(change.path[0])
    models = models_of(field.annotation) if field and len(change.path) == 2 else []
    keys = {kind_of(table): set(table.model_fields) for table in models if "kind" in table.model_fields}
    old, new = keys.get(str(old_kind)), keys.get(str(change.value))
    return old - new if old and new else set()


def _placed(
    problem: DesignProblem, source: str, lines: Mapping[tuple[str, ...], int], changes: Sequence[_Override]
) -> DesignProblem:
    """The problem with the line it stands on, or the line of the table around it; or with --set as its source."""
    paths = [tuple(re.findall(r"[^.\[\]]+", key)) for key in problem.key.split(", ")]
    if any(change.concerns(path) for change in changes for path in paths):
        return replace(problem, source=_OVERRIDE)
    around = (path[:depth] for path in paths for depth in range(len(path), 0, -1))
    return replace(problem, source=source, line=next((lines[place] for place in around if place in lines), None))
