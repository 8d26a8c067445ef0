from __future__ import annotations

from dataclasses import replace

from opticdesign.tolerance.headline import headline
from opticdesign.tolerance.result import Estimate, GroupEffect
from tests.support.example_study import example_study

GAP = GroupEffect("gap", Estimate(3.0, 2.5, 3.5), Estimate(1.0, 0.5, 1.5), Estimate(1.0, 0.2, 1.8))
SHIFT = GroupEffect("layer_shift", Estimate(2.0, 1.5, 2.5), Estimate(0.5, 0.1, 0.9))
FOUND = replace(example_study(), inverse=(), budget=None)


def test_what_matters_most_comes_with_how_sure_it_is() -> None:
    (text,) = headline(replace(FOUND, effects=(GAP, SHIFT)), "psnr_db")
    assert text == (
        "What matters most is gap: alone it changes PSNR by 3.00 dB [2.50 … 3.50] on average; without it draws would "
        "win back 1.00 dB [0.50 … 1.50]. Next comes layer shift, with 2.00 dB alone."
    )
    close = replace(GAP, over_next=Estimate(1.0, -0.1, 2.1))
    (text,) = headline(replace(FOUND, effects=(close, SHIFT)), "psnr_db")
    assert text.endswith("These draws do not tell it from layer shift, with 2.00 dB [1.50 … 2.50] alone.")
    nothing = replace(SHIFT, alone=Estimate(0.0, 0.0, 0.0))
    assert headline(replace(FOUND, effects=(nothing,)), "psnr_db") == ("No error changes anything.",)
    assert headline(replace(FOUND, effects=()), "psnr_db") == ()


def test_other_parts_that_put_another_group_first_say_why() -> None:
    study = example_study()
    first, *others = headline(study, "psnr_db")
    assert study.effects[0].group.replace("_", " ") in first
    limits = {limit.group: limit.scale.value for limit in study.inverse if limit.scale}
    tightest = min(limits, key=lambda group: limits[group])
    told = {"limit": tightest, "budget": study.budget.rows[0].group}
    expected = [part for part, group in told.items() if group != study.effects[0].group]
    assert len(others) == len(expected)
    swapped = replace(study, effects=(replace(GAP, group="blur"), SHIFT))
    _, limit, budget = headline(swapped, "psnr_db")
    assert tightest.replace("_", " ") in limit and told["budget"].replace("_", " ") in budget
