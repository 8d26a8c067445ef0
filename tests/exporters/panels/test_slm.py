"""SLM frames: confirmed by Pillow; the decoder against every filter; changed pixels located."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from opticdesign.errors import UsageError, VerificationError
from opticdesign.handover.export import export_design, verify_files
from opticdesign_exporters.png_reader import read_png
from tests.support.png_bytes import SIGNATURE, chunk, encoded, filtered

PNG = "slm/layer2.png"


def problems(folder, job):
    check = next(check for check in verify_files(folder, job.levels, job.process) if check.exporter == "slm")
    assert "changed since it was exported" in check.problems[0]
    return check.problems[1:]


def test_pillow_sees_the_greys(make_job, tmp_path):
    job = make_job(8, (2, 21, 34))
    export_design(job, ["slm"], tmp_path / "x", {})
    for layer in (1, 2):
        with Image.open(tmp_path / f"x/slm/layer{layer}.png") as image:
            assert (image.mode, image.size) == ("L", (34, 21))
            np.testing.assert_array_equal(np.asarray(image), job.levels[layer - 1] * 32)


@pytest.mark.parametrize(("levels", "two_pi"), [(2, 2), (3, 256), (8, 218), (8, 255), (16, 200), (255, 256), (4, 218)])
def test_any_panel_reads_back_with_a_phase_error_below_half_a_grey(levels, two_pi, make_job, tmp_path):
    job = make_job(levels, two_pi_grey=two_pi)
    export_design(job, ["slm"], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
    assert 0 <= check.phase_error_rad <= math.pi / two_pi * (1 + 1e-5)
    assert (check.phase_error_rad == 0) == (two_pi % levels == 0)


def test_a_half_grey_is_rounded_up(make_job, tmp_path):
    job = make_job(4, array=np.array([[[0, 1, 2, 3]]], dtype=np.uint8), two_pi_grey=218)  # 54.5, 109, 163.5
    export_design(job, ["slm"], tmp_path / "x", {})
    with Image.open(tmp_path / "x/slm/layer1.png") as image:
        assert np.asarray(image).tolist() == [[0, 55, 109, 164]]


def test_more_levels_than_greys_are_refused(make_job, tmp_path):
    job = make_job(16, two_pi_grey=15)
    with pytest.raises(UsageError, match="16 levels on a panel with 15 grey levels"):
        export_design(job, ["slm"], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


def test_a_changed_pixel_is_located(small):
    job, folder = small
    with Image.open(folder / PNG) as image:
        values = np.array(image)
    values[4, 6] = (int(values[4, 6]) + 32) % 256
    Image.fromarray(values).save(folder / PNG)
    level = job.levels[1, 4, 6]
    assert problems(folder, job) == (f"{PNG}: layer 2 row 4 column 6: level {(level + 1) % 8}, expected {level}",)


def test_a_grey_that_is_no_level_is_located(small):
    job, folder = small
    with Image.open(folder / PNG) as image:
        values = np.array(image)
    values[4, 6], values[5, 1] = 77, 78
    Image.fromarray(values).save(folder / PNG)
    assert problems(folder, job) == (f"{PNG}: layer 2 row 4 column 6: grey 77 is no level (and 1 more)",)


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_undone(kind):
    image = np.random.default_rng(kind).integers(0, 256, (6, 11), dtype=np.uint8)
    data = encoded(filtered(image, [kind] * 6), image.shape)
    np.testing.assert_array_equal(read_png(data, "x.png", (6, 11)), image)
    with Image.open(io.BytesIO(data)) as other:
        np.testing.assert_array_equal(np.asarray(other), image)


def test_mixed_filters_are_undone():
    draw = np.random.default_rng(9)
    image = (draw.integers(0, 3, (40, 23)) * 85).astype(np.uint8)
    data = encoded(filtered(image, draw.integers(0, 5, 40).tolist()), image.shape)
    np.testing.assert_array_equal(read_png(data, "x.png", (40, 23)), image)


def test_an_image_with_text_in_several_chunks_is_read():
    image = np.random.default_rng(2).integers(0, 256, (300, 300), dtype=np.uint8)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "a note")
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", pnginfo=notes)
    assert stream.getvalue().count(b"IDAT") > 1
    np.testing.assert_array_equal(read_png(stream.getvalue(), "x.png", (300, 300)), image)


def test_damaged_lines_behind_a_right_checksum_are_refused_or_read():
    image = np.random.default_rng(1).integers(0, 256, (5, 9), dtype=np.uint8)
    good = filtered(image, [0, 1, 2, 3, 4])
    draw = np.random.default_rng(4)
    refused = 0
    for _ in range(300):
        bad = bytearray(good)
        bad[draw.integers(len(bad))] = draw.integers(256)
        try:
            assert read_png(encoded(bytes(bad), image.shape), "x.png", (5, 9)).shape == (5, 9)
        except VerificationError as error:
            refused += 1
            assert error.message.startswith("x.png: byte 33: row ")
    assert refused > 5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "byte 0: not a PNG file"),
        (SIGNATURE, "byte 8: the file ends where a chunk is due"),
        (encoded(bytes(6), (2, 2)) + b"x", "data after the end of the image"),
        (encoded(bytes(6), (2, 3)), "byte 8: not an 8-bit grey image of 2 by 2 pixels"),
        (encoded(bytes(6), (2, 2), form=bytes((16, 0, 0, 0, 0))), "byte 8: not an 8-bit grey image"),
        (encoded(bytes(6), (2, 2), form=bytes((8, 2, 0, 0, 0))), "byte 8: not an 8-bit grey image"),
        (encoded(bytes(6), (2, 2), form=bytes((8, 0, 0, 0, 1))), "byte 8: not an 8-bit grey image"),
        (encoded(bytes(5), (2, 2)), "pixels of 5 bytes or more, expected 6"),
        (encoded(bytes(1 << 20), (2, 2)), "pixels of 7 bytes or more, expected 6"),
        (encoded(bytes(6), (2, 2), chunk(b"ABCD", b"")), "chunk b'ABCD', which a grey image does not need"),
        (encoded(bytes(6), (2, 2)).replace(b"IDAT", b"IDAU"), "is damaged"),
        (SIGNATURE + chunk(b"IEND", b""), "byte 8: not an 8-bit grey image"),
    ],
)
def test_another_kind_of_file_is_refused(data, why):
    with pytest.raises(VerificationError, match=rf"^x\.png: .*{why}"):
        read_png(data, "x.png", (2, 2))
