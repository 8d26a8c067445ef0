"""16-bit height maps: confirmed by Pillow and imageio; the scale; every filter of 16-bit rows."""

from __future__ import annotations

import json

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import export_design, exporters, verify_files
from opticdesign.handover.manifest import load_manifest
from opticdesign_exporters.images.png_writer import write_png
from opticdesign_exporters.png_reader import read_png
from tests.support.png_bytes import encoded, filtered

PNG, SCALE = "png16/layer2.png", "png16/scale.json"


def read(folder):
    return exporters()["png16"].read(folder, load_manifest(folder))


@pytest.mark.parametrize("levels", [2, 3, 8, 256])
def test_pillow_and_imageio_see_heights_by_the_scale(levels, make_job, tmp_path):
    job = make_job(levels, (2, 21, 34))
    export_design(job, ["png16"], tmp_path / "x", {})
    scale = json.loads((tmp_path / "x" / SCALE).read_text())
    assert (scale["unit"], scale["pitch_m"], scale["layers"]) == ("m", list(job.pitch_m), ["layer1.png", "layer2.png"])
    for name, planes in zip(scale["layers"], torch.from_numpy(job.levels), strict=True):
        path = tmp_path / "x/png16" / name
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("I;16", (34, 21))
            seen = np.asarray(image)
        np.testing.assert_array_equal(imageio.imread(path), seen)
        expected_m = job.process.height_of_level(planes).numpy()
        np.testing.assert_allclose(seen * scale["height_per_grey_m"], expected_m, rtol=1e-12)


def test_heights_of_a_table_are_within_half_a_grey(make_job, tmp_path):
    job = make_job(5, (1, 8, 9), heights_m=(0.0, 100e-9, 350e-9, 351e-9, 1200e-9))
    export_design(job, ["png16"], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
    assert 0 < check.phase_error_rad < 2 * np.pi * 0.51 * 1200e-9 / 65532 / job.process.full_height_m


def test_heights_that_share_a_grey_are_refused(make_job, tmp_path):
    job = make_job(3, (1, 8, 9), heights_m=(0.0, 1200e-9, 1200.005e-9))
    with pytest.raises(UsageError, match=r"heights 1\.83e-11 m apart or less in a 16-bit image"):
        export_design(job, ["png16"], tmp_path / "x", {})


def test_a_changed_grey_is_located(small_of):
    _, folder = small_of("png16")
    with Image.open(folder / PNG) as image:
        values = np.array(image)
    values[4, 6] ^= 1
    Image.fromarray(values).save(folder / PNG)
    with pytest.raises(VerificationError, match=rf"^{PNG}: layer 2 row 4 column 6: height .* is no level"):
        read(folder)


def test_an_image_that_pillow_wrote_again_is_read(small_of):
    job, folder = small_of("png16")
    with Image.open(folder / PNG) as image:
        Image.fromarray(np.array(image)).save(folder / PNG)
    np.testing.assert_array_equal(read(folder).levels, job.levels)


def test_an_image_of_8_bits_is_refused(small_of):
    _, folder = small_of("png16")
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(folder / PNG)
    with pytest.raises(VerificationError, match=rf"{PNG}: byte 8: not a 16-bit grey image of 7 by 9 pixels"):
        read(folder)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("unit", "mm", "unit is 'mm', expected 'm'"),
        ("height_per_grey_m", 1e-9, r"height_per_grey_m is 1e-09, expected 1\.8"),
        ("height_per_grey_m", "1", "height_per_grey_m is '1', expected"),
        ("pitch_m", 1e-6, r"pitch_m is 1e-06, expected \[3\.164e-07, 3\.164e-07\]"),
        ("layers", ["layer2.png", "layer1.png"], "layers is"),
        ("more", 1, "not the scale of height maps"),
    ],
)
def test_another_scale_is_refused(key, value, why, small_of):
    _, folder = small_of("png16")
    scale = json.loads((folder / SCALE).read_text())
    (folder / SCALE).write_text(json.dumps(scale | {key: value}))
    with pytest.raises(VerificationError, match=rf"^{SCALE}: {why}"):
        read(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, "\x00"])
def test_a_scale_that_is_no_json_object_is_refused(text, small_of):
    _, folder = small_of("png16")
    (folder / SCALE).write_text(text)
    with pytest.raises(VerificationError, match=rf"^{SCALE}: not the scale of height maps"):
        read(folder)


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_16_bits_is_undone(kind):
    image = np.random.default_rng(kind).integers(0, 65536, (6, 11), dtype=np.uint16)
    data = encoded(filtered(image, [kind] * 6), image.shape, form=bytes((16, 0, 0, 0, 0)))
    np.testing.assert_array_equal(read_png(data, "x.png", (6, 11), depth=16), image)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([np.uint8, np.uint16]), st.integers(0, 2**32 - 1))
def test_pillow_reads_what_is_written(tmp_path_factory, rows, columns, kind, seed):
    image = np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, (rows, columns), dtype=kind)
    path = tmp_path_factory.mktemp("png") / "a.png"
    write_png(path, image)
    with Image.open(path) as other:
        np.testing.assert_array_equal(np.asarray(other), image)
    depth = 8 * image.itemsize
    np.testing.assert_array_equal(read_png(path.read_bytes(), "a.png", (rows, columns), depth), image)
