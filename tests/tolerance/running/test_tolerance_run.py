"""Tolerance studies of a tiny trained run with its real optics, camera and decoder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from opticdesign.runs.run_folder import Run, open_run
from opticdesign.tolerance.result import ToleranceResult
from opticdesign.tolerance.running import worker
from opticdesign.tolerance.running.plan import ToleranceOptions
from opticdesign.tolerance.running.study_run import replay, tolerate
from tests.support.dask_cluster import cluster

ERRORS = (
    "tolerance.images=2",
    "tolerance.gap.sigma=0.2 um",
    "tolerance.layer_shift.sigma=50 nm",
    "tolerance.height_noise.sigma=20 nm",
)
OPTIONS = ToleranceOptions(torch.device("cpu"), samples=20, workers=1, quick=True, changes=ERRORS)
CHANGES = [part for change in ERRORS for part in ("--set", change)]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def study(run: Run, stop: Callable[[], bool] = lambda: False, **options: object) -> tuple[ToleranceResult, Path]:
    return tolerate(run, replace(OPTIONS, **options), lambda *_: None, lambda news: None, stop)


@pytest.fixture(scope="module")
def done(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ToleranceResult, Path]:
    """A finished study, and its run and folder; tests that go on work on a copy of the run."""
    run = open_run(Path(shutil.copytree(trained_run.folder, tmp_path_factory.mktemp("toleranced") / "run")))
    worker.load_subject.cache_clear()
    return (run, *study(run))


@pytest.fixture
def copy(trained_run: Run, tmp_path: Path) -> Run:
    worker.load_subject.cache_clear()
    return open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run")))


def test_nominal_is_the_quantised_design_by_one_instrument(done: tuple[Run, ToleranceResult, Path]) -> None:
    _, result, _ = done
    (quantised,) = [stage for stage in result.stages if stage.name == "quantised"]
    nominal = {name: found.nominal for name, found in result.summaries.items()}
    assert nominal == pytest.approx(quantised.metrics, rel=1e-9)


def test_every_part_of_the_result_is_there(done: tuple[Run, ToleranceResult, Path]) -> None:
    _, result, folder = done
    assert {curve.group for curve in result.curves} == {"gap", "layer_shift"}
    assert {row.group for row in result.budget.rows} == {"gap", "layer_shift"}
    assert result.inverse == () and "A quick study looks for no inverse limits." in result.notes
    assert {row.name for row in result.compensators} == {"refocus", "re-register", "decoder re-tune"}
    for row in result.compensators[:4]:
        assert all(after >= before for before, after in zip(row.before, row.after, strict=True))
    assert result.budget.holds and result.budget.proposed.bound <= result.allowed_drop
    assert result.fields.keys() == {"height_noise"}
    assert result.summaries["psnr_db"].deviation > 0.0
    assert "</html>" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("index", [0, 13, 19])
def test_a_draw_made_again_alone_is_that_of_the_study_bit_for_bit(
    done: tuple[Run, ToleranceResult, Path], index: int
) -> None:
    run, result, folder = done
    found = replay(run, OPTIONS, index)
    assert found.same
    assert found.draw.values == {name: column[index] for name, column in result.draws.values.items()}
    assert found.draw.picture is not None and (folder / found.draw.picture).stat().st_size > 1000


def shards(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run.folder / "tolerance" / "shards").glob("*.json")}


def same_table(run: Run, folder: Path, done: tuple[Run, ToleranceResult, Path]) -> bool:
    """Whether a study's draws, and every shard that it has in common with another, are the same bytes."""
    expected, found = shards(done[0]), shards(run)
    assert len(expected.keys() & found.keys()) >= 0.9 * len(expected)
    draws = (folder / "draws.csv").read_bytes() == (done[2] / "draws.csv").read_bytes()
    return draws and all(found[name] == expected[name] for name in expected.keys() & found.keys())


@pytest.mark.slow
def test_two_workers_give_the_table_of_one_bit_for_bit(done: tuple[Run, ToleranceResult, Path], copy: Run) -> None:
    result, folder = study(copy, workers=2)
    assert same_table(copy, folder, done)
    assert result.inverse == done[1].inverse and result.compensators == done[1].compensators
    assert result.budget == done[1].budget


@pytest.mark.slow
def test_a_study_by_a_scheduler_with_a_worker_killed_in_the_middle_is_the_same(
    done: tuple[Run, ToleranceResult, Path], copy: Run
) -> None:
    pytest.importorskip("distributed")
    folder = copy.folder / "tolerance" / "shards"
    with cluster(2) as (address, _, workers):

        def kill_one() -> bool:
            if workers[0].poll() is None and len(list(folder.glob("*.json"))) >= 2:
                workers[0].kill()
            return False

        result, where = study(copy, kill_one, scheduler=address)
        assert workers[0].poll() is not None and workers[1].poll() is None
    assert same_table(copy, where, done)
    assert result.yield_found == done[1].yield_found and result.ranking == done[1].ranking


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_study_that_was_stopped_or_killed_goes_on_to_the_same_table(
    done: tuple[Run, ToleranceResult, Path], copy: Run, sign: signal.Signals
) -> None:
    line = [sys.executable, "-m", "opticdesign", "tolerance", str(copy.folder), "--device", "cpu", "--workers", "2"]
    line += ["--samples", "20", "--quick", *CHANGES]
    process = subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while len(shards(copy)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sign)
    _, err = process.communicate(timeout=100)
    assert process.returncode == (130 if sign == signal.SIGINT else -9), err
    if sign == signal.SIGINT:
        assert "stopped safely; the same command continues it" in err and "Traceback" not in err
    assert not list((copy.folder / "tolerance").glob("*/result.json"))
    before = shards(copy)
    assert len(before) >= 3
    again = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=True)
    assert "Monte Carlo" in again.stdout
    assert all(content == shards(copy)[name] for name, content in before.items())
    (result,) = (copy.folder / "tolerance").glob("*/result.json")
    assert same_table(copy, result.parent, done)
