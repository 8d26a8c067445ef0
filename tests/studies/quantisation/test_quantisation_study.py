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
from opticdesign.design import load_design
from opticdesign.errors import DivergenceError, UsageError
from opticdesign.runs.export import verify
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import Run, open_run
from opticdesign.runs.score import score_run
from opticdesign.studies import cells
from opticdesign.studies.files import FAILED
from opticdesign.studies.quantisation import running
from opticdesign.studies.quantisation.figure import quantisation_figure
from opticdesign.studies.quantisation.running import run_quantisation_study
from opticdesign.studies.quantisation.schema import load_quantisation_study
from opticdesign.studies.quantisation.table import STAGES, QuantisationTable
from opticdesign.studies.scheduling import StudyOptions
from tests.support.design_texts import D2NN5, TINY

pytestmark = pytest.mark.usefixtures("no_pictures")
CPU = torch.device("cpu")
STEPS = tuple(f"training.stages.{name}.steps=2" for name in ("optics", "decoder", "joint"))
TEXT = """\
kind = "quantisation"
name = "small"
design = "tiny.toml"
seeds = [0, 1]
levels = [2, 4]
roundings = ["gumbel"]
temperature = [1.0, 0.1]
format = "heightmap"

[quick]
seeds = [0]
levels = [2]
"""
ROWS = [(levels, trained) for levels in (2, 4) for trained in ("float", "gumbel")]
ONE = TEXT.replace("seeds = [0, 1]", "seeds = [0]").replace("levels = [2, 4]", "levels = [2]")


