from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from opticdesign.design import Tolerance
from opticdesign.errors import StudyStopped
from opticdesign.perturbed.space import Normal, Parameter, Pattern, Space, Uniform
from opticdesign.tolerance.study import Study, StudyPlan, drawn_values, plan_of
from tests.support.tolerance_fakes import Analytic, runner_of

SPACE = Space(
    (
        Parameter("gap", "gap", "m", Normal(1e-6)),
        Parameter("shift y", "shift", "m", Normal(1e-6)),
        Parameter("shift x", "shift", "m", Normal(1e-6)),
        Parameter("index", "index", "", Uniform(-1e-3, 1e-3)),
    )
)
REACHES = {"refocus": 3e-6, "re-register": 3e-6}
PLAN = StudyPlan(samples=400, seed=0, sampler="random", sobol=64)
TOLERANCE = Tolerance(metric="psnr_db", spec=19.0, least_yield=0.5)


class Device(Analytic):
    """PSNR linear in the gap, so that the draws are normal around 20 with a standard deviation of 2."""

    def __init__(self) -> None:
        super().__init__(lambda values: 20.0 + 2.0 * values[:, 0] / 1e-6, metrics=("psnr_db", "mae_rad"), images=2)

    def retuned(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
        return {name: column + 0.5 for name, column in self.evaluate(values, indices).items()}


def study_in(folder: Path, **changes: object) -> Study:
    parts = {"space": SPACE, "tolerance": TOLERANCE, "plan": PLAN, "reaches": REACHES, **changes}
    return Study(runner_of(folder, Device()), **parts)


def test_a_linear_metric_has_the_yield_and_percentiles_of_its_normal_distribution(tmp_path: Path) -> None:
    found = study_in(tmp_path).findings()
    share = found.yield_found.share
    assert share.low < norm.sf(19.0, 20.0, 2.0) < share.high
    fifth = found.summaries["psnr_db"].percentiles["5"]
    assert fifth.low < norm.ppf(0.05, 20.0, 2.0) < fifth.high
    assert {name: one.nominal for name, one in found.summaries.items()} == {"psnr_db": 20.0, "mae_rad": 20.0}
    assert found.summaries["mae_rad"].lower_is_better and found.allowed_drop == 1.0
    assert found.yield_found.least == 0.5 and found.yield_found.enough
    assert found.convergence.samples[-1] == len(found.draws.metrics["psnr_db"]) == len(found.draws.values["gap"]) == 400


def test_what_matters_comes_first_everywhere(tmp_path: Path) -> None:
    found = study_in(tmp_path).findings()
    assert found.effects[0].group == "gap" and found.effects[0].over_next.low > 0.0
    parameters = [row for row in found.ranking if row.of == "parameter"]
    groups = [row for row in found.ranking if row.of == "group"]
    assert parameters[0].name == "gap" and parameters[0].spearman_signed.value == pytest.approx(1.0)
    assert groups[0].name == "gap" and groups[0].total.value == pytest.approx(1.0, abs=0.2)
    assert found.budget.rows[0].group == "gap" and found.budget.factor == 1.0
    assert found.budget.rows[0].deviations["gap"] == pytest.approx(0.5e-6, rel=1e-3)
    assert [row.group for row in found.inverse if row.scale is not None] == ["gap"]
    assert [curve.parameter for curve in found.curves] == list(SPACE.names)


def test_the_worst_ten_can_be_drawn_again_by_their_number_alone(tmp_path: Path) -> None:
    found = study_in(tmp_path).findings()
    assert len(found.worst) == 10
    metrics = [draw.metrics["psnr_db"] for draw in found.worst]
    assert metrics == sorted(found.draws.metrics["psnr_db"])[:10]
    for draw in found.worst:
        again = drawn_values(SPACE, PLAN, draw.index, 1)[0]
        assert dict(zip(SPACE.names, again.tolist(), strict=True)) == draw.values
        assert draw.metrics["psnr_db"] == pytest.approx(20.0 + 2e6 * draw.values["gap"])


@pytest.mark.parametrize("sampler", ["sobol", "latin-hypercube", "random"])
def test_a_draw_depends_on_seed_and_number_only(sampler: str) -> None:
    plan = replace(PLAN, sampler=sampler)
    together = drawn_values(SPACE, plan, 0, 40)
    assert np.array_equal(together[17], drawn_values(SPACE, plan, 17, 1)[0])
    assert not np.array_equal(together, drawn_values(SPACE, replace(plan, seed=1), 0, 40))


def test_compensators_are_tried_on_the_worst_and_on_others(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    found = study.findings()
    assert [(row.name, row.draws) for row in found.compensators] == [
        (name, draws) for name in ("refocus", "re-register", "decoder re-tune") for draws in ("worst", "random")
    ]
    assert found.compensators[0].indices == tuple(draw.index for draw in found.worst[:3])
    assert len(set(found.compensators[1].indices)) == 3
    retuned = found.compensators[4]
    assert retuned.after == pytest.approx([value + 0.5 for value in retuned.before])


def test_inverse_limits_are_for_the_drop_to_the_specification(tmp_path: Path) -> None:
    class Symmetric(Device):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            column = 20.0 - np.abs(values[:, 0]) / 1e-6
            return {name: np.repeat(column[:, None], 2, axis=1) for name in self.metrics}

    study = Study(runner_of(tmp_path, Symmetric()), SPACE, TOLERANCE, PLAN, REACHES)
    found = study.findings()
    limits = {row.group: row for row in found.inverse}
    assert found.allowed_drop == 1.0
    assert limits["gap"].scale.low < 1.0 < limits["gap"].scale.high
    assert limits["index"].scale is None and limits["shift"].scale is None


class Crossed(Device):
    """PSNR falls with each error, and fast with two together."""

    def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
        sizes = np.abs(values[:, :4] / [1e-6, 1e-6, 1e-6, 1e-3])
        column = 20.0 - sizes.sum(axis=1) - 9.0 * sizes[:, 0] * sizes[:, 1]
        return {name: np.repeat(column[:, None], 2, axis=1) for name in self.metrics}


@pytest.mark.parametrize(("least_yield", "share"), [(0.5, 0.5), (None, 0.95)])
def test_the_budget_is_for_the_yield_asked_for_and_holds_on_draws(
    tmp_path: Path, least_yield: float | None, share: float
) -> None:
    tolerance = Tolerance(metric="psnr_db", spec=19.0, least_yield=least_yield)
    found = Study(runner_of(tmp_path, Crossed()), SPACE, tolerance, PLAN, REACHES).findings()
    budget = found.budget
    assert budget.share == share and budget.holds and budget.factor < 1.0 < budget.allocated.bound
    scales = {row.group: row.scale for row in budget.rows}
    values = drawn_values(SPACE, PLAN, 0, 400) * [scales[group] for group in SPACE.groups]
    lost = 20.0 - Crossed().evaluate(values, [])["psnr_db"].mean(axis=1)
    assert np.mean(lost <= 1.0) == pytest.approx(share, abs=0.1)
    assert f"× {budget.factor:.3g}, as proposed, {100 * share:.1f} % lose" in found.notes[-1]


def test_notes_say_where_a_budget_holds_as_allocated_and_where_none_does(tmp_path: Path) -> None:
    class Cliff(Device):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            column = 20.0 - 5.0 * (np.count_nonzero(values[:, :4], axis=1) > 1)
            return {name: np.repeat(column[:, None], 2, axis=1) for name in self.metrics}

    assert study_in(tmp_path / "kept").findings().notes[-1].endswith("1.00 dB may be lost.")
    found = Study(runner_of(tmp_path / "none", Cliff()), SPACE, TOLERANCE, PLAN, REACHES).findings()
    assert not found.budget.holds and found.notes[-1].endswith("no budget was found that holds.")


def test_a_nominal_that_misses_the_limit_has_no_limits_and_no_budget(tmp_path: Path) -> None:
    found = study_in(tmp_path, tolerance=Tolerance(metric="psnr_db", spec=25.0, least_yield=0.5)).findings()
    assert found.allowed_drop == -5.0 and found.inverse == () and found.budget is None
    assert not found.yield_found.enough
    assert any("misses the limit" in note for note in found.notes)


def test_a_drop_allowed_is_counted_from_nominal(tmp_path: Path) -> None:
    found = study_in(tmp_path, tolerance=Tolerance(metric="mae_rad", drop=0.5)).findings()
    assert found.yield_found.spec.limit == 20.5 and found.yield_found.spec.lower_is_better
    assert found.allowed_drop == pytest.approx(0.5)
    assert found.worst[0].metrics["mae_rad"] == max(found.draws.metrics["mae_rad"])


def test_a_study_of_patterns_alone_has_no_parameters_to_turn(tmp_path: Path) -> None:
    class Noisy(Device):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            column = 20.0 - np.asarray(indices) % 7
            return {name: np.repeat(column[:, None] * 1.0, 2, axis=1) for name in self.metrics}

    space = Space((), (Pattern("height_noise", "m", 6e-9, 0.0),))
    plan = replace(PLAN, samples=14, sobol=8)
    found = Study(runner_of(tmp_path, Noisy()), space, TOLERANCE, plan, REACHES).findings()
    assert found.curves == () and found.inverse == () and found.budget is None and found.draws.values == {}
    assert found.yield_found.passed == 4
    assert [row.name for row in found.ranking] == ["per-pixel patterns"]
    assert not any("without per-pixel" in note for note in found.notes)


def test_notes_name_the_patterns_that_limits_are_without(tmp_path: Path) -> None:
    space = replace(SPACE, patterns=(Pattern("height_noise", "m", 6e-9, 0.0),))
    assert any("(height noise)" in note for note in study_in(tmp_path, space=space).findings().notes)


@pytest.mark.parametrize(("samples", "said"), [(58, "59 are needed"), (59, "draw 1 from the worst of 59")])
def test_notes_say_what_so_many_draws_assure(tmp_path: Path, samples: int, said: str) -> None:
    found = study_in(tmp_path, plan=replace(PLAN, samples=samples, sobol=0)).findings()
    assert said in found.notes[0]


def test_a_finished_study_is_read_and_a_stopped_one_goes_on(tmp_path: Path) -> None:
    stop = iter([False] * 30 + [True] * 1000)
    runner = runner_of(tmp_path, Device(), stop_asked=lambda: next(stop))
    with pytest.raises(StudyStopped):
        Study(runner, SPACE, TOLERANCE, PLAN, REACHES).findings()
    kept = len(list(tmp_path.glob("*.json")))
    assert 20 < kept < 40
    first = study_in(tmp_path).findings()
    assert len(list(tmp_path.glob("*.json"))) > kept
    device = Device()
    again = Study(runner_of(tmp_path, device), SPACE, TOLERANCE, PLAN, REACHES).findings()
    assert again == first and device.judged == 0


def test_a_quick_plan_has_59_draws_unless_told_otherwise() -> None:
    tolerance = Tolerance(samples=200, sampler="latin-hypercube")
    assert plan_of(tolerance, 3, None, 0, quick=False) == StudyPlan(samples=200, seed=3, sampler="latin-hypercube")
    assert plan_of(tolerance, 3, 50, 16, quick=False).samples == 50
    quick = plan_of(tolerance, 3, None, 0, quick=True)
    assert quick.samples == 59 and quick.inverse_draws == 0
    assert plan_of(tolerance, 3, 7, 0, quick=True).samples == 7
