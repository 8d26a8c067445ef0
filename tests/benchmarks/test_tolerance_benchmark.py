from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.tolerance import CASES, Stand, main
from opticdesign.perturbed.patterns import NO_PATTERN


@pytest.fixture(scope="module")
def stand() -> Stand:
    return Stand(64, 2)


def test_a_forward_is_the_nominal_field(stand: Stand) -> None:
    with torch.no_grad():
        expected = stand.optics(stand.sample.fields, stand.process)
        torch.testing.assert_close(stand.forward(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_draw_of_each_case_errs_in_its_groups_only(stand: Stand, case) -> None:  # type: ignore[no-untyped-def]
    dev = stand.draw(case)
    assert {group for group in stand.space.groups if dev.active(group)} == set(case.groups)
    assert (dev.indices[0] != NO_PATTERN) == case.patterns
    with torch.no_grad():
        assert not torch.allclose(stand.perturbed(dev), stand.forward(), rtol=1e-4)


def test_the_naive_loop_computes_the_draw(stand: Stand) -> None:
    dev = stand.draw(CASES[0])
    with torch.no_grad():
        naive, fast, nominal = stand.naive(dev), stand.perturbed(dev), stand.forward()
    inner = (..., slice(16, -16), slice(16, -16))
    # it moves fields on the aperture, where what leaves one side enters the other
    assert (naive - fast)[inner].norm() < 0.3 * (nominal - fast)[inner].norm()


def test_a_quick_run_writes_rows_and_machine(tmp_path: Path) -> None:
    main(["--quick", "--images", "2", "--json", str(tmp_path / "table.json")])
    written = json.loads((tmp_path / "table.json").read_text())
    assert len(written["rows"]) == len(CASES) + 1
    assert all(row["ratio"] > 0.0 for row in written["rows"])
    assert written["machine"]["threads"] == 1
