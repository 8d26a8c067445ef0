"""A run is judged on the data it was trained on: other files are refused by every command that reads them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from opticdesign.design import Design, load_design
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import open_run
from opticdesign.studies.cells import Cell, outcome_of
from tests.support.design_texts import D2NN5, TINY
from tests.support.run_json import edit_run

Command = Callable[..., Any]


def smooth(seed: int) -> np.ndarray:
    walk = np.cumsum(np.cumsum(np.random.default_rng(seed).normal(size=(150, 150)), 0), 1)
    return (2.5 * walk / np.abs(walk).max()).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder with a space in its name, and a run on it."""
    base = tmp_path_factory.mktemp("data run")
    (base / "my cells").mkdir()
    np.save(base / "my cells" / "a.npy", smooth(0))
    settings = [line for line in TINY if not line.startswith("data.")]
    settings += ["data.kind=folder", f"data.path={base / 'my cells'}", 'data.unit="rad"', "tolerance.images=2"]
    design = load_design(D2NN5, settings)
    run = optimise(design, Options(torch.device("cpu"), base / "a run"), lambda progress: None, lambda: False)
    return run.folder, base / "my cells"


@pytest.fixture
def run(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[0], tmp_path / "a run"))


@pytest.fixture
def changed(trained: tuple[Path, Path]) -> Any:
    """The same file name with other content; put back afterwards."""
    path = trained[1] / "a.npy"
    facts = path.stat()
    np.save(path, smooth(1))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    yield path
    np.save(path, smooth(0))


COMMANDS = {
    "evaluate": ("evaluate", "--device", "cpu"),
    "verify": ("verify", "--device", "cpu", "--independent", "0"),
    "tolerance": ("tolerance", "--device", "cpu", "--quick", "--workers", "1"),
}


def test_the_run_keeps_how_its_data_was_understood(trained: tuple[Path, Path]) -> None:
    folder, cells = trained
    (record,) = json.loads((folder / "run.json").read_text("utf-8"))["data"]
    assert record["name"] == "a.npy" and record["bytes"] == (cells / "a.npy").stat().st_size
    report = json.loads((folder / "data.json").read_text("utf-8"))
    (file,) = report["files"]
    assert file["sha256"] == record["sha256"] and file["unit_said"] == "data.unit"
    assert [part["part"] for part in report["parts"]] == ["training", "validation", "test"]
    assert (folder / "figures" / "data.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", COMMANDS)
def test_other_data_is_refused_with_both_hashes_and_the_remedy(
    command: Command, run: Path, changed: Path, name: str
) -> None:
    if name == "verify":
        assert command("export", run, "--heightmap").returncode == 0
    word, *options = COMMANDS[name]
    done = command(word, run, *options)
    assert done.returncode == 2
    assert "a.npy has another content (SHA-256 " in done.stderr and "…, then " in done.stderr
    assert "add --data-changed to go on with these on purpose" in done.stderr
    assert not (run / "evaluation" / "evaluation.json").exists()


def test_evaluate_says_that_the_data_was_changed_on_purpose(command: Command, run: Path, changed: Path) -> None:
    done = command("evaluate", run, "--device", "cpu", "--data-changed")
    assert done.returncode == 0, done.stderr
    assert "note: not the data that the run was trained on (--data-changed): a.npy has another content" in done.stdout
    result = json.loads((run / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert result["data_changed"] is True and len(result["notes"]) == 1


def test_verify_says_that_the_data_was_changed_on_purpose(command: Command, run: Path, changed: Path) -> None:
    command("export", run, "--heightmap")
    done = command("verify", run, "--device", "cpu", "--independent", "0", "--data-changed", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["data_changed"] is True and any("--data-changed" in note for note in result["notes"])


@pytest.mark.slow
def test_tolerance_says_that_the_data_was_changed_on_purpose(command: Command, run: Path, changed: Path) -> None:
    settings = ("--set", "tolerance.samples=4", "--samples", "4", "--workers", "1", "--quick")
    done = command("tolerance", run, "--device", "cpu", *settings, "--data-changed", "--json")
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert result["provenance"]["data_changed"] is True and "--data-changed" in result["provenance"]["command"]
    assert "not the data that the run was trained on" in result["notes"][0]


def test_unchanged_data_is_not_said_to_be_changed(command: Command, run: Path) -> None:
    command("export", run, "--heightmap")
    done = command("verify", run, "--device", "cpu", "--independent", "0", "--data-changed", "--json")
    assert json.loads(done.stdout)["data_changed"] is False


def test_a_run_without_hashes_goes_on_with_a_note(command: Command, run: Path, changed: Path) -> None:
    edit_run(run, "data")
    command("export", run, "--heightmap")
    done = command("verify", run, "--device", "cpu", "--independent", "0")
    assert done.returncode == 0, done.stderr
    assert "does not say which data files it was made with" in done.stdout


def test_resume_refuses_other_data(command: Command, run: Path, changed: Path) -> None:
    edit_run(run, status="stopped")
    done = command("optimize", run / "design.toml", "--output", run, "--resume", "--device", "cpu")
    assert done.returncode == 2 and "a.npy has another content" in done.stderr
    assert "--data-changed" not in done.stderr  # half a training on each would be neither


def test_data_that_cannot_be_read_any_more_is_told_as_changed(
    command: Command, run: Path, trained: tuple[Path, Path]
) -> None:
    path = trained[1] / "a.npy"
    content = path.read_bytes()
    path.write_bytes(b"spoilt")
    try:
        done = command("evaluate", run, "--device", "cpu")
    finally:
        path.write_bytes(content)
    assert done.returncode == 2 and "a.npy has another content" in done.stderr


def cell(run: Path, design: Design, *, constant: bool) -> Cell:
    return Cell("row", 0, design, run, None, constant, torch.device("cpu"), quick=False)


def test_a_study_that_goes_on_refuses_other_data(run: Path, trained: tuple[Path, Path], tmp_path: Path) -> None:
    design, path = open_run(run).design, trained[1] / "a.npy"
    cells = cell(tmp_path / "constant", design, constant=True), cell(run, design, constant=False)
    before = [outcome_of(one, lambda: False) for one in cells]
    assert all(outcome.scores is not None for outcome in before), before
    content = path.read_bytes()
    np.save(path, smooth(1))
    try:
        after = [outcome_of(one, lambda: False) for one in cells]  # the scores are stored, and of other data
        (run / "score.json").unlink()
        again = outcome_of(cells[1], lambda: False)
    finally:
        path.write_bytes(content)
    for outcome in (*after, again):
        assert outcome.scores is None and "a.npy has another content" in outcome.problem
        assert "--data-changed" not in outcome.problem and "another --output" in outcome.problem


def test_show_counts_the_files(command: Command, run: Path) -> None:
    done = command("show", run)
    assert "1 file, their SHA-256 in run.json" in done.stdout
    assert len(json.loads(command("show", run, "--json").stdout)["data"]) == 1


def test_next_lines_can_be_pasted(command: Command, run: Path) -> None:
    import shlex

    done = command("export", run, "--heightmap", "--to", run / "to here")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    assert words == ["opticdesign", "verify", str(run), "--to", str(run / "to here")]
    assert command(*words[1:], "--device", "cpu", "--independent", "0").returncode == 0
