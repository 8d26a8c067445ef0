from __future__ import annotations

import csv
import json
from dataclasses import asdict

import pytest
import torch

from opticdesign.run import Run
from opticdesign.workflow.evaluate import Evaluation, evaluate


@pytest.fixture(scope="module")
def evaluation(trained_run: Run) -> Evaluation:
    return evaluate(trained_run, torch.device("cpu"), lambda name, step, steps: None)


def test_table_has_the_design_first_and_every_floor(evaluation: Evaluation) -> None:
    assert [row.name for row in evaluation.rows] == [
        "this design",
        "constant image",
        "clear aperture + decoder",
        "Zernike filter + decoder",
        "random masks 1 + decoder",
        "random cells 1 + decoder",
    ]


def test_intervals_hold_their_means(evaluation: Evaluation) -> None:
    for row in evaluation.rows:
        for score in row.patches.values():
            assert score.low <= score.mean <= score.high


def test_constant_image_has_no_structure(evaluation: Evaluation) -> None:
    constant = evaluation.rows[1]
    assert constant.patches["ssim_rescaled"].mean < 0.1
    assert constant.fields["mae_rad"] > 0.0


def test_files_hold_what_was_returned(trained_run: Run, evaluation: Evaluation) -> None:
    folder = trained_run.folder / "evaluation"
    stored = json.loads((folder / "evaluation.json").read_text())
    assert [row["name"] for row in stored["rows"]] == [row.name for row in evaluation.rows]
    with (folder / "evaluation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["patch_psnr_db"]) == evaluation.rows[0].patches["psnr_db"].mean
    assert rows[0]["quick"] == "False"
    assert (folder / "patches.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "field.png").read_bytes().startswith(b"\x89PNG")


def test_evaluating_twice_gives_the_same_numbers(trained_run: Run, evaluation: Evaluation) -> None:
    again = evaluate(trained_run, torch.device("cpu"), lambda name, step, steps: None)
    # memory that lies differently changes the order of float32 sums
    for row, expected in zip(again.rows, evaluation.rows, strict=True):
        assert row.name == expected.name
        assert row.fields == pytest.approx(expected.fields, rel=1e-5)
        for name, score in row.patches.items():
            assert asdict(score) == pytest.approx(asdict(expected.patches[name]), rel=1e-5)
