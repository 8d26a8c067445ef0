"""A table study: rows of designs, some starting where others end, each trained with several seeds beside its floors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opticdesign.design import Design, load_design
from opticdesign.design.fields import Name, Table, sequence
from opticdesign.design.loading import load_tables
from opticdesign.design.problems import line_numbers
from opticdesign.design.toml_text import printable, toml_value
from opticdesign.design.values import refuse
from opticdesign.errors import DesignError, DesignProblem
from opticdesign.runs.floors import CONSTANT, floors
from opticdesign.studies.fields import DesignFile, Quick, Seeds, Settings

__all__ = ["PaperFigures", "StudyRow", "TableStudy", "load_study"]

_EXAMPLE = "designs/studies/table1.toml is a complete study"


class PaperFigures(Table):
    """What a paper reports for a row, on its own data.

    Attributes:
        psnr_field: PSNR of whole fields, dB.
        psnr_patch: PSNR of patches, dB.
        ssim_field: SSIM of whole fields.
        ssim_patch: SSIM of patches.
    """

    psnr_field: float = Field(description="PSNR of whole fields, dB", examples=[27.26])
    psnr_patch: float = Field(description="PSNR of patches, dB", examples=[29.76])
    ssim_field: float = Field(description="SSIM of whole fields", examples=[0.897])
    ssim_patch: float = Field(description="SSIM of patches", examples=[0.903])


def _known_floor(name: str) -> str:
    """The name of a floor that there is."""
    names = (CONSTANT, *floors())
    if name not in names:
        near = get_close_matches(name, names, n=1)
        remedy = f'did you mean "{near[0]}"?' if near else "choose one of these words"
        refuse([DesignProblem("", "unknown floor", expected=" or ".join(map(toml_value, names)), remedy=remedy)])
    return name


class StudyRow(Table):
    """One row of the table: a design, or a floor of another row.

    Attributes:
        name: name of the row, also of its run folders.
        title: what the row shows; the name, or the kind of floor, where it is left out.
        design: a design file, its path resolved from the study's folder; None for a floor.
        start: name of the row whose trained run of the same seed this one starts from; `from` in the file.
        floor: optics that are not learned, in the place of those of the row `of`: its decoder is trained as long.
        of: name of the row this is a floor of.
        set: key=value texts for this row.
        quick: key=value texts for this row under `--quick`.
        paper: what the paper reports.
    """

    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["C1"])
    title: str = Field(default="", max_length=200, description="what the row shows", examples=["LFF ×64"])
    design: DesignFile | None = Field(default=None, description="a design file", examples=["../paper/c1.toml"])
    start: str | None = Field(default=None, alias="from", description="name of a row", examples=["B1"])
    floor: Annotated[str, AfterValidator(_known_floor)] | None = Field(
        default=None, description="optics that learn nothing", examples=["clear"]
    )
    of: str | None = Field(default=None, description="name of the row it is a floor of", examples=["C1"])
    set: Settings = Field(default=(), description="key=value texts", examples=[["training.batch=8"]])
    quick: Settings = Field(default=(), description="key=value texts", examples=[["decoder.preset=tiny"]])
    paper: PaperFigures | None = None

    @model_validator(mode="after")
    def _consistent(self) -> StudyRow:
        refuse(list(self._problems()))
        return self

    def _problems(self) -> Iterator[DesignProblem]:
        if self.floor is None and self.of is not None:
            message = "missing key 'floor' beside of"
            yield DesignProblem("of", message, toml_value(self.of), "a kind of floor", 'add floor = "clear"')
        if self.floor is not None and self.of is None:
            message, remedy = "missing key 'of' beside floor", "add of = the name of the row it is a floor of"
            yield DesignProblem("floor", message, toml_value(self.floor), "the name of a row", remedy)
        if self.floor is not None and self.design is not None:
            message = "a floor has the design of the row it stands under"
            remedy = "remove design, or floor and of"
            yield DesignProblem("design, floor", message, toml_value(self.floor), "one of the two", remedy)
        if self.floor is None and self.design is None and self.of is None:
            remedy = 'add design = "…", or floor and of'
            yield DesignProblem("design", "missing key 'design'", expected="a design file", remedy=remedy)
        if self.floor == "constant" and self.start is not None:
            message = "a constant image is not trained and starts from nothing"
            yield DesignProblem("from", message, toml_value(self.start), "no from", "remove it")


class TableStudy(Table):
    """A grid of rows and seeds, shown as one table.

    Attributes:
        kind: "table".
        name: name of the study, also of its folder.
        seeds: every row is trained once with each of them, which replaces the design's training.seed.
        common: key=value texts for every row.
        quick: what `--quick` changes.
        rows: the rows in the order of the table.
    """

    kind: Literal["table"] = Field(description="kind of study", examples=["table"])
    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["table1"])
    seeds: Seeds = Field(min_length=1, description="one seed or more", examples=[[0, 1, 2]])
    common: Settings = Field(default=(), description="key=value texts", examples=[["training.batch=8"]])
    quick: Quick = Quick()
    rows: Annotated[tuple[StudyRow, ...], BeforeValidator(sequence)] = Field(
        min_length=1, description="rows of the table"
    )

    @model_validator(mode="after")
    def _consistent(self) -> TableStudy:
        refuse(list(self._problems()))
        return self

    def _problems(self) -> Iterator[DesignProblem]:
        """Names that are no row, or two; circles; floors whose decoder would not start as their row's does."""
        names: dict[str, int] = {}
        for index, row in enumerate(self.rows):
            if (first := names.setdefault(row.name.casefold(), index)) < index:
                message = f"this name is that of row {first + 1} too (large and small letters make one run folder)"
                yield DesignProblem(
                    f"rows[{index}].name", message, toml_value(row.name), "a name of its own", "rename one of the two"
                )
        unknown = list(self._unknown())
        yield from unknown
        if unknown:
            return
        for index, row in enumerate(self.rows):
            if circle := self._circle(row):
                message = f"row {row.name} comes before itself: {' → '.join([*circle, circle[0]])}"
                following = [*circle, circle[0]][1]
                key = f"rows[{index}].{'from' if row.start == following else 'of'}"
                yield DesignProblem(key, message, toml_value(following), "a row before this one", "break the circle")
                return
        for index, row in enumerate(self.rows):
            yield from self._floor_problems(index, row)

    def _unknown(self) -> Iterator[DesignProblem]:
        names = [row.name for row in self.rows]
        for index, row in enumerate(self.rows):
            for key, name in (("from", row.start), ("of", row.of)):
                if name is not None and name not in names:
                    near = get_close_matches(name, names, n=1)
                    expected = "one of " + ", ".join(names)
                    remedy = f"did you mean {near[0]!r}?" if near else "name a row of this study"
                    yield DesignProblem(f"rows[{index}].{key}", "no such row", toml_value(name), expected, remedy)

    def _circle(self, row: StudyRow) -> list[str]:
        """The names on the way from a row along `from` and `of` back to itself; none when it does not come back."""
        ways = [[row.name]]
        seen = set()
        while ways:
            way = ways.pop()
            current = self.row(way[-1])
            for name in (current.start, current.of):
                if name == row.name:
                    return way
                if name is not None and name not in seen:
                    seen.add(name)
                    ways.append([*way, name])
        return []

    def _floor_problems(self, index: int, row: StudyRow) -> Iterator[DesignProblem]:
        start = self.row(row.start) if row.start else None
        if row.of is None:
            if start is not None and start.floor is not None:
                message = f"{start.name} is a floor, whose optics learned nothing"
                key, value = f"rows[{index}].from", toml_value(row.start)
                yield DesignProblem(key, message, value, "a row with a design", "start from another row")
            return
        under = self.row(row.of)
        if under.floor is not None:
            key, value = f"rows[{index}].of", toml_value(row.of)
            yield DesignProblem(key, f"{under.name} is a floor itself", value, "a row with a design", "name its row")
        elif start is not None and (start.floor, start.of) != (row.floor, under.start):
            expected = f"no from, since {under.name} has none"
            if under.start is not None:
                expected = f'a row with floor = "{row.floor}", of = "{under.start}", as {under.name} is from it'
            message = f"this floor does not start as {under.name} does"
            key, value = f"rows[{index}].from", toml_value(row.start)
            yield DesignProblem(key, message, value, expected, "correct from, or remove it")

    def row(self, name: str) -> StudyRow:
        """The row of a name that is there."""
        return next(row for row in self.rows if row.name == name)

    def seeds_of(self, quick: bool) -> tuple[int, ...]:
        """The seeds of a run of the study."""
        return self.quick.seeds or self.seeds if quick else self.seeds

    def design(self, row: StudyRow, seed: int, quick: bool, changes: Sequence[str] = ()) -> Design:
        """The design of a row with a seed; that of a floor is its row's, still with the optics that learn.

        Args:
            row: one of the rows.
            seed: replaces training.seed.
            quick: whether what is for `--quick` counts.
            changes: further key=value texts; the last one of a key counts.

        Raises:
            DesignError: the design has problems.
        """
        under = row if row.of is None else self.row(row.of)
        chain = (under,) if under is row else (under, row)
        settings = [*self.common, *(entry for part in chain for entry in part.set)]
        if quick:
            settings += [*self.quick.set, *(entry for part in chain for entry in part.quick)]
        return load_design(under.design or "", [*settings, *changes, f"training.seed={seed}"])

    def idle_floors(self, quick: bool, changes: Sequence[str] = ()) -> Iterator[tuple[int, DesignProblem]]:
        """Floors, by the number of their row, whose decoder would be trained for fewer steps than that of their row."""
        for index, row in enumerate(self.rows):
            if row.of is None or row.floor == "constant":
                continue
            if not self._trains_decoder(row.of, quick, changes):
                message = f"{row.of} trains no decoder, and a floor trains nothing else"
                expected = 'a row that trains a decoder, or floor = "constant"'
                yield (
                    index,
                    DesignProblem(f"rows[{index}].of", message, toml_value(row.of), expected, "remove this row"),
                )
            under = self.row(row.of)
            trained = [name for name in self._before(under) if self._trains_decoder(name, quick, changes)]
            if trained and row.start is None:
                message = (
                    f"the decoder of {under.name} is trained in {', '.join(trained)} before, that of its floor is not"
                )
                expected = f'from = a row with floor = "{row.floor}" and of = "{under.start}"'
                yield index, DesignProblem(f"rows[{index}].from", message, "", expected, "add that row, and from here")

    def _before(self, row: StudyRow) -> Iterator[str]:
        """The names along `from`, nearest first."""
        while row.start is not None:
            yield row.start
            row = self.row(row.start)

    def _trains_decoder(self, name: str, quick: bool, changes: Sequence[str]) -> bool:
        design = self.design(self.row(name), self.seeds[0], quick, changes)
        return any("decoder" in stage.train for stage in design.training.stages.values())


