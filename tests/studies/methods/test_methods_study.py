from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.cli import run_command
from opticdesign.errors import DivergenceError, StudyStopped
from opticdesign.learning.evaluation import METRICS
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import open_run
from opticdesign.runs.score import ImageScores, score_run
from opticdesign.studies import cells
from opticdesign.studies.methods.figure import methods_figure
from opticdesign.studies.methods.running import run_methods_study
from opticdesign.studies.methods.schema import load_methods_study
from opticdesign.studies.methods.table import MethodsTable, tabulate_methods
from opticdesign.studies.scheduling import StudyOptions
from tests.support.defocused_study import write_study

pytestmark = pytest.mark.usefixtures("no_pictures")
TEXT = """\
kind = "methods"
name = "small"
design = "tiny.toml"
seeds = [0, 1]
solvers = ["fft"]

[[networks]]
name = "U-Net"

[[networks]]
name = "SRCNN"
set = ["decoder.kind=srcnn"]

[quick]
seeds = [0]
"""
ROWS = ["constant", "bicubic", "linear", "tie-fft", "fine-fft", "U-Net", "SRCNN"]


def run(folder: Path, stop: Callable[[], bool] = lambda: False, **options: object) -> tuple[MethodsTable, list[str]]:
    """The table of folder/study.toml with its runs in folder/out, and the news on the way."""
    news: list[str] = []
    chosen = replace(StudyOptions(torch.device("cpu"), folder / "out"), **options)
    study = load_methods_study(folder / "study.toml", chosen.quick)
    return run_methods_study(study, chosen, news.append, stop), news


@pytest.fixture(scope="module")
def done(no_pictures: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MethodsTable, list[str]]:
    """A finished study; tests that change files work on a copy."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, TEXT)
    return (folder, *run(folder))


@pytest.fixture
def copy(done: tuple[Path, MethodsTable, list[str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(done[0], tmp_path / "copy"))


def test_table_has_every_method_with_its_scores(done: tuple[Path, MethodsTable, list[str]]) -> None:
    folder, table, news = done
    assert [row.name for row in table.rows] == ROWS
    assert [row.mark for row in table.rows] == ["floor"] * 5 + [""] * 2
    assert all(row.seeds == (0, 1) and set(row.scores) == set(METRICS) for row in table.rows)
    assert news[-1].startswith("[14/14, ")
    judged = score_run(open_run(folder / "out" / "U-Net-seed1"), torch.device("cpu")).patches
    assert json.loads((folder / "out" / "U-Net-seed1" / "score.json").read_text())["patches"] == judged
    solved = next(row for row in table.rows if row.name == "tie-fft")
    assert solved.scores["mae_rad"].mean == pytest.approx(solved.scores["mae_free_rad"].mean, rel=1e-4)


def test_files_hold_the_table_and_the_profiles(done: tuple[Path, MethodsTable, list[str]]) -> None:
    folder, table, _ = done
    content = json.loads((folder / "out" / "small.json").read_text())
    assert content.pop("environment")["device"] == "cpu"
    assert content == json.loads(json.dumps(asdict(table)))
    with (folder / "out" / "small.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ROWS
    assert float(rows[3]["ssim"]) == table.rows[3].scores["ssim"].mean
    assert "means over 2 seeds" in (folder / "out" / "small.md").read_text()
    assert (folder / "out" / "small.png").exists()


def test_figure_shows_the_true_phase_and_that_of_each_method(done: tuple[Path, MethodsTable, list[str]]) -> None:
    plain, networks = methods_figure(done[1]).axes
    for axes, names in ((plain, ROWS[:5]), (networks, ROWS[5:])):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["true phase", *names]
        rows = [row for row in done[1].rows if row.name in names]
        true, *found = (line.get_ydata() for line in axes.get_lines())
        np.testing.assert_array_equal(true, rows[0].profile.true_rad)
        for line, row in zip(found, rows, strict=True):
            np.testing.assert_array_equal(line, row.profile.phase_rad)
    assert len(set(plain.get_lines()[1].get_ydata())) == 1  # the constant


def test_a_finished_study_does_nothing_again_and_a_lost_score_is_made_again(copy: Path, no_training: None) -> None:
    before = json.loads((copy / "out" / "small.json").read_text())
    (copy / "out" / "SRCNN-seed0" / "score.json").unlink()
    (copy / "out" / "tie-fft-seed1" / "score.json").write_text("{")
    run(copy)
    assert json.loads((copy / "out" / "small.json").read_text())["rows"] == before["rows"]


def test_a_network_that_fails_stands_in_the_table_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, TEXT.replace("[0, 1]", "[0]"))

    def fail(design: object, options: Options, *others: object) -> object:
        if options.output is not None and options.output.name == "U-Net-seed0":
            raise DivergenceError("the loss is not finite", remedy="lower the rate")
        return optimise(design, options, *others)

    monkeypatch.setattr(cells, "optimise", fail)
    table, _ = run(tmp_path)
    assert [row.name for row in table.rows if row.mark == "failed"] == ["U-Net"]
    text = (tmp_path / "out" / "small.md").read_text()
    assert "U-Net, seed 0: the loss is not finite" in text and "| U-Net | U-Net | 0 | – |" in text
    assert len(methods_figure(table).axes[1].get_lines()) == 2


def test_stopping_writes_no_table(tmp_path: Path) -> None:
    write_study(tmp_path, TEXT)
    with pytest.raises(StudyStopped, match=r"stopped safely"):
        run(tmp_path, lambda: True)
    assert not (tmp_path / "out" / "small.json").exists()


def test_networks_are_told_beside_all_others_by_disjoint_intervals(tmp_path: Path) -> None:
    study = load_methods_study(write_study(tmp_path, TEXT))
    levels = dict(zip(ROWS, (1.0, 2.0, 3.0, 5.0, 9.0, 7.0, 6.9), strict=True))

    def scores(name: str) -> ImageScores:
        values = [levels[name] + step for step in (-0.1, 0.0, 0.1)]
        return ImageScores({metric: [-one if "mae" in metric else one for one in values] for metric in METRICS}, {})

    found = {(name, seed): (scores(name), None) for name in ROWS for seed in (0, 1)}
    told = tabulate_methods(study, False, found, {}).remarks()["Networks beside the others"]
    line = "beats constant, bicubic, linear, tie-fft; is below fine-fft; overlaps with SRCNN"
    assert f"U-Net, SSIM: {line}" in told and f"U-Net, MAE: {line}" in told
    assert len(told) == 2 * 4


def test_command_prints_the_table_and_marks_a_quick_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_study(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "argv", ["opticdesign", "study", str(path), "--quick", "--device", "cpu"])
    assert run_command() == 0
    out, err = capfd.readouterr()
    assert "quick: smoke budget, no result" in out and "SRCNN" in out and "small-quick.md" in err
    assert open_run(tmp_path / "runs" / "studies" / "small-quick" / "SRCNN-seed0").quick
