from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.learning.evaluation import crossed_interval
from opticdesign.runs.score import ImageScores
from opticdesign.studies.cells import Outcome
from opticdesign.studies.table.schema import TableStudy, load_study
from opticdesign.studies.table.table import COLUMNS, PAPER, StudyTable, claims, tabulate, write_table
from tests.support.study_texts import STUDY, write_study

METRICS = ("psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad")


@pytest.fixture
def study(tmp_path: Path) -> TableStudy:
    return load_study(write_study(tmp_path))


def scores(level: float, spread: float = 0.1, fields: int = 3) -> ImageScores:
    """Scores of eight patches and some fields around a level; the error is small where the level is high."""

    def values(metric: str, count: int) -> list[float]:
        middle = 10.0 - level if metric.startswith("mae") else level
        return [middle + spread * (index - (count - 1) / 2) for index in range(count)]

    return ImageScores({name: values(name, 8) for name in METRICS}, {name: values(name, fields) for name in METRICS})


def outcomes(study: TableStudy, levels: dict[str, float], **how: float) -> list[Outcome]:
    return [Outcome(row.name, seed, scores(levels[row.name], **how)) for row in study.rows for seed in study.seeds]


LEVELS = {"A": 5.0, "B": 3.0, "none": 1.0, "A-clear": 3.0, "B-clear": 3.1}


@pytest.fixture
def table(study: TableStudy) -> StudyTable:
    return tabulate(study, outcomes(study, LEVELS), quick=False)


# intervals


def test_one_seed_gives_the_interval_of_a_mean_over_images() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    score = crossed_interval([values.tolist()])
    assert score.mean == pytest.approx(values.mean())
    assert score.high - score.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.1)


def test_equal_seeds_on_the_same_images_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, 400).tolist()
    one, four = crossed_interval([values]), crossed_interval([values] * 4)
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=0.1)


def test_on_images_of_their_own_the_interval_is_too_wide_by_no_more_than_root_three() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, (20, 400))
    score = crossed_interval(values.tolist())
    exact = 2 * 1.96 * values.std() / math.sqrt(values.size)
    assert exact < score.high - score.low < 1.1 * math.sqrt(3.0) * exact


def test_interval_holds_what_differs_from_seed_to_seed() -> None:
    levels = np.random.default_rng(1).normal(0.0, 1.0, 40)
    score = crossed_interval([[level] * 50 for level in levels])
    assert score.high - score.low == pytest.approx(2 * 1.96 * levels.std() / math.sqrt(40), rel=0.1)


def test_three_seeds_span_nearly_all_that_lies_between_them() -> None:
    score = crossed_interval([[0.0] * 9, [1.0] * 9, [2.0] * 9])
    assert (score.mean, score.low, score.high) == (1.0, pytest.approx(0, abs=0.35), pytest.approx(2, abs=0.35))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), min_size=1, max_size=4))
def test_interval_lies_within_the_values_whatever_their_number(values: list[list[float]]) -> None:
    score = crossed_interval(values)
    lowest, highest = min(map(min, values)) - 1e-9, max(map(max, values)) + 1e-9
    assert lowest <= score.low <= score.high <= highest
    assert lowest <= score.mean <= highest


# rows and comparisons


def test_rows_hold_means_over_seeds_and_images_and_the_paper_apart(table: StudyTable) -> None:
    row = table.rows[0]
    assert (row.name, row.seeds, row.patches, row.fields) == ("A", (0, 1), 8, 3)
    assert row.scores.keys() == COLUMNS.keys()
    assert row.scores["psnr_field"].mean == pytest.approx(5.0)
    assert row.paper == {"psnr_field": 16.1, "psnr_patch": 16.9, "ssim_field": 0.58, "ssim_patch": 0.6}
    assert all(row.paper is None for row in table.rows[1:])


def test_fields_and_patches_come_from_their_own_images(study: TableStudy) -> None:
    found = [Outcome("A", 0, ImageScores(scores(5.0).patches, scores(7.0).fields))]
    row = tabulate(study, found, quick=False).rows[0]
    assert row.scores["ssim_patch"].mean == pytest.approx(5.0)
    assert row.scores["ssim_field"].mean == pytest.approx(7.0)
    assert row.scores["ssim_rescaled"].mean == pytest.approx(5.0)


def test_disjoint_intervals_beat_or_are_below_and_others_overlap(table: StudyTable) -> None:
    found = {(entry.row, entry.verdict, entry.floor) for entry in table.comparisons}
    assert found == {("A", "beats", "A-clear"), ("B", "overlaps with", "B-clear")}
    assert len(table.comparisons) == 2 * len(COLUMNS)


