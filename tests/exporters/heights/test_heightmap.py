"""Height maps: confirmed by Pillow, tifffile and NumPy; changed values and tags located."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from opticdesign.errors import VerificationError
from opticdesign.handover.export import export_design, exporters, verify_files
from opticdesign.handover.manifest import load_manifest
from opticdesign_exporters.heights.npz_reader import read_npz
from opticdesign_exporters.heights.tiff_reader import read_tiff

TIFF, NPZ = "heightmap/layer2.tif", "heightmap/heights.npz"


def heights_m(job):
    return job.process.height_of_level(torch.from_numpy(job.levels)).numpy()


def problems(folder, job):
    check = next(check for check in verify_files(folder, job.levels, job.process) if check.exporter == "heightmap")
    assert "changed since it was exported" in check.problems[0]
    return check.problems[1:]


def rewrite_tiff(path, **changes):
    """Write the image again with tifffile, some arguments changed."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        values, description = page.asarray(), page.description
        resolution = [tag.value[0] / tag.value[1] for tag in (page.tags[282], page.tags[283])]
    arguments = {
        "data": values,
        "byteorder": "<",
        "metadata": None,
        "description": description,
        "resolution": resolution,
        "resolutionunit": "CENTIMETER",
        "photometric": "minisblack",
    } | changes
    tifffile.imwrite(path, **arguments)


def test_pillow_and_tifffile_see_heights_in_nanometres(make_job, tmp_path):
    job = make_job()
    export_design(job, ["heightmap"], tmp_path / "x", {})
    for layer, plane in enumerate(heights_m(job), start=1):
        path = tmp_path / f"x/heightmap/layer{layer}.tif"
        expected = (plane * 1e9).astype(np.float32)
        with Image.open(path) as image:
            assert image.mode == "F"
            np.testing.assert_array_equal(np.asarray(image), expected)
        with tifffile.TiffFile(path) as tiff:
            (page,) = tiff.pages
            np.testing.assert_array_equal(page.asarray(), expected)
            assert json.loads(page.description)["unit"] == "nm"
            assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
            assert page.tags["XResolution"].value == page.tags["YResolution"].value
            numerator, denominator = page.tags["XResolution"].value
            assert denominator / numerator * 1e-2 == pytest.approx(job.pitch_m[0], rel=1e-6)


def test_heights_are_physical_and_not_scaled_to_the_data(make_job, tmp_path):
    job = make_job(8, array=np.array([[[0, 1], [2, 2]]], dtype=np.uint8))
    export_design(job, ["heightmap"], tmp_path / "x", {})
    step_nm = 632.8 / (1.45702 - 1.0003) / 8
    values = tifffile.imread(tmp_path / "x/heightmap/layer1.tif")
    np.testing.assert_allclose(values, np.array([[0, 1], [2, 2]]) * step_nm, rtol=1e-6)


def test_numpy_reads_heights_in_metres(make_job, tmp_path):
    job = make_job()
    export_design(job, ["heightmap"], tmp_path / "x", {})
    with np.load(tmp_path / "x" / NPZ, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["height_m"], heights_m(job))
        assert tuple(archive["pitch_m"]) == job.pitch_m
        assert (archive["wavelength_m"], archive["index"], archive["medium_index"]) == (632.8e-9, 1.45702, 1.0003)


