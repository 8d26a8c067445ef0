from __future__ import annotations

import math
from itertools import pairwise

import pytest

from opticdesign.design import Stage, load_design
from opticdesign.learning.schedule import legs_of, rate_factor, temperature
from tests.support.design_texts import D2NN5


def stage(steps: int, **options: object) -> Stage:
    return Stage.model_validate(
        {"train": ["optics"], "loss": "intensity-l1", "steps": steps, "optics_rate": 0.1} | options
    )


@pytest.mark.parametrize("steps", [1, 2, 10, 100, 1000])
def test_rate_rises_to_its_peak_then_falls_to_nearly_zero(steps: int) -> None:
    factors = [rate_factor(stage(steps), step) for step in range(steps)]
    assert all(0.0 < factor <= 1.0 for factor in factors)
    peak = factors.index(max(factors))
    assert peak <= max(0, min(50, steps // 10))
    assert all(a < b for a, b in pairwise(factors[: peak + 1]))
    assert all(a > b for a, b in pairwise(factors[peak:]))
    if steps >= 10:
        assert factors[-1] < 0.03
        assert max(factors) > 0.95


def test_rate_by_hand() -> None:
    assert rate_factor(stage(1), 0) == 1.0
    assert rate_factor(stage(100), 0) == pytest.approx(0.1)  # the first of ten rising steps
    assert rate_factor(stage(100), 50) == pytest.approx(0.5)
    assert rate_factor(stage(100), 75) == pytest.approx(0.5 * (1.0 - math.sqrt(0.5)))


def test_rate_falls_at_each_milestone_by_gamma() -> None:
    falling = stage(2000, decay="milestones", milestones=[50, 400], gamma=0.1)
    assert [rate_factor(falling, step) for step in (0, 49, 50, 399, 400, 1999)] == pytest.approx(
        [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    )


def test_rate_stays_without_decay() -> None:
    assert {rate_factor(stage(10, decay="none"), step) for step in range(10)} == {1.0}


def test_layerwise_legs_alternate_one_layer_and_all_before_it() -> None:
    design = load_design(
        D2NN5,
        [
            "training.stages.optics.layerwise=true",
            "training.stages.optics.joint_steps=7",
            "training.stages.optics.joint_rate=5e-5",
        ],
    )
    legs = legs_of(design)[:9]
    assert [(leg.first, leg.last, leg.crossed) for leg in legs] == [
        (0, 1, 1),
        (1, 2, 2),
        (0, 2, 2),
        (2, 3, 3),
        (0, 3, 3),
        (3, 4, 4),
        (0, 4, 4),
        (4, 5, 5),
        (0, 5, 5),
    ]
    assert {(leg.stage.steps, leg.stage.optics_rate) for leg in legs[0:1] + legs[1::2]} == {(400, 0.05)}
    assert {(leg.stage.steps, leg.stage.optics_rate) for leg in legs[2::2]} == {(7, 5e-5)}
    assert [leg.name for leg in legs_of(design)[9:]] == ["decoder", "joint"]


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_temperature_falls_by_one_factor_from_the_first_step_to_the_last(steps: int) -> None:
    soft = stage(steps, quantised=True, rounding="soft", temperature=[0.8, 0.05])
    found = [temperature(soft, step) for step in range(steps)]
    assert found[0] == pytest.approx(0.8)
    assert steps == 1 or found[-1] == pytest.approx(0.05)
    ratios = [later / earlier for earlier, later in pairwise(found)]
    assert ratios == pytest.approx([(0.05 / 0.8) ** (1 / (steps - 1))] * (steps - 1) if steps > 1 else [])
