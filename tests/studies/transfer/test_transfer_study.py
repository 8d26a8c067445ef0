from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.cli import run_command
from opticdesign.data.source import load_split
from opticdesign.errors import DivergenceError
from opticdesign.instrument.building import build_microscope
from opticdesign.learning.evaluation import METRICS
from opticdesign.runs.optimise import Options
from opticdesign.runs.run_folder import open_run
from opticdesign.runs.score import judge, score_run
from opticdesign.runs.start import load_trained
from opticdesign.studies import cells
from opticdesign.studies.scheduling import StudyOptions
from opticdesign.studies.transfer import running
from opticdesign.studies.transfer.figure import transfer_figure
from opticdesign.studies.transfer.running import run_transfer_study
from opticdesign.studies.transfer.schema import load_transfer_study
from opticdesign.studies.transfer.table import TransferTable, tabulate_transfer
from tests.support.defocused_study import write_study

pytestmark = pytest.mark.usefixtures("no_pictures")
CPU = torch.device("cpu")
TEXT = """\
kind = "transfer"
name = "small"
design = "tiny.toml"
key = "optics.defocus"
values = ["1 um", "3 um"]
seeds = [0]
set = ["decoder.kind=srcnn"]
adaptive = [
  "optics.defocus=2 um",
  "tolerance.gap.range=1 um",
  "training.stages.decoder.vaccinated=true",
  "training.stages.decoder.quantised=true",
  "training.stages.decoder.draws=patch",
]

[quick]
values = ["1 um"]
"""


def run(folder: Path, **options: object) -> TransferTable:
    """The table of folder/study.toml with its runs in folder/out."""
    chosen = replace(StudyOptions(CPU, folder / "out"), **options)
    study = load_transfer_study(folder / "study.toml", chosen.quick)
    return run_transfer_study(study, chosen, lambda _: None, lambda: False)


