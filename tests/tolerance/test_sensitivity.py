from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Normal, Parameter, Pattern, Space, Uniform
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.sensitivity import (
    PATTERNS,
    curves,
    group_members,
    rank_correlations,
    sobol_cost,
    sobol_ranking,
    widths,
)
from tests.support.tolerance_fakes import Analytic

SPACE = Space(
    (
        Parameter("gap 1", "gap", "m", Normal(1e-6)),
        Parameter("gap 2", "gap", "m", Normal(2e-6)),
        Parameter("tilt", "tilt", "rad", Uniform(-1e-3, 1e-3)),
    )
)
ISHIGAMI = Space(tuple(Parameter(name, name, "", Uniform(-math.pi, math.pi)) for name in ("x1", "x2", "x3")))


def ishigami(values: np.ndarray) -> np.ndarray:
    """T. Ishigami, T. Homma, An importance quantification technique in uncertainty analysis for computer models (1990),
    doi:10.1109/ISUMA.1990.151285, with a = 7 and b = 0.1."""
    return np.sin(values[:, 0]) + 7.0 * np.sin(values[:, 1]) ** 2 + 0.1 * values[:, 2] ** 4 * np.sin(values[:, 0])


def ishigami_indices() -> tuple[dict[str, float], dict[str, float]]:
    """First-order and total indices in closed form."""
    a, b, pi = 7.0, 0.1, math.pi
    v1, v2 = 0.5 * (1 + b * pi**4 / 5) ** 2, a**2 / 8
    v13 = 8 * b**2 * pi**8 / 225
    total = v1 + v2 + v13
    return {"x1": v1 / total, "x2": v2 / total, "x3": 0.0}, {
        "x1": (v1 + v13) / total,
        "x2": v2 / total,
        "x3": v13 / total,
    }


def test_widths_are_the_far_ends_of_95_percent() -> None:
    assert widths(SPACE) == pytest.approx([1.959964e-6, 2 * 1.959964e-6, 0.95e-3], rel=1e-6)
    one_sided = Space((Parameter("blur", "blur", "m", Uniform(50e-9, 100e-9)),))
    assert widths(one_sided) == pytest.approx([98.75e-9], rel=1e-6)


def test_curves_move_one_parameter_alone_through_its_quantiles() -> None:
    def metric(values: np.ndarray) -> np.ndarray:
        return 20.0 - (values[:, 0] / 1e-6) ** 2 - 3.0 * values[:, 1] / 1e-6 - 1e6 * values[:, 2] ** 2

    fake = Analytic(metric)
    gap, drift, tilt = curves(fake, SPACE, (-2, -1, 1, 2))
    assert fake.judged == 1 + 3 * 4
    assert gap.values == pytest.approx([-2e-6, -1e-6, 0.0, 1e-6, 2e-6])
    assert gap.metrics["psnr_db"] == pytest.approx([16, 19, 20, 19, 16])
    assert drift.metrics["psnr_db"] == pytest.approx([32, 26, 20, 14, 8])
    assert (tilt.parameter, tilt.group, tilt.unit) == ("tilt", "tilt", "rad")
    assert -1e-3 < tilt.values[0] < -0.95e-3 and tilt.values[2] == 0.0


def test_curves_have_no_per_pixel_pattern() -> None:
    class Numbers(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            assert set(indices) == {NO_PATTERN}
            return super().evaluate(values, indices)

    assert len(curves(Numbers(lambda values: values[:, 0]), SPACE, (1,))) == 3


def test_a_curve_of_a_one_sided_error_starts_at_nominal() -> None:
    space = Space((Parameter("blur", "blur", "m", Uniform(0.0, 1e-7)),))
    (curve,) = curves(Analytic(lambda values: 20.0 - 1e7 * values[:, 0]), space, (-1, 1))
    assert curve.values[0] == 0.0 and list(curve.values) == sorted(curve.values)
    assert curve.metrics["psnr_db"][0] == 20.0


def test_ranks_are_those_of_spearman_and_order_the_parameters() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(300, 3)) * [1e-6, 2e-6, 1e-3]
    metric = 20.0 - (values[:, 1] / 1e-6) ** 2 + 0.3 * rng.normal(size=300) + values[:, 2] * 2000.0
    rows = rank_correlations(values, metric, SPACE)
    assert rows[0].name == "gap 2" and rows[-1].name == "gap 1"
    by_name = {row.name: row for row in rows}
    for place, name in enumerate(SPACE.names):
        row = by_name[name]
        assert row.spearman is not None and row.spearman_signed is not None
        assert row.spearman.value == pytest.approx(spearmanr(np.abs(values[:, place]), metric).statistic)
        assert row.spearman_signed.value == pytest.approx(spearmanr(values[:, place], metric).statistic)
        assert row.spearman.low < row.spearman.value < row.spearman.high
    assert abs(by_name["gap 2"].spearman.value) > 0.7 > abs(by_name["gap 2"].spearman_signed.value)
    assert by_name["gap 1"].spearman.low < 0.0 < by_name["gap 1"].spearman.high
    assert by_name["gap 1"].chance > 0.05 > by_name["gap 2"].chance


