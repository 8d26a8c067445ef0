"""Packages that add to ours, installed into a folder of their own, and commands that find them there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.design_texts import ROOT

PACKAGE = ROOT / "tests" / "plugins_package"
_COMMANDS = """
import json, sys
from opticdesign.cli import run_command
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["opticdesign", *arguments]
    code = run_command()
    print(f"exit {code}", flush=True)
"""


def install_package(folder: Path) -> Path:
    """Install the package of this repository's tests into an empty folder; gives the folder for Python's path."""
    copy, target = folder / "source", folder / "installed"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))  # building leaves files there
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(copy)]
    subprocess.run(command, check=True, timeout=120)
    return target


def name_entry(folder: Path, group: str, entry: str) -> Path:
    """Leave in a folder what installing a package with one entry leaves there; gives the folder for Python's path."""
    facts = folder / "broken-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    return folder


def run_with(installed: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `opticdesign` with a folder behind the others on Python's path."""
    command = [sys.executable, "-m", "opticdesign", *map(str, arguments)]
    return subprocess.run(command, env=_seeing(installed), cwd=cwd, capture_output=True, text=True, timeout=300)


def run_commands(installed: Path, *commands: list[str]) -> list[str]:
    """What each command says, its last line being "exit" and its code, all in one process that sees a folder."""
    said, lines = [], []
    for line in run_python(installed, _COMMANDS, json.dumps(commands)).splitlines():
        lines.append(line)
        if line.startswith("exit "):
            said.append("\n".join(lines))
            lines = []
    return said


def run_python(installed: Path, code: str, *arguments: str) -> str:
    """What code says that sees a folder."""
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.run(
        command, env=_seeing(installed), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return process.stdout


def _seeing(installed: Path) -> dict[str, str]:
    """An environment with a folder behind the others on Python's path."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"), str(installed))))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}
