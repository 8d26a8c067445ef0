"""Packages that add to ours, installed into a folder of their own, and commands that find them there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.design_texts import ROOT

PACKAGE = ROOT / "tests" / "plugins_package"


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
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"), str(installed))))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "opticdesign", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=300)
