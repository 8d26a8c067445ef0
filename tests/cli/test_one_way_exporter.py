"""A format that is only written: each command that meets its files says so."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.support.design_texts import D2NN5

Command = Callable[..., Any]
RAW8 = EntryPoint(
    "raw8", "tests.plugins_package.opticdesign_test_plugins.exporter:Raw8Exporter", "opticdesign.exporters"
)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter beside ours."""

    def found(group: str) -> list[EntryPoint]:
        return [*entry_points(group=group), *([RAW8] if group == RAW8.group else [])]

    monkeypatch.setattr("opticdesign.plugins.entry_points", found)


def test_alone_it_cannot_be_verified(command: Command, run_copy: Path) -> None:
    exported = command("export", run_copy, "--format", "raw8")
    assert exported.returncode == 0
    assert "raw8 is only written: verify and import cannot read it back" in exported.stderr
    verified = command("verify", run_copy)
    assert verified.returncode == 1
    assert "only written" in verified.stdout
    assert "no exported format is ever read back; export one that is as well" in verified.stderr


def test_beside_another_its_hashes_are_compared(command: Command, run_copy: Path) -> None:
    command("export", run_copy, "--gds", "--format", "raw8")
    verified = command("verify", run_copy, "--independent", "0")
    assert verified.returncode == 0, verified.stderr
    assert "raw8: a format that is never read back; only its hashes were compared" in verified.stdout
    with (run_copy / "exports" / "raw8" / "masks.raw8").open("ab") as file:
        file.write(b"x")
    changed = command("verify", run_copy, "--independent", "0")
    assert changed.returncode == 1
    assert "raw8/masks.raw8: changed since it was exported" in changed.stderr


def test_it_is_no_obstacle_to_a_check_of_rules(command: Command, run_copy: Path) -> None:
    command("export", run_copy, "--format", "raw8")
    assert command("drc", run_copy).returncode in (0, 1)


def test_its_files_cannot_be_imported(command: Command, run_copy: Path, tiny_settings: list[str]) -> None:
    command("export", run_copy, "--format", "raw8")
    file = run_copy / "exports" / "raw8" / "masks.raw8"
    done = command("import", file, "--design", D2NN5, *tiny_settings)
    assert done.returncode == 2
    for part in ("masks.raw8: written by raw8", "never read back", "expected", "remedy"):
        assert part in done.stderr
