from __future__ import annotations

import math
from dataclasses import replace

import pytest

from opticdesign.formatting import MISSING
from opticdesign.tolerance.report import tables
from opticdesign.tolerance.report.tables import Table
from opticdesign.tolerance.result import Estimate, Ranking
from tests.support.example_study import example_study

TABLES = {
    name: make(example_study())
    for name, make in (
        ("stages", tables.stage_table),
        ("spread", tables.spread_table),
        ("ranking", tables.ranking_table),
        ("sobol", tables.group_table),
        ("inverse", tables.inverse_table),
        ("budget", tables.budget_table),
        ("trial", tables.trial_table),
        ("compensators", tables.compensator_table),
        ("worst", tables.worst_table),
        ("parameters", tables.parameter_table),
        ("draw-1", lambda result: tables.draw_table(result, replace(result.worst[0], index=1))),
    )
}


def column(table: Table | None, heading: str) -> list[str]:
    assert table
    place = [one.heading for one in table.columns].index(heading)
    return [row[place].text for row in table.rows]


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_cell_for_each_column_and_columns_of_numbers_can_be_sorted(name: str) -> None:
    table = TABLES[name]
    assert table
    assert table.name == name
    assert table.rows
    for row in table.rows:
        assert len(row) == len(table.columns)
        for cell, one in zip(row, table.columns, strict=True):
            assert cell.text
            known = cell.sort is not None and math.isfinite(cell.sort)
            assert known or not one.number or cell.text in (MISSING, "a pixel")


def test_stage_without_metrics_says_why() -> None:
    table = TABLES["stages"]
    assert table
    assert column(table, "PSNR / dB") == ["24.81", "24.60", MISSING, "23.52"]
    assert [row[0].note for row in table.rows] == ["", "", "not exported", ""]


def test_spread_has_percentiles_and_their_intervals() -> None:
    table, summary = TABLES["spread"], example_study().summaries["psnr_db"]
    assert table
    fifth = table.rows[0][[one.heading for one in table.columns].index("5 %")]
    estimate = summary.percentiles["5"]
    assert fifth.text == f"{estimate.value:.2f}"
    assert fifth.note == f"{estimate.low:.2f} … {estimate.high:.2f}"
    assert table.rows[0][0].note == "the judged metric"


def test_limits_and_proposals_stand_beside_the_tolerance_as_given() -> None:
    given = {
        "etch depth": "±2.94 %",
        "layer shift": "±392 nm",
        "tilt": "±1.96 mrad",
        "gap": "±2.94 µm",
        "wavelength": "±0.392 %",
        "blur": "97.5 nm",
    }
    for name in ("inverse", "budget"):
        table = TABLES[name]
        assert dict(zip(column(table, "group"), column(table, "tolerance as given"), strict=True)) == given
    factors = dict(zip(column(TABLES["inverse"], "group"), column(TABLES["inverse"], "factor"), strict=True))
    limits = dict(zip(column(TABLES["inverse"], "group"), column(TABLES["inverse"], "limit"), strict=True))
    assert (factors["tilt"], limits["tilt"]) == ("> × 8", "> ±15.7 mrad")
    gap = float(factors["gap"].removeprefix("× "))
    assert float(limits["gap"].removeprefix("±").removesuffix(" µm")) == pytest.approx(2.94 * gap, rel=5e-3)


def test_gain_of_a_compensator_is_positive_where_it_helps_whichever_way_the_metric_goes() -> None:
    for judged in ("psnr_db", "mae_rad"):
        gains = column(tables.compensator_table(example_study(judged)), "mean gain")
        assert all(float(gain.replace("−", "-")) > 0.0 for gain in gains)


def test_compensators_say_how_far_they_moved() -> None:
    moved = column(TABLES["compensators"], "moved by")
    assert moved[0].startswith("refocus ")
    assert moved[0].endswith("\N{NO-BREAK SPACE}µm")
    assert "; image shift x " in moved[2]
    assert moved[4] == MISSING


