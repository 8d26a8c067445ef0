from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import exporting
from benchmarks.exporting import Case, Measured, cases, main, page
from benchmarks.layout_worker import masks, measure
from benchmarks.layout_writers import FORMATS, LEVELS, OURS, WRITERS, right_area

CONTOURS = next(name for name in WRITERS if "contours" in name)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_covers_the_area_of_each_level_but_contours_cut_corners(writer: str, form: str) -> None:
    found = measure(writer, form, "random", 2, 12, check=True)
    assert found["right"] == (writer != CONTOURS)
    assert found["bytes"] > 100 and found["seconds"] > 0.0


def test_a_file_of_other_masks_is_noticed(tmp_path: Path) -> None:
    levels = masks("random", 1, 12)
    path = WRITERS[OURS](levels, "gds", tmp_path)
    assert right_area(levels, path)
    other = levels.copy()
    other[0, 3, 4] = (other[0, 3, 4] + 3) % LEVELS
    assert not right_area(other, path)


@pytest.mark.parametrize("pattern", ["random", "smooth"])
def test_masks_use_every_level_and_smooth_ones_seldom_step(pattern: str) -> None:
    levels = masks(pattern, 2, 64)
    assert levels.shape == (2, 64, 64) and set(np.unique(levels)) == set(range(LEVELS))
    np.testing.assert_array_equal(levels, masks(pattern, 2, 64))
    steps = (np.diff(levels, axis=2) != 0).mean()
    assert (steps < 0.7) == (pattern == "smooth")


def test_all_writers_meet_on_one_mask_and_ours_alone_on_five() -> None:
    for quick in (False, True):
        for case, writers in cases(quick):
            assert set(writers) == (set(WRITERS) if case.count == 1 else {OURS})
    assert {case.size for case, _ in cases(False)} == {256, 1024}


def test_the_page_has_ratios_limits_and_what_failed() -> None:
    one, five = Case("random", 1, 256), Case("random", 5, 256)
    rows = [
        Measured(one, OURS, "gds", 0.5, 2_000_000, 10_000_000, True),
        Measured(one, "theirs", "gds", 5.0, 8_000_000, 1, False),
        Measured(one, "slow", "gds", remark="stopped after 30 min"),
        Measured(five, OURS, "gds", 1.25, 10_000_000, 20_000_000, True),
    ]
    about: dict[str, object] = {"cpu": "some CPU", "malloc": {"default": {}}, "versions": {"gdstk": "1"}}
    assert "\ncpu some CPU; versions: gdstk 1\n" in page(rows, about, "quick")
    lines = [line for line in page(rows, about, "quick").splitlines() if line.startswith("| random")]
    assert lines[0] == "| random, 1 × 256² | gds | ours | 0.5 s | 2 MB | 10 MB |  |"
    assert "5 s (10×) | 8 MB (4×)" in lines[1] and "other areas" in lines[1]
    assert lines[2].endswith("| – | – | – | stopped after 30 min |")
    assert "1.25 s, ABOVE 1 s" in lines[3] and "(2× that of one mask)" in lines[3]


def test_files_are_written_in_processes_and_what_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "cases", lambda quick: [(Case("random", 1, 16), (OURS, "nobody"))])
    monkeypatch.setattr(exporting, "FORMATS", ("gds",))
    main(["--quick", "--json", str(tmp_path / "rows.json"), "--page", str(tmp_path / "page.md")])
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["writer"], row["right"], bool(row["seconds"])) for row in rows] == [
        (OURS, True, True),
        ("nobody", None, False),
    ]
    assert "KeyError: 'nobody'" in rows[1]["remark"]
    assert "# Writing layouts" in (tmp_path / "page.md").read_text()
    assert "16²" in capsys.readouterr().out
