from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from opticdesign.errors import OpticDesignError, UsageError
from opticdesign.learning.distributed import ALONE, Workers, joined_workers
from opticdesign.runs.run_folder import open_run
from tests.support.design_texts import D2NN5, TINY


def command(folder: Path, *settings: str, processes: int) -> list[str]:
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    changes = [part for setting in (*TINY, *settings) for part in ("--set", setting)]
    return [*launcher, "opticdesign", "optimize", str(D2NN5), "--output", str(folder), "--device", "cpu", *changes]


def optimise(folder: Path, *settings: str, processes: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *settings, processes=processes),
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def test_a_process_alone_adds_nothing_and_has_all_batches() -> None:
    with joined_workers(torch.device("cpu")) as workers:
        assert workers == ALONE
        held = torch.arange(3.0)
        workers.add([held])
        assert held.tolist() == [0.0, 1.0, 2.0]
        assert workers.total(2.5, torch.device("cpu")) == 2.5
        assert list(workers.share(3)) == [0, 1, 2]


def test_processes_share_all_batches_of_a_step_and_none_twice() -> None:
    shares = [list(Workers(rank, 3).share(6)) for rank in range(3)]
    assert sorted(batch for share in shares for batch in share) == list(range(6))


def test_processes_that_cannot_share_evenly_are_refused_with_the_setting_that_helps() -> None:
    with pytest.raises(UsageError, match=r"3 processes cannot share 4 batches(.|\n)*training.accumulate=6"):
        Workers(0, 3).share(4)


def test_two_processes_of_torchrun_train_what_one_does(tmp_path: Path) -> None:
    settings = ("training.accumulate=2", "training.ema=0.9")
    ran = [optimise(tmp_path / str(n), *settings, processes=n) for n in (1, 2)]
    assert [done.returncode for done in ran] == [0, 0], ran[1].stderr
    one, two = (open_run(tmp_path / str(n)) for n in (1, 2))
    assert (one.info["environment"]["processes"], two.info["environment"]["processes"]) == (1, 2)
    assert two.complete
    (ours, _, _), (theirs, _, _) = one.load(), two.load()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        torch.testing.assert_close(theirs[key], value, rtol=1e-4, atol=1e-5, msg=key)
    losses = [[record["loss"] for record in run.records()] for run in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert len(re.findall("training on", ran[1].stderr)) == 1  # one process speaks


def test_two_processes_refuse_one_batch_a_step(tmp_path: Path) -> None:
    done = optimise(tmp_path / "run", processes=2)
    assert done.returncode != 0
    assert "training.accumulate=2" in done.stderr
    assert "Traceback" not in done.stderr.split("torch.distributed.elastic")[0].split("torch/distributed")[0]
    assert not (tmp_path / "run").exists()


def test_ctrl_c_stops_all_processes_safely_and_none_complains(tmp_path: Path) -> None:
    asked = command(tmp_path, "training.accumulate=2", "training.stages.decoder.steps=100000", processes=2)
    with subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as launcher:
        try:
            for _ in range(600):
                if launcher.poll() is not None or (tmp_path / "metrics.jsonl").exists():
                    break
                time.sleep(0.1)
            launcher.send_signal(signal.SIGINT)  # which torchrun hands on to its processes
            said, complained = launcher.communicate(timeout=60)
        finally:
            launcher.kill()
    assert "stopped safely" in said
    assert "error:" not in complained
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "stopped"
    assert any((tmp_path / "checkpoints").glob("step-*"))


def test_a_process_left_alone_says_that_another_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(tensor: torch.Tensor) -> None:
        raise RuntimeError("[pair.cc:553] Connection closed by peer. This is typically caused by a remote worker")

    monkeypatch.setattr("torch.distributed.all_reduce", gone)
    with pytest.raises(OpticDesignError, match=r"another process has ended \(.*by peer\)(.|\n)*ended first says"):
        Workers(1, 2).add([torch.zeros(1)])
