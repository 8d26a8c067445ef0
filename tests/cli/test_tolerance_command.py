from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opticdesign.cli import progress
from opticdesign.storage import read_record, write_record
from opticdesign.tolerance.running import files, study_run
from tests.support.run_json import edit_run
from tests.support.tolerance_fakes import toy_benches

Command = Callable[..., Any]
OPTIONS = ("--device", "cpu", "--workers", "1", "--samples", "12", "--quick", "--set", "tolerance.images=2")
ERRORS = ("--set", "tolerance.gap.sigma=0.1 um", "--set", "tolerance.layer_shift.sigma=30 nm")


@pytest.fixture
def command(command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The command line on toys for instruments, without drawing."""
    monkeypatch.setattr(study_run, "draw_comparison", lambda *_: None)
    monkeypatch.setattr(files, "write_report", lambda *_: None)
    with toy_benches():
        yield command


def test_tolerance_prints_the_way_from_design_to_devices(command: Command, run_copy: Path) -> None:
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS, "--sobol", 4)
    assert done.returncode == 0, done.stderr
    for part in (
        "12 draws, 2 test images in each, seed 0 — quick: smoke budget, no result",
        "float",
        "quantised",
        "not exported",
        "Monte Carlo, mean",
        "Monte Carlo, worst 5 %",
        "yield, PSNR ≥",
        "of 12",
        "change alone",
        "won back without it",
        "What matters most is ",
        "Sobol indices of the variance of PSNR",
        "Proposed tolerances; costs in PSNR / dB",
        "as the curves allocate them",
        "layer shift",
        "re-register",
        "decoder re-tune",
        "The worst 10 of 12 draws",
        "59 are needed (Wilks)",
        "A quick study looks for no inverse limits.",
        f"opticdesign tolerance {run_copy} --samples 12 --seed 0 --device cpu --sobol 4 --quick",
    ):
        assert part in done.stdout
    assert "report.html" in done.stderr and "draws: 12/12" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("proposed budget") == 1  # of its many small batches


def test_the_command_it_prints_replays_a_draw(command: Command, run_copy: Path) -> None:
    import shlex

    done = command("tolerance", run_copy, *OPTIONS, *ERRORS)
    (line,) = [line for line in done.stdout.splitlines() if "--replay" in line]
    again = command(*shlex.split(line[line.index("opticdesign tolerance") :])[1:])
    assert again.returncode == 0, again.stderr
    assert "equal to the study's" in again.stdout and "gap 1" in again.stdout and "PSNR / dB" in again.stdout
    assert "picture: " in again.stderr


def test_results_as_json(command: Command, run_copy: Path) -> None:
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS, "--json")
    assert done.returncode == 0, done.stderr
    (stored,) = (run_copy / "tolerance").glob("*/result.json")
    assert json.loads(done.stdout) == read_record(stored)
    index = json.loads(done.stdout)["worst"][0]["index"]
    again = json.loads(command("tolerance", run_copy, *OPTIONS, *ERRORS, "--json", "--replay", index).stdout)
    assert again["same"] is True and again["metrics"] == json.loads(done.stdout)["worst"][0]["metrics"]


@pytest.mark.parametrize(("least", "code"), [(0.01, 0), (1.0, 1)])
def test_too_low_a_yield_exits_1(command: Command, run_copy: Path, least: float, code: int) -> None:
    asked = ("--set", "tolerance.spec=19", "--set", f"tolerance.least_yield={least}")
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS, *asked)
    assert done.returncode == code, done.stderr
    assert f"at least {100 * least:.1f} % asked for" in done.stdout


def test_a_draw_that_differs_exits_1(command: Command, run_copy: Path) -> None:
    command("tolerance", run_copy, *OPTIONS, *ERRORS)
    (stored,) = (run_copy / "tolerance").glob("*/result.json")
    found = read_record(stored)
    found["draws"]["metrics"]["psnr_db"][5] += 0.25
    write_record(stored, found)
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS, "--replay", 5)
    assert done.returncode == 1 and "DIFFERENT" in done.stdout


@pytest.mark.parametrize("content", ["", "null", "[]", '{"draws": 3}', '{"draws": {"metrics": {"psnr_db": [1]}}}'])
def test_a_damaged_result_is_told(command: Command, run_copy: Path, content: str) -> None:
    command("tolerance", run_copy, *OPTIONS, *ERRORS)
    (stored,) = (run_copy / "tolerance").glob("*/result.json")
    stored.write_text(content, encoding="utf-8")
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS, "--replay", 5)
    assert done.returncode == 4 and "result.json: damaged" in done.stderr and "run the study again" in done.stderr


@pytest.mark.parametrize("samples", [1, 2])
def test_a_study_of_very_few_draws_is_whole(command: Command, run_copy: Path, samples: int) -> None:
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS, "--samples", samples, "--sobol", 2)
    assert done.returncode == 0, done.stderr
    assert f"The worst {samples} of {samples} draw{'s' * (samples > 1)}" in done.stdout
    words = " ".join(done.stdout.split())
    assert ("What matters most is " in words) == (samples > 1)
    assert f"greatest of {samples} draws hold the 5th and the 95th percentile with" in words


def test_stopping_says_how_to_go_on(command: Command, run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.StopRequest, "__call__", lambda self: True)
    done = command("tolerance", run_copy, *OPTIONS, *ERRORS)
    assert done.returncode == 130
    assert "stopped safely; the same command continues it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--replay", "3"), "no finished study"),
        (("--sobol", "3"), "power of two"),
        (("--replay", "12"), "the study has 12 draws"),
        (("--set", "optics.layers=3"), "trained with its design"),
        (("--set", "tolerance.gap.sigma=1 V"), "tolerance.gap.sigma"),
        (("--scheduler", "nonsense://here"), "no dask scheduler answers"),
        (("--device", "tpu"), "auto"),
    ],
    ids=str,
)
def test_what_cannot_be_done_exits_2_with_a_remedy(
    command: Command, run_copy: Path, arguments: tuple[str, ...], said: str
) -> None:
    if "--scheduler" in arguments:
        pytest.importorskip("distributed")
    done = command("tolerance", run_copy, *OPTIONS, *arguments)
    assert done.returncode == 2
    assert said in done.stderr and "remedy" in done.stderr and "Traceback" not in done.stderr
    assert not (run_copy / "tolerance").exists()


@pytest.mark.parametrize(
    "wrong", [("--samples", "0"), ("--samples", "1e9"), ("--memory", "inf"), ("--memory", "nan"), ("--sobol", "131072")]
)
def test_numbers_out_of_range_exit_2(command: Command, run_copy: Path, wrong: tuple[str, str]) -> None:
    done = command("tolerance", run_copy, *OPTIONS, *wrong)
    assert done.returncode == 2 and wrong[0] in done.stderr


def test_help_names_the_command_and_its_options(command: Command) -> None:
    assert "tolerance" in command("--help").stdout
    for option in ("--samples", "--seed", "--workers", "--quick", "--replay", "--scheduler", "--memory", "--sobol"):
        assert option in command("tolerance", "--help").stdout


def test_an_unfinished_run_is_refused(command: Command, run_copy: Path) -> None:
    edit_run(run_copy, status="stopped")
    done = command("tolerance", run_copy, *OPTIONS)
    assert done.returncode == 2 and "training has not finished" in done.stderr
