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

from opticdesign.runs.run_folder import Run
from tests.support.design_texts import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
_NUMBER = r"(-?[\d.]+)"
THEORY = {  # what an example prints and theory beside it: how often, and how far apart they may be
    "airy_focus.py": (rf"{_NUMBER} µm, \S.* = {_NUMBER} µm", 2, 0.03),
    "grating_orders.py": (rf"order .* {_NUMBER} of the light, sinc²\(m/L\) = {_NUMBER}", 3, 0.02),
    "hologram.py": (rf"after rounding: {_NUMBER}, sinc²\(1/8\) = {_NUMBER}", 1, 0.01),
    "lens_mask_camera.py": (rf"{_NUMBER} µm apart, .* = {_NUMBER} µm", 1, 0.08),  # pixels of 4 µm
    "loading_a_run.py": (rf"{_NUMBER} rad apart, 2π/L = {_NUMBER} rad", 1, 1e-4),
    "own_exporter.py": (rf"within {_NUMBER} mrad, half a nanometre is {_NUMBER} mrad", 1, 0.1),
    "phase_contrast.py": (rf"contrast {_NUMBER}, 2φ = {_NUMBER};", 3, 0.06),
    "quantised_lens.py": (rf"{_NUMBER} of the ideal focus, sinc²\(1/L\) = {_NUMBER}", 4, 0.01),
    "tolerance_of_own_metric.py": (rf"Strehl ratio {_NUMBER}, theory {_NUMBER}", 3, 0.015),
}


def run(name: str, *arguments: str) -> str:
    line = [sys.executable, "-W", "error", str(ROOT / "examples" / name), "--small", *arguments]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pairs(pattern: str, text: str) -> list[tuple[float, float]]:
    return [(float(found), float(theory)) for found, theory in re.findall(pattern, text)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_ends_in_a_picture_and_agrees_with_theory(path: Path, tmp_path: Path) -> None:
    text = run(path.name, "--save", str(tmp_path / "picture.png"))
    picture = np.asarray(Image.open(tmp_path / "picture.png").convert("L"))
    assert min(picture.shape) > 200 and picture.std() > 10.0
    pattern, count, apart = THEORY.get(path.name, ("", 0, 0.0))
    found = pairs(pattern, text) if count else []
    assert len(found) == count, text
    for number, theory in found:
        assert number == pytest.approx(theory, rel=apart)
    if path.name == "d2nn_from_toml.py":
        before, area, after = map(
            float, re.findall(r"before training (\S+), .* spot (\S+); after training (\S+)", text)[0]
        )
        assert before == pytest.approx(area, rel=0.3) and 0.3 < after < 1.0
    if path.name == "grating_orders.py":
        angles = pairs(rf"at {_NUMBER}°, asin\(mλ/Λ\) = {_NUMBER}°", text)
        assert len(angles) == 3 and np.ptp(angles, axis=1).max() <= 0.02
    if path.name == "own_exporter.py":
        assert text.count("every level read back") == 2


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_has_cells_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n# %% ") >= 3
    assert f"python examples/{path.name}" in (ast.get_docstring(ast.parse(text)) or "")


def test_a_run_that_is_named_is_the_one_that_is_shown(trained_run: Run, tmp_path: Path) -> None:
    text = run("loading_a_run.py", "--run", str(trained_run.folder), "--save", str(tmp_path / "picture.png"))
    assert f"{trained_run.folder.name}: {trained_run.design.name}," in text and "training" not in text
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_gallery_names_every_example() -> None:
    page = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[(\S+)\]\(\1\) \|", page, re.MULTILINE)) == [path.name for path in EXAMPLES]


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
