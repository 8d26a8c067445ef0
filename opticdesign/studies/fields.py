"""What the files of all kinds of studies have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from opticdesign.design.fields import Table, distinct, sequence
from opticdesign.design.loading import read_tables
from opticdesign.design.shipped import shipped_designs
from opticdesign.design.toml_text import one_line
from opticdesign.design.values import refuse
from opticdesign.errors import DesignError, DesignProblem

__all__ = ["DesignFile", "Quick", "Seeds", "Settings", "study_kind"]


def _resolved(path: str, info: ValidationInfo) -> str:
    """A path from the study's folder, of a file that is there, or else the file of a shipped design's name."""
    folder = (info.context or {}).get("folder", Path())
    found = Path(folder) / path
    if not found.is_file():
        if path in (shipped := shipped_designs()):
            return str(shipped[path])
        remedy = "correct the path, which starts at the study's folder, or name a shipped design"
        refuse([DesignProblem("", f"no such file: {one_line(str(found))}", expected="a design file", remedy=remedy)])
    return str(found)


_Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seeds: TypeAlias = Annotated[tuple[_Seed, ...], BeforeValidator(sequence), AfterValidator(distinct)]
Settings: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(sequence)]
DesignFile: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_resolved)]


class Quick(Table):
    """What `--quick` changes, beside the smoke budget it always means.

    Attributes:
        seeds: the seeds instead of the study's; empty keeps those.
        set: key=value texts for every row.
    """

    seeds: Seeds = Field(default=(), description="seeds", examples=[[0]])
    set: Settings = Field(default=(), description="key=value texts", examples=[["optics.neurons=64"]])


def study_kind(path: Path) -> str:
    """The kind that a study file names; "table" where it names none or does not read, which `load_study` will tell."""
    try:
        return str(read_tables(path).get("kind", "table"))
    except DesignError:
        return "table"
