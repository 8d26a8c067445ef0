"""The report's plots: spread, yield, ranking, one at a time, compensators, convergence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from opticdesign.formatting import metric, share, spoken, suited_unit
from opticdesign.tolerance.quantities import interval_text
from opticdesign.tolerance.report.drawing import ACCENT, BAD, GOOD, INK, MUTED, SERIES, draw
from opticdesign.tolerance.result import (
    CompensatorRow,
    Convergence,
    Curve,
    Estimate,
    GroupEffect,
    Ranking,
    ToleranceResult,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Key",
    "Plot",
    "compensator_plot",
    "convergence_plot",
    "curve_plots",
    "effect_plot",
    "histogram_plot",
    "ranking_plot",
    "sobol_plot",
    "yield_plot",
]

_BARS = 15  # of a ranking; the table beside it has them all
_LONGEST_NAME = 24  # characters beside a bar
_MARKS = ("o", "s", "^", "D")
_SHAPES = (  # the same for the key
    "M5 1a4 4 0 1 0 .01 0z",
    "M1 1h8v8H1z",
    "M5 1l4.5 8h-9z",
    "M5 .5L9.5 5 5 9.5.5 5z",
)
_BLOCK = "M0 2h10v6H0z"
_NAMED = 4  # curves of a panel that are told apart
_DASHES = ("solid", "dashed", "dotted", "dashdot")
_STROKES = MappingProxyType(
    {"solid": "", "dashed": "5 3", "dotted": "1.5 3", "dashdot": "6 3 1.5 3"}
)  # as SVG has them


@dataclass(frozen=True)
class Key:
    """What one line, bar or mark of a plot is: its colour in the theme, its name, and its look as SVG wants it.

    `dashes` are those of a line; with `shape`, a path in a box of 10 × 10, it is a mark instead.
    """

    colour: str
    name: str
    dashes: str = ""
    shape: str = ""


@dataclass(frozen=True)
class Plot:
    """A plot, what stands below it, and its key."""

    svg: Markup
    caption: str
    keys: tuple[Key, ...] = ()


def histogram_plot(result: ToleranceResult) -> Plot:
    """How the judged metric spreads over the draws, with the nominal value and the limit."""
    values, measure = np.asarray(result.draws.metrics[result.metric]), metric(result.metric)
    summary = result.summaries[result.metric]
    limit = result.yield_found.spec.limit

    def paint(axes: Axes) -> None:
        count = int(np.clip(math.ceil(2.0 * len(values) ** (1.0 / 3.0)), 5, 40))  # Rice's rule
        axes.hist(values, bins=count, color=ACCENT, alpha=0.75, edgecolor="none", rwidth=0.94)
        axes.grid(axis="x", visible=False)
        for place, colour, dashes in ((summary.nominal, INK, "solid"), (limit, BAD, "dashed")):
            axes.axvline(place, color=colour, linestyle=dashes, linewidth=1.4)
        axes.set(xlabel=measure.heading, ylabel="draws")

    label = (
        f"Histogram of {measure.label} over {result.samples} draws, from {measure.text(summary.minimum)} to "
        f"{measure.text(summary.maximum)}; nominal {measure.text(summary.nominal)}"
    )
    keys = (
        Key("--ink", f"nominal {measure.text(summary.nominal)}"),
        Key("--bad", f"limit {measure.text(limit)}", "4 3"),
    )
    return Plot(draw(paint, label), f"{measure.label} of each draw, the mean over the test images.", keys)


def yield_plot(result: ToleranceResult) -> Plot:
    """The share of draws that would meet each limit, with its exact band."""
    curve, measure, found = result.yield_curve, metric(result.metric), result.yield_found

    def paint(axes: Axes) -> None:
        axes.fill_between(
            curve.limits, 100.0 * np.asarray(curve.low), 100.0 * np.asarray(curve.high), color=ACCENT, alpha=0.2, lw=0
        )
        axes.plot(curve.limits, 100.0 * np.asarray(curve.share), color=ACCENT)
        axes.axvline(found.spec.limit, color=BAD, linestyle="dashed", linewidth=1.4)
        axes.set(xlabel=f"limit on {measure.heading}", ylabel="yield / %", ylim=(-2.0, 102.0))

    limit = measure.text(found.spec.limit)
    label = f"Yield against the limit on {measure.label}, with exact 95 % bounds; {share(found.share.value)} at {limit}"
    keys = (Key("--accent", "share of draws, band: exact 95 % bounds"), Key("--bad", f"limit {limit}", "4 3"))
    caption = (
        "Yield for every limit that might be asked for; the band is Clopper’s and Pearson’s, for each limit by itself."
    )
    return Plot(draw(paint, label), caption, keys)


def effect_plot(effects: Sequence[GroupEffect], judged: str) -> Plot | None:
    """What each group does alone, and what is won back without it."""
    if not effects:
        return None
    measure = metric(judged)
    rows = [(spoken(effect.group), effect.alone, effect.won) for effect in effects]
    first = f"{rows[0][0]} with {measure.text(rows[0][1].value)} alone and {measure.text(rows[0][2].value)} won back"
    return Plot(
        _bars(rows, measure.heading, f"Effects of groups, the greatest first: {first}"),
        "The same draws with each group alone, and without it; whiskers: 95 % interval.",
        (
            Key("--accent", "change by it alone, up or down", shape=_BLOCK),
            Key("--good", "won back without it", shape=_BLOCK),
        ),
    )


def ranking_plot(ranking: Sequence[Ranking], judged: str) -> Plot | None:
    """Spearman rank correlation of each parameter, and of its distance from nominal, with the judged metric."""
    known = [
        (row.name, row.spearman, row.spearman_signed)
        for row in ranking
        if row.spearman is not None and row.spearman_signed is not None
    ]
    if not known:
        return None
    measure = metric(judged)
    more = f" The first {_BARS} of {len(known)}." if len(known) > _BARS else ""
    first = f"{known[0][0]} with {known[0][1].value:.2f} for its size and {known[0][2].value:.2f} for its value"
    keys = (
        Key("--accent", "of the deviation’s size", shape=_BLOCK),
        Key("--good", "of its value, with its sign", shape=_BLOCK),
    )
    return Plot(
        _bars(known, f"rank correlation with {measure.label}", f"Rank correlations, the greatest first: {first}"),
        f"Spearman’s correlation with {measure.label}; whiskers: 95 % interval.{more}",
        keys,
    )


def sobol_plot(ranking: Sequence[Ranking]) -> Plot | None:
    """First-order and total Sobol indices of the groups."""
    known = [
        (spoken(row.name), row.total, row.first) for row in ranking if row.first is not None and row.total is not None
    ]
    if not known:
        return None
    first = f"{known[0][0]} with a total of {known[0][1].value:.2f}"
    return Plot(
        _bars(known, "share of the variance", f"Sobol indices by group, the greatest first: {first}"),
        "Sobol indices: what share of the variance each group makes; whiskers: 95 % interval.",
        (
            Key("--accent", "total, with interactions", shape=_BLOCK),
            Key("--good", "first order, alone", shape=_BLOCK),
        ),
    )


def _bars(rows: Sequence[tuple[str, Estimate, Estimate]], axis: str, label: str) -> Markup:
    """Two bars a row with their intervals, the first row on top."""
    shown = rows[:_BARS][::-1]

    def paint(axes: Axes) -> None:
        places = np.arange(len(shown))
        pairs = (([row[1] for row in shown], 0.19, ACCENT), ([row[2] for row in shown], -0.19, GOOD))
        for found, offset, colour in pairs:
            middle = np.array([one.value for one in found])
            whiskers = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
            axes.barh(places + offset, middle, height=0.34, color=colour, alpha=0.85)
            errors = np.clip(whiskers, 0.0, None)
            axes.errorbar(middle, places + offset, xerr=errors, fmt="none", ecolor=INK, elinewidth=0.8, capsize=1.5)
        axes.axvline(0.0, color=MUTED, linewidth=0.8)
        axes.set_yticks(places, [_short(row[0]) for row in shown])
        axes.set(xlabel=axis, ylim=(-0.6, len(shown) - 0.4))
        axes.grid(axis="y", visible=False)

    return draw(paint, label, (4.7, 0.7 + 0.31 * len(shown)))


def curve_plots(result: ToleranceResult) -> tuple[Plot, ...]:
    """One plot a group: the judged metric against each parameter's deviation, all else nominal; the worst first."""
    pick = max if result.summaries[result.metric].lower_is_better else min
    panels: dict[str, list[Curve]] = {}
    for curve in sorted(result.curves, key=lambda one: pick(one.metrics[result.metric]), reverse=pick is max):
        panels.setdefault(curve.group, []).append(curve)
    nominal = {parameter.name: parameter.nominal for parameter in result.parameters}
    values = [value for curve in result.curves for value in curve.metrics[result.metric] if math.isfinite(value)]
    span = (min(values), max(values)) if values else (0.0, 1.0)
    return tuple(_curve_plot(result, group, curves, nominal, span) for group, curves in panels.items())


