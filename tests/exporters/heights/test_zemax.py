"""OpticStudio grids: the head, the order of the points and the values, confirmed by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import export_design, exporters
from opticdesign.handover.manifest import load_manifest

SAG, PHASE = "zemax/layer2_sag.DAT", "zemax/layer2_phase.DAT"


def read(folder):
    return exporters()["zemax"].read(folder, load_manifest(folder))


def test_numpy_sees_sag_in_millimetres_and_phase_in_radians(make_job, tmp_path):
    job = make_job(8, (2, 21, 34))
    export_design(job, ["zemax"], tmp_path / "x", {})
    for layer, levels in enumerate(torch.from_numpy(job.levels), start=1):
        sag, phase = (tmp_path / f"x/zemax/layer{layer}_{kind}.DAT" for kind in ("sag", "phase"))
        for path in (sag, phase):
            head = np.loadtxt(path, max_rows=1)
            np.testing.assert_allclose(head, [34, 21, 316.4e-6, 316.4e-6, 0, 0, 0], rtol=1e-15)
        points = np.loadtxt(sag, skiprows=1).reshape(21, 34, 5)
        np.testing.assert_array_equal(points[..., 0], job.process.height_of_level(levels).numpy() * 1e3)
        assert not points[..., 1:].any()
        angles = np.loadtxt(phase, skiprows=1)[:, 0].reshape(21, 34).astype(np.float32)
        np.testing.assert_array_equal(angles, job.process.phase_of_level(levels).numpy())


def test_the_first_point_is_the_upper_left_one(f_job, tmp_path):
    """−x, +y first, then along the row: the F stands in the file as in the array."""
    manifest = export_design(f_job, ["zemax"], tmp_path / "x", {})
    sag = np.loadtxt(tmp_path / "x/zemax/layer1_sag.DAT", skiprows=1)[:, 0]
    np.testing.assert_array_equal(sag[:12] > 0, [1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0])
    assert "upper left corner (-x, +y)" in manifest.record("zemax").options["rows"]


def test_the_options_say_what_no_file_can(make_job, tmp_path):
    options = export_design(make_job(), ["zemax"], tmp_path / "x", {}).record("zemax").options
    assert set(options) == {"rows", "derivatives", "interpolation", "sag", "phase", "unitflag"}


def test_lines_end_as_on_windows(small_of):
    _, folder = small_of("zemax")
    data = (folder / SAG).read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == 1 + 9 * 7


def test_a_grid_smaller_than_opticstudio_takes_is_refused(make_job, tmp_path):
    with pytest.raises(UsageError, match="a mask of 4 by 9 pixels as a grid of OpticStudio"):
        export_design(make_job(8, (1, 4, 9)), ["zemax"], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [SAG, PHASE])
@pytest.mark.parametrize(
    ("line", "old", "new", "why"),
    [
        (1, b"7 9", b"9 7", "line 1: a grid of 9 by 7 points, expected 7 by 9"),
        (1, b"0.0003164 ", b"0.0003165 ", "line 1: delx in mm is 0.0003165, expected 0.0003164"),
        (1, b" 0.0003164 0 0", b" 0.0003165 0 0", "line 1: dely in mm is 0.0003165, expected 0.0003164"),
        (1, b" 0 0 0", b" 3 0 0", "line 1: a unit flag or a decentre that is not 0"),
        (1, b" 0 0 0", b" 0 0 1", "line 1: a unit flag or a decentre that is not 0"),
        (1, b" 0 0 0", b" 0 0", "line 1: expected 7 numbers"),
        (9, b" 0 0 0 0", b" 0 0 0 1", "line 9: a derivative or a flag that is not 0"),
        (9, b" 0 0 0 0", b" 1 0 0 0", "line 9: a derivative or a flag that is not 0"),
        (9, b" 0 0 0 0", b" 0 0 0", "line 9: expected 5 numbers"),
        (9, b" 0 0 0 0", b"x 0 0 0 0", "line 9: expected 5 numbers"),
    ],
)
def test_another_text_is_located(path, line, old, new, why, small_of):
    _, folder = small_of("zemax")
    lines = (folder / path).read_bytes().split(b"\r\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    (folder / path).write_bytes(b"\r\n".join(lines))
    with pytest.raises(VerificationError, match=rf"^{path}: {why}"):
        read(folder)


def swap_points(path) -> None:
    lines = path.read_bytes().split(b"\r\n")
    first, second = 1, next(at for at in range(2, 64) if lines[at] != lines[1])
    lines[first], lines[second] = lines[second], lines[first]
    path.write_bytes(b"\r\n".join(lines))


def test_a_phase_of_another_level_than_the_sag_is_located(small_of):
    _, folder = small_of("zemax")
    swap_points(folder / PHASE)
    with pytest.raises(
        VerificationError, match=rf"^{PHASE}: layer 2 row 0 column 0: another phase than that of the sag"
    ):
        read(folder)


def test_a_sag_that_is_no_level_is_located(small_of):
    _, folder = small_of("zemax")
    lines = (folder / SAG).read_bytes().split(b"\r\n")
    lines[1] = b"0.0001 0 0 0 0"
    (folder / SAG).write_bytes(b"\r\n".join(lines))
    with pytest.raises(VerificationError, match=rf"^{SAG}: layer 2 row 0 column 0: height 0\.0001 mm is no level"):
        read(folder)
