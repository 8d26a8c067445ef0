from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opticdesign.runs.run_folder import open_run
from opticdesign.studies import cells
from tests.support.study_texts import SMALL, STUDY, write_study

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}


Command = Callable[..., Any]


def test_study_prints_and_writes_its_table_and_continues_for_nothing(command: Command, tmp_path: Path) -> None:
    path = write_study(tmp_path, SMALL)
    done = command("study", path, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    for part in ("optics and decoder", "constant", "paper (other data)", "16.10 / 16.90, 0.580 / 0.600", "A "):
        assert part in done.stdout
    assert "95 % interval over images only" in done.stdout and "quick" not in done.stdout
    folder = tmp_path / "runs" / "studies" / "small"
    assert {"small.json", "small.csv", "small.md", "A-seed0"} <= {path.name for path in folder.iterdir()}
    begun = time.monotonic()
    again = command("study", path, "--device", "cpu", "--json")
    assert time.monotonic() - begun < 10
    assert json.loads(again.stdout) == json.loads((folder / "small.json").read_text("utf-8"))


def test_quick_study_is_marked_everywhere(command: Command, tmp_path: Path) -> None:
    done = command("study", write_study(tmp_path, SMALL), "--quick", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "quick: smoke budget, no result" in done.stdout
    folder = tmp_path / "runs" / "studies" / "small-quick"
    assert json.loads((folder / "small-quick.json").read_text("utf-8"))["quick"] is True
    assert open_run(folder / "A-seed0").quick


def test_values_asked_for_reach_every_design(command: Command, tmp_path: Path) -> None:
    path = write_study(tmp_path, SMALL)
    asked = ("study", path, "--device", "cpu", "--output", tmp_path / "out")
    done = command(*asked, "--set", "training.stages.joint.steps=1")
    assert done.returncode == 0, done.stderr
    assert open_run(tmp_path / "out" / "A-seed0").design.training.stages["joint"].steps == 1
    other = command(*asked)
    assert other.returncode == 2
    assert "made with another design" in other.stderr and "another --output" in other.stderr


def test_broken_study_exits_2_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    path = write_study(tmp_path, SMALL.replace("designs/tiny.toml", "designs/none.toml"))
    done = command("study", path)
    assert done.returncode == 2
    for part in (f"{path}:13", "rows[0].design", "designs/none.toml", "expected", "remedy"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_failed_row_exits_1_and_stands_in_the_table(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "score_constant", lambda *arguments: 1 / 0)
    done = command("study", write_study(tmp_path, SMALL), "--device", "cpu")
    assert done.returncode == 1
    assert "failed: none, seed 0: internal error: ZeroDivisionError" in done.stdout
    assert "A has no floor in this table" in done.stdout
    table = json.loads((tmp_path / "runs" / "studies" / "small" / "small.json").read_text("utf-8"))
    assert table["rows"][1]["problems"] and table["rows"][0]["scores"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_stop_signal_saves_and_the_same_command_continues(tmp_path: Path, workers: int) -> None:
    text = STUDY.replace('common = ["', 'common = ["training.stages.decoder.steps=100000", "')
    path, out = write_study(tmp_path, text), tmp_path / "out"
    line = [sys.executable, "-m", "opticdesign", "study", str(path), "--workers", str(workers), "--output", str(out)]
    for _ in range(2):  # started, and continued
        process = subprocess.Popen(
            [*line, "--device", "cpu"], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started = [out / f"A-seed{seed}" / "checkpoints" for seed in range(workers)]
        deadline = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < deadline:
            if all(folder.exists() for folder in started) and _last_steps(out, workers):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=200)
        assert process.returncode == 130, err
        assert "stopped safely" in err and "Traceback" not in err
        for seed in range(workers):
            run = open_run(out / f"A-seed{seed}")
            assert run.info["status"] == "stopped"
            assert run.load()[1]["total"] > 2
        assert not (out / "small.json").exists()


def _last_steps(out: Path, workers: int) -> bool:
    """Whether each of the first runs is being trained in this process: its state says so."""
    return all(
        json.loads((out / f"A-seed{seed}" / "run.json").read_text())["status"] == "running" for seed in range(workers)
    )
