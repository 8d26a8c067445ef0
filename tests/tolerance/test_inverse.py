from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from tolerance_fakes import Analytic

from opticdesign.errors import UsageError
from opticdesign.randomness import stream_seed
from opticdesign.tolerance.inverse import SEARCHED, inverse_limits
from opticdesign.tolerance.sampling import unit_points
from opticdesign.tolerance.space import Normal, Parameter, Space, Uniform

SPACE = Space(
    (
        Parameter("gap", "gap", "m", Normal(1e-6)),
        Parameter("tilt y", "tilt", "rad", Uniform(-1e-3, 1e-3)),
        Parameter("tilt x", "tilt", "rad", Uniform(-1e-3, 1e-3)),
        Parameter("index", "index", "", Normal(1e-3)),
    )
)
UNIT = unit_points("sobol", 4, stream_seed(7, "tolerance inverse"), 0, 16, 16)


def metric(values: np.ndarray) -> np.ndarray:
    return 20.0 - (values[:, 0] / 1e-6) ** 2 - 1e6 * (values[:, 1] ** 2 + values[:, 2] ** 2) + 1e-3 * values[:, 3]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_limits_are_where_the_group_alone_has_changed_the_metric_so_much() -> None:
    fake = Analytic(metric)
    gap, tilt, index = inverse_limits(fake, SPACE, "psnr_db", 1.5, 7, draws=16, steps=14)
    # a drop is s² times a sum of squares, in closed form of the unit points
    assert gap.scale == pytest.approx(np.sqrt(1.5 / rms(ndtri(UNIT[:, 0]) ** 2)), rel=1e-3)
    squares = (2 * UNIT[:, 1] - 1) ** 2 + (2 * UNIT[:, 2] - 1) ** 2
    assert tilt.scale == pytest.approx(np.sqrt(1.5 / rms(squares)), rel=1e-3)
    assert gap.deviations == {"gap": pytest.approx(1.959964e-6 * gap.scale, rel=1e-6)}
    assert tilt.deviations.keys() == {"tilt y", "tilt x"}
    assert index.scale is None and index.searched == SEARCHED
    assert index.deviations["index"] == pytest.approx(SEARCHED * 1.959964e-3, rel=1e-6)
    assert fake.judged == 1 + 16 * 3 + 14 * 16 * 2


def test_a_limit_of_an_error_metric_is_where_it_has_risen() -> None:
    fake = Analytic(lambda values: 0.1 + np.abs(values[:, 0]) / 1e-6, metrics=("mae_rad",))
    gap, *others = inverse_limits(fake, SPACE, "mae_rad", 0.5, 7, draws=16, steps=14)
    assert gap.scale == pytest.approx(0.5 / rms(ndtri(UNIT[:, 0])), rel=1e-3)
    assert all(one.scale is None for one in others)


def test_harm_on_one_side_is_not_made_good_by_the_other() -> None:
    gap, *_ = inverse_limits(Analytic(lambda values: values[:, 0] / 1e-6), SPACE, "psnr_db", 1.0, 7, draws=16, steps=14)
    assert gap.scale == pytest.approx(1.0 / rms(ndtri(UNIT[:, 0])), rel=1e-3)


def test_a_very_tight_limit_is_found_below_the_first_step() -> None:
    fake = Analytic(lambda values: -np.abs(values[:, 0]) / 1e-6)
    gap, *_ = inverse_limits(fake, SPACE, "psnr_db", 1e-3, 7, draws=16, steps=20)
    assert gap.scale == pytest.approx(1e-3 / rms(ndtri(UNIT[:, 0])), rel=0.01)


def test_a_factor_that_cannot_be_simulated_is_not_searched() -> None:
    class Walled(Analytic):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            if values[:, 0].min() < -5e-6:
                raise UsageError("a gap below nothing")
            return super().evaluate(values, indices)

    deepest = -ndtri(UNIT[:, 0]).min()
    gap, *_ = inverse_limits(Walled(metric), SPACE, "psnr_db", 1e9, 7, draws=16, steps=3)
    assert gap.scale is None and gap.searched == 2.0 and 4.0 * deepest > 5.0 > 2.0 * deepest
    wide = Space((Parameter("gap", "gap", "m", Normal(1e-3)), *SPACE.parameters[1:]))
    with pytest.raises(UsageError, match="below nothing"):
        inverse_limits(Walled(metric), wide, "psnr_db", 1.0, 7, draws=4, steps=3)
