"""A study of quantisation: a design trained without and with its quantiser, for several numbers of height levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from opticdesign.design import Design, load_design
from opticdesign.design.fields import Name, Table, Temperature, distinct, sequence
from opticdesign.design.loading import load_tables
from opticdesign.design.toml_text import printable
from opticdesign.design.values import check_temperature
from opticdesign.errors import DesignError
from opticdesign.studies.fields import DesignFile, Quick, Seeds, Settings

__all__ = ["FLOAT", "QuantisationStudy", "QuickQuantisation", "load_quantisation_study"]

FLOAT = "float"
"""Name of the training that sees no levels."""

_EXAMPLE = "designs/studies/quantisation.toml is a complete study"


_Levels: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=2, le=256)], ...], BeforeValidator(sequence), AfterValidator(distinct)
]
_Rounding: TypeAlias = Literal["straight-through", "soft", "gumbel"]


class QuickQuantisation(Quick):
    """What `--quick` changes, beside the smoke budget it always means.

    Attributes:
        levels: the numbers of levels instead of the study's; empty keeps those.
    """

    levels: _Levels = Field(default=(), description="numbers of levels", examples=[[2, 4]])


class QuantisationStudy(Table):
    """Trainings without and with the quantiser, at equal steps, each scored float, quantised and read back from files.

    Attributes:
        kind: "quantisation".
        name: name of the study, also of its folder.
        design: a design file, its path resolved from the study's folder.
        seeds: every training is done once with each of them, which replaces the design's training.seed.
        levels: numbers of height levels, which replace fabrication.levels.
        roundings: how the trainings that see levels learn through them, in the first stage that trains the optics.
            Later ones, in which a decoder learns to read what is made, see the masks as they are made.
        temperature: of "soft" and "gumbel" in that stage.
        format: exporter whose files are read back.
        set: key=value texts for the design.
        quick: what `--quick` changes.
    """

    kind: Literal["quantisation"] = Field(description="kind of study", examples=["quantisation"])
    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["quantisation"])
    design: DesignFile = Field(description="a design file", examples=["../d2nn5.toml"])
    seeds: Seeds = Field(min_length=1, description="one seed or more", examples=[[0, 1, 2]])
    levels: _Levels = Field(min_length=1, description="numbers of levels, each 2 to 256", examples=[[2, 4, 8, 16]])
    roundings: Annotated[tuple[_Rounding, ...], BeforeValidator(sequence), AfterValidator(distinct)] = Field(
        default=("straight-through",), description="how optics learn through levels", examples=[["straight-through"]]
    )
    temperature: Annotated[
        tuple[Temperature, Temperature], BeforeValidator(sequence), AfterValidator(check_temperature)
    ] = Field(default=(1.0, 0.005), description="first and last, each above 0 and at most 1", examples=[[1.0, 0.005]])
    format: Name = Field(default="gds", description="an exporter", examples=["gds"])
    set: Settings = Field(default=(), description="key=value texts", examples=[["optics.neurons=128"]])
    quick: QuickQuantisation = QuickQuantisation()

    def seeds_of(self, quick: bool) -> tuple[int, ...]:
        """The seeds of a run of the study."""
        return self.quick.seeds or self.seeds if quick else self.seeds

    def levels_of(self, quick: bool) -> tuple[int, ...]:
        """The numbers of levels of a run of the study."""
        return self.quick.levels or self.levels if quick else self.levels

    def trainings(self, quick: bool) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Name of each training, how it learns through levels, and the numbers of levels it is judged at."""
        levels = self.levels_of(quick)
        yield FLOAT, FLOAT, levels
        for rounding in self.roundings:
            for count in levels:
                yield f"{rounding}-{count}", rounding, (count,)

    def trained_design(
        self, rounding: str, levels: int | None, seed: int, quick: bool, changes: Sequence[str] = ()
    ) -> Design:
        """The design of a training.

        Args:
            rounding: how it learns through levels, or `FLOAT`.
            levels: replaces fabrication.levels; None keeps it.
            seed: replaces training.seed.
            quick: whether what is for `--quick` counts.
            changes: further key=value texts; the last one of a key counts.

        Raises:
            DesignError: the design has problems.
        """
        settings = [*self.set, *(self.quick.set if quick else ()), *changes, f"training.seed={seed}"]
        if levels is not None:
            settings.append(f"fabrication.levels={levels}")
        design = load_design(self.design, settings)
        plain = {"quantised": rounding != FLOAT, "rounding": "straight-through", "temperature": None}
        stages = {name: stage.model_copy(update=plain) for name, stage in design.training.stages.items()}
        first = next((name for name, stage in stages.items() if "optics" in stage.train), None)
        if first is not None and rounding in ("soft", "gumbel"):
            annealed = {"rounding": rounding, "temperature": self.temperature}
            stages[first] = stages[first].model_copy(update=annealed)
        return design.model_copy(update={"training": design.training.model_copy(update={"stages": stages})})


def load_quantisation_study(path: Path | str, quick: bool = False, changes: Sequence[str] = ()) -> QuantisationStudy:
    """Read a study file, and check it with its design at every number of levels.

    Args:
        path: a TOML file in UTF-8; the path of the design inside starts at its folder.
        quick: whether the design is checked as `--quick` changes it.
        changes: further key=value texts for the design.

    Raises:
        DesignError: the file cannot be read, or the study or its design has problems; it holds all of them.
    """
    study = load_tables(path, QuantisationStudy, example=_EXAMPLE)
    for levels in study.levels_of(quick):
        try:
            study.trained_design(FLOAT, levels, study.seeds[0], quick, changes)
        except DesignError as error:
            source = f"{printable(str(path))}, its key=value texts or --set"
            problems = [replace(one, source=source) if one.source == "--set" else one for one in error.problems]
            raise DesignError(problems) from None
    return study
