"""`runs` lists what is there whatever its state, `compare` shows what differs and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from opticdesign.design import load_design
from opticdesign.figures import validations_figure
from opticdesign.runs.run_folder import Run, create_run
from tests.support.run_json import edit_run

Command = Callable[..., Any]


@pytest.fixture
def folder(trained_run: Run, tmp_path: Path) -> Path:
    """A complete run, a stopped one that was begun earlier and deeper in, a damaged one, and one not yet whole."""
    runs = tmp_path / "runs"
    for place, created, more in (
        ("d2nn5/a", "2026-01-02T00:00:00+00:00", {}),
        ("studies/grid/b", "2026-01-01T00:00:00+00:00", {"status": "stopped", "quick": True}),
        (".half.partial/c", "2026-01-03T00:00:00+00:00", {}),
    ):
        shutil.copytree(trained_run.folder, runs / place, ignore=shutil.ignore_patterns("evaluation", "exports"))
        edit_run(runs / place, created=created, **more)
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("[")
    return runs


def evaluated(run: Path, psnr_db: float) -> None:
    (run / "evaluation").mkdir()
    row = {"name": "this design", "patches": {"psnr_db": {"mean": psnr_db, "low": 1.0, "high": 2.0}}}
    (run / "evaluation" / "evaluation.json").write_text(json.dumps({"rows": [row]}))


def test_version_is_that_of_the_package(command: Command) -> None:
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"opticdesign {version('opticdesign')}\n")


def test_runs_are_listed_by_their_beginning_with_state_and_scores(
    command: Command, folder: Path, trained_run: Run
) -> None:
    evaluated(folder / "d2nn5" / "a", 21.5)
    found = json.loads(command("runs", "--json").stdout)
    assert [(run["folder"], run["state"], run["quick"], run["source"]) for run in found] == [
        ("runs/broken", "damaged", False, None),
        ("runs/studies/grid/b", "stopped", True, "validation"),
        ("runs/d2nn5/a", "complete", False, "test"),
    ]
    last = [record for record in trained_run.records() if "psnr_db" in record][-1]
    assert found[1]["scores"] == {name: last[name] for name in found[1]["scores"]} and "ssim" in found[1]["scores"]
    assert found[2]["scores"] == {"psnr_db": 21.5}
    shown = command("runs", folder)
    assert shown.returncode == 0
    for part in ("d2nn5/a", "2026-01-02 00:00:00", "21.50", "stopped, quick", "damaged"):
        assert part in shown.stdout


def test_an_evaluation_that_does_not_read_spoils_no_list_but_a_comparison(command: Command, folder: Path) -> None:
    evaluated(folder / "d2nn5" / "a", 21.5)
    (folder / "d2nn5" / "a" / "evaluation" / "evaluation.json").write_text("{}")
    assert json.loads(command("runs", "--json").stdout)[-1]["state"] == "damaged"
    done = command("compare", folder / "d2nn5" / "a", folder / "studies" / "grid" / "b")
    assert done.returncode == 4 and "opticdesign evaluate" in done.stderr


@pytest.mark.parametrize("place", ["none", "empty"])
def test_a_folder_without_runs_is_told_how_to_get_one(command: Command, tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    done = command("runs", place)
    assert done.returncode == 2 and f"{place}: no " in done.stderr and "opticdesign optimize DESIGN" in done.stderr


@pytest.fixture
def other(trained_run: Run, tmp_path: Path) -> Path:
    """A run that has not begun, of the same design but for a gap and the decoder's table."""
    changes = ['optics.layer_gap="4 um"', "decoder.channels=16", "training.seed=3"]
    design = load_design(trained_run.folder / "design.toml", changes)
    return create_run(design, tmp_path / "other", tmp_path, quick=True, status="running").folder


def test_comparison_has_exactly_the_keys_that_differ(
    command: Command, trained_run: Run, other: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(trained_run.folder, tmp_path / "first", ignore=shutil.ignore_patterns("evaluation")))
    evaluated(copy, 21.5)
    done = command("compare", copy, other, "--output", tmp_path / "compared", "--json")
    found = json.loads(done.stdout)
    assert found["differences"] == {
        "optics.layer_gap": ["3.373e-06 m", "4e-06 m"],
        "decoder.channels": [8, 16],
        "training.seed": [0, 3],
    }
    assert found["states"] == ["complete", "running"] and found["quick"] == [False, True]
    assert found["scores"][0]["test"] == {"psnr_db": 21.5} and found["scores"][1] == {}
    with Image.open(tmp_path / "compared" / "validation.png") as picture:
        assert picture.width > 1000
    shown = command("compare", copy, other)
    assert "test, PSNR / dB" in shown.stdout and "optics.layer_gap" in shown.stdout and "pitch" not in shown.stdout
    assert "quick: smoke budget" in shown.stdout


def test_comparison_of_one_run_with_itself_is_refused(command: Command, folder: Path) -> None:
    run = folder / "d2nn5" / "a"
    for arguments in ([run], [run, run]):
        done = command("compare", *arguments)
        assert done.returncode == 2 and "two run folders or more" in done.stderr
    same = command("compare", run, folder / "studies" / "grid" / "b")
    assert same.returncode == 0 and "the designs are the same" in same.stdout


def test_validation_curves_are_those_of_the_records() -> None:
    records = [{"total": 1, "loss": 3.0}, {"total": 2, "psnr_db": 20.0, "ssim": 0.5, "mae_rad": 0.3}]
    figure = validations_figure({"one": records, "_two": [*records, {"total": 9, "psnr_db": 25.0}]}, "validation")
    lines = figure.axes[0].get_lines()
    assert [line.get_xydata().tolist() for line in lines] == [[[2.0, 20.0]], [[2.0, 20.0], [9.0, 25.0]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "_two"]