def test_a_changed_height_is_located(small):
    job, folder = small
    values = tifffile.imread(folder / TIFF)
    values[4, 6] += 0.01
    values[5, 0] = np.nan
    rewrite_tiff(folder / TIFF, data=values)
    (problem,) = problems(folder, job)
    nearest = job.levels[1, 4, 6]
    assert problem.startswith(f"{TIFF}: layer 2 row 4 column 6: height ")
    assert f"is no level, the nearest is level {nearest} with " in problem and problem.endswith("(and 1 more)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 3e38])
def test_an_impossible_height_is_located(value, small):
    job, folder = small
    values = tifffile.imread(folder / TIFF)
    values[8, 0] = value
    rewrite_tiff(folder / TIFF, data=values)
    (problem,) = problems(folder, job)
    assert problem.startswith(f"{TIFF}: layer 2 row 8 column 0: height ")


def test_another_level_in_the_tiff_is_located(small):
    job, folder = small
    values = tifffile.imread(folder / TIFF)
    level = (int(job.levels[1, 4, 6]) + 1) % 8
    values[4, 6] = np.float32(job.process.step_height_m * level * 1e9)
    rewrite_tiff(folder / TIFF, data=values)
    (problem,) = problems(folder, job)
    assert problem == (f"{NPZ}: layer 2 row 4 column 6: level {job.levels[1, 4, 6]}, but {TIFF} holds level {level}")


def test_another_level_in_the_archive_is_located(small):
    job, folder = small
    with np.load(folder / NPZ) as archive:
        arrays = dict(archive)
    level = (int(job.levels[1, 4, 6]) + 1) % 8
    arrays["height_m"][1, 4, 6] = job.process.step_height_m * level
    np.savez(folder / NPZ, **arrays)
    (problem,) = problems(folder, job)
    assert problem.startswith(f"{NPZ}: layer 2 row 4 column 6: level {level}, but ")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"description": '{"unit": "um"}'}, "description: quantity is None"),
        ({"description": "no json"}, "description: quantity is None"),
        ({"resolution": (1.0, 1.0)}, "pixels of 0.01 m"),
        ({"resolutionunit": "INCH"}, "pixels of 8.0"),
        ({"resolutionunit": "NONE"}, "a resolution without unit"),
        ({"byteorder": ">"}, "byte 0: not a little-endian TIFF file"),
        ({"compression": "zlib"}, "tag 259 is 8, expected 1"),
        ({"data": np.zeros((9, 7), np.float64)}, "tag 258 is 64, expected 32"),
        ({"data": np.zeros((9, 7), np.int32)}, "tag 339 is 2, expected 3"),
        ({"data": np.zeros((9, 8), np.float32)}, "tag 256 is 8, expected 7"),
        ({"data": np.zeros((7, 9), np.float32)}, "tag 257 is 7, expected 9"),
        ({"data": np.zeros((2, 9, 7), np.float32)}, "a second page"),
        ({"extratags": [(274, 3, 1, 3, True)]}, "tag 274 is 3, expected 1"),
    ],
)
def test_another_kind_of_tiff_is_refused(changes, why, small):
    job, folder = small
    rewrite_tiff(folder / TIFF, **changes)
    (problem,) = problems(folder, job)
    assert problem.startswith(f"{TIFF}: ") and why in problem


def test_strips_are_read_in_order(small):
    job, folder = small
    rewrite_tiff(folder / TIFF, rowsperstrip=2)
    assert problems(folder, job) == ()


def test_the_tiff_reader_agrees_with_tifffile(tmp_path):
    values = np.random.default_rng(3).normal(size=(13, 5)).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "a.tif", values, metadata=None, resolution=(2, 4), resolutionunit="INCH", description="d"
    )
    image = read_tiff((tmp_path / "a.tif").read_bytes(), "a.tif", (13, 5))
    np.testing.assert_array_equal(image.values, values)
    assert image.pixel_m == (0.0127, 0.00635)
    assert image.description == "d"


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"a": np.zeros((2, 3), np.float32)}, "not a float64 array in C order"),
        ({"a": np.asfortranarray(np.zeros((2, 3)))}, "not a float64 array in C order"),
        ({"a": np.zeros((3, 2))}, r"an array of shape \(3, 2\), expected \(2, 3\)"),
        ({"a": np.array([[None] * 3] * 2)}, "not a float64 array in C order"),
        ({"b": np.zeros((2, 3))}, r"holds \['b.npy'\], expected \['a.npy'\]"),
        ({"a": np.zeros((2, 3)), "b": np.zeros(1)}, "holds"),
        ({"a": np.zeros((200, 300))}, r"a.npy: more than 4144 bytes"),
    ],
)
def test_another_archive_is_refused(arrays, why):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    with pytest.raises(VerificationError, match=why):
        read_npz(stream.getvalue(), "x.npz", {"a": (2, 3)})


def test_a_compressed_archive_is_read():
    stream = io.BytesIO()
    values = np.random.default_rng(3).normal(size=(2, 3))
    np.savez_compressed(stream, a=values)
    np.testing.assert_array_equal(read_npz(stream.getvalue(), "x.npz", {"a": (2, 3)})["a"], values)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_unusual_compression_is_refused(method):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", b"x")
    with pytest.raises(VerificationError, match=r"x.npz: a.npy: neither stored nor deflated"):
        read_npz(stream.getvalue(), "x.npz", {"a": (2, 3)})


def test_array_headers_that_are_damaged_are_refused():
    """The CRC of the archive is right here, so that the header parser itself is met."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 3)))
    good = stream.getvalue()
    draw = np.random.default_rng(5)
    for at in range(128):
        bad = bytearray(good)
        bad[at] ^= int(draw.integers(1, 256))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as members:
            members.writestr("a.npy", bytes(bad))
        with pytest.raises(VerificationError, match=r"^x\.npz: a\.npy: "):
            read_npz(archive.getvalue(), "x.npz", {"a": (2, 3)})


def test_a_scalar_that_differs_from_the_manifest_is_named(small):
    _, folder = small
    with np.load(folder / NPZ) as archive:
        arrays = dict(archive)
    np.savez(folder / NPZ, **arrays | {"pitch_m": np.full(2, 1e-6)})
    with pytest.raises(
        VerificationError, match=r"heights\.npz: pitch_m is \(1e-06, 1e-06\), expected \(3\.164e-07, 3\.164e-07\)"
    ):
        exporters()["heightmap"].read(folder, load_manifest(folder))
