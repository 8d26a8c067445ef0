"""The report's tables as plain cells: what is shown, and the value it is sorted by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from opticdesign.formatting import MISSING, Metric, counted, metric, quantity_text, rounded, share, spoken, suited_unit
from opticdesign.perturbed.space import COMPENSATORS
from opticdesign.tolerance.quantities import interval_text, range_text, tolerance_text
from opticdesign.tolerance.result import (
    BudgetLoss,
    Estimate,
    ParameterFacts,
    Ranking,
    ToleranceResult,
    WorstDraw,
)

__all__ = [
    "UNTOLD",
    "Cell",
    "Column",
    "Table",
    "budget_table",
    "compensator_table",
    "deviations_text",
    "draw_table",
    "effect_table",
    "group_table",
    "inverse_table",
    "parameter_table",
    "ranking_table",
    "spread_table",
    "stage_table",
    "told_apart",
    "trial_table",
    "worst_table",
]

UNTOLD = "not told from none"
"""Remark on a parameter that correlates no more than some without effect would by chance."""
_CHANCE = 0.05
_LISTED = 3  # different ranges of one group that are written out


@dataclass(frozen=True)
class Cell:
    """What a cell shows, a remark in small below it, and what it is sorted by: its text where that is None."""

    text: str
    note: str = ""
    sort: float | None = None


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers stand on the right and are sorted as numbers."""

    heading: str
    number: bool = True


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows. `name` is its anchor in the page."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = True


def stage_table(result: ToleranceResult) -> Table:
    """From the design as trained to what the draws do to it."""
    names = list(result.summaries)
    rows = []
    for stage in result.stages:
        found = [_number(metric(name), stage.metrics[name]) if name in stage.metrics else _NOTHING for name in names]
        rows.append((Cell(stage.name, stage.note), *found))
    headings = (Column("design", number=False), *(Column(metric(name).heading) for name in names))
    return Table(
        "stages",
        f"Mean over {counted(result.images, 'test image')} at each step",
        headings,
        tuple(rows),
        sortable=False,
    )


def spread_table(result: ToleranceResult) -> Table:
    """Every metric over the draws: nominal, mean, percentiles with their intervals, extremes."""
    percents = list(dict.fromkeys(percent for summary in result.summaries.values() for percent in summary.percentiles))
    rows = []
    for name, summary in result.summaries.items():
        measure = metric(name)
        rows.append(
            (
                Cell(measure.heading, "the judged metric" if name == result.metric else ""),
                _number(measure, summary.nominal),
                _estimate(measure, summary.mean),
                _number(measure, summary.deviation),
                *(_estimate(measure, summary.percentiles[percent]) for percent in percents),
                Cell(f"{measure.number(summary.minimum)} … {measure.number(summary.maximum)}", sort=summary.minimum),
            )
        )
    headings = ("nominal", "mean", "st. dev.", *(f"{percent} %" for percent in percents), "least … most")
    columns = (Column("metric", number=False), *map(Column, headings))
    return Table(
        "spread",
        f"Percentiles over {counted(result.samples, 'draw')}, with 95 % intervals",
        columns,
        tuple(rows),
        False,
    )


def effect_table(result: ToleranceResult) -> Table | None:
    """What each group does alone, and what is won back when it is taken away, the greatest first."""
    measure = metric(result.metric)
    rows = tuple(
        (Cell(spoken(effect.group)), _estimate(measure, effect.alone), _estimate(measure, effect.won))
        for effect in result.effects
    )
    columns = (Column("group", number=False), Column("change alone"), Column("won back without it"))
    caption = f"What each group of errors does to draws, on average, in {measure.heading}"
    return Table("effects", caption, columns, rows) if rows else None


def ranking_table(result: ToleranceResult) -> Table | None:
    """Spearman rank correlations of all parameters; a remark where they are not told from none."""
    rows = tuple(
        (
            Cell(row.name, "" if told_apart(row) else UNTOLD),
            _correlation(row.spearman),
            _correlation(row.spearman_signed) if row.spearman_signed is not None else _NOTHING,
        )
        for row in result.ranking
        if row.spearman is not None
    )
    columns = (Column("parameter", number=False), Column("of |deviation|"), Column("of its value"))
    caption = f"Spearman rank correlation with {metric(result.metric).label}"
    return Table("ranking", caption, columns, rows) if rows else None


def told_apart(row: Ranking) -> bool:
    """Whether a correlation is stronger than chance makes any of so many, but for 1 study in 20."""
    return row.chance is not None and row.chance < _CHANCE


def group_table(result: ToleranceResult) -> Table | None:
    """Sobol indices of all groups."""
    rows = tuple(
        (Cell(spoken(row.name)), _correlation(row.first), _correlation(row.total))
        for row in result.ranking
        if row.first is not None and row.total is not None
    )
    columns = (Column("group", number=False), Column("first order"), Column("total"))
    caption = f"Sobol indices of the variance of {metric(result.metric).label}"
    return Table("sobol", caption, columns, rows) if rows else None


