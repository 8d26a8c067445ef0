from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.__main__ import main
from benchmarks.agreement import agreement, reference
from benchmarks.contenders import FLOOR, GRAPHED, OURS, PEERS, WAYS, BatchFloor, Floor, Ours, contender, missing, rivals
from benchmarks.plan import Plan, rows
from benchmarks.scene import Scene, Work
from benchmarks.table import Row, markdown_page, print_table, speed_target
from benchmarks.timing import interleave, median_ratio
from opticdesign.optics.cuda.graphs import GraphedCascade

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
@pytest.mark.parametrize("kind", [Floor, BatchFloor])
def test_floor_computes_our_field(padding: float, kind: type[Floor | BatchFloor]) -> None:
    scene = Scene(Work(size=64, layers=3, batch=2, padding=padding))
    floor, ours = kind(scene), contender(OURS, scene)
    torch.testing.assert_close(floor.forward(), ours.forward(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(floor.gradient(), Floor(scene).gradient(), rtol=1e-4, atol=1e-4)


def test_a_gpu_compares_every_way_with_eager_calls_and_with_the_bound_on_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table only: nothing is measured."""
    names = (OURS, *rivals("cuda"))
    proof = {"equal": True, "error": 0.01, "field": 1e-6, "gradient": 1e-6, "remark": ""}
    answers = {
        "prove_equal": lambda asked: {name: proof for name in names},
        "compare_speed": lambda asked: {
            direction: {name: [2.0] for name in asked["names"]} for direction in ("forward", "forward+backward")
        },
        "growth_of_time": lambda asked: [1.0],
    }

    def ask(plan: Plan, task: str, work: Work, *_: object, **more: object) -> object:
        assert work.device == "cuda"
        return 5 * 8 * work.size**2 * work.batch if task == "peak_memory" else answers[task](more)

    monkeypatch.setattr("benchmarks.plan._ask", ask)
    table = list(rows(Plan(32, 1, quick=True, device="cuda"), lambda line: None))
    for way in WAYS:
        own = [row for row in table if row.case.endswith(f", {way}")]
        assert {(row.against, row.target, row.reached) for row in own} == {
            ("eager cuFFT calls", None, None), ("eager cuFFT calls", 3.0, False), ("10 fields", 1.0, True)
        }  # fmt: skip
    assert {row.against for row in table} >= {FLOOR, "LightRidge", "TorchOptics"}
    assert "Chromatix" not in {row.against for row in table}


def test_a_busy_visit_changes_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[str] = []

    def ask(plan: Plan, task: str, work: Work, *_: object, **more: Any) -> object:
        busy = visits.count(task) // (2 * len(plan.works) if task == "compare_speed" else len(plan.grown)) == 1
        visits.append(task)
        found = [9.0 if busy else 1.0] * plan.rounds
        answers = {
            "prove_equal": {name: {"equal": True, "error": 0.01, "field": 0.0, "gradient": 0.0, "remark": ""}
                            for name in (OURS, FLOOR)},
            "compare_speed": {direction: {FLOOR: found} for direction in ("forward", "forward+backward")},
            "growth_of_time": found,
            "peak_memory": 5 * 8 * work.size**2 * work.batch,
        }  # fmt: skip
        return answers[task]

    monkeypatch.setattr("benchmarks.plan._ask", ask)
    table = list(rows(Plan(32, 1), lambda line: None))
    timed = [row for row in table if row.against in {FLOOR, "N log N per hop"}]
    assert len(timed) > 40 and {row.ratio for row in timed} == {1.0}


def test_a_graph_of_the_eager_cascade_computes_our_field_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a capture that records nothing."""
    monkeypatch.setattr(
        "benchmarks.contenders.GraphedCascade", lambda *given: GraphedCascade(*given, lambda optics, samples: optics)
    )
    scene = Scene(SMALL)
    found = agreement(contender(GRAPHED, scene), Ours(scene), reference(scene))
    assert found.equal and found.field < 1e-5 and found.gradient is not None and found.gradient < 1e-5


def test_no_gpu_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        main(["--device", "cuda"])
    assert "no CUDA device" in capsys.readouterr().err


def test_the_page_says_on_what_a_gpu_was_measured_or_that_none_was() -> None:
    assert "Nothing here was measured on a GPU." in markdown_page([], {"cpu": "some CPU"}, "")
    assert "gpu some GPU" in (page := markdown_page([], {"gpu": "some GPU"}, "")) and "Nothing here" not in page


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
    interleave({"a": lambda: runs.append("a"), "b": lambda: runs.append("b")}, rounds=2, shortest=0.0)
    assert "".join(runs) == "aabbabba"


def test_short_runs_are_repeated_and_their_mean_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 0.0}
    monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: clock["now"])

    def nap() -> None:
        clock["now"] += 0.01

    times = interleave({"nap": nap}, rounds=2, shortest=0.1)
    assert times["nap"] == pytest.approx([0.01, 0.01])
    assert clock["now"] == pytest.approx(0.01 * (2 + 2 * 10))


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
    about = {"cpu": "some CPU", "malloc": {"default": {}, "raised": {"TOP": "1"}}, "versions": {"torch": "2"}}
    page = markdown_page(rows, about, "256², 2 threads")
    assert "| speed | LightRidge | **1.10** | ≥ 1.3 | error 1e-2 |" in page
    assert f"| speed | {FLOOR} | 1.05 | ≤ 1.1 |  |" in page
    assert "\ncpu some CPU; malloc: default, raised (TOP 1); versions: torch 2\n" in page
    assert "256², 2 threads" in page
