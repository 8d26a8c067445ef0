from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Normal, Parameter, Pattern, Space, Uniform
from opticdesign.tolerance.effects import group_effects, mean_estimate
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.sensitivity import PATTERNS
from tests.support.tolerance_fakes import Analytic

SPACE = Space(
    (
        Parameter("gap 1", "gap", "m", Normal(1e-6)),
        Parameter("gap 2", "gap", "m", Normal(1e-6)),
        Parameter("idle", "idle", "", Normal(3.0)),
        Parameter("tilt", "tilt", "rad", Uniform(-1e-3, 1e-3)),
    )
)


def metric(values: np.ndarray) -> np.ndarray:
    gaps = (values[:, 0] ** 2 + values[:, 1] ** 2) / 1e-12
    return 20.0 - gaps - 300.0 * np.abs(values[:, 3]) - gaps * 1e3 * np.abs(values[:, 3])


@pytest.mark.parametrize("draws", [4, 32])
@pytest.mark.parametrize("seed", range(20))
def test_an_error_without_effect_comes_last_with_none(seed: int, draws: int) -> None:
    values = SPACE.values(unit_points("random", 4, seed, 0, draws, draws))
    found = group_effects(Analytic(metric), SPACE, "psnr_db", values, range(draws), metric(values))
    assert [effect.group for effect in found] == ["gap", "tilt", "idle"]
    last = found[-1]
    assert (last.alone.value, last.alone.high, last.won.value, last.won.low) == (0.0, 0.0, 0.0, 0.0)
    assert last.over_next is None


def test_effects_are_what_a_group_does_alone_and_what_is_won_back_without_it() -> None:
    values = SPACE.values(unit_points("random", 4, 1, 0, 16, 16))
    fake = Analytic(metric)
    gap, tilt, _ = group_effects(fake, SPACE, "psnr_db", values, range(16), metric(values))
    assert fake.judged == 1 + 16 * 2 * 3
    gaps, size = (values[:, 0] ** 2 + values[:, 1] ** 2) / 1e-12, np.abs(values[:, 3])
    assert gap.alone.value == pytest.approx(gaps.mean())
    assert gap.won.value == pytest.approx((gaps + gaps * 1e3 * size).mean())
    assert tilt.alone.value == pytest.approx(300.0 * size.mean())
    assert gap.over_next.value == pytest.approx((gaps - 300.0 * size).mean())
    errors = Analytic(lambda values: 20.0 - metric(values), metrics=("mae_rad",))
    again = group_effects(errors, SPACE, "mae_rad", values, range(16), 20.0 - metric(values))
    assert again[0].won.value == pytest.approx(gap.won.value)


def test_patterns_are_a_group_that_is_drawn_by_its_number() -> None:
    class Patterned(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            noise = np.where(np.asarray(indices) == NO_PATTERN, 0.0, 1.0 + np.asarray(indices))
            return {"psnr_db": (20.0 - values[:, 0] ** 2 * 1e12 - noise)[:, None]}

    space = Space(SPACE.parameters[:1], (Pattern("height_noise", "m", 6e-9, 0.0),))
    values = np.full((5, 1), 1e-6)
    bench = Patterned(metric)
    together = bench.evaluate(values, range(3, 8))["psnr_db"][:, 0]
    patterns, gap = group_effects(bench, space, "psnr_db", values, range(3, 8), together)
    assert (patterns.group, patterns.alone.value, patterns.won.value) == (
        PATTERNS,
        pytest.approx(6.0),
        pytest.approx(6.0),
    )
    assert (gap.group, gap.alone.value, gap.won.value) == ("gap", pytest.approx(1.0), pytest.approx(1.0))


@pytest.mark.parametrize(("draws", "least"), [(4, 0.92), (32, 0.93)])
def test_intervals_of_effects_hold_the_mean_size_of_a_normal_change(draws: int, least: float) -> None:
    rng, true = np.random.default_rng(0), 2.0 * norm.pdf(0.0)
    found = [mean_estimate(np.abs(rng.normal(size=draws)), least=0.0) for _ in range(3000)]
    assert np.mean([one.low <= true <= one.high for one in found]) >= least
    assert all(one.low >= 0.0 for one in found)
