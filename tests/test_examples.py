"""Every example runs at its small size and shows what it says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from design_texts import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(name: str) -> str:
    line = [sys.executable, str(ROOT / "examples" / name), "--small"]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_runs(path) -> None:
    assert run(path.name)


def test_quantised_lens_follows_scalar_theory() -> None:
    lines = re.findall(r"(\d+) levels: ([\d.]+) of the ideal focus, sinc²\(1/L\) = ([\d.]+)", run("quantised_lens.py"))
    assert [int(levels) for levels, _, _ in lines] == [2, 4, 8, 16]
    for _, found, theory in lines:
        assert float(found) == pytest.approx(float(theory), abs=0.03)