def _curve_plot(
    result: ToleranceResult,
    group: str,
    curves: Sequence[Curve],
    nominal: Mapping[str, float],
    span: tuple[float, float],
) -> Plot:
    """One panel of curves, the worst first; all share the metric's axis, so that slopes compare at a glance."""
    measure, judged = metric(result.metric), result.metric
    symbol, size = suited_unit(
        curves[0].unit, [value - nominal[one.parameter] for one in curves for value in one.values]
    )
    margin = 0.05 * ((span[1] - span[0]) or 1.0)
    limit = result.yield_found.spec.limit

    def paint(axes: Axes) -> None:
        for place, curve in reversed(list(enumerate(curves))):
            deviations = (np.asarray(curve.values) - nominal[curve.parameter]) / size
            colour, dashes = (SERIES[place], _DASHES[place]) if place < _NAMED else (MUTED, "solid")
            width = 1.6 if place < _NAMED else 0.5
            axes.plot(deviations, curve.metrics[judged], color=colour, linestyle=dashes, linewidth=width)
        if span[0] - margin <= limit <= span[1] + margin:
            axes.axhline(limit, color=BAD, linestyle="dashed", linewidth=1.0)
        axes.set(ylim=(span[0] - margin, span[1] + margin))
        axes.locator_params(axis="x", nbins=5)
        axes.set(xlabel=f"deviation / {symbol}" if symbol else "deviation", ylabel=measure.heading)

    keys = [
        Key(f"--series-{place}", curve.parameter, _STROKES[_DASHES[place]])
        for place, curve in enumerate(curves[:_NAMED])
    ]
    if len(curves) > _NAMED:
        keys.append(Key("--muted", f"{len(curves) - _NAMED} more, which cost less"))
    words = spoken(group)
    reached = measure.text((max if result.summaries[judged].lower_is_better else min)(curves[0].metrics[judged]))
    label = f"{measure.label} against {words} alone: at worst {reached}, by {curves[0].parameter}"
    return Plot(draw(paint, label, (3.3, 2.35)), f"{words}: at worst {reached}", tuple(keys))


