"""A small study and its designs, shared by the tests of studies."""

from __future__ import annotations

from pathlib import Path

from opticdesign.design import load_design
from tests.support.design_texts import D2NN5, TINY

STUDY = """\
kind = "table"
name = "small"
seeds = [0, 1]
common = ["training.batch=2"]

[quick]
seeds = [0]
set = ["data.fields=4"]

[[rows]]
name = "A"
title = "optics and decoder"
design = "designs/tiny.toml"
paper = { psnr_field = 16.1, psnr_patch = 16.9, ssim_field = 0.58, ssim_patch = 0.6 }

[[rows]]
name = "B"
title = "trained further"
design = "designs/tiny.toml"
from = "A"
set = ["training.stages.joint.steps=2"]
quick = ["decoder.channels=16"]

[[rows]]
name = "none"
floor = "constant"
of = "A"

[[rows]]
name = "A-clear"
floor = "clear"
of = "A"

[[rows]]
name = "B-clear"
floor = "clear"
of = "B"
from = "A-clear"
"""

SMALL = STUDY[: STUDY.index('[[rows]]\nname = "B"')].replace("seeds = [0, 1]", "seeds = [0]")
SMALL += '[[rows]]\nname = "none"\nfloor = "constant"\nof = "A"\n'
"""One trained row, its constant floor, one seed."""

_STEPS = tuple(f"training.stages.{name}.steps=2" for name in ("optics", "decoder", "joint"))
_SHORT = ("optics.layers=1", "data.fields=3", *_STEPS)


def write_study(folder: Path, text: str = STUDY) -> Path:
    """The study as a file, with the tiny design it names."""
    (folder / "designs").mkdir(exist_ok=True)
    (folder / "designs" / "tiny.toml").write_text(load_design(D2NN5, [*TINY, *_SHORT]).to_toml(), encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path
