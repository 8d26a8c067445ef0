"""What a tolerance study found, as plain values: what result.json holds, the report draws and the table prints.

Values of parameters are in SI units, metrics in their own unit. A draw's metric is the mean over the test images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "Budget",
    "BudgetLoss",
    "BudgetRow",
    "CompensatorRow",
    "Convergence",
    "Curve",
    "Draws",
    "Estimate",
    "Findings",
    "GroupEffect",
    "InverseLimit",
    "MetricSummary",
    "ParameterFacts",
    "Ranking",
    "SpecLimit",
    "StageMetrics",
    "StudyFacts",
    "ToleranceResult",
    "WorstDraw",
    "YieldCurve",
    "YieldFound",
]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ParameterFacts:
    """One perturbed quantity.

    Args:
        name: for example "gap 2".
        group: parameters of one group are scaled, ranked and budgeted together, for example "gap".
        unit: SI unit of its values, "1" for a ratio, empty for another plain number.
        nominal: its value as designed.
        low: its 2.5th percentile.
        high: its 97.5th percentile.
        distribution: for example "normal, σ = 1 um".
    """

    name: str
    group: str
    unit: str
    nominal: float
    low: float
    high: float
    distribution: str


@dataclass(frozen=True)
class StageMetrics:
    """Metric → mean over test images at one point of the way: float, quantised, read back, Monte Carlo.

    `note` says why there are none, for example "not exported".
    """

    name: str
    metrics: dict[str, float]
    note: str = ""


@dataclass(frozen=True)
class MetricSummary:
    """How one metric spreads over the draws.

    Args:
        nominal: without any perturbation.
        mean: mean over draws, with its bootstrap interval.
        deviation: standard deviation over draws.
        minimum: smallest draw.
        maximum: largest draw.
        percentiles: "5", "50" and "95" → value with its interval between order statistics.
        lower_is_better: whether a small value is good, as of an error.
    """

    nominal: float
    mean: Estimate
    deviation: float
    minimum: float
    maximum: float
    percentiles: dict[str, Estimate]
    lower_is_better: bool


@dataclass(frozen=True)
class SpecLimit:
    """What a draw must reach: `metric` not below `limit`, or not above it where lower is better."""

    metric: str
    limit: float
    lower_is_better: bool


@dataclass(frozen=True)
class YieldFound:
    """How many draws meet the specification, with the exact 95 % interval; `least` is the share asked for, if any."""

    spec: SpecLimit
    passed: int
    samples: int
    share: Estimate
    least: float | None = None

    @property
    def enough(self) -> bool:
        """Whether the share found is at least the one asked for."""
        return self.least is None or self.share.value >= self.least


@dataclass(frozen=True)
class YieldCurve:
    """Share of draws that would meet each limit of the judged metric, with exact 95 % bounds at each limit."""

    limits: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class GroupEffect:
    """What a group of errors does to the judged metric.

    Args:
        group: the group, or all per-pixel patterns.
        alone: by how much draws of it alone differ from nominal, up or down, on average.
        won: by how much draws would be better without it, on average, all other errors staying.
        over_next: by how much more than the next group's its changes alone come to; None for the last one.
    """

    group: str
    alone: Estimate
    won: Estimate
    over_next: Estimate | None = None


@dataclass(frozen=True)
class Ranking:
    """How a parameter or group goes with the judged metric over the draws; the strongest first.

    Args:
        name: parameter, or group where `of` is "group".
        of: "parameter" (Spearman) or "group" (Sobol).
        spearman: rank correlation of the parameter's distance from nominal (its sign counts in `spearman_signed`)
            with the metric; None for groups.
        spearman_signed: rank correlation of the parameter itself with the metric; None for groups.
        first: first-order Sobol index: the share of the metric's variance that the group makes alone; None if not run.
        total: total Sobol index: with its interactions; None if not run.
        chance: probability that errors without any effect would show one such correlation or more among all that were
            tried (Holm); None for groups.
    """

    name: str
    of: str
    spearman: Estimate | None = None
    spearman_signed: Estimate | None = None
    first: Estimate | None = None
    total: Estimate | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Curve:
    """One parameter moved alone, everything else nominal: metric → value at each of `values` (SI, ascending)."""

    parameter: str
    group: str
    unit: str
    values: tuple[float, ...]
    metrics: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class InverseLimit:
    """How far a group may go alone until the judged metric has changed by the allowed drop, root mean square of draws.

    Args:
        group: the group.
        scale: the largest factor on all the group's deviations at which draws were found to keep to the drop, and the
            interval of the one at which they lose just that; None when it has not at `searched`.
        searched: the largest factor tried.
        deviations: parameter → its tolerance at that factor, SI: how far from nominal 95 % of its values reach; at
            `searched` where `scale` is None.
    """

    group: str
    scale: Estimate | None
    searched: float
    deviations: dict[str, float]


@dataclass(frozen=True)
class BudgetRow:
    """A proposed tolerance for a group.

    Args:
        group: the group.
        drop: drop of the judged metric that the group makes alone at its tolerance as designed.
        scale: proposed factor on its tolerance, the budget's common factor in it.
        proposed_drop: the drop expected of the group alone at the proposal.
        deviations: parameter → its tolerance as proposed, SI: how far from nominal 95 % of its values reach.
    """

    group: str
    drop: float
    scale: float
    proposed_drop: float
    deviations: dict[str, float]


@dataclass(frozen=True)
class BudgetLoss:
    """What draws lose of the judged metric with a budget.

    Args:
        mean: on average.
        bound: at most, but for the share of draws that may lose more.
        greatest: the worst of them.
    """

    mean: float
    bound: float
    greatest: float


@dataclass(frozen=True)
class Budget:
    """Proposed tolerances, and what they do to draws.

    Args:
        rows: the groups, the most harmful one first.
        factor: on all tolerances that were allocated group by group, 1 at most, so that draws keep to the drop.
        holds: whether they do; where not even the least factor tried does, `factor` is that one.
        share: of draws that shall lose no more than the drop allowed.
        draws: on which factors were tried, the same ones for each.
        allocated: loss with the tolerances as allocated, at a factor of 1; None where they cannot be simulated.
        proposed: loss with the tolerances as proposed.
    """

    rows: tuple[BudgetRow, ...]
    factor: float
    holds: bool
    share: float
    draws: int
    allocated: BudgetLoss | None
    proposed: BudgetLoss


@dataclass(frozen=True)
class CompensatorRow:
    """The judged metric before and after a compensator is adjusted.

    Args:
        name: "refocus", "re-register" or "decoder re-tune".
        draws: "worst" or "random".
        indices: the draws.
        before: the judged metric of each.
        after: the same after adjustment.
        settings: coordinate → the value found for each draw, SI.
    """

    name: str
    draws: str
    indices: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    settings: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class WorstDraw:
    """A draw far down: its number, which with the seed replays it, its values and metrics.

    `picture` is a PNG of target, nominal and perturbed reconstruction beside the result, relative to its folder.
    """

    index: int
    values: dict[str, float]
    metrics: dict[str, float]
    picture: str | None = None


@dataclass(frozen=True)
class Convergence:
    """Mean and worse-end percentile of the judged metric over the first so many draws."""

    samples: tuple[int, ...]
    mean: tuple[float, ...]
    percentile: tuple[float, ...]


@dataclass(frozen=True)
class Draws:
    """All draws in order: parameter → value of each, and metric → mean over images of each; draw i is at place i."""

    values: dict[str, tuple[float, ...]]
    metrics: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class StudyFacts:
    """What was studied.

    Args:
        name: the design's name.
        metric: the judged metric: the specification's, which rankings, curves of yield and limits are about.
        samples: number of draws.
        images: test images in every draw.
        seed: seed of all draws.
        sampler: "sobol", "latin-hypercube" or "random".
        quick: whether the run, or this study, used a smoke budget.
        parameters: what was perturbed.
        fields: per-pixel perturbations, name → strength as text, for example "height noise" → "σ = 6 nm".
        stages: float, quantised, read back, Monte Carlo.
        provenance: seeds, hashes, versions, device, threads, times; JSON values.
    """

    name: str
    metric: str
    samples: int
    images: int
    seed: int
    sampler: str
    quick: bool
    parameters: tuple[ParameterFacts, ...]
    fields: dict[str, str]
    stages: tuple[StageMetrics, ...]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Findings:
    """What judging points told.

    Args:
        summaries: metric → its spread.
        yield_found: of the draws, against the limit of the judged metric.
        yield_curve: of the judged metric.
        effects: what each group does, the greatest first.
        ranking: parameters by Spearman, but for samplers whose points go together; then groups by Sobol, where run.
        curves: one at a time.
        inverse: inverse limits.
        budget: the proposed budget; None where the drop allowed is not positive, or there is nothing to allocate.
        allowed_drop: the drop from nominal that the budget and the inverse limits are for.
        compensators: before and after.
        worst: the worst ten, the worst first.
        convergence: with the number of draws.
        draws: all of them.
        notes: what a reader must know to read the numbers, a sentence each (Wilks, cost of Sobol indices, failures).
    """

    summaries: dict[str, MetricSummary]
    yield_found: YieldFound
    yield_curve: YieldCurve
    effects: tuple[GroupEffect, ...]
    ranking: tuple[Ranking, ...]
    curves: tuple[Curve, ...]
    inverse: tuple[InverseLimit, ...]
    budget: Budget | None
    allowed_drop: float
    compensators: tuple[CompensatorRow, ...]
    worst: tuple[WorstDraw, ...]
    convergence: Convergence
    draws: Draws
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ToleranceResult(Findings, StudyFacts):
    """Everything a tolerance study found; in its fields, and so in result.json, what was studied stands first."""
