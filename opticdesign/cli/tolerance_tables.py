"""A tolerance study as tables: the way from design to devices, the spread, what matters, what to allow, the worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import fmean
from typing import TYPE_CHECKING

from opticdesign.cli.tables import HEADINGS, QUICK, new_table
from opticdesign.tolerance.quantities import metric, quantity

if TYPE_CHECKING:
    from rich.table import Table

    from opticdesign.tolerance.result import Estimate, ToleranceResult
    from opticdesign.workflow.tolerance import Replay

__all__ = ["replay_table", "tolerance_lines", "tolerance_tables"]

_RANKED = 12  # rows of the ranking; the report has all


def tolerance_tables(result: ToleranceResult) -> Iterator[Table]:
    """The tables of a study, in the order of reading."""
    yield _stages(result)
    yield _spread(result)
    yield _ranking(result)
    if result.inverse or result.budget:
        yield _limits(result)
    if result.compensators:
        yield _compensators(result)
    yield _worst(result)


def _stages(result: ToleranceResult) -> Table:
    quick = QUICK if result.quick else ""
    title = f"{result.name}: {result.samples} draws, {result.images} test images in each, seed {result.seed}{quick}"
    table = new_table(title, "stage", *(HEADINGS.get(name, name) for name in result.summaries), "")
    for stage in result.stages:
        cells = [
            metric(name).number(stage.metrics[name]) if name in stage.metrics else "–" for name in result.summaries
        ]
        table.add_row(stage.name, *cells, stage.note)
    return table


def _spread(result: ToleranceResult) -> Table:
    table = new_table(
        f"over the draws [95 % interval]{_yield_text(result)}",
        *("metric", "nominal", "mean", "5 %", "50 %", "95 %", "worst"),
    )
    for name, found in result.summaries.items():
        number, worst = metric(name).number, found.maximum if found.lower_is_better else found.minimum
        percentiles = [_interval(found.percentiles[percent], number) for percent in ("5", "50", "95")]
        cells = (number(found.nominal), _interval(found.mean, number), *percentiles, number(worst))
        table.add_row(HEADINGS.get(name, name), *cells, style="bold" if name == result.metric else None)
    return table


def _yield_text(result: ToleranceResult) -> str:
    found = result.yield_found
    if found is None:
        return ""
    sign, share = ("≤" if found.spec.lower_is_better else "≥"), found.share
    least = "" if found.least is None else f", at least {found.least:.1%} asked for"
    heading = HEADINGS.get(found.spec.metric, found.spec.metric)
    return (
        f"\nyield, {heading} {sign} {metric(found.spec.metric).number(found.spec.limit)}: {share.value:.1%} "
        rf"\[{share.low:.1%}, {share.high:.1%}], {found.passed} of {found.samples}{least}"
    )


def _interval(estimate: Estimate, number: Callable[[float], str] = "{:.2f}".format) -> str:
    return rf"{number(estimate.value)} \[{number(estimate.low)}, {number(estimate.high)}]"


def _ranking(result: ToleranceResult) -> Table:
    table = new_table(f"what matters for {HEADINGS.get(result.metric, result.metric)}", "what", "measure", "value")
    for row in [row for row in result.ranking if row.of == "parameter"][:_RANKED]:
        if row.spearman is not None and row.spearman_signed is not None:
            signed = abs(row.spearman_signed.value) > abs(row.spearman.value)
            measure = "rank correlation of " + ("the value" if signed else "the distance from nominal")
            table.add_row(row.name, measure, _interval(row.spearman_signed if signed else row.spearman))
    for row in [row for row in result.ranking if row.of == "group"]:
        if row.first is not None and row.total is not None:
            table.add_row(row.name, "Sobol index, first-order", _interval(row.first))
            table.add_row("", "Sobol index, total", _interval(row.total))
    return table


def _limits(result: ToleranceResult) -> Table:
    """Inverse limits and budget of each group, with the tolerances they stand for."""
    units = {parameter.name: parameter.unit for parameter in result.parameters}
    inverse = {row.group: row for row in result.inverse}
    title = f"limits and budget for a drop of {metric(result.metric).text(result.allowed_drop)} (tolerances hold 95 %)"
    table = new_table(
        title, "group", "drop alone", "alone, it may go to", "proposed", "in a parameter of it", "drop as proposed"
    )
    for row in result.budget:
        limit = inverse[row.group]
        name, tolerance = next(iter(row.deviations.items()))
        reach = f"over {limit.searched:g} ×" if limit.scale is None else f"{limit.scale:.2g} ×"
        proposed = f"±{quantity(tolerance, units[name])}"
        table.add_row(row.group, f"{row.drop:.3g}", reach, f"{row.scale:.2g} ×", proposed, f"{row.proposed_drop:.3g}")
    return table


def _compensators(result: ToleranceResult) -> Table:
    number, heading = metric(result.metric).number, HEADINGS.get(result.metric, result.metric)
    table = new_table(f"compensators: mean {heading}", "adjusted", "draws", "before", "after", "draw by draw")
    for row in result.compensators:
        pairs = ", ".join(
            f"{number(before)} → {number(after)}" for before, after in zip(row.before, row.after, strict=True)
        )
        table.add_row(row.name, row.draws, number(fmean(row.before)), number(fmean(row.after)), pairs)
    return table


def _worst(result: ToleranceResult) -> Table:
    """The worst draws, each with the parameters that are farthest out."""
    ranges = {
        one.name: (one, max(abs(one.low - one.nominal), abs(one.high - one.nominal))) for one in result.parameters
    }
    table = new_table("worst draws", "draw", HEADINGS.get(result.metric, result.metric), "farthest from nominal")
    for draw in result.worst:
        far = sorted(draw.values, key=lambda name: -abs(draw.values[name] - ranges[name][0].nominal) / ranges[name][1])
        texts = [f"{name} {quantity(draw.values[name], ranges[name][0].unit, sign=True)}" for name in far[:4]]
        table.add_row(str(draw.index), metric(result.metric).number(draw.metrics[result.metric]), ", ".join(texts))
    return table


def tolerance_lines(result: ToleranceResult) -> list[str]:
    """What stands under the tables."""
    again = f"{result.provenance['command']} --replay {result.worst[0].index}"
    return [*result.notes, f"make a draw again, alone, with a picture: {again}"]


def replay_table(found: Replay) -> Table:
    """One draw: its parameters, and its metrics beside those the study holds."""
    state = "equal to the study's" if found.same else "DIFFERENT from the study's"
    table = new_table(f"draw {found.draw.index}, {state}", "what", "value", "in the study")
    for name, value in found.draw.values.items():
        table.add_row(name, quantity(value, found.units[name], 6), "")
    for name, value in found.draw.metrics.items():
        table.add_row(HEADINGS.get(name, name), repr(value), repr(found.stored[name]))
    return table
