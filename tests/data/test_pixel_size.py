"""Pixel sizes that files state, and units of their numbers: used, or named beside what is used."""

import re

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

from opticdesign.data import Asked, Conventions
from opticdesign.data.folder import load_file
from opticdesign.data.pixel_size import Mark, stated_pitch
from opticdesign.data.record import FileRecord
from opticdesign.errors import DataError

DESIGN_PITCH_M = 0.25e-6


def phase():
    y, x = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 30), indexing="ij")
    return (3 * np.exp(-2 * (x**2 + y**2))).astype(np.float32)


def h5(path, place="", **marks):
    with h5py.File(path, "w") as file:
        file["scan/phase"] = phase()
        for name, value in marks.items():
            file[place or "/"].attrs[name.replace("__", " ")] = value


def h5_array(path):
    with h5py.File(path, "w") as file:
        file["scan/phase"] = phase()
        file["scan/pixel_size"] = 0.5
        file["scan/pixel_size"].attrs["units"] = "um"


HALF_MICROMETRE = {
    "array.h5": h5_array,
    "imagej.tif": lambda path: tifffile.imwrite(path, phase(), imagej=True, resolution=(2, 2), metadata={"unit": "um"}),
    "imagej_micron.tif": lambda path: tifffile.imwrite(
        path, phase(), imagej=True, resolution=(2, 2), metadata={"unit": "micron"}
    ),
    "imagej_nm.tif": lambda path: tifffile.imwrite(
        path, phase(), imagej=True, resolution=(0.002, 0.002), metadata={"unit": "nm"}
    ),
    "cm.tif": lambda path: tifffile.imwrite(path, phase(), resolution=(20_000, 20_000), resolutionunit="CENTIMETER"),
    "inch.tif": lambda path: tifffile.imwrite(path, phase(), resolution=(50_800, 50_800), resolutionunit="INCH"),
    "a.ome.tif": lambda path: tifffile.imwrite(
        path, phase(), ome=True, metadata={"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    ),
    "nm.ome.tif": lambda path: tifffile.imwrite(
        path,
        phase(),
        ome=True,
        metadata={
            "PhysicalSizeX": 500.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 500.0,
            "PhysicalSizeYUnit": "nm",
        },
    ),
    "um.h5": lambda path: h5(path, "scan/phase", element_size_um=[1.0, 0.5, 0.5]),
    "metres.h5": lambda path: h5(path, "scan", pixel__size=5e-7),
    "text.h5": lambda path: h5(path, pixel_size="0.5 um"),
    "unit.h5": lambda path: h5(path, "scan/phase", spacing=[0.5, 0.5], spacing_unit="um"),
    "axes.h5": lambda path: h5(
        path, PhysicalSizeX=0.5, PhysicalSizeXUnit="µm", PhysicalSizeY=500.0, PhysicalSizeYUnit="nm"
    ),
    "m.npz": lambda path: np.savez(path, phase=phase(), pitch_m=5e-7),
    "um.npz": lambda path: np.savez(path, phase=phase(), pixel_size_um=np.array([0.5, 0.5])),
    "word.npz": lambda path: np.savez(path, phase=phase(), pitch="500 nm"),
    "d.mat": lambda path: savemat(path, {"phase": phase(), "dx": 5e-7, "dy": 5e-7}),
    "um.mat": lambda path: savemat(path, {"phase": phase(), "pixel_size_um": 0.5}),
    "words.mat": lambda path: savemat(path, {"phase": phase(), "pixel_size": 5e-4, "pixel_size_unit": "mm"}),
    "per_pixel.h5": lambda path: h5(path, pixel_size=0.5, pixel_size_unit="um per pixel"),
    "slash.h5": lambda path: h5(path, "scan", pixel_size="0.5 µm/px"),
    "comma.h5": lambda path: h5(path, "scan", pixel_size="0,5 um"),
    "pair.h5": lambda path: h5(path, "scan", pixel_size="0.5 x 0.5 um"),
    "capital.h5": lambda path: h5(path, pixel_size=500.0, pixel_size_unit="NM"),
    "microns.h5": lambda path: h5(path, microns_per_pixel=0.5),
    "mpp.h5": lambda path: h5(path, mpp=0.5),
    "xyz.h5": lambda path: h5(path, voxel_size_um=[0.5, 0.5, 2.0]),
}


def read(path, pitch_m=None, unit=None):
    record = FileRecord(path.name)
    asked = Asked(pitch_m, DESIGN_PITCH_M, conventions=Conventions(unit=unit, wavelength_m=632.8e-9))
    (field,) = load_file(path, asked, record)
    return field, record


@pytest.mark.parametrize("name", HALF_MICROMETRE)
def test_a_stated_pixel_size_is_used_and_said(tmp_path, name):
    HALF_MICROMETRE[name](tmp_path / name)
    field, record = read(tmp_path / name)
    assert field.shape == (80, 60)  # 0.5 µm to 0.25 µm
    assert record.used_pitch_m == pytest.approx((5e-7, 5e-7))
    assert record.used_by == record.stated_by != ""
    assert not record.notes


@pytest.mark.parametrize("name", HALF_MICROMETRE)
def test_data_pitch_wins_and_both_are_named(tmp_path, name):
    HALF_MICROMETRE[name](tmp_path / name)
    field, record = read(tmp_path / name, DESIGN_PITCH_M)
    assert field.shape == (40, 30)
    (note,) = record.notes
    assert "500 nm" in note and "data.pitch = 250 nm is used" in note
    assert not read(tmp_path / name, 0.501e-6)[1].notes  # the same, but for rounding


def test_pixels_need_not_be_square(tmp_path):
    tifffile.imwrite(tmp_path / "p.tif", phase(), imagej=True, resolution=(1, 4), metadata={"unit": "um"})
    field, record = read(tmp_path / "p.tif")
    assert record.used_pitch_m == pytest.approx((0.25e-6, 1e-6))
    assert field.shape == (40, 120)


@pytest.mark.parametrize("dpi", [72, 96, 300])
@pytest.mark.parametrize("name", ["p.tif", "p.png"])
def test_the_resolution_of_a_print_is_none_of_a_microscope(tmp_path, name, dpi):
    grey = (phase() * 80).astype(np.uint8)
    if name == "p.tif":
        tifffile.imwrite(tmp_path / name, grey, resolution=(dpi, dpi), resolutionunit="INCH")
    else:
        Image.fromarray(grey).save(tmp_path / name, dpi=(dpi, dpi))
    record = FileRecord(name)
    asked = Asked(None, DESIGN_PITCH_M, conventions=Conventions(phase_range_rad=(0.0, 4.0)))
    (field,) = load_file(tmp_path / name, asked, record)
    assert field.shape == (40, 30) and record.used_by == "the design"
    assert record.notes == [f"a resolution of {dpi} dpi is that of a print, not of a microscope: not used"]


def test_a_size_without_a_unit_is_asked_about(tmp_path):
    np.savez(tmp_path / "p.npz", phase=phase(), pixel_size=0.5)
    with pytest.raises(DataError, match=r"'pixel_size' states a pixel size of 0.5 without a unit(.*\n)*.*\"0.5 um\""):
        read(tmp_path / "p.npz")
    assert not read(tmp_path / "p.npz", 0.5e-6)[1].notes
    assert "0.5 without a unit: data.pitch" in read(tmp_path / "p.npz", 0.3e-6)[1].notes[0]


@pytest.mark.parametrize(
    ("marks", "doubt"),
    [
        ({"pixel_size": 5e-5, "pixel_size_unit": "px"}, "in 'px'"),
        ({"pixel_size": 5e-5, "pixel_size_unit": "points"}, "in 'points'"),
        ({"pixel_size": "0.5 furlong"}, "in 'furlong'"),
        ({"voxel_size_um": [0.5, 0.6, 2.0]}, "of 0.5, 0.6, 2 in an unknown order"),
        ({"pixel_pitch_um": 6.5, "pixel_size_um": 0.1625}, "a pixel size of 6.5 µm beside 162.5 nm by 'pixel_size_um'"),
        ({"pixel_size": 2e-6, "pixel_size_um": 0.5}, "beside 500 nm by 'pixel_size_um'"),
    ],
    ids=str,
)
def test_sizes_that_are_not_sure_are_asked_about(tmp_path, marks, doubt):
    h5(tmp_path / "p.h5", **marks)
    with pytest.raises(DataError, match=re.escape(doubt)) as refused:
        read(tmp_path / "p.h5")
    assert "set data.pitch" in str(refused.value)
    assert read(tmp_path / "p.h5", 0.5e-6)[1].used_by == "data.pitch"


def test_the_nearest_mark_counts():
    marks = [Mark("", "pitch_um", 9.0), Mark("a", "pitch_um", 2.0), Mark("a/phase", "pitch_um", 1.0)]
    found = [stated_pitch(marks, name) for name in ("a/phase", "a/other", "b/phase")]
    assert [pitch.x for pitch in found] == pytest.approx([1e-6, 2e-6, 9e-6])


@pytest.mark.parametrize(
    ("name", "value"),
    [("pattern_spacing", 3.0), ("pixel_size_z_um", 1.0), ("pitch_um", -1.0), ("pitch_um", np.nan), ("pitch", "wide"),
     ("resolution", 0.3), ("sample_distance_mm", 20.0), ("pitch_um", np.ones(7)), ("spacing_um", [])],
)  # fmt: skip
def test_other_marks_say_nothing(name, value):
    assert stated_pitch([Mark("", name, value)], "phase") is None


def test_a_stated_unit_of_the_numbers_is_used_or_named(tmp_path):
    nanometres = phase() / (2 * np.pi / 632.8)
    for name in ("p.h5", "p.npz"):
        if name == "p.h5":
            with h5py.File(tmp_path / name, "w") as file:
                file["phase"] = nanometres
                file["phase"].attrs["units"] = "nm"
        else:
            np.savez(tmp_path / name, phase=nanometres, phase_unit="nm")
        field, record = read(tmp_path / name)
        assert (record.unit, record.unit_said) == ("nm", "the file")
        np.testing.assert_allclose(field.phase_rad.max(), phase().max(), rtol=1e-2)
        _, record = read(tmp_path / name, unit="rad")
        assert any("the file says its unit is 'nm': data.unit = 'rad' is used" in note for note in record.notes)
