from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from opticdesign.errors import RunError
from opticdesign.runs.score import ImageScores
from opticdesign.studies.cells import Outcome
from opticdesign.studies.files import refuse_other_files
from opticdesign.studies.scheduling import StudyOptions
from opticdesign.studies.table.running import run_study
from opticdesign.studies.table.schema import load_study
from opticdesign.studies.table.table import tabulate, write_table
from tests.support.study_texts import SMALL, write_study

ENDS = ("csv", "json", "md")


def written(folder: Path, name: str = "small", quick: bool = False) -> dict[str, bytes]:
    """The files of folder/out after the study of a name has written its table, with made-up scores, there."""
    (folder / name).mkdir()
    study = load_study(write_study(folder / name, SMALL.replace('"small"', f'"{name}"')))
    values = {metric: [1.0, 2.0] for metric in ("psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad")}
    outcomes = [Outcome(row.name, 0, ImageScores(values, values)) for row in study.rows]
    refuse_other_files(folder / "out", study.kind, name, quick)
    write_table(folder / "out", tabulate(study, outcomes, quick))
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


def test_two_studies_in_one_folder_keep_their_tables(tmp_path: Path) -> None:
    first = written(tmp_path, "first")
    both = written(tmp_path, "second")
    assert both.keys() == {f"{name}.{end}" for name in ("first", "second") for end in ENDS}
    assert first.items() <= both.items()


def test_a_quick_table_stands_beside_that_of_the_whole_study(tmp_path: Path) -> None:
    assert written(tmp_path, "whole", quick=True).keys() == {f"whole-quick.{end}" for end in ENDS}


def test_a_study_writes_its_table_again(tmp_path: Path) -> None:
    before = written(tmp_path)
    refuse_other_files(tmp_path / "out", "table", "small", False)
    assert json.loads(before["small.json"])["kind"] == "table"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("small.md", "my notes"),
        ("small.png", ""),
        ("small.json", "{"),
        ("small.json", "[]"),
        ("small.json", '{"name": "small", "kind": "quantisation"}'),
    ],
)
def test_files_of_others_are_refused_before_anything_is_trained(tmp_path: Path, name: str, text: str) -> None:
    study = load_study(write_study(tmp_path, SMALL))
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text(text)
    with pytest.raises(RunError, match=rf"{name}: not of the study 'small' of kind 'table'(.|\n)*another --output"):
        run_study(study, StudyOptions(torch.device("cpu"), out), lambda news: None, lambda: False)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == text