@pytest.fixture(scope="module")
def done(no_pictures: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TransferTable]:
    """A finished study; tests that change files work on a copy."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, TEXT)
    return folder, run(folder)


@pytest.fixture
def copy(done: tuple[Path, TransferTable], tmp_path: Path) -> Path:
    return Path(shutil.copytree(done[0], tmp_path / "copy"))


def test_every_network_is_judged_on_the_data_of_every_value(done: tuple[Path, TransferTable]) -> None:
    folder, table = done
    assert [(row.name, row.value) for row in table.rows] == [
        ("at-1um", "1 um"),
        ("at-3um", "3 um"),
        ("adaptive", "all"),
    ]
    assert all(set(row.scores) == {"1 um", "3 um"} and not row.problems for row in table.rows)
    for row, value in ((0, "1 um"), (1, "3 um")):
        own = score_run(open_run(folder / "out" / f"{table.rows[row].name}-seed0"), CPU).patches
        for metric in METRICS:
            assert table.rows[row].scores[value][metric].mean == pytest.approx(float(np.mean(own[metric])), abs=1e-9)


def test_a_decoder_reads_the_camera_of_the_other_value(done: tuple[Path, TransferTable]) -> None:
    folder, table = done
    near, far = (open_run(folder / "out" / f"at-{value}um-seed0") for value in (1, 3))
    microscope = build_microscope(far.design)
    microscope.decoder = load_trained(near, CPU)[0].decoder
    judged = judge(microscope, load_split(far.design).test, far.design).scores.patches
    cell = table.rows[0].scores
    assert cell["3 um"]["ssim"].mean == pytest.approx(float(np.mean(judged["ssim"])), abs=1e-9)
    assert cell["3 um"]["ssim"].mean != cell["1 um"]["ssim"].mean


def test_files_hold_the_table(done: tuple[Path, TransferTable]) -> None:
    folder, table = done
    content = json.loads((folder / "out" / "small.json").read_text())
    assert content.pop("environment")["device"] == "cpu"
    assert content == json.loads(json.dumps(asdict(table)))
    with (folder / "out" / "small.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["trained_at"], row["data"]) for row in rows] == [
        (trained, data) for trained in ("1 um", "3 um", "all") for data in ("1 um", "3 um")
    ]
    assert float(rows[1]["ssim"]) == table.rows[0].scores["3 um"]["ssim"].mean
    assert "of 2 networks are best on their own data" in (folder / "out" / "small.md").read_text()
    assert (folder / "out" / "small.png").exists()


def test_figure_shows_the_means_of_each_metric(done: tuple[Path, TransferTable]) -> None:
    table = done[1]
    axes = transfer_figure(table).axes
    assert [place.get_title() for place in axes] == ["SSIM", "PSNR / dB", "MAE / rad"]
    for place, metric in zip(axes, ("ssim", "psnr_db", "mae_rad"), strict=True):
        shown = np.asarray(place.images[0].get_array())
        assert shown.tolist() == [[row.scores[value][metric].mean for value in table.values] for row in table.rows]
        assert [text.get_text() for text in place.get_yticklabels()] == ["1 um", "3 um", "all"]


def test_a_finished_study_does_nothing_again_and_lost_scores_are_made_again(copy: Path, no_training: None) -> None:
    before = json.loads((copy / "out" / "small.json").read_text())
    (copy / "out" / "at-1um-seed0" / "transfer.json").unlink()
    (copy / "out" / "at-3um-seed0" / "transfer.json").write_text("{")
    run(copy)
    assert json.loads((copy / "out" / "small.json").read_text())["rows"] == before["rows"]


def test_a_value_more_is_judged_on_what_is_there(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copy / "study.toml"
    path.write_text(TEXT.replace('values = ["1 um", "3 um"]', 'values = ["1 um", "3 um", "2 um"]'))
    trained, judged = [], []
    train, judge_on = cells.optimise, running._transferred

    def training(design: object, options: Options, *others: object) -> object:
        trained.append(options.output.name)
        return train(design, options, *others)

    def judging(*arguments: object) -> object:
        judged.append(arguments)
        return judge_on(*arguments)

    monkeypatch.setattr(cells, "optimise", training)
    monkeypatch.setattr(running, "_transferred", judging)
    table = run(copy)
    assert trained == ["at-2um-seed0"]
    assert len(judged) == 3 * 1 + 3  # the three that were there on the new value, the new one on all
    assert table.values == ("1 um", "3 um", "2 um")


def test_a_network_that_fails_leaves_its_row_empty(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copy / "out" / "at-3um-seed0")

    def fail(*arguments: object) -> object:
        raise DivergenceError("the loss is not finite", remedy="lower the rate")

    monkeypatch.setattr(cells, "optimise", fail)
    table = run(copy)
    assert [row.mark for row in table.rows] == ["", "failed", ""]
    text = (copy / "out" / "small.md").read_text()
    assert "at-3um, seed 0: the loss is not finite" in text and "| 3 um | 0 | – | – |" in text
    assert np.isnan(np.asarray(transfer_figure(table).axes[0].images[0].get_array())[1].astype(float)).all()


def test_the_diagonal_is_told_by_rows_and_columns_and_the_adaptive_network_beside_it(tmp_path: Path) -> None:
    study = load_transfer_study(write_study(tmp_path, TEXT))
    levels = {"at-1um": (0.9, 0.5), "at-3um": (0.8, 0.7), "adaptive": (0.85, 0.6)}
    found = {
        (name, 0): {
            value: {metric: [-mean if "mae" in metric else mean] * 3 for metric in METRICS}
            for value, mean in zip(("1 um", "3 um"), means, strict=True)
        }
        for name, means in levels.items()
    }
    told = tabulate_transfer(study, False, found, {}).remarks()["The diagonal"]
    assert told[:3] == [
        "SSIM: 1 of 2 networks are best on their own data; 3 um is best on 1 um",
        "SSIM: 2 of 2 data are read best by their own network",
        "SSIM: the adaptive network has 0.725 over all values, at worst 0.600 (on 3 um); "
        "networks on their own data 0.800",
    ]
    assert told[6] == "MAE: 1 of 2 networks are best on their own data; 3 um is best on 1 um"
    assert "at worst -0.600 (on 3 um)" in told[8]


def test_command_prints_the_table_and_marks_a_quick_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_study(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "argv", ["opticdesign", "study", str(path), "--quick", "--device", "cpu"])
    assert run_command() == 0
    out, err = capfd.readouterr()
    assert "quick: smoke budget, no result" in out and "on 1 um" in out and "small-quick.md" in err
    assert open_run(tmp_path / "runs" / "studies" / "small-quick" / "adaptive-seed0").quick
