"""A study of transfer: a network for each value of one key of the optics, and one for all, judged on every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, StrictFloat, StrictInt, StrictStr, model_validator

from opticdesign.design import Design, load_design
from opticdesign.design.fields import Name, Table, distinct, sequence
from opticdesign.design.loading import load_tables
from opticdesign.design.toml_text import printable, toml_value
from opticdesign.design.values import refuse
from opticdesign.errors import DesignError, DesignProblem
from opticdesign.studies.fields import DesignFile, Quick, Seeds, Settings

__all__ = ["ADAPTIVE", "QuickTransfer", "TransferStudy", "load_transfer_study", "network_name"]

ADAPTIVE = "adaptive"
"""Name of the network that is trained for all values."""

_EXAMPLE = "designs/studies/dlsrqpi-defocus.toml is a complete study"

_Value: TypeAlias = StrictInt | StrictFloat | Annotated[StrictStr, Field(min_length=1, max_length=32)]
_Values: TypeAlias = Annotated[tuple[_Value, ...], BeforeValidator(sequence), AfterValidator(distinct)]


def network_name(value: float | str) -> str:
    """Name of the network that is trained at a value, also of its run folders: at-4um."""
    return "at-" + re.sub(r"[^A-Za-z0-9.+-]", "", str(value))


class QuickTransfer(Quick):
    """What `--quick` changes, beside the smoke budget it always means.

    Attributes:
        values: the values instead of the study's; empty keeps those.
    """

    values: _Values = Field(default=(), description="values of the key", examples=[["1 um", "4 um"]])


class TransferStudy(Table):
    """Networks that are each trained at one value of a key, and one at all, with one split of the same data.

    Attributes:
        kind: "transfer".
        name: name of the study, also of its folder.
        design: a design file, its path resolved from the study's folder; its optics learn nothing.
        key: the key of the optics that is another one for each network.
        values: its values.
        seeds: every network is trained once with each of them, which replaces the design's training.seed.
        adaptive: key=value texts that make a network for all values; none without them.
        set: key=value texts for the design.
        quick: what `--quick` changes.
    """

    kind: Literal["transfer"] = Field(description="kind of study", examples=["transfer"])
    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["dlsrqpi-defocus"])
    design: DesignFile = Field(description="a design file", examples=["../dlsrqpi.toml"])
    key: str = Field(pattern=r"^optics\.[a-z_]{1,32}$", description="a key of the optics", examples=["optics.defocus"])
    values: _Values = Field(min_length=1, description="one value or more", examples=[["1 um", "4 um"]])
    seeds: Seeds = Field(min_length=1, description="one seed or more", examples=[[0, 1, 2]])
    adaptive: Settings = Field(default=(), description="key=value texts", examples=[["tolerance.gap.range=6 um"]])
    set: Settings = Field(default=(), description="key=value texts", examples=[["optics.coherence=0"]])
    quick: QuickTransfer = QuickTransfer()

    @model_validator(mode="after")
    def _consistent(self) -> TransferStudy:
        refuse([*_name_problems("values", self.values), *_name_problems("quick.values", self.quick.values)])
        return self

    def seeds_of(self, quick: bool) -> tuple[int, ...]:
        """The seeds of a run of the study."""
        return self.quick.seeds or self.seeds if quick else self.seeds

    def values_of(self, quick: bool) -> tuple[int | float | str, ...]:
        """The values of a run of the study."""
        return self.quick.values or self.values if quick else self.values

    def design_at(self, value: float | str | None, seed: int, quick: bool, changes: Sequence[str] = ()) -> Design:
        """The design at a value, or that of the network for all.

        Args:
            value: replaces that of the key; None for the network for all values.
            seed: replaces training.seed.
            quick: whether what is for `--quick` counts.
            changes: further key=value texts; the last one of a key counts.

        Raises:
            DesignError: the design has problems.
        """
        own = self.adaptive if value is None else (f"{self.key}={toml_value(value)}",)
        return load_design(
            self.design, [*self.set, *(self.quick.set if quick else ()), *changes, *own, f"training.seed={seed}"]
        )


def _name_problems(key: str, values: Sequence[float | str]) -> Iterator[DesignProblem]:
    """Values whose networks would share a run folder."""
    names = [network_name(value).casefold() for value in values]
    for index, name in enumerate(names):
        if name in names[:index]:
            message, value = "this value is written as another one is", toml_value(values[index])
            yield DesignProblem(f"{key}[{index}]", message, value, "different values", "remove one")


def load_transfer_study(path: Path | str, quick: bool = False, changes: Sequence[str] = ()) -> TransferStudy:
    """Read a study file, and check it with its design at every value.

    Args:
        path: a TOML file in UTF-8; the path of the design inside starts at its folder.
        quick: whether the design is checked as `--quick` changes it.
        changes: further key=value texts for all designs.

    Raises:
        DesignError: the file cannot be read, or the study or a design has problems; it holds all of them.
    """
    study = load_tables(path, TransferStudy, example=_EXAMPLE)
    source = printable(str(path))
    try:
        designs = [study.design_at(value, study.seeds[0], quick, changes) for value in study.values_of(quick)]
        if study.adaptive:
            designs.append(study.design_at(None, study.seeds[0], quick, changes))
    except DesignError as error:
        told = f"{source}, its key=value texts or --set"
        problems = [replace(one, source=told) if one.source == "--set" else one for one in error.problems]
        raise DesignError(problems) from None
    if problems := list(_problems(study.key, designs)):
        raise DesignError([replace(problem, source=source) for problem in problems])
    return study


def _problems(key: str, designs: Sequence[Design]) -> Iterator[DesignProblem]:
    """Networks that cannot read each other's data."""
    first = designs[0]
    if first.optics.learns:
        message = "only a decoder can be judged behind other optics than it was trained with"
        expected = "optics that learn nothing"
        yield DesignProblem("design", message, toml_value(first.name), expected, 'add "optics.learn=[]" to set')
    if any(_sampling(design) != _sampling(first) for design in designs):
        message, expected = "networks with other samples, pixels or data", "one sampling, camera and data for all"
        yield DesignProblem("key, adaptive", message, toml_value(key), expected, "change them in set, for all networks")


def _sampling(design: Design) -> tuple[object, ...]:
    return design.optics.shape, design.optics.sample_pitch, design.detector, design.data, design.decoder
