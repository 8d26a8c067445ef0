"""Points in text: confirmed by NumPy; every point where its pixel is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from opticdesign.errors import VerificationError
from opticdesign.handover.export import export_design, exporters
from opticdesign.handover.manifest import load_manifest

CSV = "xyz/layer2.csv"


def read(folder):
    return exporters()["xyz"].read(folder, load_manifest(folder))


def test_numpy_sees_points_in_micrometres(make_job, tmp_path):
    job = make_job(8, (2, 21, 34))
    export_design(job, ["xyz"], tmp_path / "x", {})
    for layer, levels in enumerate(torch.from_numpy(job.levels), start=1):
        points = np.loadtxt(tmp_path / f"x/xyz/layer{layer}.csv", delimiter=",").reshape(21, 34, 3)
        expected_um = job.process.height_of_level(levels).numpy() * 1e6
        np.testing.assert_array_equal(points[..., 2], expected_um)
        np.testing.assert_allclose(points[0, :, 0], (np.arange(34) + 0.5) * 0.3164, rtol=1e-11)
        np.testing.assert_allclose(points[:, 0, 1], (20.5 - np.arange(21)) * 0.3164, rtol=1e-11)


def test_y_points_up(f_job, tmp_path):
    export_design(f_job, ["xyz"], tmp_path / "x", {})
    x, y, height = np.loadtxt(tmp_path / "x/xyz/layer1.csv", delimiter=",").T
    stem = (x < 0.3164) & (height > 0)
    assert y[stem].max() == y.max() and stem.sum() == 6  # the F begins at the top and ends above the lowest row
    assert height[(y == y.max()) & (x > 4 * 0.3164)].max() == 0


def test_the_head_says_what_the_columns_are(small_of):
    _, folder = small_of("xyz")
    lines = (folder / CSV).read_text().splitlines()
    assert lines[0] == "# d2nn5, layer 2, 9 rows of 7, pitch 0.3164 x 0.3164 um"
    assert lines[1] == "# x / um,y / um,height / um"


@pytest.mark.parametrize(
    ("line", "old", "new", "why"),
    [
        (1, "layer 2", "layer 1", "line 1: not the head of layer 2 with 9 rows of 7"),
        (1, "9 rows", "7 rows", "line 1: not the head"),
        (1, "0.3164", "0.3165", r"line 1: pitch along y in um is 0\.3165, expected 0\.3164"),
        (1, "0.3164", "e.e", "line 1: expected 1 numbers, found 'e.e'"),
        (1, "# ", "", "line 1: not the head"),
        (2, "um", "nm", "line 2: expected '# x / um,y / um,height / um'"),
        (5, ",", ";", "line 5: expected 3 numbers, found"),
        (5, ",", ",,", "line 5: expected 3 numbers, found"),
        (5, ".", "..", "line 5: expected 3 numbers, found"),
        (5, ".", "_0.", "line 5: expected 3 numbers, found"),
        (5, "0", "nan", "line 5: expected 3 numbers, found"),
        (5, "0", "1e999", "line 5: expected 3 numbers, found"),
        (5, "0.791", "0.792", "layer 2 row 0 column 2: x or y is not that of the pixel's centre"),
        (5, "2.6894", "2.6895", "layer 2 row 0 column 2: x or y is not that of the pixel's centre"),
    ],
)
def test_another_text_is_located(line, old, new, why, small_of):
    _, folder = small_of("xyz")
    lines = (folder / CSV).read_text().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    (folder / CSV).write_text("".join(lines))
    with pytest.raises(VerificationError, match=rf"^{CSV}: {why}"):
        read(folder)


def test_a_changed_height_is_located(small_of):
    _, folder = small_of("xyz")
    lines = (folder / CSV).read_text().splitlines(keepends=True)
    x, y, _ = lines[2 + 4 * 7 + 6].split(",")
    lines[2 + 4 * 7 + 6] = f"{x},{y},0.1234\n"
    (folder / CSV).write_text("".join(lines))
    with pytest.raises(VerificationError, match=rf"^{CSV}: layer 2 row 4 column 6: height 0\.1234 um is no level"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "line 1: the file has 0 lines, expected 65"), ("a", "line 1: the file has 0 lines and a part of one")],
)
def test_another_number_of_lines_is_refused(content, why, small_of):
    _, folder = small_of("xyz")
    (folder / CSV).write_text(content)
    with pytest.raises(VerificationError, match=rf"^{CSV}: {why}"):
        read(folder)
