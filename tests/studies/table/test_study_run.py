from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from opticdesign.errors import DivergenceError, RunError, StorageError, StudyStopped, UsageError
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import open_run
from opticdesign.storage import write_record
from opticdesign.studies import cells as study_cell
from opticdesign.studies import scheduling
from opticdesign.studies.cells import Outcome
from opticdesign.studies.scheduling import StudyOptions, study_folder
from opticdesign.studies.table import running as grid
from opticdesign.studies.table.running import run_study
from opticdesign.studies.table.schema import load_study
from tests.support.study_texts import SMALL, STUDY, write_study

pytestmark = pytest.mark.usefixtures("no_pictures")
CPU = torch.device("cpu")
ONE_SEED = STUDY.replace("seeds = [0, 1]", "seeds = [0]")


def run(folder: Path, stop: Callable[[], bool] = lambda: False, **options: object) -> tuple[list[Outcome], list[str]]:
    """The outcomes of folder/study.toml with its runs in folder/out, and the news on the way."""
    news: list[str] = []
    chosen = replace(StudyOptions(CPU, folder / "out"), **options)
    return run_study(load_study(folder / "study.toml"), chosen, news.append, stop), news


def record(folder: Path) -> dict:
    return json.loads((folder / "score.json").read_text())


@pytest.fixture(scope="module")
def trained(no_pictures: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome], list[str]]:
    """A finished study of two seeds; tests that change files work on a copy."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return (folder, *run(folder))


@pytest.fixture
def copy(trained: tuple[Path, list[Outcome], list[str]], tmp_path: Path) -> Path:
    """A copy of the finished study, one seed of it."""
    shutil.copytree(trained[0], tmp_path / "copy")
    write_study(tmp_path / "copy", ONE_SEED)
    return tmp_path / "copy"


def test_every_row_and_seed_has_an_outcome_in_the_study_s_order(trained: tuple[Path, list[Outcome], list[str]]) -> None:
    _, outcomes, news = trained
    names = ["A", "B", "none", "A-clear", "B-clear"]
    assert [(outcome.row, outcome.seed) for outcome in outcomes] == [(name, seed) for name in names for seed in (0, 1)]
    assert all(outcome.scores is not None and not outcome.problem for outcome in outcomes)
    assert news[-1].startswith("[10/10, ") and "PSNR" in news[-1]


def test_score_files_name_design_checkpoint_and_start(trained: tuple[Path, list[Outcome], list[str]]) -> None:
    out = trained[0] / "out"
    for row, start in (("A", None), ("B", "A"), ("A-clear", None), ("B-clear", "A-clear")):
        opened, stored = open_run(out / f"{row}-seed1"), record(out / f"{row}-seed1")
        assert stored["design_sha256"] == opened.design.digest()
        assert stored["checkpoint_sha256"] == opened.load()[2]
        assert stored["start_sha256"] == (None if start is None else open_run(out / f"{start}-seed1").load()[2])
        assert (stored["row"], stored["seed"], stored["quick"]) == (row, 1, False)
    assert record(out / "none-seed0")["checkpoint_sha256"] is None
    assert [path.name for path in (out / "none-seed0").iterdir()] == ["score.json"]


def test_a_row_starts_with_what_the_row_before_it_learned(trained: tuple[Path, list[Outcome], list[str]]) -> None:
    out = trained[0] / "out"
    started = open_run(out / "B-seed0").info["environment"]["start_from"]
    assert started["run"] == "A-seed0"
    assert started["checkpoint_sha256"] == open_run(out / "A-seed0").load()[2]


def test_floors_keep_their_optics_and_train_the_decoder_alone(trained: tuple[Path, list[Outcome], list[str]]) -> None:
    floor = open_run(trained[0] / "out" / "B-clear-seed0")
    tensors, _, _ = floor.load()
    masks = [value for key, value in tensors.items() if key.startswith("microscope.optics") and value.ndim == 2]
    assert masks and all(not mask.any() for mask in masks)
    assert {part for stage in floor.design.training.stages.values() for part in stage.train} == {"decoder"}


def test_scores_hold_every_patch_and_field(trained: tuple[Path, list[Outcome], list[str]]) -> None:
    scores = trained[1][0].scores
    assert scores is not None
    assert len(scores.fields["psnr_db"]) == 1
    assert len({len(values) for values in scores.patches.values()}) == 1
    assert trained[1][1].scores != scores


def test_a_finished_study_is_not_trained_again(copy: Path, no_training: None) -> None:
    again, _ = run(copy)
    assert [outcome.row for outcome in again if outcome.scores is not None] == ["A", "B", "none", "A-clear", "B-clear"]


def test_lost_or_damaged_scores_are_made_again_without_training(copy: Path, no_training: None) -> None:
    before = [record(copy / "out" / f"{row}-seed0") for row in ("A", "B")]
    (copy / "out" / "A-seed0" / "score.json").unlink()
    (copy / "out" / "B-seed0" / "score.json").write_text("{")
    run(copy)
    for row, stored in zip(("A", "B"), before, strict=True):
        again = record(copy / "out" / f"{row}-seed0")
        assert again["checkpoint_sha256"] == stored["checkpoint_sha256"]
        for metric, values in stored["patches"].items():
            assert again["patches"][metric] == pytest.approx(values, rel=1e-5)


def test_a_stopped_study_goes_on_to_the_same_scores(copy: Path, tmp_path: Path) -> None:
    write_study(tmp_path, ONE_SEED)
    asked = iter([False] * 5 + [True] * 1000)
    with pytest.raises(StudyStopped):
        run(tmp_path, lambda: next(asked))
    assert open_run(tmp_path / "out" / "A-seed0").info["status"] == "stopped"
    assert not (tmp_path / "out" / "B-seed0").exists()
    run(tmp_path)
    for row in ("A", "B", "B-clear"):
        expected, found = record(copy / "out" / f"{row}-seed0"), record(tmp_path / "out" / f"{row}-seed0")
        assert found["checkpoint_sha256"] == expected["checkpoint_sha256"]


def test_the_count_of_a_stopped_study_is_of_what_has_ended(copy: Path) -> None:
    study = load_study(copy / "study.toml")
    cells = list(grid._cells(study, StudyOptions(CPU, copy / "out")))
    begun: list[str] = []

    def submit(cell: study_cell.Cell) -> Future[Outcome]:
        begun.append(cell.row)
        future: Future[Outcome] = Future()
        scores = study_cell.ImageScores({"psnr_db": [20.0], "ssim": [0.5]}, {}) if len(begun) == 1 else None
        future.set_result(Outcome(cell.row, cell.seed, scores, stopped=scores is None))
        return future

    news: list[str] = []
    outcomes = scheduling._scheduled(cells, 1, submit, news.append, lambda: len(begun) > 1)
    assert [outcome.stopped for outcome in outcomes].count(True) == 4
    assert [line[:5] for line in news] == ["[1/5,", "[1/5,"] and news[1].endswith(" seed 0: stopped")


def test_a_study_tries_its_folder_before_anything_is_trained(tmp_path: Path, no_training: None) -> None:
    write_study(tmp_path, SMALL)
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError, match="out: "):
        run(tmp_path)


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_right_run_again(copy: Path) -> None:
    folder = copy / "out" / "B-seed0"
    expected = record(folder)["checkpoint_sha256"]
    shutil.rmtree(folder / "checkpoints")
    (folder / "score.json").unlink()
    open_run(folder).update(status="running")
    run(copy)
    assert record(folder)["checkpoint_sha256"] == expected


def test_a_run_killed_while_its_folder_was_made_is_made_again(copy: Path) -> None:
    folder = copy / "out" / "A-clear-seed0"
    design = (folder / "design.toml").read_text()
    shutil.rmtree(folder)
    shutil.rmtree(copy / "out" / "B-clear-seed0")
    half = copy / "out" / ".A-clear-seed0.0123abcd.partial"
    half.mkdir()
    (half / "design.toml").write_text(design)
    half.with_name(half.name + ".lock").touch()
    outcomes, _ = run(copy)
    assert all(outcome.scores is not None for outcome in outcomes)
    assert not list((copy / "out").glob("*.partial*"))


def test_a_changed_score_is_made_again(copy: Path) -> None:
    path = copy / "out" / "A-seed0" / "score.json"
    before = path.read_bytes()
    (value,) = record(path.parent)["fields"]["psnr_db"][:1]
    text = str(value)
    path.write_text(path.read_text().replace(text, ("3" if text[0] != "3" else "4") + text[1:], 1))
    run(copy)
    assert path.read_bytes() == before


def test_a_folder_with_files_of_others_is_never_touched(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL)
    (tmp_path / "out" / "A-seed0").mkdir(parents=True)
    (tmp_path / "out" / "A-seed0" / "mine.txt").write_text("keep")
    outcomes, _ = run(tmp_path)
    assert "already there" in outcomes[0].problem
    assert (tmp_path / "out" / "A-seed0" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("scored", [True, False])
def test_a_changed_design_is_refused_before_anything_is_trained(copy: Path, scored: bool, no_training: None) -> None:
    if not scored:
        (copy / "out" / "B-seed0" / "score.json").unlink()
    write_study(copy, ONE_SEED.replace("joint.steps=2", "joint.steps=3"))
    with pytest.raises(RunError, match=r"B-seed0: made with another design than row B has now") as caught:
        run(copy)
    assert caught.value.exit_code == 2
    assert "--output" in caught.value.remedy and "remove this folder" in caught.value.remedy


@pytest.mark.parametrize("change", ["optics.layers=2", "optics.cell=16", 'light.wavelength=\\"550 nm\\"'])
def test_a_row_that_cannot_start_from_its_row_is_refused_before_anything_is_trained(
    tmp_path: Path, change: str, no_training: None
) -> None:
    text = ONE_SEED.replace('set = ["training.stages.joint.steps=2"]', f'set = ["{change}"]')
    write_study(tmp_path, text)
    with pytest.raises(UsageError, match=r"row B is from A: its (optics|masks|light)"):
        run(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scored", [True, False])
def test_a_run_is_refused_when_what_it_started_from_was_trained_anew(copy: Path, scored: bool) -> None:
    if not scored:
        (copy / "out" / "B-seed0" / "score.json").unlink()
    stored = record(copy / "out" / "A-seed0")
    del stored["sha256"]
    write_record(copy / "out" / "A-seed0" / "score.json", stored | {"checkpoint_sha256": "0" * 64})
    outcomes, _ = run(copy)
    assert "B-seed0: started from another run of A" in outcomes[1].problem
    assert "remove this folder" in outcomes[1].problem


def test_a_row_that_fails_does_not_end_the_others_but_those_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, ONE_SEED)

    def fail(design: object, options: Options, *others: object) -> object:
        if options.output is not None and options.output.name == "A-seed0":
            raise DivergenceError("the loss is not finite", remedy="lower the rate")
        return optimise(design, options, *others)

    monkeypatch.setattr(study_cell, "optimise", fail)
    outcomes, news = run(tmp_path)
    problems = {outcome.row: outcome.problem for outcome in outcomes}
    assert "the loss is not finite" in problems["A"] and "lower the rate" in problems["A"]
    assert problems["B"] == "it starts from A, which failed"
    assert not any(problems[row] for row in ("none", "A-clear", "B-clear"))
    assert any("A seed 0: failed: the loss is not finite" in line for line in news)


def test_an_error_nobody_expected_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, SMALL)
    monkeypatch.setattr(study_cell, "score_constant", lambda *arguments: 1 / 0)
    outcomes, _ = run(tmp_path)
    assert [outcome.problem for outcome in outcomes if outcome.problem] == [
        "internal error: ZeroDivisionError: division by zero"
    ]


def test_quick_runs_have_their_own_folder_seeds_and_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = load_study(write_study(tmp_path), quick=True)
    options = StudyOptions(CPU, quick=True)
    assert study_folder(study.name, options) == Path("runs/studies/small-quick")
    assert study_folder(study.name, StudyOptions(CPU)) == Path("runs/studies/small")
    outcomes = run_study(study, options, lambda news: None, lambda: False)
    assert {outcome.seed for outcome in outcomes} == {0}
    folder = tmp_path / "runs" / "studies" / "small-quick" / "A-seed0"
    assert record(folder)["quick"] is True and open_run(folder).quick


@pytest.mark.slow
def test_workers_give_the_scores_of_one_process_and_share_its_threads(copy: Path, tmp_path: Path) -> None:
    write_study(tmp_path, ONE_SEED)
    outcomes, _ = run(tmp_path, workers=2)
    assert [outcome.problem for outcome in outcomes] == [""] * 5
    for row in ("A", "B", "B-clear"):
        expected, found = record(copy / "out" / f"{row}-seed0"), record(tmp_path / "out" / f"{row}-seed0")
        assert found["checkpoint_sha256"] == expected["checkpoint_sha256"]
    assert open_run(tmp_path / "out" / "A-seed0").info["environment"]["threads"] == 1


def test_rows_behind_each_other_wait_and_others_run_beside_them(
    trained: tuple[Path, list[Outcome], list[str]],
) -> None:
    study = load_study(trained[0] / "study.toml")
    cells = list(grid._cells(study, StudyOptions(CPU, trained[0] / "out")))
    running: set[tuple[str, int]] = set()
    ended: set[tuple[str | None, int]] = set()
    most = []

    def work(cell: study_cell.Cell) -> Outcome:
        assert cell.start is None or (cell.start, cell.seed) in ended
        running.add((cell.row, cell.seed))
        most.append(len(running))
        time.sleep(0.02)
        running.remove((cell.row, cell.seed))
        ended.add((cell.row, cell.seed))
        return Outcome(cell.row, cell.seed, trained[1][0].scores)

    with ThreadPoolExecutor(8) as pool:
        outcomes = scheduling._scheduled(
            cells, 3, lambda cell: pool.submit(work, cell), lambda news: None, lambda: False
        )
    assert len(outcomes) == len(ended) == 10
    assert max(most) == 3


def test_a_dead_worker_costs_its_own_row_and_no_other(trained: tuple[Path, list[Outcome], list[str]]) -> None:
    study = load_study(trained[0] / "study.toml")
    cells = list(grid._cells(study, StudyOptions(CPU, trained[0] / "out")))
    begun: list[tuple[str, int]] = []
    waiting: list[tuple[study_cell.Cell, Future[Outcome]]] = []

    def submit(cell: study_cell.Cell) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        begun.append((cell.row, cell.seed))
        waiting.append((cell, future))
        if cell.row == "A" and cell.seed == 1:  # whatever runs beside it ends with it
            for _, one in waiting:
                one.set_exception(BrokenProcessPool("a process died"))
            waiting.clear()
        elif (cell.row, cell.seed) != ("A", 0) or begun.count(("A", 0)) > 1:
            for one, started in waiting:
                started.set_result(Outcome(one.row, one.seed, trained[1][0].scores))
            waiting.clear()
        return future

    outcomes = scheduling._scheduled(cells, 2, submit, lambda news: None, lambda: False)
    problems = {(outcome.row, outcome.seed): outcome.problem for outcome in outcomes if outcome.problem}
    assert begun.count(("A", 0)) == begun.count(("A", 1)) == 2
    assert problems.keys() == {("A", 1), ("B", 1)}
    assert "its process died twice" in problems["A", 1]
    assert problems["B", 1] == "it starts from A, which failed"


def test_an_error_in_the_middle_ends_the_workers_at_once(tmp_path: Path) -> None:
    long = "training.stages.optics.steps=1000000"
    write_study(tmp_path, ONE_SEED.replace('common = ["', f'common = ["{long}", "'))
    seen = time.monotonic()

    def stop() -> bool:
        if (tmp_path / "out" / "A-seed0" / "run.json").exists():
            raise KeyboardInterrupt
        assert time.monotonic() - seen < 120
        return False

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop, workers=2)
    assert open_run(tmp_path / "out" / "A-seed0").info["status"] == "running"