def inverse_table(result: ToleranceResult) -> Table | None:
    """How far each group may go alone."""
    facts, measure = _facts(result), metric(result.metric)
    rows = []
    for limit in result.inverse:
        if limit.scale is None:
            factor = Cell(f"> × {rounded(limit.searched)}", "not reached", limit.searched)
        else:
            ends = f"{rounded(limit.scale.low)} … {rounded(limit.scale.high)}"
            factor = Cell(f"× {rounded(limit.scale.value)}", ends, limit.scale.value)
        given = _divided(limit.deviations, limit.scale.value if limit.scale else limit.searched)
        far = ("" if limit.scale else "> ") + deviations_text(limit.deviations, facts)
        rows.append((Cell(spoken(limit.group)), Cell(deviations_text(given, facts)), factor, Cell(far)))
    headings = ("group", "tolerance as given", "factor", "limit")
    columns = tuple(Column(heading, number=heading == "factor") for heading in headings)
    caption = f"Where each group alone costs {measure.text(result.allowed_drop)} of {measure.label}"
    return Table("inverse", caption, columns, tuple(rows)) if rows else None


def budget_table(result: ToleranceResult) -> Table | None:
    """The proposed tolerances."""
    if result.budget is None:
        return None
    facts, measure = _facts(result), metric(result.metric)
    rows = tuple(
        (
            Cell(spoken(row.group)),
            Cell(deviations_text(_divided(row.deviations, row.scale), facts)),
            _number(measure, row.drop),
            Cell(f"× {rounded(row.scale)}", sort=row.scale),
            Cell(deviations_text(row.deviations, facts)),
            _number(measure, row.proposed_drop),
        )
        for row in result.budget.rows
    )
    columns = (
        Column("group", number=False),
        Column("tolerance as given", number=False),
        Column("its cost alone"),
        Column("factor"),
        Column("tolerance proposed", number=False),
        Column("its cost alone"),
    )
    state = "Proposed tolerances" if result.budget.holds else "Tolerances tried last, which DO NOT hold"
    return Table("budget", f"{state}; costs in {measure.heading}", columns, rows)


def trial_table(result: ToleranceResult) -> Table | None:
    """What draws lose with the tolerances as they were allocated, and with those proposed."""
    if result.budget is None:
        return None
    budget, measure = result.budget, metric(result.metric)
    rows = [_trial("as the curves allocate them", 1.0, budget.allocated, measure)]
    if budget.factor < 1.0:
        rows.append(_trial("as proposed" if budget.holds else "as tried last", budget.factor, budget.proposed, measure))
    most = f"{share(budget.share)} of draws lose at most"
    headings = ("common factor", "mean loss", most, "greatest loss")
    return Table(
        "trial",
        f"All tolerances together on {counted(budget.draws, 'draw')}: losses in {measure.heading}, of which "
        f"{measure.number(result.allowed_drop)} may be lost",
        (Column("tolerances", number=False), *map(Column, headings)),
        tuple(rows),
        sortable=False,
    )


def _trial(name: str, factor: float, loss: BudgetLoss | None, measure: Metric) -> tuple[Cell, ...]:
    first = (Cell(name, "" if loss else "some draws cannot be simulated"), Cell(f"× {rounded(factor)}", sort=factor))
    if loss is None:
        return (*first, _NOTHING, _NOTHING, _NOTHING)
    return (*first, *(_number(measure, value) for value in (loss.mean, loss.bound, loss.greatest)))


def compensator_table(result: ToleranceResult) -> Table | None:
    """What each compensator wins back, and how far it had to move."""
    measure = metric(result.metric)
    sign = -1.0 if result.summaries[result.metric].lower_is_better else 1.0
    rows = []
    for row in result.compensators:
        gains = [sign * (after - before) for before, after in zip(row.before, row.after, strict=True)]
        rows.append(
            (
                Cell(row.name),
                Cell(row.draws, _unbroken(counted(len(row.indices), "draw"))),
                _number(measure, mean(row.before)) if row.before else _NOTHING,
                _number(measure, mean(row.after)) if row.after else _NOTHING,
                _number(measure, mean(gains)) if gains else _NOTHING,
                _number(measure, median(gains)) if gains else _NOTHING,
                Cell("; ".join(_settings(*one) for one in row.settings.items()) or MISSING),
            )
        )
    columns = (
        Column("compensator", number=False),
        Column("draws", number=False),
        *map(Column, ("mean before", "mean after", "mean gain", "median gain")),
        Column("moved by", number=False),
    )
    return (
        Table("compensators", f"{measure.heading} before and after adjustment", columns, tuple(rows)) if rows else None
    )


