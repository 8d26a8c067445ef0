from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from opticdesign.errors import DivergenceError, OpticDesignError, StudyStopped
from opticdesign.processes import Here
from opticdesign.tolerance.engine import open_engine
from opticdesign.tolerance.runner import SHARD_POINTS, Engine, shard_answer
from tests.support.tolerance_fakes import Transcendental, runner_in, transcendental, work

POINTS = np.random.default_rng(0).normal(size=(30, 3))
NUMBERS = list(range(100, 130))
EXPECTED = transcendental(POINTS, NUMBERS)


def here(answer: Callable[[str], str] = work) -> Engine:
    return Engine(Here(), answer, 1)


def refuse(text: str) -> str:
    raise AssertionError("computed again")


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray] = EXPECTED) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in expected)


def test_all_points_are_judged_in_order_and_told(tmp_path: Path) -> None:
    progress: list[tuple[str, int, int]] = []
    runner = runner_in(tmp_path, here(), progress=progress).named("draws")
    assert same(runner.evaluate(POINTS, NUMBERS))
    assert progress == [("draws", done, 30) for done in (0, 8, 16, 24, 30)]
    assert len(list(tmp_path.glob("*.json"))) == 4


def test_nothing_finished_is_computed_again(tmp_path: Path) -> None:
    runner_in(tmp_path, here()).evaluate(POINTS, NUMBERS)
    assert same(runner_in(tmp_path, here(refuse)).evaluate(POINTS, NUMBERS))
    with pytest.raises(AssertionError, match="computed again"):
        runner_in(tmp_path, here(refuse), study="another").evaluate(POINTS, NUMBERS)


def test_more_draws_take_up_what_fewer_have_finished(tmp_path: Path) -> None:
    runner_in(tmp_path, here()).evaluate(POINTS[:16], NUMBERS[:16])
    progress: list[tuple[str, int, int]] = []
    assert same(runner_in(tmp_path, here(), progress=progress).evaluate(POINTS, NUMBERS))
    assert progress[0] == ("", 16, 30)


def test_retuned_points_are_shards_of_their_own(tmp_path: Path) -> None:
    runner = runner_in(tmp_path, here())
    assert same(runner.evaluate(POINTS[:8], NUMBERS[:8]), transcendental(POINTS[:8], NUMBERS[:8]))
    found = runner.retuned(POINTS[:3], NUMBERS[:3])
    assert same(found, {name: column[:3] + 1.0 for name, column in EXPECTED.items()})
    assert len(list(tmp_path.glob("*.json"))) == 1 + 3


def test_a_stopped_study_keeps_what_it_has_and_goes_on_to_the_same_table(tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with pytest.raises(StudyStopped):
        runner_in(tmp_path, here(), stop=lambda: next(asked)).evaluate(POINTS, NUMBERS)
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert same(runner_in(tmp_path, here()).evaluate(POINTS, NUMBERS))


def test_a_damaged_shard_is_told_and_computed_again(tmp_path: Path) -> None:
    runner_in(tmp_path, here()).evaluate(POINTS, NUMBERS)
    path = sorted(tmp_path.glob("*.json"))[1]
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.", b"1.", 1) if b"0." in whole else whole[:-9])
    news: list[str] = []
    assert same(runner_in(tmp_path, here(), news=news).evaluate(POINTS, NUMBERS))
    assert [line for line in news if path.name in line and "damaged" in line]
    assert path.read_bytes() == whole


def test_two_processes_give_the_table_of_one_bit_for_bit(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    context = {"notes": str(tmp_path / "notes"), "seconds": 0.05}
    with open_engine(work, 2, None) as engine:
        assert same(runner_in(tmp_path / "shards", engine, context=context).evaluate(POINTS, NUMBERS))
    processes = {path.name.split("-")[1] for path in (tmp_path / "notes").iterdir()}
    assert str(os.getpid()) not in processes
    runner_in(tmp_path / "alone", here()).evaluate(POINTS, NUMBERS)
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "shards" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_worker_that_dies_changes_nothing_in_the_table(tmp_path: Path) -> None:
    context = {"notes": str(tmp_path), "deadly": NUMBERS[12]}
    with open_engine(work, 2, None) as engine:
        assert same(runner_in(tmp_path / "shards", engine, context=context).evaluate(POINTS, NUMBERS))
    assert (tmp_path / "died").exists()


def test_workers_that_die_again_and_again_end_the_study_with_what_is_finished_kept(tmp_path: Path) -> None:
    class Deadly:
        def submit(self, function: Callable[[str], str], text: str) -> Future[str]:
            future: Future[str] = Future()
            if NUMBERS[20] in json.loads(text)["indices"]:
                future.set_exception(BrokenPipeError())
            else:
                future.set_result(function(text))
            return future

    engine = Engine(Deadly(), work, 2, (BrokenPipeError,))
    with pytest.raises(OpticDesignError, match="died again and again") as caught:
        runner_in(tmp_path, engine).evaluate(POINTS, NUMBERS)
    assert "--workers" in caught.value.remedy
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_a_lost_scheduler_is_told(tmp_path: Path) -> None:
    class Lost:
        def submit(self, function: Callable[[str], str], text: str) -> Future[str]:
            future: Future[str] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(OpticDesignError, match="connection to the scheduler is lost"):
        runner_in(tmp_path, Engine(Lost(), work, 9)).evaluate(POINTS, NUMBERS)


def test_an_error_of_a_worker_is_told_with_its_remedy_and_exit_code(tmp_path: Path) -> None:
    class Failing(Transcendental):
        def evaluate(self, values: np.ndarray, indices: object) -> dict[str, np.ndarray]:
            raise DivergenceError("no light", expected="some", remedy="open the shutter")

    def fail(text: str) -> str:
        return shard_answer(lambda task: Failing(), text)

    with pytest.raises(DivergenceError, match="no light") as caught:
        runner_in(tmp_path, here(fail)).evaluate(POINTS, NUMBERS)
    assert (caught.value.expected, caught.value.remedy, caught.value.exit_code) == ("some", "open the shutter", 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_metric_that_is_not_finite_is_refused_and_not_stored(tmp_path: Path, value: float) -> None:
    class Broken(Transcendental):
        def evaluate(self, values: np.ndarray, indices: list[int]) -> dict[str, np.ndarray]:
            table = transcendental(values, indices)
            table["ssim"][3, 1] = value
            return table

    with pytest.raises(DivergenceError, match="ssim of draw 103 is not finite"):
        runner_in(tmp_path, here(lambda text: shard_answer(lambda task: Broken(), text))).evaluate(POINTS, NUMBERS)
    assert not list(tmp_path.glob("*.json"))


KILLED = """
import sys
from pathlib import Path
import numpy as np
from tests.support.tolerance_fakes import runner_in, work
from opticdesign.tolerance.engine import open_engine

if __name__ == "__main__":
    points = np.random.default_rng(0).normal(size=(30, 3))
    with open_engine(work, 1, None) as engine:
        runner = runner_in(Path(sys.argv[1]), engine, context={"seconds": 0.4})
        runner.evaluate(points, list(range(100, 130)))
"""


def test_a_killed_study_continues_where_it_was(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=environment)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = len(list(tmp_path.glob("*.json")))
    assert 2 <= finished < 4
    progress: list[tuple[str, int, int]] = []
    assert same(runner_in(tmp_path, here(), progress=progress).evaluate(POINTS, NUMBERS))
    assert progress[0][1] == finished * SHARD_POINTS
