"""The package of plug-ins in tests/plugins_package: installed into a folder, and commands run beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "plugins_package"
_COMMANDS = """
import json, sys
from opticdesign.cli import run_command
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["opticdesign", *arguments]
    code = run_command()
    print(f"exit {code}", flush=True)
"""


def install_plugins(folder: Path) -> None:
    """Install the package, and nothing else, into a folder."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(PACKAGE)], check=True)


def run_python(installed: Path, *arguments: str) -> str:
    """What a Python process says that sees the package."""
    paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return process.stdout


def run_commands(installed: Path, *commands: list[str]) -> list[str]:
    """What each command says, its last line being "exit" and its code, in one process that sees the package."""
    said, lines = [], []
    for line in run_python(installed, "-c", _COMMANDS, json.dumps(commands)).splitlines():
        lines.append(line)
        if line.startswith("exit "):
            said.append("\n".join(lines))
            lines = []
    return said