def worst_table(result: ToleranceResult) -> Table:
    """The worst draws, with what each is furthest off in."""
    names, facts = list(result.summaries), _facts(result)
    rows = tuple(
        (
            Cell(f"{place}", sort=float(place)),
            Cell(f"{draw.index}", sort=float(draw.index)),
            *(_number(metric(name), draw.metrics[name]) for name in names),
            Cell(", ".join(f"{name} {_moved(facts[name], draw.values[name])}" for name in _furthest(draw, facts)[:2])),
        )
        for place, draw in enumerate(result.worst, start=1)
    )
    headings = ("rank", "draw", *(metric(name).heading for name in names))
    columns = (*map(Column, headings), Column("furthest off", number=False))
    return Table("worst", f"The worst {len(rows)} of {counted(result.samples, 'draw')}", columns, rows)


def draw_table(result: ToleranceResult, draw: WorstDraw) -> Table:
    """All parameters of one draw, the furthest off first."""
    facts = _facts(result)
    rows = tuple(
        (
            Cell(name),
            Cell(_moved(facts[name], draw.values[name]), sort=draw.values[name] - facts[name].nominal),
            Cell(rounded(apart, 2), sort=apart),
        )
        for name in _furthest(draw, facts)
        for apart in [_remoteness(facts[name], draw.values[name])]
    )
    columns = (Column("parameter", number=False), Column("deviation"), Column("over its tolerance"))
    return Table(f"draw-{draw.index}", f"Parameters of draw {draw.index}", columns, rows)


def parameter_table(result: ToleranceResult) -> Table:
    """What was perturbed, parameters that are alike in one row; what varies from pixel to pixel last."""
    alike: dict[tuple[str, str, str], list[ParameterFacts]] = {}
    for parameter in result.parameters:
        key = (parameter.group, parameter.distribution, range_text(parameter))
        alike.setdefault(key, []).append(parameter)
    rows = [
        (
            Cell(spoken(group), f"{members[0].name} … {members[-1].name}" if len(members) > 1 else ""),
            Cell(f"{len(members)}", sort=float(len(members))),
            Cell(distribution),
            Cell(span, sort=members[0].high - members[0].low),
        )
        for (group, distribution, span), members in alike.items()
    ]
    rows += [
        (Cell(spoken(name)), Cell("a pixel"), Cell(strength), _NOTHING) for name, strength in result.fields.items()
    ]
    headings = ("perturbation", "drawn", "distribution", "95 % of draws")
    columns = tuple(Column(heading, number=heading in ("drawn", "95 % of draws")) for heading in headings)
    return Table("parameters", "What was perturbed, as deviations from the design", columns, tuple(rows))


def deviations_text(deviations: Mapping[str, float], facts: Mapping[str, ParameterFacts]) -> str:
    """Tolerances of a group's parameters as "±2 µm; ±0.1 mrad", each of them once; no sign where one end is nominal."""
    texts = list(dict.fromkeys(tolerance_text(size, facts[name]) for name, size in deviations.items()))
    return "; ".join(texts[:_LISTED]) + (" …" if len(texts) > _LISTED else "") or MISSING


def _divided(deviations: Mapping[str, float], factor: float) -> dict[str, float]:
    """Tolerances as given, from those at a factor of them."""
    return {name: size / factor for name, size in deviations.items()}


def _settings(name: str, values: Sequence[float]) -> str:
    """How far one adjustment went over the draws."""
    symbol, size = suited_unit("m" if name in COMPENSATORS else "", values)
    ends = dict.fromkeys(rounded(end / size, 2, sign=True) for end in (min(values), max(values)))
    return f"{name} {_unbroken(' … '.join(ends))}" + (f"\N{NO-BREAK SPACE}{symbol}" if any(values) and symbol else "")


def _facts(result: ToleranceResult) -> dict[str, ParameterFacts]:
    return {parameter.name: parameter for parameter in result.parameters}


def _furthest(draw: WorstDraw, facts: Mapping[str, ParameterFacts]) -> list[str]:
    """Names of a draw's parameters, the furthest off first."""
    return sorted(facts, key=lambda name: -_remoteness(facts[name], draw.values[name]))


def _remoteness(parameter: ParameterFacts, value: float) -> float:
    """How far off a value is, over its tolerance: how far 95 % of the values reach."""
    width = max(abs(parameter.low - parameter.nominal), abs(parameter.high - parameter.nominal))
    return abs(value - parameter.nominal) / width if width > 0.0 else 0.0


def _moved(parameter: ParameterFacts, value: float) -> str:
    return _unbroken(quantity_text(value - parameter.nominal, parameter.unit, 3, sign=True))


def _unbroken(text: str) -> str:
    """A text that stays on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _number(measure: Metric, value: float) -> Cell:
    return Cell(measure.number(value), sort=value)


def _estimate(measure: Metric, estimate: Estimate) -> Cell:
    return Cell(measure.number(estimate.value), interval_text(estimate, measure), estimate.value)


def _correlation(estimate: Estimate) -> Cell:
    return _estimate(Metric("", "", "", 2), estimate)


_NOTHING = Cell(MISSING, sort=math.nan)
