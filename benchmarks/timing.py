"""Interleaved timing: what disturbs the machine disturbs all contenders of a round alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["interleave", "median_ratio", "round_ratios"]


def interleave(
    runs: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 20.0, least: int = 3, shortest: float = 0.05
) -> dict[str, list[float]]:
    """Seconds of every run in every round; the mean over some, where one is short.

    Args:
        runs: what to time, by name. Each runs untimed first.
        rounds: how often each is timed at most.
        seconds: no new round begins after this time,
        least: once so many are done.
        shortest: seconds for which a run is repeated, so that what the one before left in the caches is a small part.
    """
    repeats = {name: _repeats(run, shortest) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    names, begin = list(runs), time.perf_counter()
    for done in range(rounds):
        if done >= least and time.perf_counter() - begin > seconds:
            break
        for name in names[done % len(names) :] + names[: done % len(names)]:
            times[name].append(_seconds(runs[name], repeats[name]))
    return times


def _repeats(run: Callable[[], object], shortest: float) -> int:
    """How often a run takes so many seconds."""
    run()
    return max(1, math.ceil(shortest / _seconds(run, 1)))


def _seconds(run: Callable[[], object], repeats: int) -> float:
    """Mean time of some runs."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def round_ratios(times: Mapping[str, list[float]], over: str, under: str) -> list[float]:
    """The time of `over` divided by the time of `under` in the same round, for every round."""
    return [a / b for a, b in zip(times[over], times[under], strict=True)]


def median_ratio(times: Mapping[str, list[float]], over: str, under: str) -> float:
    """Median of these ratios."""
    return statistics.median(round_ratios(times, over, under))
