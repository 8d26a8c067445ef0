"""Panel profiles: those that ship, every key, and what is wrong with a profile said with its place."""

from __future__ import annotations

import pytest

from opticdesign.design.panel import find_profile, load_profile, shipped_profiles
from opticdesign.errors import DesignError, UsageError
from tests.support.design_texts import ROOT

GOOD = 'name = "mine"\npixels = [40, 60]\npitch = "8 um"\n'


def test_shipped_profiles_are_named_as_their_files_and_say_their_source():
    found = shipped_profiles()
    assert set(found) == {"exulus-hd2", "meadowlark-1024", "meadowlark-1920", "pluto-2-1", "slm-200", "x15213"}
    for name, path in found.items():
        assert load_profile(path).name == name
        assert path.read_text("utf-8").startswith("# ")


def test_the_template_has_every_key():
    path = ROOT / "designs" / "panels" / "template.toml"
    text = path.read_text("utf-8")
    keys = {line.lstrip("# ").partition(" =")[0] for line in text.splitlines() if " = " in line}
    assert keys >= set(type(load_profile(path)).model_fields)


def test_a_name_or_a_path_finds_a_profile():
    assert find_profile("slm-200") == shipped_profiles()["slm-200"]
    assert str(find_profile("some/where.toml")) == "some/where.toml"
    with pytest.raises(UsageError, match=r"(?s)--panel slm-20: .*one of exulus-hd2, .*did you mean slm-200\?"):
        find_profile("slm-20")


@pytest.mark.parametrize(
    ("lines", "key", "message", "expected"),
    [
        ("bits = 9", "bits", "unknown bits|wrong form", ""),
        ('settle = "5 m"', "settle", "not a time", "such as ms|us, ms, s"),
        ("fill_factor = 1.2", "fill_factor", "out of range", "at most 1"),
        ("pitchx = 3", "pitchx", "unknown key", "one of"),
        ("two_pi_grey = 218", "wavelength", "missing key 'wavelength'", "phases hold"),
        ('two_pi_grey = 300\nwavelength = "633 nm"', "two_pi_grey", "256 greys", "at most 256"),
        ('two_pi_grey = 218\nlut = "a.csv"\nwavelength = "633 nm"', "two_pi_grey", "beside a measured", "one of lut"),
        ('wavelength = "633 nm"', "wavelength", "of no phases", "lut or two_pi_grey"),
        ('flatness = "a.bmp"', "flatness_wavelength", "missing key", "correction holds"),
        ("flatness_two_pi = 255.0", "flatness_two_pi", "no correction", "flatness beside it"),
        ('flip = "left"', "flip", "unknown flip", '"none" or "rows" or "columns"'),
        ("turns = 4", "turns", "out of range", "at most 3"),
    ],
)
def test_a_wrong_profile_is_told_with_file_key_and_remedy(lines, key, message, expected, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + lines + "\n", encoding="utf-8")
    with pytest.raises(DesignError) as caught:
        load_profile(path)
    (problem,) = caught.value.problems
    assert problem.key == key and problem.source == str(path) and problem.remedy
    assert any(part in problem.message for part in message.split("|"))
    assert any(part in problem.expected for part in expected.split("|"))


def test_a_design_is_no_profile():
    with pytest.raises(DesignError, match=r"(?s)this is a design, not a panel.*expected: +a panel file"):
        load_profile(ROOT / "designs" / "d2nn5.toml")


def test_a_profile_without_pixels_points_to_the_template(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n', encoding="utf-8")
    with pytest.raises(DesignError, match=r"template\.toml has every key"):
        load_profile(path)
