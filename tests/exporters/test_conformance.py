"""What every exporter must do; a new exporter joins by its name in NAMES."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from opticdesign.design import Export
from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import ExportJob, export_design, exporters, verify_files
from opticdesign.handover.manifest import Manifest, load_manifest, sha256
from tests.support.mask_extent import EXTENTS

NAMES = ("3mf", "gds", "grey", "gsf", "heightmap", "oasis", "png16", "preview", "slm", "stl", "xyz", "zemax")
LEAST = {"zemax": 5}  # pixels along a side that a format takes
PHASE_ERROR_RAD = {"grey": math.pi / 255}  # of formats whose greys do not fall on levels
PITCHES_M = {
    "the 4-f filter of 64 x 128 points": ((64, 128), (9.8880273e-6, 4.9440137e-6)),
    "upright": ((9, 7), (400e-9, 800e-9)),
    "three to one, odd": ((11, 25), (949.2e-9, 316.4e-9)),
    "divided by no unit": ((12, 9), (1e-6 / 3, 5e-6 / 7)),
    "one divided, one not": ((10, 21), (1e-6, 1e-6 / 3)),
}
every_exporter = pytest.mark.parametrize("name", NAMES)


def read_back(job: ExportJob, name: str, folder: Path) -> np.ndarray:
    export_design(job, [name], folder, {})
    (check,) = verify_files(folder, job.levels, job.process)
    assert check.ok, check.problems
    return check.readback.levels


def test_exporters_are_found_by_entry_points():
    found = exporters()
    assert set(NAMES) <= set(found)
    assert all(found[name].name == name and found[name].summary for name in NAMES)


@every_exporter
@pytest.mark.parametrize("levels", [2, 3, 8, 16, 256])
def test_read_back_gives_the_exact_levels(name, levels, make_job, tmp_path):
    job = make_job(levels)
    result = read_back(job, name, tmp_path / "x")
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, job.levels)


@every_exporter
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 40), (2, 40, 1), (1, 64, 64), (7, 5, 9)])
def test_read_back_holds_for_any_shape(name, shape, make_job, tmp_path):
    job = make_job(8, shape)
    if min(shape[1:]) < (least := LEAST.get(name, 1)):
        with pytest.raises(UsageError, match=f"expected: at least {least}"):
            export_design(job, [name], tmp_path / "x", {})
        return
    np.testing.assert_array_equal(read_back(job, name, tmp_path / "x"), job.levels)


@every_exporter
def test_read_back_keeps_the_orientation(name, f_job, tmp_path):
    result = read_back(f_job, name, tmp_path / "x")
    np.testing.assert_array_equal(result, f_job.levels)
    turned = [np.rot90(f_job.levels[0], k) for k in range(1, 4)] + [f_job.levels[0][::-1], f_job.levels[0][:, ::-1]]
    assert not any(np.array_equal(result[0], other) for other in turned)


@every_exporter
@pytest.mark.parametrize("value", [0, 7])
def test_read_back_holds_for_a_constant_mask(name, value, make_job, tmp_path):
    job = make_job(array=np.full((1, 12, 8), value, dtype=np.uint8))
    np.testing.assert_array_equal(read_back(job, name, tmp_path / "x"), job.levels)


@every_exporter
@pytest.mark.parametrize("levels", [2, 8, 16, 256])
def test_read_back_phase_has_the_bits_of_the_designed_phase(name, levels, make_job, tmp_path):
    import torch

    job = make_job(levels)
    export_design(job, [name], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    designed = job.process.phase_of_level(torch.from_numpy(job.levels)).numpy()
    assert check.readback.phase_rad.dtype == np.float32
    assert check.phase_error_rad <= PHASE_ERROR_RAD.get(name, 0.0)
    if name not in PHASE_ERROR_RAD:
        assert check.readback.phase_rad.tobytes() == designed.tobytes()


@every_exporter
def test_heights_of_a_table_are_read_back(name, make_job, tmp_path):
    job = make_job(5, (2, 8, 9), heights_m=(0.0, 100e-9, 350e-9, 360e-9, 1200e-9))
    export_design(job, [name], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
    np.testing.assert_array_equal(check.readback.levels, job.levels)


@every_exporter
def test_equal_jobs_give_equal_bytes(name, make_job, tmp_path):
    manifests = [export_design(make_job(), [name], tmp_path / folder, {}) for folder in ("a", "b")]
    assert manifests[0] == manifests[1]
    for file in manifests[0].record(name).files:
        assert (tmp_path / "a" / file.path).read_bytes() == (tmp_path / "b" / file.path).read_bytes()


def test_equal_jobs_give_equal_bytes_at_another_time(make_job, tmp_path):
    first = export_design(make_job(), NAMES, tmp_path / "a", {})
    time.sleep(2.1)  # archives count in steps of two seconds, layouts in seconds
    assert export_design(make_job(), NAMES, tmp_path / "b", {}) == first


@every_exporter
def test_a_read_only_view_is_written(name, make_job, tmp_path):
    whole = make_job().levels
    view = whole[:, ::-1, ::2].transpose(0, 2, 1)
    view.flags.writeable = False
    np.testing.assert_array_equal(read_back(make_job(array=view), name, tmp_path / "x"), view)


@every_exporter
def test_manifest_records_every_file(name, make_job, tmp_path):
    job = make_job()
    manifest = export_design(job, [name], tmp_path / "x", {"checkpoint": "ab", "quick": True})
    assert load_manifest(tmp_path / "x") == manifest
    assert manifest.provenance == {"checkpoint": "ab", "quick": True}
    assert manifest.process.process == job.process
    assert (manifest.shape, manifest.pitch_m) == (job.levels.shape, job.pitch_m)
    written = {path.relative_to(tmp_path / "x").as_posix() for path in (tmp_path / "x").rglob("*") if path.is_file()}
    files = manifest.record(name).files
    assert written == {"manifest.json", *(file.path for file in files)}
    for file in files:
        data = (tmp_path / "x" / file.path).read_bytes()
        assert (file.sha256, file.bytes) == (sha256(data), len(data))
        assert file.unit and file.description and file.path.startswith(f"{name}/")


@every_exporter
def test_another_mask_is_located(name, make_job, tmp_path):
    job = make_job()
    export_design(job, [name], tmp_path / "x", {})
    expected = job.levels.copy()
    expected[2, 17, 20] = (expected[2, 17, 20] + 1) % 8
    expected[2, 19, 3] = (expected[2, 19, 3] + 1) % 8
    (check,) = verify_files(tmp_path / "x", expected, job.process)
    (problem,) = check.problems
    value = job.levels[2, 17, 20]
    assert f"layer 3 row 17 column 20: level {value}, expected {(value + 1) % 8} (and 1 more)" in problem
    assert problem.startswith(f"{name}/")


@every_exporter
def test_a_missing_file_is_named(name, make_job, tmp_path):
    job = make_job()
    manifest = export_design(job, [name], tmp_path / "x", {})
    path = manifest.record(name).files[0].path
    (tmp_path / "x" / path).unlink()
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.problems == (f"{path}: cannot be read: no such file",)
    assert check.readback is None


@every_exporter
def test_a_file_grown_without_bounds_is_not_read(name, small_of):
    job, folder = small_of(name)
    file = load_manifest(folder).record(name).files[0]
    with (folder / file.path).open("r+b") as stream:
        stream.truncate(file.bytes + (1 << 30))
    check = next(check for check in verify_files(folder, job.levels, job.process) if check.exporter == name)
    assert f"{file.path}: cannot be read: larger than" in check.problems[0]


@every_exporter
def test_read_needs_a_record(name, small_of):
    _, folder = small_of(name)
    manifest = load_manifest(folder)
    bare = manifest.model_copy(update={"exports": ()})
    with pytest.raises(VerificationError, match=f"no files of the exporter '{name}'"):
        exporters()[name].read(folder, bare)


@every_exporter
@pytest.mark.parametrize("case", PITCHES_M)
def test_rectangular_pixels_come_back_at_their_true_size(name, case, make_job, tmp_path):
    (rows, columns), pitch_m = PITCHES_M[case]
    job = make_job(8, (2, rows, columns), pitch_m=pitch_m)
    export_design(job, [name], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
    np.testing.assert_array_equal(check.readback.levels, job.levels)
    size_m = rows * pitch_m[0], columns * pitch_m[1]
    within = 1e-3 * min(pitch_m) / min(size_m) + (2e-9 / min(size_m) if name in ("gds", "oasis") else 0.0)
    if name in EXTENTS:  # as another program reads the file
        assert EXTENTS[name](tmp_path / "x", job) == pytest.approx(size_m, rel=within)
    for extent in check.readback.extents:
        assert extent.size_m == pytest.approx(size_m, rel=within)
        assert extent.offset_m == pytest.approx((0.0, 0.0), abs=2e-9)
    assert len(check.readback.extents) == (0 if name in ("grey", "preview", "slm") else 2)


@pytest.mark.parametrize("layout", [{"mirror": True}, {"kind": "bits", "tone": "etch", "array": (2, 1)}])
@pytest.mark.parametrize("name", ["gds", "oasis"])
def test_other_layouts_of_rectangular_pixels_have_their_size(name, layout, make_job, tmp_path):
    spec = Export.model_validate({"layout": layout})
    job = make_job(8, (2, 14, 30), pitch_m=(2e-6 / 3, 1e-6 / 7), spec=spec)
    export_design(job, [name], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
    for extent in check.readback.extents:
        assert extent.size_m == pytest.approx((14 * 2e-6 / 3, 30e-6 / 7), abs=2e-9)
        assert extent.offset_m == pytest.approx((0.0, 0.0), abs=1e-9)


def test_half_toned_chrome_of_rectangular_pixels_comes_back(make_job, tmp_path):
    openings = np.random.default_rng(1).integers(0, 17, (1, 10, 12), dtype=np.uint16)
    spec = Export.model_validate({"layout": {"halftone": 4}})
    job = make_job(2, array=np.zeros((1, 10, 12), np.uint8), pitch_m=(9e-6, 3.1e-6), openings=openings, spec=spec)
    export_design(job, ["gds"], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process, openings)
    assert check.ok, check.problems
    assert check.readback.extents[0].size_m == pytest.approx((90e-6, 37.2e-6), rel=1e-6)


def test_a_manifest_of_one_pitch_has_square_pixels(make_job, tmp_path):
    manifest = export_design(make_job(), ["slm"], tmp_path / "x", {})
    text = manifest.to_bytes().replace(b'"pitch_m": [\n    3.164e-7,\n    3.164e-7\n  ]', b'"pitch_m": 3.164e-7')
    assert text != manifest.to_bytes()
    assert Manifest.model_validate_json(text) == manifest
