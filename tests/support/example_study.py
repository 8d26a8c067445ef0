"""A study of an instrument whose metrics are formulas: everything a real study has, in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opticdesign.perturbed.space import Normal, Parameter, Space, Uniform
from opticdesign.tolerance.budget import Goal, allocate, propose_budget
from opticdesign.tolerance.effects import group_effects
from opticdesign.tolerance.inverse import Draws as LimitDraws
from opticdesign.tolerance.inverse import inverse_limits
from opticdesign.tolerance.result import (
    CompensatorRow,
    Draws,
    ParameterFacts,
    SpecLimit,
    StageMetrics,
    ToleranceResult,
    WorstDraw,
)
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.sensitivity import curves, rank_correlations, sobol_ranking
from opticdesign.tolerance.summary import convergence, lower_is_better, summarise, worst_first
from opticdesign.tolerance.yields import yield_curve, yield_of

NOMINAL = {"psnr_db": 24.6, "ssim": 0.871, "mae_rad": 0.142}
LIMITS = {"psnr_db": 23.0, "mae_rad": 0.171}
LAYERS, DRAWS = 5, 200


def example_space() -> Space:
    parameters = [Parameter(f"etch depth bit {bit}", "etch_depth", "1", Normal(0.015)) for bit in (1, 2, 3)]
    for layer in range(1, LAYERS + 1):
        parameters += [Parameter(f"layer shift {layer} {axis}", "layer_shift", "m", Normal(2e-7)) for axis in "yx"]
        parameters += [Parameter(f"tilt {layer} {axis}", "tilt", "rad", Normal(1e-3)) for axis in "yx"]
    parameters += [Parameter(f"gap {gap}", "gap", "m", Normal(1.5e-6)) for gap in range(1, LAYERS + 2)]
    parameters += [
        Parameter("wavelength", "wavelength", "1", Normal(0.002)),
        Parameter("blur", "blur", "m", Uniform(0.0, 1e-7)),
    ]
    return Space(tuple(parameters))


class Formula:
    """Losses that grow with the square of each deviation, and a little with two of them together."""

    metrics = tuple(NOMINAL)
    images = 8

    def __init__(self, space: Space) -> None:
        rng = np.random.default_rng(3)
        self.space = space
        self.widths = np.ptp(space.values(np.repeat([[0.16], [0.84]], len(space.names), axis=1)), axis=0)
        weight = {"etch_depth": 0.5, "layer_shift": 0.22, "gap": 0.16, "wavelength": 1.1, "tilt": 0.01, "blur": 0.3}
        self.weights = np.array([weight[group] for group in space.groups]) * rng.uniform(0.3, 1.0, len(space.names))

    def evaluate(self, values: NDArray[np.float64], indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        away = (values - self.space.nominal) / self.widths
        lost = (away**2) @ self.weights + 0.1 * np.abs(away[:, 0] * away[:, 1])
        images = np.linspace(-1.0, 1.0, self.images)
        steps = {"psnr_db": -1.0, "ssim": -0.021, "mae_rad": 0.018}
        return {name: NOMINAL[name] + steps[name] * (lost[:, None] + images) for name in self.metrics}


@cache
def example_study(judged: str = "psnr_db", draws: int = DRAWS) -> ToleranceResult:
    """What a study of `Formula` finds."""
    space, seed, limit, lower = example_space(), 7, LIMITS[judged], lower_is_better(judged)
    bench = Formula(space)
    values = space.values(unit_points("random", len(space.names), seed, 0, draws, draws))
    found = {name: table.mean(axis=1) for name, table in bench.evaluate(values, range(draws)).items()}
    allowed = abs(NOMINAL[judged] - limit)
    one_at_a_time = curves(bench, space, (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0))
    low, high = space.values(np.repeat([[0.025], [0.975]], len(space.names), axis=1))
    worst = worst_first(found[judged], judged)[:10].tolist()
    return ToleranceResult(
        name="d2nn5",
        metric=judged,
        samples=draws,
        images=bench.images,
        seed=seed,
        sampler="random",
        quick=False,
        parameters=tuple(
            ParameterFacts(
                one.name, one.group, one.unit, one.nominal, float(low[at]), float(high[at]), one.distribution
            )
            for at, one in enumerate(space.parameters)
        ),
        fields={"height_noise": "normal, σ = 6 nm, correlated over 300 nm"},
        stages=(
            StageMetrics("as trained", {"psnr_db": 24.81, "ssim": 0.8752, "mae_rad": 0.1395}),
            StageMetrics("quantised", NOMINAL),
            StageMetrics("read back", {}, "not exported"),
            StageMetrics("Monte Carlo", {name: float(column.mean()) for name, column in found.items()}),
        ),
        summaries={name: summarise(column, NOMINAL[name], name, seed) for name, column in found.items()},
        yield_found=yield_of(found[judged], SpecLimit(judged, limit, lower), 0.75),
        yield_curve=yield_curve(found[judged], lower),
        effects=group_effects(bench, space, judged, values[:16], range(16), found[judged][:16]) if draws > 16 else (),
        ranking=(
            *rank_correlations(values, found[judged], space),
            *sobol_ranking(bench, space, judged, 256, seed),
        ),
        curves=one_at_a_time,
        inverse=inverse_limits(bench, space, judged, allowed, seed, LimitDraws(16, 64)),
        budget=propose_budget(
            bench,
            allocate(one_at_a_time, space, judged, allowed),
            Goal(judged, allowed, 0.95),
            seed,
            draws=32,
            steps=3,
        ),
        allowed_drop=allowed,
        compensators=_compensators(found[judged], NOMINAL[judged], worst),
        worst=tuple(
            WorstDraw(
                index,
                dict(zip(space.names, values[index].tolist(), strict=True)),
                {name: float(column[index]) for name, column in found.items()},
                f"worst/draw-{index}.png",
            )
            for index in worst
        ),
        convergence=convergence(found[judged], judged),
        draws=Draws(
            {name: tuple(values[:, at].tolist()) for at, name in enumerate(space.names)},
            {name: tuple(column.tolist()) for name, column in found.items()},
        ),
        notes=("With 95 % confidence, 95 % of all devices reach at least the 5th worst draw (Wilks).",),
        provenance={
            "command": "opticdesign tolerance runs/d2nn5 --samples 200 --seed 7",
            "design_sha256": "5f" * 32,
            "checkpoint": "step-00012000",
            "packages": {"opticdesign": "0.1.0", "torch": "2.13.0"},
            "device": "cpu",
            "threads": 1,
            "export": None,
        },
    )


def _compensators(values: NDArray[np.float64], nominal: float, worst: list[int]) -> tuple[CompensatorRow, ...]:
    rng, rows = np.random.default_rng(5), []
    for name, gain, settings in (
        ("refocus", 0.35, {"refocus": 3e-6}),
        ("re-register", 0.2, {"image shift y": 2e-7, "image shift x": 2e-7}),
        ("decoder re-tune", 0.7, {}),
    ):
        for kind, indices in (("worst", worst), ("random", [index % len(values) for index in (3, 5, 8, 13)])):
            before = values[indices]
            after = before + gain * (nominal - before) * rng.uniform(0.5, 1.0, len(indices))
            rows.append(
                CompensatorRow(
                    name,
                    kind,
                    tuple(indices),
                    tuple(before.tolist()),
                    tuple(after.tolist()),
                    {key: tuple(rng.normal(0.0, size, len(indices)).tolist()) for key, size in settings.items()},
                )
            )
    return tuple(rows)


def draw_pictures(result: ToleranceResult, folder: Path) -> None:
    """A small picture for each of the worst draws, where the result says that it is."""
    for draw in result.worst:
        if draw.picture:
            path = folder / draw.picture
            path.parent.mkdir(exist_ok=True)
            pixels = np.random.default_rng(draw.index).integers(0, 255, (40, 120), dtype=np.uint8)
            Image.fromarray(pixels).save(path)


def renamed(result: ToleranceResult, old: str, new: str) -> ToleranceResult:
    """The same study with a parameter of another name."""

    def over(values: dict[str, float]) -> dict[str, float]:
        return {name.replace(old, new): value for name, value in values.items()}

    return replace(
        result,
        parameters=tuple(replace(one, name=one.name.replace(old, new)) for one in result.parameters),
        ranking=tuple(replace(row, name=row.name.replace(old, new)) for row in result.ranking),
        curves=tuple(replace(one, parameter=one.parameter.replace(old, new)) for one in result.curves),
        worst=tuple(replace(draw, values=over(draw.values)) for draw in result.worst),
        inverse=tuple(replace(limit, deviations=over(limit.deviations)) for limit in result.inverse),
        budget=result.budget
        and replace(
            result.budget,
            rows=tuple(replace(row, deviations=over(row.deviations)) for row in result.budget.rows),
        ),
    )
