from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from opticdesign.runs.run_folder import open_run
from tests.support.design_texts import D2NN5

Command = Callable[..., Any]


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Two flat height maps, the second one with a square of 500 nm."""
    heights = np.zeros((2, 64, 64), np.float32)
    heights[1, 16:48, 16:48] = 173.0
    said = {"description": '{"unit": "nm"}', "metadata": None}
    tifffile.imwrite(tmp_path / "masks.tif", heights, photometric="minisblack", **said)
    return tmp_path / "masks.tif"


@pytest.fixture
def importing(tiny_settings: list[str], flat: Path) -> list[object]:
    """A command line that imports them without training; masks of one cell need not repeat."""
    return ["import", flat, "--design", D2NN5, *tiny_settings, "--set", "optics.cell=64", "--no-training"]


def test_drc_exits_1_when_a_rule_is_broken_and_writes_its_files(command: Command, run_copy: Path) -> None:
    done = command("drc", run_copy, "--min-feature", "700 nm")
    assert done.returncode == 1
    assert "rules are BROKEN" in done.stdout
    for part in ("width", "gap", "corner", "area", "aspect", "≥ 700 nm", "316.4 nm", "0.49 µm²", "the first 500"):
        assert part in done.stdout
    assert "remedy for width, gap, area: larger neurons" in done.stderr
    assert "remedy for corner: " in done.stderr
    names = ["report.json", "violations.csv", "violations.lyrdb"]
    assert sorted(path.name for path in (run_copy / "drc").iterdir()) == names
    assert json.loads((run_copy / "drc" / "report.json").read_text())["ok"] is False


def test_import_makes_a_run_and_drc_exits_0_where_it_is_clean(
    command: Command, importing: list[object], flat: Path, tmp_path: Path
) -> None:
    done = command(*importing, "--output", tmp_path / "imported")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'imported'}\n"
    assert "decoder: untrained" in done.stderr and "of 2π" in done.stderr
    assert open_run(tmp_path / "imported").info["imported"]["files"][0]["name"] == "masks.tif"
    clean = command("drc", tmp_path / "imported", "--min-feature", "5 um", "--to", tmp_path / "elsewhere", "--json")
    assert clean.returncode == 0, clean.stderr
    assert json.loads(clean.stdout) == json.loads((tmp_path / "elsewhere" / "report.json").read_text())
    assert not (tmp_path / "imported" / "drc").exists()


def test_import_as_json_says_what_came_from_where(command: Command, importing: list[object], tmp_path: Path) -> None:
    done = command(*importing, "--output", tmp_path / "imported", "--json", "--quick")
    told = json.loads(done.stdout)
    assert told["folder"] == str(tmp_path / "imported")
    assert (told["importer"], told["decoder"], told["quick"]) == ("tiff", "untrained", True)
    assert [file["name"] for file in told["files"]] == ["masks.tif"]


def test_import_trains_the_decoder(command: Command, importing: list[object], tmp_path: Path) -> None:
    done = command(*importing[:-1], "--quick", "--output", tmp_path / "imported")
    assert done.returncode == 0, done.stderr
    assert "decoder: trained" in done.stderr
    assert open_run(tmp_path / "imported").info["status"] == "complete"


@pytest.mark.parametrize("suffix", ["gds", "oas"])
def test_import_of_what_is_no_layout_says_what_one_is(
    suffix: str, command: Command, importing: list[object], tmp_path: Path
) -> None:
    false = tmp_path / f"false.{suffix}"
    false.write_text("no layout")
    done = command("import", false, *importing[2:])
    assert done.returncode == 2
    assert f"{false}: cannot be read: " in done.stderr and "expected: a whole " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unit", "kg"], "is no unit of masks"),
        (["--pitch", "-3 nm"], "--pitch -3 nm"),
        (["--pitch", "1 um"], "pixels of 316.4 nm"),
        (["--set", "optics.neurons=128"], "64 × 64 samples"),
        (["--layers", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_import_of_what_does_not_fit_exits_2_and_writes_nothing(
    arguments: list[str], message: str, command: Command, importing: list[object], flat: Path, tmp_path: Path
) -> None:
    done = command(*importing, *arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert "remedy" in done.stderr or "expected" in done.stderr
    assert list(tmp_path.iterdir()) == [flat]


@pytest.mark.parametrize("length", ["300", "0 nm", "3 kg"])
def test_drc_refuses_what_is_no_length(length: str, command: Command, run_copy: Path) -> None:
    done = command("drc", run_copy, "--min-feature", length)
    assert done.returncode == 2
    assert "remedy" in done.stderr
    assert not (run_copy / "drc").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tone", "etch"], "--tone: meaningless for a file of type .tif"),
        (["--no-mirror"], "--mirror: meaningless for a file of type .tif"),
        (["--origin", "0 um, 0 um"], "--origin: meaningless for a file of type .tif"),
        (["--off-grid", "--cell", "TOP"], "--cell, --off-grid: meaningless for a file of type .tif"),
        (["--full-scale", "2pi"], "--full-scale: meaningless for the float32 numbers of masks.tif"),
        (["--unit", "um"], "--unit is not the unit that the file says"),
        (["--tone", "dark"], "expected: keep or etch"),
        (["--kind", "greys"], "expected: levels or bits"),
        (["--origin", "3 um"], "two lengths with a comma between them"),
        (["--full-scale", "2 kg"], "is no unit of masks"),
    ],
)
def test_what_is_said_and_means_nothing_is_refused(
    arguments: list[str], message: str, command: Command, importing: list[object], flat: Path, tmp_path: Path
) -> None:
    done = command(*importing, *arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [flat]


def test_import_into_a_run_names_a_remedy_that_exists(
    command: Command, importing: list[object], tmp_path: Path
) -> None:
    folder = tmp_path / "a run"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    done = command(*importing, "--output", folder)
    assert done.returncode == 2 and "already there" in done.stderr
    remedy = f"opticdesign optimize '{folder}'/design.toml --output '{folder}' --resume"
    assert f"choose another --output, or continue the run in it: {remedy}" in done.stderr


def test_import_of_greys_says_what_they_are_taken_for(
    command: Command, importing: list[object], flat: Path, tmp_path: Path
) -> None:
    heights = tifffile.imread(flat)
    paths = [tmp_path / f"mask{number}.bmp" for number in (1, 2)]
    for path, plane in zip(paths, heights, strict=True):
        Image.fromarray((plane > 0).astype(np.uint8) * 128).save(path)
    line = ["import", *paths, *importing[2:], "--output", tmp_path / "imported"]
    assert "grey values, up to 0 of 255" in command(*line).stderr
    done = command(*line, "--full-scale", "2pi")
    assert done.returncode == 0, done.stderr
    assert "greys are taken as a phase in proportion, 0 to 255" in done.stderr
    assert open_run(tmp_path / "imported").info["imported"]["said"] == {"--full-scale": f"{2 * np.pi} rad"}
