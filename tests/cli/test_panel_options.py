"""Frames of a panel from the command line: what is said, what verify finds, and requests that mean nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opticdesign.runs.export import export_job
from opticdesign.runs.run_folder import open_run

Command = Callable[..., Any]


def test_masks_on_halves_of_a_panel_are_exact_and_their_light_is_told(command: Command, run_copy: Path) -> None:
    exported = command(
        "export", run_copy, "--slm", "--panel", "x15213", "--tiles", "1 2", "--superpixel", "8", "--carrier", "4"
    )
    assert exported.returncode == 0, exported.stderr
    assert "slm: x15213: 8 × 8 panel pixels a pixel, 316.056 times the masks' size" in exported.stderr
    assert [path.name for path in sorted((run_copy / "exports" / "slm").iterdir())] == ["frame1.png", "lut.csv"]
    verified = command("verify", run_copy, "--independent", "0", "--json")
    assert verified.returncode == 0, verified.stderr
    found = json.loads(verified.stdout)
    assert [(row["panel"], row["mask"]) for row in found["panels"]] == [("x15213", 1), ("x15213", 2)]
    assert all(0.4 < row["efficiency"] < 0.95 and row["zero_order"] < 0.01 for row in found["panels"])
    assert found["checks"][0]["phase_error_rad"] < 0.02


def test_frames_are_imported_as_the_masks_that_they_show(command: Command, run_copy: Path, tmp_path: Path) -> None:
    exported = command("export", run_copy, "--slm", "--panel", "slm-200", "--carrier", "-7", "--superpixel", "3")
    assert "a carrier of 7 pixels blurs masks of 3 × 3" in exported.stderr
    frames = [run_copy / "exports" / "slm" / f"frame{number}.png" for number in (1, 2)]
    options = ("--design", run_copy / "design.toml", "--no-training", "--output", tmp_path / "imported")
    done = command("import", *frames, *options)
    assert done.returncode == 0, done.stderr
    assert "read as manifest.json says: slm, 8 levels" in done.stderr
    masks = [export_job(open_run(folder))[0].levels for folder in (run_copy, tmp_path / "imported")]
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--center", "1 2"), "--center 1 2 without a panel"),
        (("--gds", "--panel", "x15213"), "--panel x15213 without frames"),
        (("--panel", "x15213", "--center", "here"), "--center here"),
        (("--panel", "x15213", "--tiles", "1.5 2"), "--tiles 1.5 2"),
        (("--panel", "x15213", "--superpixel", "17"), "expected: at most --superpixel 16"),
        (("--panel", "none.toml"), "none.toml: no such file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    arguments: tuple[str, ...], said: str, command: Command, run_copy: Path
) -> None:
    done = command("export", run_copy, *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not (run_copy / "exports").exists()
