from __future__ import annotations

import math

import numpy as np
import pytest

from opticdesign.errors import UsageError
from opticdesign.perturbed.space import Normal, Parameter, Space, Uniform
from opticdesign.tolerance.budget import LARGEST, LEAST, Goal, allocate, propose_budget
from opticdesign.tolerance.sensitivity import curves
from tests.support.tolerance_fakes import Analytic

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
    return {row.group: row for row in allocate(found, SPACE, metric, allowed).rows(1.0)}


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
    assert allocate(found, SPACE, "psnr_db", 1.0).rows(1.0)[0].group == "index"


def tried_on_draws(bench: Analytic, allowed: float, share: float = 0.95, steps: int = 3):
    found = curves(bench, SPACE, (-2, -1, 1, 2))
    allocation = allocate(found, SPACE, bench.metrics[0], allowed)
    bench.judged = 0
    goal = Goal(bench.metrics[0], allowed, share)
    return allocation, propose_budget(bench, allocation, goal, 7, draws=32, steps=steps)


def independent(values: np.ndarray) -> np.ndarray:
    """Each error by itself, in proportion to it, for better or for worse."""
    return 20.0 + values @ [1e6, 1e6, 1e6, 1e3]


def interacting(values: np.ndarray) -> np.ndarray:
    """An error alone costs a tenth of what any two together do."""
    sizes = np.abs(values) / [1e-6, 1e-6, 1e-6, 1e-3]
    return 20.0 - 0.1 * sizes.sum(axis=1) - 0.1 * (sizes.sum(axis=1) ** 2 - (sizes**2).sum(axis=1))


def test_errors_that_add_up_as_expected_keep_their_allocation() -> None:
    bench = Analytic(independent)
    allocation, budget = tried_on_draws(bench, 1.0)
    assert budget.factor == 1.0 and budget.holds
    assert budget.rows == allocation.rows(1.0) and budget.proposed == budget.allocated
    assert 0.5 < budget.proposed.bound <= 1.0 and budget.proposed.mean == pytest.approx(0.0, abs=0.1)
    assert bench.judged == 1 + 32


def test_errors_that_harm_together_are_tightened_by_one_factor_until_draws_keep_to_the_drop() -> None:
    bench = Analytic(interacting)
    allocation, budget = tried_on_draws(bench, 1.0, steps=10)
    assert budget.holds and 0.1 < budget.factor < 0.5
    assert budget.allocated.bound > 2.0 and budget.allocated.mean > 1.0
    assert 0.98 < budget.proposed.bound <= 1.0
    assert budget.proposed.mean < budget.proposed.bound <= budget.proposed.greatest
    for row in budget.rows:
        assert row.scale == pytest.approx(budget.factor * allocation.scales[row.group])
    assert 1 + 32 * (1 + 2 + 10) <= bench.judged <= 1 + 32 * (1 + 4 + 10)
    # the draws are those that anyone would draw with the tolerances proposed
    scales = {row.group: row.scale for row in budget.rows}
    wide = np.random.default_rng(0).standard_normal((20_000, 3)) * 1e-6
    drawn = np.column_stack([wide, np.random.default_rng(1).uniform(-1e-3, 1e-3, 20_000)])
    lost = 20.0 - interacting(drawn * [scales[group] for group in SPACE.groups])
    assert np.mean(lost <= 1.0) == pytest.approx(0.95, abs=0.03)


def test_few_steps_find_a_factor_that_holds_and_not_much_less_than_any() -> None:
    fine, coarse = (tried_on_draws(Analytic(interacting), 1.0, steps=steps)[1] for steps in (10, 3))
    assert coarse.holds and fine.factor * 2 ** (-1 / 8) < coarse.factor <= fine.factor


def test_a_lower_share_of_draws_leaves_more_room() -> None:
    factors = [tried_on_draws(Analytic(interacting), 1.0, share)[1].factor for share in (0.5, 0.95, 1.0)]
    assert factors == sorted(factors, reverse=True) and factors[0] > factors[1]


def test_an_error_metric_is_tightened_where_it_rises() -> None:
    _, budget = tried_on_draws(Analytic(lambda values: -interacting(values), metrics=("mae_rad",)), 1.0)
    assert budget.holds and budget.factor < 1.0 and budget.proposed.bound <= 1.0


def test_a_drop_that_any_error_exceeds_has_no_budget_that_holds() -> None:
    bench = Analytic(lambda values: 20.0 - 5.0 * (np.count_nonzero(values, axis=1) > 1))
    _, budget = tried_on_draws(bench, 1.0)
    assert not budget.holds and budget.factor == LEAST
    assert budget.proposed.bound == 5.0
    assert bench.judged == 1 + 32 * 7


def test_a_factor_that_cannot_be_simulated_does_not_hold() -> None:
    class Walled(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            if len(values) == 32 and np.abs(values[:, 0]).max() > 2e-6:
                raise UsageError("a gap below nothing")
            return super().evaluate(values, indices)

    _, budget = tried_on_draws(Walled(lambda values: 20.0 - 1e-3 * values[:, 0]), 1.0)
    assert budget.allocated is None and budget.holds and 0.0 < budget.factor < 1.0

    class Wall(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            if len(values) == 32:
                raise UsageError("nothing can be simulated")
            return super().evaluate(values, indices)

    with pytest.raises(UsageError, match="nothing can be simulated"):
        tried_on_draws(Wall(independent), 1.0)
