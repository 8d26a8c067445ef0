from __future__ import annotations

from opticdesign.cli.tables import check_table
from opticdesign.instrument.check import Check


def power(place: str, percent: str) -> Check:
    return Check(f"power lost before {place}", "pass", f"{percent} of the power leaves", "0 to 5 %")


def cells(*checks: Check) -> list[tuple[str, ...]]:
    return list(zip(*(column.cells for column in check_table(checks).columns), strict=True))


def test_neighbouring_checks_that_differ_in_a_number_share_a_row() -> None:
    rows = cells(power("mask 1", "0.8%"), power("mask 2", "0.6%"), power("detector", "0.5%"))
    assert [row[0] for row in rows] == ["power lost before mask 1 … detector"]
    assert rows[0][2].startswith("0.8%, 0.6%, 0.5% of the power leaves\n")


def test_checks_with_one_finding_share_a_row() -> None:
    gaps = [Check(f"propagation, {name} gap", "pass", "768 zones", "≥ 32") for name in ("input", "layer")]
    other = Check("propagation, detector gap", "warn", "28 zones", "≥ 32", "move it")
    rows = cells(*gaps, other)
    assert [row[0] for row in rows] == ["propagation, input, layer gap", "propagation, detector gap"]
    assert rows[0][2].startswith("768 zones\n") and rows[1][2].endswith("remedy: move it")


def test_checks_of_another_kind_or_verdict_keep_their_rows() -> None:
    bad = Check("power lost before mask 2", "fail", "60% of the power leaves", "0 to 5 %", "shorten the gap")
    assert (
        len(cells(power("mask 1", "0.8%"), bad, Check("camera", "pass", "0.8% of the power leaves", "0 to 5 %"))) == 3
    )
