from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from opticdesign.cli.tables import evaluation_table
from opticdesign.design import load_design
from opticdesign.errors import RunError, StorageError, StudyStopped
from opticdesign.learning.training import Trainer
from opticdesign.runs.evaluate import EvaluatedRun, evaluate
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import Run, open_run
from tests.support.design_texts import D2NN5, TINY


def evaluated(run: Run, stop: Callable[[], bool] = lambda: False) -> EvaluatedRun:
    return evaluate(run, torch.device("cpu"), lambda name, step, steps: None, stop)


@pytest.fixture(scope="module")
def evaluation(trained_run: Run) -> EvaluatedRun:
    return evaluated(trained_run)


@pytest.fixture
def run_copy(trained_run: Run, tmp_path: Path) -> Run:
    """The run without its evaluation."""
    ignored = shutil.ignore_patterns("evaluation")
    return open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run", ignore=ignored)))


@pytest.fixture
def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Hears the number of every step that is really trained."""
    taken: list[int] = []
    step = Trainer._step

    def counted(trainer: Trainer, leg: object) -> float:
        taken.append(trainer.position.total)
        return step(trainer, leg)

    monkeypatch.setattr(Trainer, "_step", counted)
    return taken


def test_a_stopped_evaluation_goes_on_where_it_was_to_the_same_rows(
    evaluation: EvaluatedRun, run_copy: Run, steps_taken: list[int]
) -> None:
    begun = open_run(run_copy.folder)
    steps = sum(stage.steps for stage in begun.design.training.stages.values() if "decoder" in stage.train)
    asked = iter([False] * (steps + 2) + [True])
    with pytest.raises(StudyStopped, match=r"stopped safely in .*floors"):  # one step into the second floor
        evaluated(run_copy, lambda: next(asked))
    assert not (run_copy.folder / "evaluation" / "evaluation.json").exists()
    first = len(steps_taken)
    assert steps < first < 2 * steps
    result = evaluated(run_copy)
    assert len(steps_taken) == 4 * steps  # none twice
    for row, expected in zip(result.rows, evaluation.rows, strict=True):
        assert (row.name, row.fields) == (expected.name, pytest.approx(expected.fields, rel=1e-5))
    evaluated(run_copy)
    assert len(steps_taken) == 4 * steps


def test_floors_of_other_data_are_trained_again(
    run_copy: Run, steps_taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter([False, True])
    with pytest.raises(StudyStopped):
        evaluated(run_copy, lambda: next(asked))
    assert steps_taken == [0, 1]
    monkeypatch.setattr("opticdesign.runs.evaluate._data_sha256", lambda split: "0" * 64)
    with pytest.raises(StudyStopped):
        evaluated(run_copy, lambda: True)
    assert steps_taken == [0, 1, 0]


def test_evaluation_is_for_one_process_at_a_time(run_copy: Run) -> None:
    with open_run(run_copy.folder).locked(), pytest.raises(RunError, match="another process is working"):
        evaluated(run_copy)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(
    run_copy: Run, steps_taken: list[int]
) -> None:
    (run_copy.folder / "evaluation").write_text("in the way")
    with pytest.raises(StorageError, match="evaluation: "):
        evaluated(run_copy)
    assert steps_taken == []


def test_table_has_the_design_first_and_every_floor(evaluation: EvaluatedRun) -> None:
    assert [row.name for row in evaluation.rows] == [
        "this design",
        "constant image",
        "clear aperture + decoder",
        "Zernike filter + decoder",
        "random masks 1 + decoder",
        "random cells 1 + decoder",
    ]


def test_intervals_hold_their_means(evaluation: EvaluatedRun) -> None:
    for row in evaluation.rows:
        for score in row.patches.values():
            assert score.low <= score.mean <= score.high


def test_constant_image_has_no_structure(evaluation: EvaluatedRun) -> None:
    constant = evaluation.rows[1]
    assert constant.patches["ssim_rescaled"].mean < 0.1
    assert constant.fields["mae_rad"] > 0.0


def test_files_hold_what_was_returned(trained_run: Run, evaluation: EvaluatedRun) -> None:
    folder = trained_run.folder / "evaluation"
    stored = json.loads((folder / "evaluation.json").read_text())
    assert [row["name"] for row in stored["rows"]] == [row.name for row in evaluation.rows]
    with (folder / "evaluation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["patch_psnr_db"]) == evaluation.rows[0].patches["psnr_db"].mean
    assert rows[0]["quick"] == "False"
    assert (folder / "patches.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "field.png").read_bytes().startswith(b"\x89PNG")


def test_evaluating_twice_gives_the_same_numbers(trained_run: Run, evaluation: EvaluatedRun) -> None:
    again = evaluated(trained_run)
    # memory that lies differently changes the order of float32 sums
    for row, expected in zip(again.rows, evaluation.rows, strict=True):
        assert row.name == expected.name
        assert row.fields == pytest.approx(expected.fields, rel=1e-5)
        for name, score in row.patches.items():
            assert asdict(score) == pytest.approx(asdict(expected.patches[name]), rel=1e-5)


def test_floors_of_optics_without_a_decoder_have_the_scale_that_suits_them_best(tmp_path: Path) -> None:
    """A clear aperture gives an even image: at the right scale it is as good as the constant one, and no worse."""
    stage = '{optics = {train = ["optics"], loss = "intensity-l1", steps = 2, optics_rate = 0.1}}'
    # of a patch that repeats the undiffracted light is one point of the filter, as Zernike's law has it
    settings = [
        'decoder={kind = "none"}',
        "detector.binning=1",
        f"training.stages={stage}",
        "optics.surroundings=repeat",
    ]
    small = [part for part in TINY if "stages" not in part and "decoder" not in part and "binning" not in part]
    design = load_design(D2NN5, [*small, *settings])
    run = optimise(design, Options(torch.device("cpu"), tmp_path / "run"), lambda progress: None, lambda: False)
    rows = {row.name: row for row in evaluated(run).rows}
    assert set(rows) == {
        *("this design", "constant image", "clear aperture", "Zernike filter", "random masks 1", "random cells 1")
    }
    constant = rows["constant image"].patches["psnr_db"].mean
    assert rows["clear aperture"].patches["psnr_db"].mean > constant - 2.0
    # a Zernike filter makes a weak phase visible
    assert rows["Zernike filter"].patches["ssim_rescaled"].mean > 0.7
    assert rows["Zernike filter"].patches["psnr_db"].mean > constant


def test_a_decoder_that_was_trained_before_is_said_to_be_so(trained_run: Run, evaluation: EvaluatedRun) -> None:
    assert evaluation.start is None
    assert "started" not in str(evaluation_table(evaluation).title)
    begun = {"run": "before", "checkpoint_sha256": "0" * 64, "parts": ["optics", "decoder"]}
    info = {**trained_run.info, "environment": {**trained_run.info["environment"], "start_from": begun}}
    result = evaluated(replace(trained_run, info=info))
    assert result.start == "before"
    assert "decoder started from before" in str(evaluation_table(result).title)
    info["environment"] = {**info["environment"], "start_from": {**begun, "parts": ["optics"]}}
    assert evaluated(replace(trained_run, info=info)).start is None
