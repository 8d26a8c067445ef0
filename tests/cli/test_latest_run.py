"""Commands without RUN take the latest complete run of the folder they are called in, and say which."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from opticdesign.cli import run_command
from opticdesign.cli.options import app
from opticdesign.runs.run_folder import Run, latest_run
from opticdesign.runs.trained import TrainedRun
from tests.support.run_json import edit_run

assert run_command  # registers the commands
Command = Callable[..., Any]


def taking_run() -> list[str]:
    """Every command with an argument RUN."""
    group: Any = typer.main.get_command(app)
    return [
        name
        for name, command in group.commands.items()
        if any(one.param_type_name == "argument" and "RUN" in str(one.metavar) for one in command.params)
    ]


QUICK = {"drc": ["--min-feature", "10 nm"], "export": ["--gds"], "show": []}  # those that are over at once
WORK = {  # what the others would call with the run
    "evaluate": "opticdesign.runs.evaluate.evaluate",
    "verify": "opticdesign.runs.export.verify",
    "tolerance": "opticdesign.tolerance.running.study_run.tolerate",
    "reconstruct": "opticdesign.runs.reconstruct.reconstruct_files",
}
FRAMES = {"reconstruct": ["frame.npy"]}


def placed(run: Run, folder: Path, created: str, **info: str) -> Path:
    """A copy of a run that was begun at another time."""
    copy = Path(shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("evaluation", "exports")))
    edit_run(copy, created=created, **info)
    return copy


@pytest.fixture
def several(trained_run: Run, tmp_path: Path, command: Command) -> Path:
    """The latest of runs of two designs, an unfinished one and one of another model, in the current folder's `runs`."""
    runs = tmp_path / "runs"
    placed(trained_run, runs / "d2nn5" / "a", "2026-01-01T00:00:00+00:00")
    (runs / "d2nn5" / "latest").write_text("a\n")
    right = placed(trained_run, runs / "other" / "b", "2026-01-02T00:00:00+00:00")
    placed(trained_run, runs / "d2nn5" / "c", "2026-01-03T00:00:00+00:00", status="stopped")
    placed(trained_run, runs / "d2nn5" / "d", "2026-01-04T00:00:00+00:00", format="0")
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("[")
    return right


def test_all_commands_that_take_a_run_are_tried_here() -> None:
    assert sorted(taking_run()) == sorted([*QUICK, *WORK])


@pytest.mark.parametrize("name", QUICK)
def test_the_latest_complete_run_is_taken_and_named(command: Command, several: Path, name: str) -> None:
    done = command(name, *QUICK[name])
    assert done.returncode == (1 if name == "drc" else 0), done.stderr  # these masks break a rule
    assert done.stderr.startswith("RUN: runs/other/b, the latest complete run\n")
    if name == "export":
        assert (several / "exports" / "gds").is_dir()
        assert "next: opticdesign verify runs/other/b" in done.stderr


@pytest.mark.parametrize("name", WORK)
def test_so_do_commands_that_take_longer(
    command: Command, several: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []

    def work(run: Run | TrainedRun, *rest: object, **more: object) -> None:
        taken.append(run.folder.resolve())
        raise typer.Exit(0)

    monkeypatch.setattr(WORK[name], work)
    done = command(name, *FRAMES.get(name, []))
    assert (done.returncode, taken) == (0, [several]), done.stderr
    assert "RUN: runs/other/b, the latest complete run" in done.stderr


def test_json_stays_json(command: Command, several: Path) -> None:
    assert json.loads(command("show", "--json").stdout)["folder"] == "runs/other/b"


@pytest.mark.parametrize("name", taking_run())
def test_where_there_is_no_run_the_user_is_told_how_to_get_one(command: Command, name: str) -> None:
    done = command(name)
    assert done.returncode == 2
    assert "no RUN named, and no complete run in" in done.stderr and "opticdesign optimize DESIGN" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unfinished_run_alone_is_told_how_to_go_on(command: Command, trained_run: Run, tmp_path: Path) -> None:
    placed(trained_run, tmp_path / "runs" / "d2nn5" / "a", "2026-01-01T00:00:00+00:00", status="stopped")
    done = command("export", "--gds")
    assert done.returncode == 2
    assert "opticdesign optimize runs/d2nn5/a/design.toml --output runs/d2nn5/a --resume" in done.stderr


@pytest.mark.parametrize("place", ["first", "runs/first", "runs/d2nn5/first"])
def test_a_run_is_found_wherever_optimise_puts_it(trained_run: Run, tmp_path: Path, place: str) -> None:
    folder = placed(trained_run, tmp_path / place, "2026-01-01T00:00:00+00:00")
    assert latest_run(tmp_path).folder == folder
    assert latest_run(folder).folder == folder
    assert latest_run(folder.parent).folder == folder


def test_it_is_found_from_the_folder_of_all_runs(trained_run: Run, tmp_path: Path) -> None:
    folder = placed(trained_run, tmp_path / "d2nn5" / "first", "2026-01-01T00:00:00+00:00")
    (tmp_path / "d2nn5" / "latest").write_text("first\n")
    assert latest_run(tmp_path).folder == folder
