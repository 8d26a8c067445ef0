"""A study on the workers of a dask scheduler, all of them processes of their own on the loopback interface."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from opticdesign.errors import OpticDesignError, UsageError
from opticdesign.processes import Here
from opticdesign.tolerance.engine import open_engine
from opticdesign.tolerance.runner import Engine
from tests.support.dask_cluster import cluster
from tests.support.tolerance_fakes import runner_in, transcendental, work

POINTS = np.random.default_rng(0).normal(size=(120, 3))
NUMBERS = list(range(120))


@pytest.mark.slow
def test_a_worker_of_the_scheduler_killed_in_the_middle_changes_nothing_in_the_table(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    notes = tmp_path / "notes"
    notes.mkdir()
    with cluster(2) as (address, _, workers), open_engine(work, 1, address) as engine:
        done = []

        def kill_one() -> bool:
            """Heard between shards: ends a worker once both have worked and something is finished."""
            if not done and len({path.name.split("-")[1] for path in notes.iterdir()}) == 2 and list(shards.iterdir()):
                workers[0].kill()
                done.append(len(list(shards.iterdir())))
            return False

        shards = tmp_path / "shards"
        shards.mkdir()
        context = {"notes": str(notes), "seconds": 0.3}
        found = runner_in(shards, engine, context=context, stop=kill_one).evaluate(POINTS, NUMBERS)
        assert done and done[0] < 15 and workers[0].poll() is not None
    expected = transcendental(POINTS, NUMBERS)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    runner_in(tmp_path / "alone", Engine(Here(), work, 1)).evaluate(POINTS, NUMBERS)
    for path in (tmp_path / "alone").iterdir():
        assert (shards / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_scheduler_that_ends_is_told_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    shards = tmp_path / "shards"
    shards.mkdir()
    with cluster(1) as (address, scheduler, _), open_engine(work, 1, address) as engine:

        def end() -> bool:
            if list(shards.iterdir()):
                scheduler.kill()
            return False

        runner = runner_in(shards, engine, context={"seconds": 0.1}, stop=end)
        with pytest.raises(OpticDesignError, match="connection to the scheduler is lost"):
            runner.evaluate(POINTS, NUMBERS)
    found = runner_in(shards, Engine(Here(), work, 1)).evaluate(POINTS, NUMBERS)
    assert np.array_equal(found["ssim"], transcendental(POINTS, NUMBERS)["ssim"])


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://here"])
def test_a_scheduler_that_does_not_answer_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("opticdesign.tolerance.engine._CONNECT_SECONDS", 1)
    with pytest.raises(UsageError, match=address) as caught, open_engine(work, 1, address):
        pass
    assert "dask worker" in caught.value.remedy


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="not installed") as caught, open_engine(work, 1, "tcp://127.0.0.1:1"):
        pass
    assert "opticdesign[cluster]" in caught.value.remedy
