"""Every command of the documentation runs, at a tiny size; the two installing ones are run by .ci/run."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from opticdesign.cli import run_command
from tests.support.defocused_cell import defocused
from tests.support.design_texts import ROOT, TINY

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
INSTALLING = ("python3 -m venv", ".venv/bin/pip")


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    text = "".join(blocks).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "designs", tmp_path / "designs")
    (tmp_path / "cells").mkdir()
    smooth = np.cumsum(np.cumsum(np.random.default_rng(0).normal(size=(600, 600)), 0), 1)
    np.save(tmp_path / "cells" / "field.npy", (smooth / np.abs(smooth).max()).astype(np.float32))
    (tmp_path / "frames").mkdir()
    for name, z_m in (("I0", 0.0), ("Iz", 2.5e-6)):
        tifffile.imwrite(tmp_path / "frames" / f"{name}.tif", defocused(z_m))
    lapse = np.random.default_rng(0).integers(2000, 2800, (3, 20, 24), np.uint16)
    tifffile.imwrite(tmp_path / "frames" / "lapse.tif", lapse, photometric="minisblack")
    monkeypatch.chdir(tmp_path)
    for line in commands(page):
        if line.startswith(INSTALLING):
            continue
        words = shlex.split(line, comments=True)
        assert words[0] == "opticdesign", line
        if words[1] == "optimize":
            own_data = "data.kind=folder" in words
            settings = [setting for setting in TINY if not (own_data and setting.startswith("data."))]
            if "designs/lff64.toml" in words:  # its pupil is as wide as its field
                settings = [setting for setting in settings if "layers" not in setting] + ["optics.radius=16.0"]
            if "designs/dlsrqpi.toml" in words:  # it has one stage, and a mask only where it is asked for
                kept = ("neurons", "binning", "channels", "fields", "overlap", "batch", "decoder.steps")
                settings = [setting for setting in settings if setting.partition("=")[0].endswith(kept)]
            words += [part for setting in settings for part in ("--set", setting)] + ["--quick"]
        monkeypatch.setattr(sys, "argv", words)
        assert run_command() == 0, line


def test_ci_uses_the_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    lines = [line for line in commands(ROOT / "README.md") if line.startswith(INSTALLING)]
    assert len(lines) == 2
    assert 'pip install -c constraints.txt -e ".[test]"' in lines[1] and "pytest" in lines[1]
    assert "<!-- tests -->" in script and "README.md" in script


def test_pictures_and_links_of_the_pages_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
