from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.__main__ import main
from benchmarks.agreement import agreement, reference
from benchmarks.contenders import FLOOR, OURS, PEERS, Ours, contender, missing
from benchmarks.scene import Scene, Work
from benchmarks.table import Row, markdown_page, print_table, speed_target
from benchmarks.timing import interleave, median_ratio

SMALL = Work(size=64, layers=2, batch=2, padding=1.0)
USABLE = [name for name in PEERS if not missing(name)]


@pytest.mark.slow
def test_quick_run_writes_rows_and_machine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--size", "32", "--threads", "1", "--json", str(tmp_path / "table.json")])
    written = json.loads((tmp_path / "table.json").read_text())
    assert set(written) == {"rows", "machine"}
    assert all(set(row) == {"case", "against", "ratio", "target"} for row in written["rows"])
    assert all(math.isfinite(row["ratio"]) and row["ratio"] > 0 for row in written["rows"])
    floors = [row for row in written["rows"] if row["against"] == FLOOR]
    assert {row["target"] for row in floors} == {None, 1.1, 1.4}
    assert {"default malloc", "raised malloc"} == {row["case"].rsplit(", ", 1)[1] for row in floors}
    assert set(written["machine"]["versions"]) == {"opticdesign", "torch", *(peer.lower() for peer in PEERS)}
    printed = capfd.readouterr().out
    assert ("not installed" in printed) == (len(USABLE) < len(PEERS))


@pytest.mark.parametrize("padding", [1.0, 1.5])
def test_floor_computes_our_field(padding: float) -> None:
    scene = Scene(Work(size=64, layers=3, batch=2, padding=padding))
    floor, ours = contender(FLOOR, scene), contender(OURS, scene)
    torch.testing.assert_close(floor.forward(), ours.forward(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", USABLE)
@pytest.mark.parametrize("padding", [1.0, 2.0])
def test_an_installed_peer_computes_our_field_and_gradient(name: str, padding: float) -> None:
    scene = Scene(Work(size=64, layers=2, batch=2, padding=padding))
    found = agreement(contender(name, scene), contender(OURS, scene), reference(scene))
    assert found.equal
    assert found.field < 0.2
    assert found.gradient is not None and found.gradient < 0.2


class Wrong(Ours):
    remark: ClassVar[str] = "sends the conjugate field"

    def forward(self) -> Tensor:
        return super().forward().conj()


def test_a_contender_with_another_field_is_not_timed() -> None:
    scene = Scene(SMALL)
    found = agreement(Wrong(scene), Ours(scene), reference(scene))
    assert not found.equal and found.field > 0.1


def test_reference_agrees_with_our_doubled_window() -> None:
    scene = Scene(Work(size=64, layers=2, batch=1, padding=2.0))
    ours = contender(OURS, scene)
    assert agreement(ours, ours, reference(scene)).error < 0.03


def test_ratio_is_the_median_of_rounds_whatever_the_machine_does_between_them() -> None:
    times = {"a": [2.0, 20.0, 2.0], "b": [1.0, 10.0, 4.0]}
    assert median_ratio(times, "a", "b") == 2.0
    runs: list[str] = []
    interleave({"a": lambda: runs.append("a"), "b": lambda: runs.append("b")}, rounds=2)
    assert runs == ["a", "b", "a", "b", "b", "a"]


def test_targets_hold_only_where_the_peer_is_no_more_right() -> None:
    even, worse = {"ours": 0.01, "theirs": 0.01}, {"ours": 0.09, "theirs": 0.04}
    assert speed_target("LightRidge", SMALL, "forward+backward", even) == 1.3
    assert speed_target("TorchOptics", SMALL, "forward+backward", worse) is None
    assert speed_target(FLOOR, SMALL, "forward+backward", even) is None
    assert speed_target(FLOOR, Work(batch=8), "forward+backward", even) == 1.1


def test_table_marks_missed_targets_and_peers_that_are_missing() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    rows = [
        Row("speed", "LightRidge", 1.1, 1.3),
        Row("speed", FLOOR, 1.05, 1.1, most=True),
        Row("speed", "Chromatix", None, remark="not installed"),
    ]
    print_table(rows, "title", console)
    lines = [line for line in console.export_text().splitlines() if "speed" in line]
    assert ["✗" in line for line in lines] == [True, False, False]
    assert "not installed" in lines[2]


def test_page_has_every_row_and_the_machine_and_marks_missed_targets() -> None:
    rows = [Row("speed", "LightRidge", 1.1, 1.3, remark="error 1e-2"), Row("speed", FLOOR, 1.05, 1.1, most=True)]
    page = markdown_page(rows, {"cpu": "some CPU"}, "256², 2 threads")
    assert "| speed | LightRidge | **1.10** | ≥ 1.3 | error 1e-2 |" in page
    assert f"| speed | {FLOOR} | 1.05 | ≤ 1.1 |  |" in page
    assert "cpu some CPU" in page and "256², 2 threads" in page
