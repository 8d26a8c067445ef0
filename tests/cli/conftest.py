"""A command line run in this process, and a trained run to change."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from opticdesign.cli import run_command
from opticdesign.runs.run_folder import Run


@dataclass(frozen=True)
class Outcome:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Runs a command line in this process, in a folder of its own; starting torch each time would take seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["opticdesign", *map(str, arguments)])
        capfd.readouterr()
        code = run_command()
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def run_copy(trained_run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation")))
