"""STL solids: opened with trimesh; sizes, orientation and damage."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
import trimesh

from opticdesign.design import Export
from opticdesign.design.exporting import Print
from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import export_design, exporters, verify_files
from opticdesign.handover.manifest import load_manifest

STL = "stl/layer2.stl"
FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def print_of(base: float, magnification: float) -> Export:
    return Export(print=Print(base=f"{base * 1e6} um", magnification=magnification))


def heights_m(job):
    return job.process.height_of_level(torch.from_numpy(job.levels)).numpy()


def read(folder):
    return exporters()["stl"].read(folder, load_manifest(folder))


def facets(path) -> np.ndarray:
    return np.frombuffer(path.read_bytes(), FACET, offset=84).copy()


def rewrite(path, records: np.ndarray) -> None:
    path.write_bytes(path.read_bytes()[:80] + struct.pack("<I", len(records)) + records.tobytes())


@pytest.mark.parametrize(("base", "magnification"), [(2e-6, 1.0), (5e-6, 1000.0), (1e-3, 250.0)])
def test_trimesh_sees_a_closed_solid_in_millimetres(base, magnification, make_job, tmp_path):
    job = make_job(8, (2, 21, 34), spec=print_of(base, magnification))
    export_design(job, ["stl"], tmp_path / "x", {})
    for layer, height in enumerate(heights_m(job), start=1):
        mesh = trimesh.load_mesh(tmp_path / f"x/stl/layer{layer}.stl")
        assert mesh.is_watertight and mesh.is_volume
        scale = 1e3 * magnification
        volume = (base + height).sum() * job.pitch_m[0] ** 2 * scale**3
        assert mesh.volume == pytest.approx(volume, rel=1e-5)  # 32-bit coordinates
        size = np.array([34 * job.pitch_m[1], 21 * job.pitch_m[0], base + height.max()]) * scale
        np.testing.assert_allclose(mesh.bounds, [np.zeros(3), size], rtol=1e-6, atol=0)


def test_a_ray_from_above_meets_the_height_of_its_pixel(f_job, tmp_path):
    """Orientation: x to the right, y up, row 0 at the top."""
    export_design(f_job, ["stl"], tmp_path / "x", {})
    for layer, height in enumerate(heights_m(f_job), start=1):
        mesh = trimesh.load_mesh(tmp_path / f"x/stl/layer{layer}.stl")
        pitch = f_job.pitch_m[0] * 1e3
        up = mesh.triangles[mesh.face_normals[:, 2] > 0.5]
        column, row = (up[..., 0].mean(axis=1) / pitch).astype(int), (7 - up[..., 1].mean(axis=1) / pitch).astype(int)
        seen = np.zeros(height.shape)
        seen[row, column] = up[:, 0, 2] * 1e-3 - 2e-6
        np.testing.assert_allclose(seen, height, atol=1e-12)


def test_normals_are_those_of_the_corners(make_job, tmp_path):
    export_design(make_job(8, (1, 9, 7)), ["stl"], tmp_path / "x", {})
    found = facets(tmp_path / "x/stl/layer1.stl")
    corners = found["corners"].astype(float)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    np.testing.assert_allclose(found["normal"], cross / np.linalg.norm(cross, axis=1, keepdims=True), atol=1e-4)
    assert not found["attribute"].any()
    assert not np.signbit(found["normal"][found["normal"] == 0]).any()


def test_heights_of_a_table_are_those_of_the_solid(make_job, tmp_path):
    job = make_job(4, (1, 9, 7), heights_m=(0.0, 100e-9, 350e-9, 1200e-9))
    export_design(job, ["stl"], tmp_path / "x", {})
    z = np.unique(trimesh.load_mesh(tmp_path / "x/stl/layer1.stl").triangles[..., 2]) * 1e-3 - 2e-6
    for height in job.process.heights_m:
        assert np.abs(z - height).min() < 1e-12
    np.testing.assert_array_equal(read(tmp_path / "x").levels, job.levels)


def test_256_levels_on_a_thick_plate_are_read_back(make_job, tmp_path):
    job = make_job(256, (1, 16, 16), spec=print_of(100e-6, 1.0))
    export_design(job, ["stl"], tmp_path / "x", {})
    np.testing.assert_array_equal(read(tmp_path / "x").levels, job.levels)


def test_a_plate_that_blurs_the_levels_is_refused(make_job, tmp_path):
    job = make_job(256, (1, 9, 7), spec=print_of(0.5, 1.0))
    with pytest.raises(UsageError, match=r"levels 5\.41e-06 mm apart in a solid 500 mm long, in numbers of 32 bits"):
        export_design(job, ["stl"], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


def test_a_raised_pixel_is_located(small_of):
    job, folder = small_of("stl")
    found = facets(folder / STL)
    top = 2e-3 + job.process.height_of_level(torch.tensor(7)).item() * 1e3
    highest = np.isclose(found["corners"][..., 2], top, rtol=1e-6)
    found["corners"][..., 2][highest] += 1e-5  # all corners of the highest level at once: still closed
    rewrite(folder / STL, found)
    row, column = np.argwhere(job.levels[1] == 7)[0]
    with pytest.raises(VerificationError, match=rf"{STL}: layer 2 row {row} column {column}: height .* is no level"):
        read(folder)


def test_another_level_is_located(small_of):
    job, folder = small_of("stl")
    expected = np.where(job.levels == 7, 6, job.levels)
    (check,) = verify_files(folder, expected, job.process)
    row, column = np.argwhere(job.levels[0] == 7)[0]
    assert check.problems[0].startswith(f"stl/layer1.stl: layer 1 row {row} column {column}: level 7, expected 6")


def shifted(found: np.ndarray, axis: int, by: float) -> np.ndarray:
    changed = found.copy()
    changed["corners"][..., axis] += by
    return changed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda found: found[:-1], "has an edge that it does not share with one other"),
        (lambda found: found[:0], "layer 2 row 0 column 0: not covered once"),
        (lambda found: np.concatenate((found, found[:1])), "has an edge that it does not share"),
        (lambda found: np.concatenate((found, found)), "has an edge that it does not share"),
        (lambda found: shifted(found, 0, 1e-4), "off the pixel grid"),
        (lambda found: shifted(found, 0, 316.4e-6), "off the pixel grid"),
        (lambda found: shifted(found, 1, np.nan), "has a corner that is nowhere"),
        (lambda found: shifted(found, 2, np.inf), "has a corner that is nowhere"),
        (lambda found: shifted(found, 2, -1e-3), "faces down above the underside"),
    ],
)
def test_another_solid_is_refused(change, why, small_of):
    _, folder = small_of("stl")
    rewrite(folder / STL, change(facets(folder / STL)))
    with pytest.raises(VerificationError, match=rf"^{STL}: .*{why}"):
        read(folder)


def test_a_solid_turned_inside_out_is_refused(small_of):
    _, folder = small_of("stl")
    found = facets(folder / STL)
    found["corners"] = found["corners"][:, ::-1]
    rewrite(folder / STL, found)
    with pytest.raises(VerificationError, match="faces down above the underside"):
        read(folder)


def test_a_slope_is_refused(small_of):
    """A closed tetrahedron beside the relief: only its walls betray it."""
    _, folder = small_of("stl")
    pitch = np.float32(316.4e-6)
    points = np.array([[0, 0, 0], [pitch, 0, 0], [0, pitch, 0], [0, 0, 1e-3]], np.float32)
    extra = np.zeros(4, FACET)
    extra["corners"] = points[[[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]]
    rewrite(folder / STL, np.concatenate((facets(folder / STL), extra)))
    with pytest.raises(VerificationError, match=rf"^{STL}: triangle \d+ (slopes|has an edge)"):
        read(folder)


@pytest.mark.parametrize("content", [b"", b"solid text\nendsolid\n", bytes(84), bytes(83)])
def test_another_kind_of_file_is_refused(content, small_of):
    _, folder = small_of("stl")
    (folder / STL).write_bytes(content)
    with pytest.raises(VerificationError, match=rf"^{STL}: "):
        read(folder)


@pytest.mark.parametrize("key", ["base_m", "magnification"])
@pytest.mark.parametrize("value", ["none", 0.0, -1.0, 1e300])
def test_a_manifest_without_a_sound_scale_is_refused(key, value, small_of):
    _, folder = small_of("stl")
    manifest = load_manifest(folder)
    (record,) = manifest.exports
    damaged = record.model_copy(update={"options": {**record.options, key: value}})
    with pytest.raises(VerificationError, match=r"^manifest\.json: stl: .*" + key):
        exporters()["stl"].read(folder, manifest.model_copy(update={"exports": (damaged,)}))
