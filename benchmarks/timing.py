"""Interleaved timing: what disturbs the machine disturbs all contenders of a round alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["interleave", "median_ratio"]


def interleave(
    runs: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 20.0, least: int = 3
) -> dict[str, list[float]]:
    """Seconds of every run in every round.

    Args:
        runs: what to time, by name. Each runs once untimed first.
        rounds: how often each is timed at most.
        seconds: no new round begins after this time,
        least: once so many are done.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    names, begin = list(runs), time.perf_counter()
    for done in range(rounds):
        if done >= least and time.perf_counter() - begin > seconds:
            break
        for name in names[done % len(names) :] + names[: done % len(names)]:
            start = time.perf_counter()
            runs[name]()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(times: Mapping[str, list[float]], over: str, under: str) -> float:
    """Median over rounds of the time of `over` divided by the time of `under` in the same round."""
    return statistics.median(a / b for a, b in zip(times[over], times[under], strict=True))
