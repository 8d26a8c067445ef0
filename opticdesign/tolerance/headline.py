"""What a study says of what matters, in a sentence or two, and whether its parts agree."""

from __future__ import annotations

from collections.abc import Iterator

from opticdesign.formatting import Metric, metric, spoken
from opticdesign.tolerance.quantities import interval_text
from opticdesign.tolerance.result import Estimate, Findings, GroupEffect

__all__ = ["headline"]


def headline(found: Findings, judged: str) -> tuple[str, ...]:
    """What matters most and how sure that is, then where limits or budget put another group first, and why.

    Args:
        found: the findings.
        judged: the judged metric.
    """
    if not found.effects:
        return ()
    first = found.effects[0]
    if first.alone.value <= 0.0:
        return ("No error changes anything.",)
    return _most(found.effects, metric(judged)), *_other_orders(found, first.group)


def _most(effects: tuple[GroupEffect, ...], measure: Metric) -> str:
    first = effects[0]
    text = (
        f"What matters most is {spoken(first.group)}: alone it changes {measure.label} by "
        f"{_sure(first.alone, measure)} on average; without it draws would win back {_sure(first.won, measure)}."
    )
    if first.over_next is None:
        return text
    second = effects[1]
    if first.over_next.low > 0.0:
        return f"{text} Next comes {spoken(second.group)}, with {measure.text(second.alone.value)} alone."
    return f"{text} These draws do not tell it from {spoken(second.group)}, with {_sure(second.alone, measure)} alone."


def _other_orders(found: Findings, most: str) -> Iterator[str]:
    """Groups that other parts put first, beside the reason."""
    reached = [limit for limit in found.inverse if limit.scale is not None]
    tightest = min(reached, key=lambda limit: limit.scale.value if limit.scale else 0.0, default=None)
    if tightest is not None and tightest.group != most:
        yield (
            f"The tightest limit is that of {spoken(tightest.group)}: a limit looks for the drop allowed, where "
            "losses still grow, and draws go as far as tolerances reach."
        )
    if found.budget is not None and found.budget.rows[0].group != most:
        yield (
            f"The budget puts {spoken(found.budget.rows[0].group)} first: it adds up parameters that go to the ends "
            "of their tolerances one at a time, where draws take them together and seldom so far."
        )


def _sure(estimate: Estimate, measure: Metric) -> str:
    return f"{measure.text(estimate.value)} [{interval_text(estimate, measure)}]"
