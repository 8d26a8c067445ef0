"""Panels as read from their files: tables, corrections of every format, wavelengths, and files that are not right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tifffile
from PIL import Image

from opticdesign.design.panel import shipped_profiles
from opticdesign.errors import DesignError
from opticdesign.handover.panel import TURN_PARTS, load_panel

RED_M = 632.8e-9
LUT = "# measured\ngrey,phase\n0,0.0\n128,2.0\n255,6.5\n"


@pytest.fixture
def written(tmp_path):
    """`written(lines, **files)`: the path of a profile of 4 × 6 pixels with files beside it."""

    def write(lines, **files):
        path = tmp_path / "mine.toml"
        path.write_text(f'name = "mine"\npixels = [4, 6]\npitch = "8 um"\n{lines}\n', encoding="utf-8")
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_every_shipped_panel_shows_all_phases_of_red_light(name):
    panel = load_panel(name, RED_M)
    assert len(panel.lut_rad) == 2**panel.profile.bits
    assert panel.widest_gap_rad <= 2 * math.pi / (len(panel.lut_rad) - 1) * (1 + 1e-9)


def test_a_measured_table_is_straight_between_its_lines(written):
    panel = load_panel(written('lut = "lut.csv"\nwavelength = "633 nm"', lut_csv=LUT), RED_M)
    assert panel.lut_rad[[0, 64, 128, 255]] == pytest.approx([0.0, 1.0, 2.0, 6.5])
    assert panel.lut_rad[129] - panel.lut_rad[128] == pytest.approx(4.5 / 127)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0\n255,6.3,1\n", "line 2 is no rising grey"),
        ("0,0\n9,1\n9,2\n255,6.3\n", "line 3 is no rising grey"),
        ("0,0\n1.5,1\n255,6.3\n", "line 2 is no rising grey"),
        ("0,0\n10,nan\n255,6.3\n", "line 2 is no rising grey"),
        ("0,0\n300,6.3\n", "line 2 is no rising grey"),
        ("0,0\n200,6.3\n", "do not reach from grey 0 to grey 255"),
        ("", "0 lines"),
        ("0,0\n255,3.0\n", "up to 3.28 rad apart"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(text, message, written):
    path = written('lut = "lut.csv"\nwavelength = "633 nm"', lut_csv=text)
    with pytest.raises(DesignError) as caught:
        load_panel(path, RED_M)
    (problem,) = caught.value.problems
    assert message in problem.message and (problem.key, problem.source) == ("lut", path)
    assert problem.expected and problem.remedy


def test_a_table_that_is_not_there_is_told(written):
    with pytest.raises(DesignError, match="cannot be read: No such file"):
        load_panel(written('lut = "lut.csv"\nwavelength = "633 nm"'), RED_M)


@pytest.mark.parametrize("key", ["wavelength", "flatness_wavelength"])
def test_phases_of_other_light_are_refused(key, written, tmp_path):
    lines = {
        "wavelength": 'two_pi_grey = 200\nwavelength = "532 nm"',
        "flatness_wavelength": 'flatness = "flat.png"\nflatness_wavelength = "532 nm"',
    }[key]
    with pytest.raises(DesignError) as caught:
        load_panel(written(lines), RED_M)
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == (key, '"532 nm"') and "632.8 nm" in problem.message


GREYS = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


@pytest.mark.parametrize(
    ("name", "two_pi"), [("flat.bmp", None), ("flat.png", 218.0), ("deep.png", None), ("flat.tif", None)]
)
def test_a_correction_is_greys_of_its_scale(name, two_pi, written, tmp_path):
    if name == "flat.tif":
        tifffile.imwrite(tmp_path / name, GREYS)
    else:
        Image.fromarray(GREYS.astype(np.uint16) * 256 if name == "deep.png" else GREYS).save(tmp_path / name)
    scale = "" if two_pi is None else f"flatness_two_pi = {two_pi}"
    panel = load_panel(written(f'flatness = "{name}"\nflatness_wavelength = "633 nm"\n{scale}'), RED_M)
    turns = np.mod(GREYS / (two_pi or 256.0), 1.0)
    np.testing.assert_allclose(panel.correction / TURN_PARTS, turns, atol=0.5 / TURN_PARTS)


def test_a_picture_in_colours_that_are_grey_is_one_of_greys(written, tmp_path):
    Image.fromarray(np.stack([GREYS] * 3, -1)).save(tmp_path / "flat.bmp")
    panel = load_panel(written('flatness = "flat.bmp"\nflatness_wavelength = "633 nm"'), RED_M)
    np.testing.assert_array_equal(panel.correction, GREYS.astype(np.uint16) * 256)


def test_floats_of_a_tiff_are_radians(written, tmp_path):
    phase = np.linspace(-9.0, 9.0, 24).reshape(4, 6).astype(np.float32)
    tifffile.imwrite(tmp_path / "flat.tif", phase)
    panel = load_panel(written('flatness = "flat.tif"\nflatness_wavelength = "633 nm"'), RED_M)
    shown = np.exp(2j * np.pi * panel.correction / TURN_PARTS)
    np.testing.assert_allclose(shown, np.exp(1j * phase), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (GREYS.T, "6 × 4 pixels"),
        (np.stack([GREYS, GREYS + 1, GREYS], -1), "type uint8, shape (4, 6, 3)"),
        (np.full((4, 6), np.nan, np.float32), "no numbers"),
        (None, "shape (0,)"),
    ],
)
def test_another_picture_is_refused(values, message, written, tmp_path):
    if values is None:
        (tmp_path / "flat.tif").write_bytes(b"II*\0 no picture")
    else:
        tifffile.imwrite(tmp_path / "flat.tif", values)
    with pytest.raises(DesignError) as caught:
        load_panel(written('flatness = "flat.tif"\nflatness_wavelength = "633 nm"'), RED_M)
    (problem,) = caught.value.problems
    assert problem.key == "flatness" and message in problem.message
