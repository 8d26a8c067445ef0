from __future__ import annotations

import math

import numpy as np
import pytest
from tolerance_fakes import Analytic

from opticdesign.tolerance.budget import LARGEST, propose_budget
from opticdesign.tolerance.sensitivity import curves
from opticdesign.tolerance.space import Normal, Parameter, Space, Uniform

Z = 1.959964  # half of 95 % of a normal distribution, in standard deviations
SPACE = Space(
    (
        Parameter("gap", "gap", "m", Normal(1e-6)),
        Parameter("shift y", "shift", "m", Normal(1e-6)),
        Parameter("shift x", "shift", "m", Normal(1e-6)),
        Parameter("index", "index", "", Uniform(-1e-3, 1e-3)),
    )
)


def budget_of(function, allowed: float, metric: str = "psnr_db"):
    found = curves(Analytic(function, metrics=(metric,)), SPACE, (-3, -2, -1, 1, 2, 3))
    return {row.group: row for row in propose_budget(found, SPACE, metric, allowed)}


def test_quadratic_drops_share_the_allowed_drop_in_closed_form() -> None:
    def metric(values: np.ndarray) -> np.ndarray:
        gap, shift_y, shift_x, index = (values / [1e-6, 1e-6, 1e-6, 1e-3]).T
        return 20.0 - gap**2 - 2.0 * shift_y**2 - 2.0 * shift_x**2 - 3.0 * index**2

    rows = budget_of(metric, 1.2)
    share = 1.2 / math.sqrt(3)
    assert rows["gap"].drop == pytest.approx(Z**2, rel=1e-4)
    assert rows["shift"].drop == pytest.approx(2 * math.sqrt(2) * Z**2, rel=1e-4)
    assert rows["gap"].scale == pytest.approx(math.sqrt(share) / Z, rel=1e-4)
    assert rows["gap"].deviations == {"gap": pytest.approx(1e-6 * math.sqrt(share), rel=1e-4)}
    assert rows["shift"].deviations["shift x"] == pytest.approx(1e-6 * math.sqrt(share / (2 * math.sqrt(2))), rel=1e-4)
    assert rows["index"].deviations["index"] == pytest.approx(1e-3 * math.sqrt(share / 3), rel=1e-4)
    assert math.sqrt(sum(row.proposed_drop**2 for row in rows.values())) == pytest.approx(1.2, rel=1e-9)


def test_linear_drops_scale_in_proportion() -> None:
    rows = budget_of(lambda values: 20.0 - 0.5 * np.abs(values).sum(axis=1) / 1e-6, 0.3)
    share = 0.3 / math.sqrt(3)
    assert rows["gap"].scale == pytest.approx(share / (0.5 * Z), rel=1e-4)
    assert rows["shift"].scale == pytest.approx(share / (0.5 * math.sqrt(2) * Z), rel=1e-4)


def test_what_does_nothing_is_loosened_to_the_most_and_the_others_share_its_part() -> None:
    rows = budget_of(lambda values: 20.0 - (values[:, 0] / 1e-6) ** 2, 1.0)
    assert rows["index"].scale == rows["shift"].scale == LARGEST
    assert rows["gap"].proposed_drop == pytest.approx(1.0, rel=1e-9)
    assert rows["gap"].scale == pytest.approx(1.0 / Z, rel=1e-4)


def test_a_generous_drop_loosens_everything_to_the_most() -> None:
    rows = budget_of(lambda values: 20.0 - 1e-3 * np.abs(values[:, 0]) / 1e-6, 50.0)
    assert {row.scale for row in rows.values()} == {LARGEST}


def test_an_error_metric_and_a_change_for_the_better_count_as_much() -> None:
    rows = budget_of(lambda values: 0.5 + values[:, 0] / 1e-6 * 0.1, 0.1, "mae_rad")
    assert rows["gap"].drop == pytest.approx(0.1 * Z, rel=1e-4)


def test_the_most_harmful_group_comes_first() -> None:
    found = curves(Analytic(lambda values: -values[:, 3] * 1e3), SPACE, (-1, 1))
    assert propose_budget(found, SPACE, "psnr_db", 1.0)[0].group == "index"
