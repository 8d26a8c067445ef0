"""A tolerance study: the draws, then everything that is asked of them, on any evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from opticdesign import formatting
from opticdesign.design import Tolerance
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Space
from opticdesign.randomness import numpy_stream
from opticdesign.tolerance.budget import Goal, allocate, propose_budget
from opticdesign.tolerance.compensate import KNOBS, Devices, adjusted, retuned
from opticdesign.tolerance.effects import group_effects
from opticdesign.tolerance.inverse import PRECISION, inverse_limits
from opticdesign.tolerance.inverse import Draws as LimitDraws
from opticdesign.tolerance.result import (
    Budget,
    BudgetLoss,
    CompensatorRow,
    Curve,
    Draws,
    Findings,
    GroupEffect,
    InverseLimit,
    Ranking,
    SpecLimit,
    WorstDraw,
)
from opticdesign.tolerance.runner import Runner
from opticdesign.tolerance.sampling import Sampler, unit_points
from opticdesign.tolerance.sensitivity import curves, rank_correlations, sobol_cost, sobol_ranking
from opticdesign.tolerance.summary import (
    assured_rank,
    convergence,
    drops,
    lower_is_better,
    percentile_ranks,
    summarise,
    worst_first,
)
from opticdesign.tolerance.yields import yield_curve, yield_of

__all__ = ["Study", "StudyPlan", "drawn_values", "plan_of"]

_QUICK_SAMPLES = 59  # the fewest draws whose worst bounds 95 % of all devices with 95 % confidence
_WORST = 10
_USUAL_YIELD = 0.95  # share of devices that a budget is for, where the design asks for no yield


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """How much of everything a study does.

    Args:
        samples: number of draws.
        seed: seed of all draws.
        sampler: how they are spread.
        sobol: base points of Sobol indices, a power of two; 0 for none.
        deviations: where the curves of one parameter alone have points, in standard deviations, without 0.
        effect_draws: draws that are made again with each group alone, and without it.
        inverse_draws: draws on which an inverse limit is looked for, two or more; 0 for no such limits.
        inverse_most: draws that are added to them, at most, to know it well.
        adjusted: devices to adjust, so many of the worst and so many at random.
        budget_draws: draws on which the budget is tried.
        budget_steps: bisections of its common factor.
    """

    samples: int
    seed: int
    sampler: Sampler
    sobol: int = 0
    deviations: tuple[float, ...] = (-2, -1, 1, 2)
    effect_draws: int = 32
    inverse_draws: int = 8
    inverse_most: int = 64
    adjusted: int = 3
    budget_draws: int = 32
    budget_steps: int = 3


def plan_of(tolerance: Tolerance, seed: int, samples: int | None, sobol: int, quick: bool) -> StudyPlan:
    """The plan of a study: the design's number of draws unless another is asked for; less of everything if quick."""
    if quick:
        return StudyPlan(
            samples=samples or _QUICK_SAMPLES,
            seed=seed,
            sampler=tolerance.sampler,
            sobol=sobol,
            deviations=(-2, 2),
            effect_draws=3,
            inverse_draws=0,
            adjusted=1,
            budget_draws=8,
            budget_steps=2,
        )
    return StudyPlan(samples=samples or tolerance.samples, seed=seed, sampler=tolerance.sampler, sobol=sobol)


def drawn_values(space: Space, plan: StudyPlan, first: int, count: int) -> NDArray[np.float64]:
    """Values of draws first … first + count − 1, (count, d); a draw depends on the seed and its number only."""
    unit = unit_points(plan.sampler, len(space.names), plan.seed, first, count, plan.samples)
    return space.values(unit)