def load_study(path: Path | str, quick: bool = False, changes: Sequence[str] = ()) -> TableStudy:
    """Read a study file, and check it with all its designs.

    Args:
        path: a TOML file in UTF-8; relative paths of designs inside start at its folder.
        quick: whether its designs are checked as `--quick` changes them.
        changes: further key=value texts for all designs.

    Raises:
        DesignError: the file cannot be read, or the study or the design of a row has problems; it holds all of them.
    """
    study = load_tables(path, TableStudy, example=_EXAMPLE)
    lines = line_numbers(Path(path).read_text("utf-8-sig"))
    source = printable(str(path))
    for index, row in enumerate(study.rows):
        try:
            study.design(row, study.seeds[0], quick, changes)
        except DesignError as error:
            problems = [replace(problem, message=f"row {row.name}: {problem.message}") for problem in error.problems]
            for number, problem in enumerate(problems):
                if place := _setting_at_fault(problem, study, index, changes):
                    problems[number] = replace(problem, source=source, line=lines.get(place))
            raise DesignError(problems) from None
    idle = [
        replace(problem, source=source, line=lines.get(("rows", str(index))))
        for index, problem in study.idle_floors(quick, changes)
    ]
    if idle:
        raise DesignError(idle)
    return study


def _setting_at_fault(
    problem: DesignProblem, study: TableStudy, index: int, changes: Sequence[str]
) -> tuple[str, ...] | None:
    """Where in the study the key=value text of a design's problem stands; None where it is not from there."""

    def concerned(settings: Sequence[str]) -> bool:
        keys = [setting.partition("=")[0].strip() for setting in settings]
        asked = [found for found in problem.key.split(", ") if found]
        near = any(found.startswith(key) or key.startswith(found) for found in asked for key in keys)
        return near or problem.value in settings

    if problem.source != "--set" or concerned(changes):
        return None
    row, number = study.rows[index], str(index)
    for place, settings in (
        (("rows", number, "quick"), row.quick),
        (("rows", number, "set"), row.set),
        (("quick", "set"), study.quick.set),
        (("common",), study.common),
    ):
        if concerned(settings):
            return place
    return ("rows", number)