def written(folder: Path, text: str = TEXT) -> Path:
    settings = (
        *TINY,
        "optics.layers=1",
        "optics.neurons=32",
        "optics.cell=16",
        "evaluation.overlap=8",
        "data.fields=3",
    )
    (folder / "tiny.toml").write_text(load_design(D2NN5, [*settings, *STEPS]).to_toml(), encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run(
    folder: Path, stop: Callable[[], bool] = lambda: False, **options: object
) -> tuple[QuantisationTable, list[str]]:
    """The table of folder/study.toml with its runs in folder/out, and the news on the way."""
    news: list[str] = []
    chosen = replace(StudyOptions(CPU, folder / "out"), **options)
    study = load_quantisation_study(folder / "study.toml", chosen.quick)
    return run_quantisation_study(study, chosen, news.append, stop), news


def failures(table: QuantisationTable) -> list[str]:
    return list(table.remarks()[FAILED])


def record(folder: Path) -> dict:
    """The checkpoint and the scores at two levels that a run folder has."""
    content = json.loads((folder / "quantisation.json").read_text())
    return {"checkpoint": content["checkpoint_sha256"], "scores": content["levels"]["2"]}


@pytest.fixture(scope="module")
def done(no_pictures: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, QuantisationTable, list[str]]:
    """A finished study; tests that change files work on a copy."""
    folder = tmp_path_factory.mktemp("study")
    written(folder)
    return (folder, *run(folder))


@pytest.fixture
def copy(done: tuple[Path, QuantisationTable, list[str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(done[0], tmp_path / "copy"))


@pytest.fixture
def no_work(no_training: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("verified again")

    monkeypatch.setattr(running, "verify", refuse)


def test_table_has_every_training_at_every_number_of_levels(done: tuple[Path, QuantisationTable, list[str]]) -> None:
    _, table, news = done
    assert [(row.levels, row.trained) for row in table.rows] == ROWS
    assert not failures(table)
    for row in table.rows:
        assert row.seeds == (0, 1)
        assert (row.gain_db is None) == (row.trained == "float")
        assert row.drop_db is not None
        assert set(row.scores) == set(STAGES)
        assert row.scores["quantised"] == row.scores["read back"]  # a height map holds levels exactly
        assert row.scores["float"] != row.scores["quantised"]
        lost = row.scores["float"]["psnr_db"].mean - row.scores["read back"]["psnr_db"].mean
        assert row.drop_db.mean == pytest.approx(lost, abs=1e-9)
    assert news[-1].startswith("[6/6, ") and "PSNR" in news[-1]


def test_float_training_is_done_once_and_rounded_to_each_number_of_levels(
    done: tuple[Path, QuantisationTable, list[str]],
) -> None:
    folder, table, _ = done
    names = {f"{name}-seed{seed}" for name in ("float", "gumbel-2", "gumbel-4") for seed in (0, 1)}
    assert {path.name for path in (folder / "out").iterdir() if path.is_dir()} == names
    floats = {row.levels: row for row in table.rows if row.trained == "float"}
    assert floats[2].scores["float"] == floats[4].scores["float"]
    assert floats[2].scores["quantised"] != floats[4].scores["quantised"]
    assert {path.name for path in (folder / "out" / "float-seed0").glob("exports-*")} == {"exports-2", "exports-4"}
    gain = next(row for row in table.rows if (row.levels, row.trained) == (4, "gumbel"))
    better = gain.scores["read back"]["psnr_db"].mean - floats[4].scores["read back"]["psnr_db"].mean
    assert gain.gain_db is not None and gain.gain_db.mean == pytest.approx(better, abs=1e-9)


def test_scores_are_those_of_the_run_and_of_verify(done: tuple[Path, QuantisationTable, list[str]]) -> None:
    folder = done[0] / "out" / "gumbel-4-seed1"
    record = json.loads((folder / "quantisation.json").read_text())
    trained = open_run(folder)
    assert record["checkpoint_sha256"] == trained.load()[2]
    assert record["exporter"] == "heightmap" and record["quick"] is False
    judged = score_run(trained, CPU).patches  # masks as the design's process makes them
    for metric, values in record["levels"]["4"]["quantised"].items():
        assert values == pytest.approx(judged[metric], rel=1e-5)
    again = verify(trained, CPU, folder / "exports-4")
    assert again.ok
    assert [stage.patches for stage in again.stages] == [record["levels"]["4"][stage] for stage in STAGES]


def test_files_hold_the_table(done: tuple[Path, QuantisationTable, list[str]]) -> None:
    folder, table, _ = done
    out = folder / "out"
    content = json.loads((out / "small.json").read_text())
    assert content["environment"]["device"] == "cpu"
    assert {key: value for key, value in content.items() if key != "environment"} == json.loads(
        json.dumps(asdict(table))
    )
    with (out / "small.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["levels"]), row["trained"]) for row in rows] == ROWS
    assert float(rows[1]["read_back_psnr_db"]) == table.rows[1].scores["read back"]["psnr_db"].mean
    assert (rows[0]["gain_db"], rows[0]["problems"], rows[0]["quick"]) == ("", "", "False")
    text = (out / "small.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(ROWS)
    assert len({line.count("|") for line in lines}) == 1
    assert "means over 2 seeds" in text and "quick" not in text
    assert (out / "small.png").exists()


def test_figure_shows_a_line_a_training_with_its_intervals(done: tuple[Path, QuantisationTable, list[str]]) -> None:
    table = done[1]
    quality, lost = quantisation_figure(table).axes
    labels = [text.get_text() for text in quality.get_legend().get_texts()]
    assert len(labels) == 3 and "trained with levels, gumbel" in labels
    assert len(quality.containers) == len(lost.containers) == 2
    for row_of, axes in ((lambda row: row.scores["read back"]["psnr_db"], quality), (lambda row: row.drop_db, lost)):
        for container, trained in zip(axes.containers, ("float", "gumbel"), strict=True):
            rows = [row for row in table.rows if row.trained == trained]
            line, _, (bars,) = container
            np.testing.assert_allclose(line.get_ydata().astype(float), [row_of(row).mean for row in rows])
            ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
            np.testing.assert_allclose(ends, [[row_of(row).low, row_of(row).high] for row in rows])
    assert [text.get_text() for text in quality.get_xticklabels()] == ["2", "4"]


def test_a_finished_study_does_nothing_again(copy: Path, no_work: None) -> None:
    before = json.loads((copy / "out" / "small.json").read_text())
    run(copy)
    assert json.loads((copy / "out" / "small.json").read_text()) == before


def test_lost_or_damaged_scores_are_made_again_without_training(copy: Path, no_training: None) -> None:
    before = json.loads((copy / "out" / "small.json").read_text())
    (copy / "out" / "float-seed0" / "quantisation.json").write_text("{")
    (copy / "out" / "gumbel-2-seed1" / "quantisation.json").unlink()
    shutil.rmtree(copy / "out" / "gumbel-2-seed1" / "exports-2")
    run(copy)
    assert json.loads((copy / "out" / "small.json").read_text())["rows"] == before["rows"]


def test_more_levels_are_added_to_what_is_there(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(copy, TEXT.replace("levels = [2, 4]", "levels = [2, 4, 3]").replace("seeds = [0, 1]", "seeds = [0]"))
    measured: list[tuple[str, str]] = []

    def watched(opened: Run, device: torch.device, to: Path) -> object:
        measured.append((opened.folder.name, to.name))
        return verify(opened, device, to)

    monkeypatch.setattr(running, "verify", watched)
    table, _ = run(copy)
    assert measured == [("float-seed0", "exports-3"), ("gumbel-3-seed0", "exports-3")]
    assert [row.levels for row in table.rows] == [2, 2, 3, 3, 4, 4]


def test_a_training_that_fails_stands_in_the_table_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, ONE)

    def fail(design: object, options: Options, *others: object) -> object:
        if options.output is not None and options.output.name == "float-seed0":
            raise DivergenceError("the loss is not finite", remedy="lower the rate")
        return optimise(design, options, *others)

    monkeypatch.setattr(cells, "optimise", fail)
    table, _ = run(tmp_path)
    (failure,) = failures(table)
    assert failure.startswith("float, seed 0: the loss is not finite")
    assert [bool(row.scores) for row in table.rows] == [False, True]
    assert all(row.gain_db is None for row in table.rows)
    text = (tmp_path / "out" / "small.md").read_text()
    assert "**Failed**" in text and "| 2 | float | 0 | – |" in text
    assert len(quantisation_figure(table).axes[0].containers) >= 1


def test_an_unknown_format_is_refused_before_anything_is_trained(tmp_path: Path, no_work: None) -> None:
    written(tmp_path, TEXT.replace('"heightmap"', '"dwg"'))
    with pytest.raises(UsageError, match=r"no exporter 'dwg' that is read back(.|\n)*heightmap"):
        run(tmp_path)


def test_a_damaged_export_is_told_and_not_scored(copy: Path) -> None:
    folder = copy / "out" / "gumbel-2-seed1"
    (folder / "quantisation.json").unlink()
    (folder / "exports-2" / "heightmap" / "layer1.tif").write_bytes(b"mine")
    table, _ = run(copy)
    (failure,) = failures(table)
    assert failure.startswith("gumbel-2, seed 1:") and "layer1.tif" in failure
    assert (folder / "exports-2" / "heightmap" / "layer1.tif").read_bytes() == b"mine"


@pytest.mark.slow
def test_workers_find_the_same_scores(copy: Path, tmp_path: Path) -> None:
    written(tmp_path, ONE)
    table, _ = run(tmp_path, workers=2)
    assert not failures(table)
    for name in ("float-seed0", "gumbel-2-seed0"):
        assert record(tmp_path / "out" / name) == record(copy / "out" / name)


def test_command_prints_the_table_and_marks_a_quick_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, TEXT.replace('"gumbel"', '"straight-through"'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    line = ["opticdesign", "study", str(path), "--quick", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", line)
    assert run_command() == 0
    out, err = capfd.readouterr()
    assert "quick: smoke budget, no result" in out and "straight-through" in out and "PSNR read back / dB" in out
    assert "small-quick.md" in err
    folder = tmp_path / "runs" / "studies" / "small-quick"
    assert open_run(folder / "straight-through-2-seed0").quick
    monkeypatch.setattr(sys, "argv", [*line, "--json"])
    assert run_command() == 0
    content = json.loads(capfd.readouterr().out)
    assert content["quick"] is True
    assert [row["levels"] for row in content["rows"]] == [2, 2]
