"""TIFF as microscopes and their programs write it."""

import importlib.util

import numpy as np
import pytest
import tifffile

from opticdesign.data import Asked, Conventions, load_fields
from opticdesign.data.folder import load_file
from opticdesign.data.record import FileRecord
from opticdesign.errors import DataError

GREY = Asked(1e-6, 1e-6, conventions=Conventions(phase_range_rad=(0.0, 3.0)))


def phase(peak=3.0):
    y, x = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 64), indexing="ij")
    return (peak * np.exp(-2 * (x**2 + y**2))).astype(np.float32)


@pytest.mark.parametrize("codec", ["lzw", "zlib", "deflate", "packbits", "lzma", "zstd", "none"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
def test_lossless_compressions_are_read_bit_for_bit(tmp_path, codec, dtype):
    values = phase() if dtype == np.float32 else (phase() * 80).astype(dtype)
    tifffile.imwrite(tmp_path / "p.tif", values, compression=codec)
    (field,) = load_fields(tmp_path / "p.tif", Asked(1e-6, 1e-6) if dtype == np.float32 else GREY)
    scale = 1.0 if dtype == np.float32 else 3.0 / np.iinfo(dtype).max
    np.testing.assert_allclose(field.phase_rad, values * scale, rtol=1e-6)


def test_a_file_of_an_ome_set_gives_its_own_maps(tmp_path):
    uuid = [f"urn:uuid:0000000{i}-0000-0000-0000-000000000000" for i in range(3)]
    planes = "".join(
        f'<TiffData IFD="0" FirstT="{i}" PlaneCount="1"><UUID FileName="{i}.ome.tif">{uuid[i]}</UUID></TiffData>'
        for i in range(3)
    )
    for i in range(2):  # the third one is missing
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid[i]}"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="float" SizeX="64" SizeY="48" SizeC="1" SizeZ="1" '
            f'SizeT="3"><Channel ID="Channel:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"{i}.ome.tif", phase(1.0 + i), description=xml, metadata=None)
    for i in range(2):
        (field,) = load_fields(tmp_path / f"{i}.ome.tif", Asked(1e-6, 1e-6))
        np.testing.assert_array_equal(field.phase_rad, phase(1.0 + i))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_maps_stand_as_their_orientation_says(tmp_path, orientation):
    values = phase() * np.linspace(0.5, 1.0, 64, dtype=np.float32)
    tifffile.imwrite(tmp_path / "p.tif", values, extratags=[(274, 3, 1, orientation, True)])
    (field,) = load_fields(tmp_path / "p.tif", Asked(1e-6, 1e-6))
    turned = values.T if orientation > 4 else values
    turned = turned[::-1] if orientation in (3, 4, 7, 8) else turned
    turned = turned[:, ::-1] if orientation in (2, 3, 6, 7) else turned
    np.testing.assert_array_equal(field.phase_rad, turned)


def test_channels_of_several_names_are_refused(tmp_path):
    stack = np.stack([phase(), phase(), phase()])
    channels = {"axes": "CYX", "Channel": {"Name": ["phase", "fluorescence", "brightfield"]}}
    tifffile.imwrite(tmp_path / "p.ome.tif", stack, ome=True, photometric="minisblack", metadata=channels)
    with pytest.raises(DataError, match="channels named phase, fluorescence, brightfield"):
        load_fields(tmp_path / "p.ome.tif", Asked(1e-6, 1e-6))


def test_a_predictor_is_undone(tmp_path):
    tifffile.imwrite(tmp_path / "p.tif", phase(), compression="lzw", predictor=True)
    (field,) = load_fields(tmp_path / "p.tif", Asked())
    np.testing.assert_array_equal(field.phase_rad, phase())


def test_jpeg_is_read_and_said_to_be_lossy(tmp_path):
    values, record = (phase() * 80).astype(np.uint8), FileRecord("p.tif")
    tifffile.imwrite(tmp_path / "p.tif", values, compression="jpeg")
    (field,) = load_file(tmp_path / "p.tif", GREY, record)
    np.testing.assert_allclose(field.phase_rad, values * 3.0 / 255, atol=0.05)
    assert any("lossy" in note for note in record.notes)


def test_a_compression_that_nothing_unpacks_names_the_package(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "p.tif", phase(), compression="lzw")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"LZW compression\n.*imagecodecs.*\n.*pip install imagecodecs"):
        load_fields(tmp_path / "p.tif", Asked())


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("how", [{}, {"imagej": True}, {"ome": True}, {"photometric": "minisblack"}])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_floats_of_several_maps_are_a_stack_and_no_colours(tmp_path, count, how):
    stack = np.stack([phase(1.0 + i) for i in range(count)])
    tifffile.imwrite(tmp_path / "p.tif", stack, **how)
    fields = load_fields(tmp_path / "p.tif", Asked())
    np.testing.assert_array_equal([field.phase_rad for field in fields], stack)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_floats_with_the_maps_last_are_the_same_stack(tmp_path):
    stack = np.stack([phase(1.0 + i) for i in range(3)])
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(stack, 0, -1))
    np.testing.assert_array_equal([field.phase_rad for field in load_fields(tmp_path / "p.tif", Asked())], stack)


@pytest.mark.parametrize("shape", [(48, 64, 3), (3, 48, 64), (48, 64, 4)])
def test_colours_of_bytes_are_refused_with_the_remedy(tmp_path, shape):
    tifffile.imwrite(tmp_path / "p.tif", np.zeros(shape, np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"a colour(.*\n)*.*store the grey values"):
        load_fields(tmp_path / "p.tif", GREY)


def test_white_is_zero_is_inverted_and_said(tmp_path):
    grey, record = (phase() * 80).astype(np.uint8), FileRecord("p.tif")
    tifffile.imwrite(tmp_path / "p.tif", 255 - grey, photometric="miniswhite")
    (field,) = load_file(tmp_path / "p.tif", GREY, record)
    np.testing.assert_allclose(field.phase_rad, grey * 3.0 / 255, rtol=1e-6)
    assert any("WhiteIsZero" in note for note in record.notes)


def test_other_series_of_the_file_are_not_passed_over_in_silence(tmp_path):
    with tifffile.TiffWriter(tmp_path / "p.tif") as file:
        file.write(phase(), metadata=None)
        file.write(phase()[:20], metadata=None)
    record = FileRecord("p.tif")
    load_file(tmp_path / "p.tif", Asked(), record)
    assert record.notes == ["2 series of images: the first is taken"]