@pytest.mark.parametrize("sampler", ["random", "latin-hypercube"])
def test_errors_without_effect_are_blamed_in_no_more_studies_than_chance_allows(sampler: str) -> None:
    """Of 40 errors one acts; of the other 39 some stand out if taken by themselves."""
    space = Space(tuple(Parameter(f"error {place}", "errors", "", Normal(1.0)) for place in range(40)))
    blamed, alone = 0, 0
    for seed in range(200):
        values = space.values(unit_points(sampler, 40, seed, 0, 64, 64))  # type: ignore[arg-type]
        first, *others = rank_correlations(values, 20.0 - values[:, 0] ** 2, space)
        assert first.name == "error 0" and first.chance < 1e-6
        blamed += any(row.chance < 0.05 for row in others)
        alone += any(row.spearman.low > 0.0 or row.spearman.high < 0.0 for row in others)
    assert alone > 150  # as single intervals have it
    assert blamed <= 18  # 5 % of 200, and two standard deviations


def test_rank_of_a_metric_or_parameter_that_does_not_change_is_zero() -> None:
    rows = rank_correlations(np.zeros((10, 3)), np.arange(10.0), SPACE)
    assert all(row.spearman is not None and row.spearman.value == 0.0 for row in rows)
    rows = rank_correlations(np.random.default_rng(0).normal(size=(10, 3)), np.ones(10), SPACE)
    assert all(row.spearman_signed is not None and row.spearman_signed.value == 0.0 for row in rows)


def test_sobol_indices_of_the_ishigami_function_are_those_of_its_closed_form() -> None:
    fake = Analytic(ishigami)
    rows = sobol_ranking(fake, ISHIGAMI, "psnr_db", 2048, 5)
    assert fake.judged == sobol_cost(ISHIGAMI, 2048) == 5 * 2048
    first, total = ishigami_indices()
    assert [row.name for row in rows] == ["x1", "x2", "x3"]
    for row in rows:
        assert row.first is not None and row.total is not None
        assert row.first.value == pytest.approx(first[row.name], abs=0.03)
        assert row.total.value == pytest.approx(total[row.name], abs=0.03)
        assert row.total.low <= total[row.name] + 0.01 and row.total.high >= total[row.name] - 0.01


def test_sobol_indices_of_groups_add_up_for_a_sum() -> None:
    def metric(values: np.ndarray) -> np.ndarray:
        return values[:, 0] / 1e-6 + values[:, 1] / 1e-6 + values[:, 2] * math.sqrt(3) / 1e-3

    fake = Analytic(metric)
    gap, tilt = sobol_ranking(fake, SPACE, "psnr_db", 1024, 0)
    assert fake.judged == 4 * 1024
    assert (gap.name, tilt.name, gap.of) == ("gap", "tilt", "group")
    # variances 1 and 4 of the two gaps, 1 of the tilt
    assert gap.first is not None and gap.first.value == pytest.approx(5 / 6, abs=0.02)
    assert tilt.total is not None and tilt.total.value == pytest.approx(1 / 6, abs=0.02)


def test_sobol_indices_tell_per_pixel_patterns_apart() -> None:
    class Patterned(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            noise = unit_points("random", 1, 9, 0, max(indices) + 1, 1)[:, 0]
            column = values[:, 0] * 1e6 + math.sqrt(12) * noise[list(indices)]
            return {"psnr_db": column[:, None]}

    space = Space(SPACE.parameters[:1], (Pattern("height_noise", "m", 6e-9, 0.0),))
    rows = {row.name: row for row in sobol_ranking(Patterned(ishigami), space, "psnr_db", 1024, 0)}
    assert rows.keys() == {"gap", PATTERNS}
    for row in rows.values():
        assert row.first is not None and row.first.value == pytest.approx(0.5, abs=0.05)
        assert row.total is not None and row.total.value == pytest.approx(0.5, abs=0.05)


def test_sobol_indices_of_a_constant_are_zero() -> None:
    rows = sobol_ranking(Analytic(lambda values: np.full(len(values), 3.0)), SPACE, "psnr_db", 8, 0)
    assert all(row.first is not None and row.first.value == 0.0 for row in rows)


def test_groups_keep_the_order_of_their_parameters() -> None:
    assert group_members(SPACE) == {"gap": [0, 1], "tilt": [2]}