@dataclass(frozen=True)
class Study:
    """A study that is carried out as its parts are asked for.

    Args:
        runner: judges the points.
        space: the parameters.
        tolerance: the judged metric and its limit.
        plan: how much of everything.
        reaches: compensator → how far it is moved at most, metres.
    """

    runner: Runner
    space: Space
    tolerance: Tolerance
    plan: StudyPlan
    reaches: Mapping[str, float]

    @property
    def metric(self) -> str:
        """The judged metric."""
        return self.tolerance.metric

    def findings(self) -> Findings:
        """Everything.

        Raises:
            StudyStopped: the user asked to stop.
        """
        spec, judged, curve = self.spec, self.judged, self._curves()
        budget, inverse = self._budget(curve), self._inverse()
        return Findings(
            summaries={
                name: summarise(column, self.nominal[name], name, self.plan.seed) for name, column in self.means.items()
            },
            yield_found=yield_of(judged, spec, self.tolerance.least_yield),
            yield_curve=yield_curve(judged, spec.lower_is_better),
            effects=self._effects(),
            ranking=(*self._correlations(), *self._sobol()),
            curves=curve,
            inverse=inverse,
            budget=budget,
            allowed_drop=self.allowed,
            compensators=self._compensated(),
            worst=tuple(self._worst(int(index)) for index in self.order[:_WORST]),
            convergence=convergence(judged, self.metric),
            draws=Draws(
                values={name: tuple(self.values[:, place].tolist()) for place, name in enumerate(self.space.names)},
                metrics={name: tuple(column.tolist()) for name, column in self.means.items()},
            ),
            notes=(*self._notes(), *_limit_notes(inverse), *([self._budget_note(budget)] if budget else [])),
        )

    @cached_property
    def nominal(self) -> dict[str, float]:
        """Every metric without any perturbation."""
        table = self.runner.named("nominal").evaluate(self.space.nominal[None], [NO_PATTERN])
        return {name: float(column.mean()) for name, column in table.items()}

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Parameters of the draws (samples, d)."""
        return drawn_values(self.space, self.plan, 0, self.plan.samples)

    @cached_property
    def means(self) -> dict[str, NDArray[np.float64]]:
        """Every metric of the draws, mean over images (samples,)."""
        table = self.runner.named("draws").evaluate(self.values, range(self.plan.samples))
        return {name: column.mean(axis=1) for name, column in table.items()}

    @property
    def judged(self) -> NDArray[np.float64]:
        """The judged metric of the draws (samples,)."""
        return self.means[self.metric]

    @property
    def order(self) -> NDArray[np.int64]:
        """Numbers of the draws, the worst first."""
        return worst_first(self.judged, self.metric)

    @property
    def spec(self) -> SpecLimit:
        """What a draw must reach."""
        limit = self.tolerance.limit(self.nominal[self.metric])
        return SpecLimit(self.metric, limit, lower_is_better(self.metric))

    @property
    def allowed(self) -> float:
        """The drop from nominal to the limit; not positive where the nominal instrument fails already."""
        return float(drops(np.asarray(self.spec.limit), self.nominal[self.metric], self.metric))

    def _curves(self) -> tuple[Curve, ...]:
        return curves(self.runner.named("one at a time"), self.space, self.plan.deviations) if self.space.names else ()

    def _effects(self) -> tuple[GroupEffect, ...]:
        """On the first draws; two at least say how sure they are."""
        count = min(self.plan.effect_draws, self.plan.samples)
        runner = self.runner.named("each group alone and taken away", count)
        if count < 2:
            return ()
        return group_effects(runner, self.space, self.metric, self.values[:count], range(count), self.judged[:count])

    def _correlations(self) -> tuple[Ranking, ...]:
        """Points of a Sobol sequence of many dimensions go together, and so would errors without effect."""
        return () if self.plan.sampler == "sobol" else rank_correlations(self.values, self.judged, self.space)

    def _sobol(self) -> tuple[Ranking, ...]:
        plan, runner = self.plan, self.runner.named("Sobol indices")
        return sobol_ranking(runner, self.space, self.metric, plan.sobol, plan.seed) if plan.sobol else ()

    def _inverse(self) -> tuple[InverseLimit, ...]:
        if self.allowed <= 0.0 or not self.space.names or not self.plan.inverse_draws:
            return ()
        return inverse_limits(
            self.runner.named("inverse limits", self.plan.inverse_draws),  # a group makes a shard
            self.space,
            self.metric,
            self.allowed,
            self.plan.seed,
            LimitDraws(self.plan.inverse_draws, self.plan.inverse_most),
        )

    def _compensated(self) -> tuple[CompensatorRow, ...]:
        count = min(self.plan.adjusted, self.plan.samples)
        picked = numpy_stream(self.plan.seed, "tolerance compensated").choice(self.plan.samples, count, replace=False)
        numbers = np.concatenate([self.order[:count], np.sort(picked)])
        devices = Devices(self.values[numbers], numbers.tolist(), ["worst"] * count + ["random"] * count)
        rows: list[CompensatorRow] = []
        for knob, coordinates in KNOBS.items():
            # the places of one device make a shard: they have all light in common but the last of its way
            runner = self.runner.named(knob, 2 * len(coordinates))
            rows += adjusted(runner, self.space, self.metric, devices, knob, self.reaches[knob])
        return (*rows, *retuned(self.runner.named("decoder re-tune"), self.metric, devices))

    def _worst(self, index: int) -> WorstDraw:
        return WorstDraw(
            index=index,
            values=dict(zip(self.space.names, self.values[index].tolist(), strict=True)),
            metrics={name: float(column[index]) for name, column in self.means.items()},
        )

    def _budget(self, found: Sequence[Curve]) -> Budget | None:
        if self.allowed <= 0.0 or not found:
            return None
        plan, goal = self.plan, Goal(self.metric, self.allowed, self.tolerance.least_yield or _USUAL_YIELD)
        allocation = allocate(found, self.space, self.metric, self.allowed)
        runner = self.runner.named("proposed budget")
        return propose_budget(runner, allocation, goal, plan.seed, draws=plan.budget_draws, steps=plan.budget_steps)

    def _budget_note(self, budget: Budget) -> str:
        """What a budget does to draws, which its making took apart group by group."""
        text, factor = formatting.metric(self.metric).text, f"× {formatting.rounded(budget.factor)}"

        def lost(loss: BudgetLoss | None) -> str:
            if loss is None:
                return "some cannot be simulated"
            share = formatting.share(budget.share)
            return f"{share} lose {text(loss.bound)} or less, and the mean is {text(loss.mean)}"

        first = (
            f"Of {budget.draws} draws with the tolerances that the curves allocate, {lost(budget.allocated)}; "
            f"{text(self.allowed)} may be lost."
        )
        if budget.factor == 1.0:
            return first
        if not budget.holds:
            return f"{first} Even with all of them {factor}, {lost(budget.proposed)}: no budget was found that holds."
        return f"{first} With all of them {factor}, as proposed, {lost(budget.proposed)}."

    def _notes(self) -> list[str]:
        plan, notes = self.plan, []
        if rank := assured_rank(plan.samples):
            measure, bound = formatting.metric(self.metric), float(self.judged[self.order[rank - 1]])
            ends = "at most" if self.spec.lower_is_better else "at least"
            notes.append(
                f"The {measure.label} of 95 % of devices is {ends} {measure.text(bound)} with 95 % confidence: draw "
                f"{rank} from the worst of {plan.samples} bounds them whatever the distribution (Wilks)."
            )
        else:
            notes.append(f"{plan.samples} draws bound no 95 % of devices with 95 % confidence; 59 are needed (Wilks).")
        least = min(percentile_ranks(plan.samples, share)[2] for share in (0.05, 0.5, 0.95))
        if least < 0.95:
            notes.append(
                f"The least and the greatest of {plan.samples} draws hold the 5th and the 95th percentile with "
                f"{formatting.share(least)} only: their intervals are that much less sure."
            )
        if plan.sampler != "random":
            notes.append(
                f"Intervals of yield, means and percentiles are those of independent draws, and {plan.sampler} points "
                "are spread more evenly than those."
            )
        if plan.sampler == "sobol":
            notes.append(
                "There are no rank correlations: Sobol points of many dimensions go together by themselves. Draw at "
                "random, or from a Latin hypercube, to have them."
            )
        if plan.sobol:
            cost = sobol_cost(self.space, plan.sobol)
            notes.append(f"Sobol indices of groups took {cost} points: {plan.sobol} twice, and once for each group.")
        if self.allowed <= 0.0:
            notes.append("The nominal instrument itself misses the limit: there are no inverse limits and no budget.")
        elif not plan.inverse_draws:
            notes.append("A quick study looks for no inverse limits.")
        if self.space.names and self.space.patterns:
            names = ", ".join(formatting.spoken(pattern.name) for pattern in self.space.patterns)
            notes.append(f"Inverse limits, budget and curves are without per-pixel patterns ({names}).")
        return notes


def _limit_notes(limits: Sequence[InverseLimit]) -> list[str]:
    """Which limits are not known as well as they should be."""
    wide = {
        formatting.spoken(limit.group): (limit.scale.high - limit.scale.low) / 2.0 / limit.scale.value
        for limit in limits
        if limit.scale is not None
    }
    wide = {group: half for group, half in wide.items() if half > PRECISION}
    if not wide:
        return []
    named = ", ".join(f"{group} (±{formatting.share(half)})" for group, half in wide.items())
    return [f"Not known to ±{formatting.share(PRECISION)} are the limits of {named}: more draws would be needed."]
