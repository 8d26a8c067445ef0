"""A tolerance study in a terminal: the tables of its report, shortened, and one draw made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from opticdesign.cli.tables import QUICK, new_table
from opticdesign.formatting import counted, metric, quantity_text, share
from opticdesign.tolerance.headline import headline
from opticdesign.tolerance.report import tables

if TYPE_CHECKING:
    from rich.table import Table

    from opticdesign.tolerance.result import ToleranceResult
    from opticdesign.tolerance.running.study_run import Replay

__all__ = ["replay_table", "tolerance_lines", "tolerance_tables"]


def tolerance_tables(result: ToleranceResult) -> Iterator[Table]:
    """The tables of a study, in the order of reading."""
    found = (
        replace(tables.stage_table(result), caption=_heading(result)),
        tables.spread_table(result),
        tables.effect_table(result),
        tables.group_table(result),
        tables.inverse_table(result),
        tables.budget_table(result),
        tables.trial_table(result),
        tables.compensator_table(result),
        tables.worst_table(result),
    )
    return (_in_terminal(table) for table in found if table)


def _heading(result: ToleranceResult) -> str:
    """What was studied, and the yield."""
    found, measure = result.yield_found, metric(result.metric)
    sign, text = ("≤" if found.spec.lower_is_better else "≥"), measure.text(found.spec.limit)
    least = "" if found.least is None else f", at least {share(found.least)} asked for"
    return (
        f"{result.name}: {counted(result.samples, 'draw')}, {counted(result.images, 'test image')} in each, "
        f"seed {result.seed}{QUICK if result.quick else ''}\n"
        f"yield, {measure.label} {sign} {text}: {share(found.share.value)} "
        f"[{share(found.share.low)}, {share(found.share.high)}], {found.passed} of {found.samples}{least}"
    )


def _in_terminal(found: tables.Table) -> Table:
    """A table of the report, remarks in brackets."""
    from rich.markup import escape

    table = new_table(escape(found.caption), *(escape(column.heading) for column in found.columns))
    for column, kind in zip(table.columns, found.columns, strict=True):
        column.justify = "right" if kind.number else "left"
    for row in found.rows:
        table.add_row(*(escape(f"{cell.text} [{cell.note}]" if cell.note else cell.text) for cell in row))
    return table


def tolerance_lines(result: ToleranceResult) -> list[str]:
    """What stands under the tables."""
    again = f"{result.provenance['command']} --replay {result.worst[0].index}"
    return [*headline(result, result.metric), *result.notes, f"make a draw again, alone, with a picture: {again}"]


def replay_table(found: Replay) -> Table:
    """One draw: its parameters, and its metrics beside those the study holds, to the last digit where they differ."""
    state = "equal to the study's" if found.same else "DIFFERENT from the study's"
    table = new_table(f"draw {found.draw.index}, {state}", "what", "value", "in the study")
    for name, value in found.draw.values.items():
        table.add_row(name, quantity_text(value, found.units[name], 6), "")
    for name, value in found.draw.metrics.items():
        shown = metric(name).number if found.same else repr
        table.add_row(metric(name).heading, shown(value), shown(found.stored[name]))
    return table
