"""Compensators: what is adjusted once a perturbed device is there, and what that wins back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from opticdesign.perturbed.space import COMPENSATORS, Space
from opticdesign.tolerance.evaluator import Evaluator
from opticdesign.tolerance.result import CompensatorRow
from opticdesign.tolerance.summary import drops

__all__ = ["KNOBS", "Devices", "adjusted", "retuned"]

KNOBS: Mapping[str, tuple[str, ...]] = {"refocus": COMPENSATORS[:1], "re-register": COMPENSATORS[1:]}
"""Compensator → the coordinates it may move."""

_ROUNDS = 4
_Number = TypeVar("_Number", int, float)


class Retuner(Evaluator, Protocol):
    """The part of an `evaluator.Bench` that tunes decoders."""

    def retuned(self, values: NDArray[np.float64], indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """As `evaluate`, each point with the decoder tuned again to that very instrument."""


@dataclass(frozen=True)
class Devices:
    """Perturbed devices that are adjusted.

    Args:
        values: parameters of each (n, d).
        indices: number of each.
        kinds: what each is, "worst" or "random".
    """

    values: NDArray[np.float64]
    indices: Sequence[int]
    kinds: Sequence[str]

    def rows(
        self,
        name: str,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        settings: Mapping[str, NDArray[np.float64]],
    ) -> tuple[CompensatorRow, ...]:
        """What a compensator does, one row for each kind; all numbers (n,)."""

        def of(kind: str, column: Sequence[_Number]) -> tuple[_Number, ...]:
            return tuple(value for value, one in zip(column, self.kinds, strict=True) if one == kind)

        return tuple(
            CompensatorRow(
                name=name,
                draws=kind,
                indices=of(kind, self.indices),
                before=of(kind, before.tolist()),
                after=of(kind, after.tolist()),
                settings={knob: of(kind, column.tolist()) for knob, column in settings.items()},
            )
            for kind in dict.fromkeys(self.kinds)
        )


def adjusted(
    evaluator: Evaluator, space: Space, metric: str, devices: Devices, knob: str, reach: float
) -> tuple[CompensatorRow, ...]:
    """Each device with one compensator moved to where its metric is best.

    A direct search: both ways along each coordinate, to the best place found, with half the step in each of 4 rounds.
    R. Hooke, T. A. Jeeves, "Direct search" solution of numerical and statistical problems, J. ACM 8, 212 (1961),
    doi:10.1145/321062.321069. All devices are searched side by side.

    Args:
        evaluator: judges the points.
        space: the parameters.
        metric: the judged metric.
        devices: the devices.
        knob: a name in `KNOBS`.
        reach: half of it is the first step, metres; the search ends within it.
    """
    names, count = KNOBS[knob], len(devices.values)
    steps = np.concatenate([np.eye(len(names)), -np.eye(len(names))])
    best = np.zeros((count, len(names)))
    before = _judged(evaluator, space, metric, devices, names, best[:, None])[:, 0]
    after = before
    for turn in range(_ROUNDS):
        places = best[:, None] + reach / 2.0 ** (turn + 1) * steps
        found = _judged(evaluator, space, metric, devices, names, places)
        choice = np.argmin(drops(found, 0.0, metric), axis=1)
        reached = found[np.arange(count), choice]
        better = drops(reached, 0.0, metric) < drops(after, 0.0, metric)
        best = np.where(better[:, None], places[np.arange(count), choice], best)
        after = np.where(better, reached, after)
    return devices.rows(knob, before, after, {name: best[:, place] for place, name in enumerate(names)})


def retuned(bench: Retuner, metric: str, devices: Devices) -> tuple[CompensatorRow, ...]:
    """Each device with its decoder tuned again to it."""
    before = bench.evaluate(devices.values, devices.indices)[metric].mean(axis=1)
    after = bench.retuned(devices.values, devices.indices)[metric].mean(axis=1)
    return devices.rows("decoder re-tune", before, after, {})


def _judged(
    evaluator: Evaluator,
    space: Space,
    metric: str,
    devices: Devices,
    names: Sequence[str],
    places: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Metric (n, k) of devices n at k places (n, k, coordinates) of their compensator."""
    points = [
        space.adjusted(devices.values[row][None], dict(zip(names, place, strict=True)))
        for row, tried in enumerate(places)
        for place in tried
    ]
    numbers = np.repeat(np.asarray(devices.indices), places.shape[1]).tolist()
    means = evaluator.evaluate(np.concatenate(points), numbers)[metric].mean(axis=1)
    return np.asarray(means.reshape(places.shape[:2]))