def test_both_ends_of_an_adjustment_have_one_unit() -> None:
    row = example_study().compensators[0]
    for settings, text in (((0.0, 4.7e-7), "0 … +470 nm"), ((0.0, 0.0), "0"), ((-1.1e-6, 6.3e-7), "−1.1 … +0.63 µm")):
        rows = (replace(row, settings={"refocus": settings}),)
        moved = column(tables.compensator_table(replace(example_study(), compensators=rows)), "moved by")
        assert moved == [f"refocus {text}".replace(" ", "\N{NO-BREAK SPACE}").replace("\N{NO-BREAK SPACE}", " ", 1)]


def test_parameters_that_correlate_as_chance_has_it_are_marked() -> None:
    both = Estimate(0.01, -0.1, 0.12)
    ranking = (
        Ranking("gap 1", "parameter", spearman=Estimate(-0.5, -0.6, -0.4), spearman_signed=both, chance=0.04),
        Ranking("gap 2", "parameter", spearman=both, spearman_signed=Estimate(0.3, 0.1, 0.5), chance=0.051),
        Ranking("gap 3", "parameter", spearman=both, spearman_signed=both, chance=1.0),
    )
    table = tables.ranking_table(replace(example_study(), ranking=ranking))
    assert table and [row[0].note for row in table.rows] == ["", tables.UNTOLD, tables.UNTOLD]


def test_worst_draws_name_what_is_furthest_off_over_its_tolerance() -> None:
    result, table = example_study(), TABLES["worst"]
    facts = {one.name: one for one in result.parameters}
    for draw, text in zip(result.worst, column(table, "furthest off"), strict=True):
        apart = {name: abs(value) / facts[name].high for name, value in draw.values.items()}  # all are about zero
        assert text.startswith(max(apart, key=lambda name: apart[name]) + " ")


def test_alike_parameters_share_a_row() -> None:
    assert column(TABLES["parameters"], "perturbation") == [
        "etch depth",
        "layer shift",
        "tilt",
        "gap",
        "wavelength",
        "blur",
        "height noise",
    ]
    assert column(TABLES["parameters"], "drawn") == ["3", "10", "10", "6", "1", "1", "a pixel"]
    assert column(TABLES["parameters"], "95 % of draws")[1:4] == ["±392 nm", "±1.96 mrad", "±2.94 µm"]


def test_parts_that_are_not_there_have_no_table() -> None:
    bare = replace(example_study(), effects=(), ranking=(), inverse=(), budget=None, compensators=())
    for make in (
        tables.effect_table,
        tables.ranking_table,
        tables.group_table,
        tables.inverse_table,
        tables.budget_table,
        tables.trial_table,
        tables.compensator_table,
    ):
        assert make(bare) is None


def test_many_ranges_of_one_group_are_not_all_written_out() -> None:
    parameter = example_study().parameters[3]
    facts = {f"{size}": parameter for size in range(1, 6)}
    text = tables.deviations_text({name: int(name) * 1e-6 for name in facts}, facts)
    assert text == "±1 µm; ±2 µm; ±3 µm …"
    assert tables.deviations_text({}, facts) == MISSING


def test_trial_of_a_budget_shows_losses_as_allocated_and_as_proposed() -> None:
    budget, table = example_study().budget, TABLES["trial"]
    assert budget and budget.factor < 1.0 and budget.allocated
    assert table and table.caption.endswith("PSNR / dB, of which 1.60 may be lost")
    assert column(table, "tolerances") == ["as the curves allocate them", "as proposed"]
    assert column(table, "common factor") == ["× 1", f"× {budget.factor:.3g}"]
    most = [float(text) for text in column(table, "95.0 % of draws lose at most")]
    assert most == pytest.approx([budget.allocated.bound, budget.proposed.bound], abs=0.005)
    assert most[1] <= 1.6 < most[0]


def test_budget_that_needs_no_factor_or_does_not_hold_says_so() -> None:
    result = example_study()
    assert result.budget
    kept = replace(result, budget=replace(result.budget, factor=1.0))
    assert column(tables.trial_table(kept), "tolerances") == ["as the curves allocate them"]
    broken = replace(result, budget=replace(result.budget, holds=False, allocated=None))
    table = tables.budget_table(broken)
    assert table and "DO NOT hold" in table.caption
    assert column(tables.trial_table(broken), "tolerances")[1] == "as tried last"
    assert column(tables.trial_table(broken), "mean loss")[0] == MISSING
