"""Every example runs at its small size and shows what it says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.design_texts import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(name: str, *arguments: str) -> str:
    line = [sys.executable, str(ROOT / "examples" / name), "--small", *arguments]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_runs(path) -> None:
    assert run(path.name)


def test_quantised_lens_follows_scalar_theory() -> None:
    lines = re.findall(r"(\d+) levels: ([\d.]+) of the ideal focus, sinc²\(1/L\) = ([\d.]+)", run("quantised_lens.py"))
    assert [int(levels) for levels, _, _ in lines] == [2, 4, 8, 16]
    for _, found, theory in lines:
        assert float(found) == pytest.approx(float(theory), abs=0.03)


def test_lens_mask_and_camera_are_ten_lines_that_end_in_a_picture(tmp_path: Path) -> None:
    cell = (ROOT / "examples" / "lens_mask_camera.py").read_text("utf-8").split("# %%")[2]
    assert len(ast.parse(cell.partition("\n")[2]).body) == 10
    found = run("lens_mask_camera.py", "--save", str(tmp_path / "foci.png"))
    apart, theory = map(float, re.findall(r"([\d]+) µm", found))
    assert apart == pytest.approx(theory, abs=6.0)  # pixels of 4 µm
    picture = np.asarray(Image.open(tmp_path / "foci.png").convert("L"))
    rows, columns = picture.shape
    inside = picture[rows // 8 : -rows // 8, columns // 4 : -columns // 3]  # the dark plane and two foci in it
    assert np.median(inside) < 20 < 200 < inside.max()
