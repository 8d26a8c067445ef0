from __future__ import annotations

import numpy as np
import pytest

from opticdesign.perturbed.space import Normal, Parameter, Space
from opticdesign.tolerance.compensate import KNOBS, Devices, adjusted, retuned
from tests.support.tolerance_fakes import Analytic, Transcendental, transcendental

SPACE = Space((Parameter("gap", "gap", "m", Normal(1e-6)), Parameter("index", "index", "", Normal(1e-3))))
DEVICES = Devices(np.array([[0.8e-6, 0.0], [-1.7e-6, 1e-3], [0.0, 0.0]]), [4, 9, 2], ["worst"] * 3)


def metric(values: np.ndarray) -> np.ndarray:
    """Best where the camera is moved as far back as the gap is too long, and by (3, −2) µm across."""
    gap, index, focus, y, x = (values / [1e-6, 1e-3, 1e-6, 1e-6, 1e-6]).T
    return 20.0 - (gap + focus) ** 2 - (y - 3.0) ** 2 - (x + 2.0) ** 2 - index**2


def test_refocus_takes_a_gap_error_away_and_nothing_else() -> None:
    fake = Analytic(metric)
    (row,) = adjusted(fake, SPACE, "psnr_db", DEVICES, "refocus", 2e-6)
    assert (row.name, row.draws, row.indices) == ("refocus", "worst", (4, 9, 2))
    assert row.before == pytest.approx([20 - 0.64 - 13, 20 - 2.89 - 13 - 1, 20 - 13])
    assert row.settings["refocus"] == pytest.approx([-0.8e-6, 1.7e-6, 0.0], abs=0.13e-6)
    assert row.after == pytest.approx([7.0, 6.0, 7.0], abs=0.01)
    assert fake.judged == 3 * (1 + 4 * 2)


def test_re_registration_moves_along_both_axes() -> None:
    (row,) = adjusted(Analytic(metric), SPACE, "psnr_db", DEVICES, "re-register", 8e-6)
    assert row.settings.keys() == set(KNOBS["re-register"])
    assert row.settings["image shift y"][2] == pytest.approx(3e-6, abs=0.6e-6)
    assert row.settings["image shift x"][2] == pytest.approx(-2e-6, abs=0.6e-6)
    assert all(after > before + 12.0 for before, after in zip(row.before, row.after, strict=True))


def test_an_adjustment_that_never_helps_changes_nothing() -> None:
    (row,) = adjusted(
        Analytic(lambda values: -np.abs(values[:, 2:]).sum(axis=1)), SPACE, "psnr_db", DEVICES, "refocus", 1
    )
    assert row.after == row.before and set(row.settings["refocus"]) == {0.0}


def test_an_error_metric_is_brought_down() -> None:
    fake = Analytic(lambda values: -metric(values), metrics=("mae_rad",))
    (row,) = adjusted(fake, SPACE, "mae_rad", DEVICES, "refocus", 2e-6)
    assert all(after <= before for before, after in zip(row.before, row.after, strict=True))
    assert row.settings["refocus"][0] == pytest.approx(-0.8e-6, abs=0.13e-6)


def test_retuning_stands_beside_the_metric_before() -> None:
    (row,) = retuned(Transcendental(), "ssim", DEVICES)
    expected = transcendental(DEVICES.values, DEVICES.indices)["ssim"].mean(axis=1)
    assert row.before == pytest.approx(expected) and row.after == pytest.approx(expected + 1.0)
    assert (row.name, row.settings) == ("decoder re-tune", {})


def test_devices_of_two_kinds_are_adjusted_together_and_told_apart() -> None:
    mixed = Devices(DEVICES.values, DEVICES.indices, ["worst", "random", "worst"])
    worst, random = adjusted(Analytic(metric), SPACE, "psnr_db", mixed, "refocus", 2e-6)
    (alone,) = adjusted(Analytic(metric), SPACE, "psnr_db", DEVICES, "refocus", 2e-6)
    assert (worst.draws, worst.indices, random.draws, random.indices) == ("worst", (4, 2), "random", (9,))
    assert worst.after == alone.after[::2] and random.settings["refocus"] == alone.settings["refocus"][1:2]