def test_small_errors_are_good(study: TableStudy) -> None:
    worse = tabulate(study, outcomes(study, LEVELS | {"A": 2.0}), quick=False)
    assert {entry.verdict for entry in worse.comparisons if entry.row == "A"} == {"is below"}


def test_the_floor_compared_with_is_the_one_that_reaches_farthest(study: TableStudy) -> None:
    found = outcomes(study, LEVELS | {"none": 3.0})
    wide = [Outcome("none", outcome.seed, scores(2.9, spread=2.0)) for outcome in found if outcome.row == "none"]
    table = tabulate(study, [outcome for outcome in found if outcome.row != "none"] + wide, quick=False)
    assert {entry.floor for entry in table.comparisons} == {"none"}
    assert {entry.verdict for entry in table.comparisons} == {"overlaps with"}


def test_one_field_of_one_seed_has_no_interval(study: TableStudy) -> None:
    found = [outcome for outcome in outcomes(study, LEVELS, fields=1) if outcome.seed == 0]
    table = tabulate(study, found, quick=False)
    verdicts = {entry.column: entry.verdict for entry in table.comparisons if entry.row == "A"}
    assert verdicts["psnr_field"] == "has no interval beside" and verdicts["psnr_patch"] == "beats"
    assert any("one seed" in note and "images only" in note for note in table.notes)


def test_claims_say_in_words_what_beats_what_where(table: StudyTable, study: TableStudy) -> None:
    first, second = claims(table)
    assert first == f"A beats A-clear in {', '.join(heading.partition(' /')[0] for heading in COLUMNS.values())}"
    assert second.startswith("B overlaps with B-clear in PSNR field")
    bare = [outcome for outcome in outcomes(study, LEVELS) if outcome.row in "AB"]
    assert claims(tabulate(study, bare, quick=False))[0] == "A has no floor in this table"


def test_a_failed_seed_is_left_out_of_the_means_and_told(study: TableStudy) -> None:
    found = [
        Outcome("A", 1, problem="diverged\n  remedy: x") if (outcome.row, outcome.seed) == ("A", 1) else outcome
        for outcome in outcomes(study, LEVELS)
    ]
    table = tabulate(study, found, quick=False)
    assert [row.mark for row in table.rows] == ["failed", "", "floor", "floor", "floor"]
    assert table.rows[0].seeds == (0,)
    assert table.rows[0].problems == ("seed 1: diverged\n  remedy: x",)


def test_a_row_that_failed_altogether_has_no_scores_and_is_no_floor(study: TableStudy) -> None:
    found = [
        Outcome(outcome.row, outcome.seed, problem="diverged") if outcome.row == "A-clear" else outcome
        for outcome in outcomes(study, LEVELS)
    ]
    table = tabulate(study, found, quick=False)
    assert table.rows[3].scores == {}
    assert {entry.floor for entry in table.comparisons if entry.row == "A"} == {"none"}


# files


def test_files_hold_the_same_table(table: StudyTable, tmp_path: Path) -> None:
    write_table(tmp_path / "out", table)
    assert json.loads((tmp_path / "out" / "small.json").read_text()) == json.loads(json.dumps(asdict(table)))
    with (tmp_path / "out" / "small.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == [row.name for row in table.rows]
    assert float(rows[0]["psnr_field_low"]) == table.rows[0].scores["psnr_field"].low
    assert (rows[0]["paper_other_data_psnr_patch"], rows[1]["paper_other_data_psnr_patch"]) == ("16.9", "")
    lines = (tmp_path / "out" / "small.md").read_text("utf-8").splitlines()
    heads, ruler, *body = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in (heads, ruler, *body)} == {heads.count("|")}
    assert PAPER in heads and "other data" in PAPER
    assert "16.10 / 16.90, 0.580 / 0.600" in body[0]
    assert "- A beats A-clear in" in "\n".join(lines)


def test_quick_is_marked_in_every_file(study: TableStudy, tmp_path: Path) -> None:
    write_table(tmp_path / "out", tabulate(study, outcomes(study, LEVELS), quick=True))
    assert json.loads((tmp_path / "out" / "small-quick.json").read_text())["quick"] is True
    assert "quick: smoke budget, no result" in (tmp_path / "out" / "small-quick.md").read_text("utf-8")
    with (tmp_path / "out" / "small-quick.csv").open(newline="", encoding="utf-8") as file:
        assert {row["quick"] for row in csv.DictReader(file)} == {"True"}


def test_markdown_keeps_its_columns_whatever_a_title_holds(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, STUDY.replace("trained further", "a | b")))
    write_table(tmp_path / "out", tabulate(study, outcomes(study, LEVELS), quick=False))
    assert "a \\| b" in (tmp_path / "out" / "small.md").read_text("utf-8")
