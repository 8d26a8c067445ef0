"""What masks are made of and stand in: a material by name, or one of the user's own, as numbers or as a table."""

from __future__ import annotations

import csv
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NoReturn, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from opticdesign.design.fields import MaterialName, Table, sequence
from opticdesign.design.toml_text import one_line
from opticdesign.design.values import refuse
from opticdesign.errors import DesignProblem, UnitError
from opticdesign.optics.dispersion import Constant, Tabulated
from opticdesign.optics.material import Material
from opticdesign.optics.materials import material
from opticdesign.units import Length, format_length, quantity

__all__ = ["MaterialChoice", "OwnMaterial", "material_of", "material_text"]

_HEADER = re.compile(r"wavelength\W*_?([A-Za-zµμ]+)\W*")
_LARGEST = 500_000  # bytes
_EXAMPLE = 'a header "wavelength_nm,n,k" and a line for each wavelength, such as "632.8,1.457,0.0"'


def _read(value: object) -> object:
    """The rows of a CSV file that a text names; else what is given, lists as tuples."""
    if isinstance(value, str):
        return _rows(Path(value))
    return tuple(sequence(row) for row in value) if isinstance(value, list) else value


def _rows(path: Path) -> tuple[tuple[str, float, float], ...]:
    """Wavelength with its unit, n and k of each line of a CSV file."""
    try:
        if path.stat().st_size > _LARGEST:
            _refuse(path, "too large for a table of a material", "thin it out")
        lines = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        _refuse(path, f"cannot be read: {getattr(error, 'strerror', None) or error}", "check the path")
    lines = [line for line in lines if any(cell.strip() for cell in line) and not line[0].lstrip().startswith("#")]
    header = _HEADER.fullmatch(lines[0][0].strip().lower().replace("μ", "µ")) if lines else None
    if header is None:
        _refuse(path, "its first line does not name the unit of the wavelength", _EXAMPLE)
    return tuple(_row(path, header[1], line) for line in lines[1:])


def _row(path: Path, unit: str, line: list[str]) -> tuple[str, float, float]:
    shown = one_line(",".join(line))
    try:
        wavelength, n, k = (*line, "0")[:3] if len(line) == 2 else line
        quantity(text := f"{wavelength.strip()} {unit}", "length")
        return text, float(n), float(k)
    except UnitError as error:
        _refuse(path, f"line {shown!r}: {error.message}", _EXAMPLE)
    except ValueError:
        _refuse(path, f"line {shown!r} is not wavelength, n and k", _EXAMPLE)


def _refuse(path: Path, message: str, remedy: str) -> NoReturn:
    text = f"{one_line(str(path))}: {message}"
    refuse([DesignProblem("", text, expected="a CSV file of wavelength, n and k", remedy=remedy)])
    raise AssertionError("refused above")


def _check_rows(rows: tuple[tuple[float, float, float], ...]) -> tuple[tuple[float, float, float], ...]:
    """Two rows or more, wavelengths rising, n and k that can be."""
    rise = all(0.0 < one[0] < other[0] for one, other in pairwise(rows))
    if len(rows) < 2 or not rise or any(not (0.0 < n < math.inf and 0.0 <= k < math.inf) for _, n, k in rows):
        expected = "two rows or more, wavelengths rising, n above 0, k 0 or more"
        remedy = 'sort and correct them, for example [["0.6 um", 1.53, 0.01], ["0.7 um", 1.52, 0.02]]'
        refuse([DesignProblem("", "no table of a material", expected=expected, remedy=remedy)])
    return rows


_Row = tuple[Length, float, float]


class OwnMaterial(Table):
    """A material that is not in the catalogue.

    Attributes:
        index: refractive index at all wavelengths; None where there is a table.
        absorption: extinction coefficient k beside it.
        table: wavelength in metres, n and k; in a file also the path of a CSV file, which is read once: the resolved
            design holds its rows. A relative path starts at the current directory.
    """

    index: float | None = Field(default=None, gt=0, le=10, description="refractive index", examples=[1.52])
    absorption: float = Field(default=0.0, ge=0, le=10, description="extinction coefficient k", examples=[0.01])
    table: Annotated[tuple[_Row, ...], BeforeValidator(_read), AfterValidator(_check_rows)] | None = Field(
        default=None, description="a CSV file of wavelength, n and k, or its rows", examples=["my_resist.csv"]
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> OwnMaterial:
        if (self.index is None) == (self.table is None) or (self.table and self.absorption):
            expected = "index, and absorption if there is any; or table"
            remedy = 'for example { index = 1.52, absorption = 0.01 }, or { table = "my_resist.csv" }'
            refuse([DesignProblem("", "a material with no index, or with two", expected=expected, remedy=remedy)])
        return self

    @property
    def as_material(self) -> Material:
        """What optics takes."""
        if self.table is not None:
            ends = self.table[0][0], self.table[-1][0]
            return Material("the material's table", Tabulated(self.table), ends, "the design")
        return Material("the material", Constant(self.index or 1.0, self.absorption), (0.0, math.inf), "the design")


def _kind(value: object) -> str:
    return "(own)" if isinstance(value, dict | OwnMaterial) else "(name)"


MaterialChoice: TypeAlias = Annotated[
    Annotated[MaterialName, Tag("(name)")] | Annotated[OwnMaterial, Tag("(own)")], Discriminator(_kind)
]
"""A name of the catalogue, or a table of one's own."""


def material_of(choice: str | OwnMaterial) -> Material:
    """The material that a design means."""
    return material(choice) if isinstance(choice, str) else choice.as_material


def material_text(choice: str | OwnMaterial) -> str:
    """A material in a message."""
    if isinstance(choice, str):
        return choice
    if choice.table is not None:
        return f"a table from {format_length(choice.table[0][0])} to {format_length(choice.table[-1][0])}"
    return f"a material of index {choice.index:g}"