def compensator_plot(rows: Sequence[CompensatorRow], judged: str) -> Plot | None:
    """The judged metric after each compensator against the metric before."""
    if not rows:
        return None
    measure, names = metric(judged), list(dict.fromkeys(row.name for row in rows))
    every = [value for row in rows for value in (*row.before, *row.after) if math.isfinite(value)]

    def paint(axes: Axes) -> None:
        ends = (min(every), max(every)) if every else (0.0, 1.0)
        axes.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle="dashed")
        for row in rows:
            index = names.index(row.name)
            colour = SERIES[index % len(SERIES)]
            face = colour if row.draws == "worst" else "none"
            mark = _MARKS[index % len(_MARKS)]
            axes.scatter(row.before, row.after, s=22, marker=mark, facecolors=face, edgecolors=colour, linewidths=1.1)
        axes.set(xlabel=f"before: {measure.heading}", ylabel=f"after: {measure.heading}")

    keys = tuple(
        Key(f"--series-{index % len(SERIES)}", name, shape=_SHAPES[index % len(_SHAPES)])
        for index, name in enumerate(names)
    )
    caption = "Each mark is a draw: filled, of the worst ones; open, at random. On the dashed line nothing is gained."
    return Plot(draw(paint, f"{measure.label} after adjustment against before"), caption, keys)


def convergence_plot(found: Convergence, result: ToleranceResult) -> Plot:
    """Mean and worse-end percentile over the number of draws."""
    measure, summary = metric(result.metric), result.summaries[result.metric]
    percent = "95" if summary.lower_is_better else "5"
    bounds = {"mean": summary.mean, "percentile": summary.percentiles[percent]}

    def paint(axes: Axes) -> None:
        for (name, bound), colour, curve in zip(
            bounds.items(), (SERIES[0], SERIES[1]), (found.mean, found.percentile), strict=True
        ):
            axes.axhspan(bound.low, bound.high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(found.samples, curve, color=colour, linestyle="solid" if name == "mean" else "dashed")
        axes.set(xlabel="draws", ylabel=measure.heading)

    keys = (
        Key("--series-0", f"mean, finally {interval_text(bounds['mean'], measure)}"),
        Key("--series-1", f"{percent}th percentile, finally {interval_text(bounds['percentile'], measure)}", "5 3"),
    )
    label = f"Mean and {percent}th percentile of {measure.label} over the first draws, up to {result.samples}"
    caption = "Estimates from the first so many draws; the bands are the final 95 % intervals."
    return Plot(draw(paint, label), caption, keys)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
