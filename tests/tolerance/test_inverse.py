from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from opticdesign.errors import UsageError
from opticdesign.perturbed.space import Normal, Parameter, Space, Uniform
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.inverse import PRECISION, SEARCHED, Draws, inverse_limits
from opticdesign.tolerance.sampling import unit_points
from tests.support.tolerance_fakes import Analytic

SPACE = Space(
    (
        Parameter("gap", "gap", "m", Normal(1e-6)),
        Parameter("tilt y", "tilt", "rad", Uniform(-1e-3, 1e-3)),
        Parameter("tilt x", "tilt", "rad", Uniform(-1e-3, 1e-3)),
        Parameter("index", "index", "", Normal(1e-3)),
    )
)
UNIT = unit_points("random", 4, stream_seed(7, "tolerance inverse"), 0, 16, 16)
DRAWS = Draws(16, 16)


def metric(values: np.ndarray) -> np.ndarray:
    return 20.0 - (values[:, 0] / 1e-6) ** 2 - 1e6 * (values[:, 1] ** 2 + values[:, 2] ** 2) + 1e-3 * values[:, 3]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_limits_are_where_the_group_alone_has_changed_the_metric_so_much() -> None:
    gap, tilt, index = inverse_limits(Analytic(metric), SPACE, "psnr_db", 1.5, 7, DRAWS)
    # a drop is s² times a sum of squares, in closed form of the unit points
    squares = (2 * UNIT[:, 1] - 1) ** 2 + (2 * UNIT[:, 2] - 1) ** 2
    for found, sizes in ((gap, ndtri(UNIT[:, 0]) ** 2), (tilt, squares)):
        exact = np.sqrt(1.5 / rms(sizes))
        assert exact * 0.98 < found.scale.value <= exact
        assert found.scale.low < exact < found.scale.high
    assert gap.deviations == {"gap": pytest.approx(1.959964e-6 * gap.scale.value, rel=1e-6)}
    assert tilt.deviations.keys() == {"tilt y", "tilt x"}
    assert index.scale is None and index.searched == SEARCHED
    assert index.deviations["index"] == pytest.approx(SEARCHED * 1.959964e-3, rel=1e-6)


def test_a_limit_of_an_error_metric_is_where_it_has_risen() -> None:
    fake = Analytic(lambda values: 0.1 + np.abs(values[:, 0]) / 1e-6, metrics=("mae_rad",))
    gap, *others = inverse_limits(fake, SPACE, "mae_rad", 0.5, 7, DRAWS)
    assert gap.scale.value == pytest.approx(0.5 / rms(ndtri(UNIT[:, 0])), rel=0.01)
    assert all(one.scale is None for one in others)


def test_harm_on_one_side_is_not_made_good_by_the_other() -> None:
    gap, *_ = inverse_limits(Analytic(lambda values: values[:, 0] / 1e-6), SPACE, "psnr_db", 1.0, 7, DRAWS)
    assert gap.scale.value == pytest.approx(1.0 / rms(ndtri(UNIT[:, 0])), rel=0.01)


@pytest.mark.parametrize("drop", [1e-6, 1e-3, 0.1, 3.0])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_draws_keep_to_the_drop_at_every_limit_and_hardly_beyond(drop: float, power: float) -> None:
    fake = Analytic(lambda values: -np.tanh(np.abs(values[:, 0] / 1e-6) ** power) * 5.0)
    gap, *_ = inverse_limits(fake, SPACE, "psnr_db", drop, 7, DRAWS)

    def change(scale: float) -> float:
        return rms(5.0 * np.tanh(np.abs(scale * ndtri(UNIT[:, 0])) ** power))

    assert change(gap.scale.value) <= drop < change(gap.scale.value * 1.1)


SUMS = Space(tuple(Parameter(f"gap {place}", "gap", "m", Uniform(-1e-6, 1e-6)) for place in range(6)))
LEAST = 1.0 / np.sqrt(6.0 / 3.0)  # where the root mean square of six signed gaps is 1


@pytest.mark.parametrize(("most", "least"), [(64, 0.87), (1024, 0.91)])
def test_intervals_hold_a_limit_that_is_known_and_draws_narrow_them(most: int, least: float) -> None:
    held, halves = [], []
    for seed in range(100):
        (found,) = inverse_limits(
            Analytic(lambda values: values @ [1, -1, 1, -1, 1, -1] / 1e-6), SUMS, "psnr_db", 1.0, seed, Draws(8, most)
        )
        held.append(found.scale.low <= LEAST <= found.scale.high)
        halves.append((found.scale.high - found.scale.low) / 2.0 / found.scale.value)
    assert np.mean(held) >= least
    assert np.median(halves) < 0.2 if most == 64 else np.max(halves) < 1.1 * PRECISION


def test_a_factor_that_cannot_be_simulated_is_not_searched() -> None:
    class Walled(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            if values[:, 0].min() < -5e-6:
                raise UsageError("a gap below nothing")
            return super().evaluate(values, indices)

    deepest = -ndtri(UNIT[:, 0]).min()
    farthest = max(scale for scale in (8.0, 4.0, 2.0, 1.0) if scale * deepest <= 5.0)
    gap, *_ = inverse_limits(Walled(metric), SPACE, "psnr_db", 1e9, 7, DRAWS)
    assert gap.scale is None and gap.searched == farthest < SEARCHED
    wide = Space((Parameter("gap", "gap", "m", Normal(1e-3)), *SPACE.parameters[1:]))
    with pytest.raises(UsageError, match="below nothing"):
        inverse_limits(Walled(metric), wide, "psnr_db", 1.0, 7, Draws(4, 4))


@pytest.mark.parametrize("wall", [1.0, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("seed", range(6))
def test_draws_that_are_added_and_cannot_be_simulated_leave_the_limit_of_those_that_can(wall: float, seed: int) -> None:
    class Walled(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            if values[:, 0].min() < -wall * 1e-6:
                raise UsageError("a gap below nothing")
            return super().evaluate(values, indices)

    def change(values: np.ndarray) -> np.ndarray:
        return values[:, 0] / 1e-6 - 1e3 * np.abs(values[:, 1])

    gap, tilt, index = inverse_limits(Walled(change), SPACE, "psnr_db", 0.6, seed, Draws(4, 64))
    free = inverse_limits(Analytic(change), SPACE, "psnr_db", 0.6, seed, Draws(4, 64))
    assert tilt == free[1] and index == free[2]
    assert gap.scale is None or 0.0 < gap.scale.low <= gap.scale.value <= gap.searched
