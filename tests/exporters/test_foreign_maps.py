"""Maps of other programs: what their numbers stand for is read from the file, said, or asked for, never guessed."""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gsffile
import numpy as np
import pytest
import tifffile
import trimesh
from PIL import Image, ImageOps

from opticdesign.design import Layout
from opticdesign.errors import DataError, OpticDesignError, UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.importing import ImportJob, Masks, importers, read_masks
from opticdesign.handover.said import Said, Scale
from opticdesign.handover.source_file import SourceFile

PROCESS = FabricationProcess(8, 632.8e-9, 1.45702, 1.0003)
PITCH_M = 1e-6
SHAPE = (1, 6, 10)
RNG = np.random.default_rng(4)
HEIGHT_M = RNG.integers(0, 8, SHAPE[1:]) * PROCESS.step_height_m
NM, TWO_PI = Scale(1e-9), Scale.read("2pi")


def read(*paths: Path, shape: tuple[int, int, int] = SHAPE, **said: Any) -> Masks:
    files = tuple(map(SourceFile.read, paths))
    return read_masks(ImportJob(files, shape, (PITCH_M, PITCH_M), PROCESS, Layout(), said=Said(**said)))[0]


def heights_of(masks: Masks) -> np.ndarray:
    return masks.phase_rad[0] * PROCESS.full_height_m / (2.0 * np.pi)


def assert_heights(masks: Masks, expected: np.ndarray = HEIGHT_M, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(heights_of(masks), expected, rtol=1e-6, atol=atol)


def tiff(path: Path, values: np.ndarray, **more: Any) -> Path:
    more = {"photometric": "minisblack", "metadata": None} | more
    tifffile.imwrite(path, values, **more)
    return path


@pytest.mark.parametrize("unit", ["nm", "um", "mm", "m", "rad", "waves", "pi", "deg"])
def test_numbers_without_unit_are_a_question_and_any_unit_an_answer(unit: str, tmp_path: Path) -> None:
    scale = Scale.read(f"1 {unit}")
    values = HEIGHT_M / scale.height_m(PROCESS)
    np.save(tmp_path / "bare.npy", values)
    for path in (tiff(tmp_path / "bare.tif", values), tmp_path / "bare.npy"):
        with pytest.raises(DataError, match="of which the file does not say the unit") as caught:
            read(path)
        assert "--unit nm, um, mm, m, rad or waves" in caught.value.expected
        if unit not in ("pi", "deg"):
            assert f"0.875 of 2π in {unit}" in caught.value.remedy
        assert_heights(read(path, unit=scale))


@pytest.mark.parametrize(("unit", "fitting"), [("nm", "um"), ("um", "m"), ("m", "nm")])
def test_a_wrong_unit_makes_flat_or_tall_masks_and_the_right_one_is_named(
    unit: str, fitting: str, tmp_path: Path
) -> None:
    path = tiff(tmp_path / "bare.tif", HEIGHT_M / Scale.read(f"1 {fitting}").size)
    message = r"flat masks: all phases lie within|times that of 2π|m high"
    with pytest.raises(DataError, match=message) as caught:
        read(path, unit=Scale.read(f"1 {unit}"))
    if "m high" not in caught.value.message:
        assert f"0.875 of 2π in {fitting}" in caught.value.remedy


LEVELS = RNG.permutation(np.arange(60) % 8).reshape(SHAPE[1:])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("said", ["2pi", "1.2 um", "1 waves", "3.1 rad"])
def test_numbers_of_levels_are_refused_and_the_scale_that_fits_is_named(kind: type, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "levels.npy", LEVELS.astype(kind))
    with pytest.raises(DataError, match="flat masks: all phases lie within") as caught:
        read(tmp_path / "levels.npy", full_scale=Scale.read(said))
    assert "a step being 0.125 of 2π" in caught.value.expected
    scale = caught.value.remedy.split('--full-scale "')[1].split('"')[0]
    masks = read(tmp_path / "levels.npy", full_scale=Scale.read(scale))
    assert_heights(masks, LEVELS * PROCESS.step_height_m)
    assert not any("levels of the design round" in note for note in masks.notes)


def test_numbers_of_levels_as_floats_are_to_be_saved_as_heights(tmp_path: Path) -> None:
    np.save(tmp_path / "levels.npy", LEVELS.astype(float))
    with pytest.raises(DataError, match="flat masks") as caught:
        read(tmp_path / "levels.npy", unit=NM)
    assert "save them times the height of a step, 173.191 nm, if these are the numbers" in caught.value.remedy


FLAT: dict[str, tuple[np.ndarray, str]] = {
    "below half a step": (LEVELS / 8 * 0.07, r"within 0\.06125 of 2π, and all pixels at one level"),
    "a turn apart": (LEVELS % 2 + 0.0, "within 1 of 2π, and all pixels at one level"),
    "at another level": (LEVELS * 0.001 + 0.4, r"within 0\.007 of 2π, and all pixels at one level"),
}


@pytest.mark.parametrize("name", FLAT)
def test_masks_that_are_flat_at_the_levels_of_the_design_are_refused(name: str, tmp_path: Path) -> None:
    waves, message = FLAT[name]
    np.save(tmp_path / "flat.npy", waves)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "flat.npy", unit=Scale.read("1 waves"))
    assert re.search(message, caught.value.message) and "--flat" in caught.value.remedy
    assert_heights(read(tmp_path / "flat.npy", unit=Scale.read("1 waves"), flat=True), waves * PROCESS.full_height_m)


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (LEVELS, None),
        (LEVELS + 0.004, None),
        (LEVELS // 2 * 2 + 0.5, "by up to 0.5 of a step, and 1 of all pixels by more than 0.25"),
        (LEVELS // 2 * 2 + np.arange(60).reshape(6, 10) % 2 * 0.4, "by up to 0.4 of a step, and 0.5 of all pixels"),
        (LEVELS / 8 * 0.9, "by up to 0.4"),
        (LEVELS + 0.1, "by up to 0.1 of a step, and 0 of all pixels"),
    ],
)
def test_heights_that_levels_round_are_told(places: np.ndarray, told: str | None, tmp_path: Path) -> None:
    np.save(tmp_path / "rounded.npy", places / 8)
    notes = read(tmp_path / "rounded.npy", unit=Scale.read("1 waves")).notes
    found = [note for note in notes if note.startswith("the 8 levels of the design round heights")]
    assert len(found) == (told is not None) and (told is None or told in found[0])


def imagej(unit: str, per_unit: float) -> dict[str, Any]:
    return {"imagej": True, "resolution": (per_unit, per_unit), "metadata": {"unit": unit, "axes": "YX"}}


def ome(size: float, unit: str | None) -> dict[str, Any]:
    said = {"PhysicalSizeX": size, "PhysicalSizeY": size}
    if unit is not None:
        said |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    return {"ome": True, "metadata": {"axes": "YX", **said}}


SIZES: dict[str, tuple[Callable[[float], dict[str, Any]], str]] = {
    "ImageJ um": (lambda um: imagej("um", 1 / um), "tif"),
    "ImageJ micron": (lambda um: imagej("micron", 1 / um), "tif"),
    "ImageJ µm": (lambda um: imagej("\\u00B5m", 1 / um), "tif"),
    "ImageJ nm": (lambda um: imagej("nm", 1e-3 / um), "tif"),
    "ImageJ mm": (lambda um: imagej("mm", 1e3 / um), "tif"),
    "ImageJ inch": (lambda um: imagej("inch", 25400 / um), "tif"),
    "OME": (lambda um: ome(um, None), "ome.tif"),
    "OME nm": (lambda um: ome(um * 1e3, "nm"), "ome.tif"),
    "OME mm": (lambda um: ome(um * 1e-3, "mm"), "ome.tif"),
    "OME, X alone": (lambda um: {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": um}}, "ome.tif"),
    "OME, Y alone, nm": (
        lambda um: {"ome": True, "metadata": {"axes": "YX", "PhysicalSizeY": um * 1e3, "PhysicalSizeYUnit": "nm"}},
        "ome.tif",
    ),
    "tags": (lambda um: {"resolution": (1e4 / um, 1e4 / um), "resolutionunit": "CENTIMETER"}, "tif"),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_size_of_pixels_that_a_tiff_states_is_taken(name: str, tmp_path: Path) -> None:
    make, suffix = SIZES[name]
    values = (HEIGHT_M * 1e9).astype(np.float32)
    assert_heights(read(tiff(tmp_path / f"same.{suffix}", values, **make(1.0)), unit=NM))
    fine = np.repeat(np.repeat(values, 2, axis=0), 2, axis=1)
    assert_heights(read(tiff(tmp_path / f"fine.{suffix}", fine, **make(0.5)), unit=NM))
    with pytest.raises(DataError, match="6 × 10 samples, 3 × 5 pixels of the design"):
        read(tiff(tmp_path / f"other.{suffix}", values, **make(0.5)), unit=NM)
    with pytest.raises(DataError, match="samples of 700 nm on pixels of 1 µm"):
        read(tmp_path / f"other.{suffix}", unit=NM, pitch_m=0.7e-6)
    assert_heights(read(tmp_path / f"other.{suffix}", unit=NM, pitch_m=1e-6))


def test_pixels_in_units_of_pixels_state_nothing(tmp_path: Path) -> None:
    path = tiff(tmp_path / "pixels.tif", (HEIGHT_M * 1e9).astype(np.float32), **imagej("pixel", 1.0))
    masks = read(path, unit=NM)
    assert_heights(masks)
    assert "the files do not say how far samples are apart: 1 µm, as the design's pixels" in masks.notes


def test_the_calibration_of_imagej_is_applied(tmp_path: Path) -> None:
    counts = RNG.integers(0, 60000, SHAPE[1:], dtype=np.uint16)
    said = {"axes": "YX", "unit": "um", "cf": 0, "c0": -20.0, "c1": 0.02, "vunit": "nm"}
    path = tiff(tmp_path / "counts.tif", counts, imagej=True, resolution=(1.0, 1.0), metadata=said)
    assert_heights(read(path), (counts * 0.02 - 20.0) * 1e-9)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_seen_as_its_orientation_says(orientation: int, tmp_path: Path) -> None:
    shape = SHAPE[1:] if orientation < 5 else SHAPE[:0:-1]
    values = (RNG.integers(0, 8, shape) * PROCESS.step_height_m * 1e9).astype(np.float32)
    sides = {"resolution": (2e4, 1e4), "resolutionunit": "CENTIMETER"}
    extratags = [(274, "H", 1, orientation, True)]
    path = tiff(tmp_path / "seen.tif", values, extratags=extratags)
    with Image.open(path) as image:
        image.load()
        stored = Image.fromarray(values)
        stored.getexif()[274] = orientation
        expected = np.asarray(ImageOps.exif_transpose(stored)) * 1e-9
    assert_heights(read(path, unit=NM), expected)
    wide = np.repeat(values, 2, axis=1)  # half as wide as they are tall, as stored
    assert_heights(read(tiff(tmp_path / "wide.tif", wide, extratags=extratags, **sides), unit=NM), expected)


def test_a_unit_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = tiff(tmp_path / "said.tif", (HEIGHT_M * 1e9).astype(np.float32), description='{"unit": "nm"}')
    assert_heights(read(path, unit=NM))
    with pytest.raises(DataError, match="--unit is not the unit that the file says, of which 1 is 1e-09 m"):
        read(path, unit=Scale(1e-6))


def bmp(path: Path, greys: np.ndarray) -> None:
    Image.fromarray(greys).save(path)


GREYS: dict[str, tuple[Callable[[Path, np.ndarray], Any], type]] = {
    "png": (bmp, np.uint8),
    "bmp": (bmp, np.uint8),
    "16.png": (bmp, np.uint16),
    "rgb.png": (lambda path, greys: bmp(path, np.dstack([greys] * 3)), np.uint8),
    "rgba.png": (lambda path, greys: bmp(path, np.dstack([greys] * 3 + [np.full_like(greys, 255)])), np.uint8),
    "rgb.bmp": (lambda path, greys: bmp(path, np.dstack([greys] * 3)), np.uint8),
    "8.tif": (tiff, np.uint8),
    "16.tif": (tiff, np.uint16),
    "32.tif": (tiff, np.uint32),
    "8.npy": (np.save, np.uint8),
    "16.npy": (np.save, np.uint16),
}


@pytest.mark.parametrize("name", GREYS)
def test_grey_values_are_a_question_and_a_full_scale_the_answer(name: str, tmp_path: Path) -> None:
    save, kind = GREYS[name]
    path, top = tmp_path / f"grey.{name}", int(np.iinfo(kind).max)
    greys = RNG.integers(0, top, SHAPE[1:], dtype=kind)
    save(path, greys)
    with pytest.raises(DataError, match=f"grey values, up to {greys.max()} of {top}, which by themselves") as caught:
        read(path)
    assert "--full-scale" in caught.value.expected
    assert_heights(read(path, full_scale=Scale.read("1.2 um")), greys / top * 1.2e-6)
    masks = read(path, full_scale=TWO_PI)
    np.testing.assert_allclose(masks.phase_rad[0], greys / top * 2 * np.pi, rtol=1e-6, atol=1e-7)
    with pytest.raises(DataError, match="flat masks"):
        read(path, full_scale=NM)
    with pytest.raises(UsageError, match=r"--unit: meaningless for"):
        read(path, full_scale=TWO_PI, unit=NM)


def test_a_picture_of_bits_is_of_two_heights(tmp_path: Path) -> None:
    bits = RNG.integers(0, 2, SHAPE[1:]).astype(bool)
    Image.fromarray(bits).save(tmp_path / "bits.png")
    assert_heights(read(tmp_path / "bits.png", full_scale=Scale.read("600 nm")), bits * 600e-9)


def test_dots_an_inch_of_screens_say_nothing_and_others_do(tmp_path: Path) -> None:
    greys = Image.fromarray(RNG.integers(0, 256, SHAPE[1:], dtype=np.uint8))
    for dpi in (72, 96, 300):
        greys.save(tmp_path / "screen.png", dpi=(dpi, dpi))
        read(tmp_path / "screen.png", full_scale=TWO_PI)
    greys.save(tmp_path / "panel.png", dpi=(3175, 3175))
    with pytest.raises(DataError, match=r"48 × 80 pixels of the design"):
        read(tmp_path / "panel.png", full_scale=TWO_PI)


def test_pictures_with_colours_are_refused(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (*SHAPE[1:], 4), dtype=np.uint8)
    for name, picture in {
        "rgb.png": Image.fromarray(colours[..., :3]),
        "clear.png": Image.fromarray(np.dstack([colours[..., 0]] * 4)),
        "palette.png": Image.fromarray(colours[..., :3]).quantize(16),
    }.items():
        picture.save(tmp_path / name)
        with pytest.raises(DataError, match="a picture with colours"):
            read(tmp_path / name, full_scale=TWO_PI)
    path = tiff(tmp_path / "rgb.tif", colours[..., :3], photometric="rgb")
    with pytest.raises(DataError, match="an image of type uint8"):
        read(path, full_scale=TWO_PI)


@pytest.mark.parametrize("unit", ["m", "nm", "rad"])
def test_a_simple_field_says_its_units(unit: str, tmp_path: Path) -> None:
    scale = Scale.read(f"1 {unit}").height_m(PROCESS)
    path, said = tmp_path / "field.gsf", {"XReal": 10e-6, "YReal": 6e-6, "XYUnits": "m", "ZUnits": unit}
    gsffile.write_gsf(path, (HEIGHT_M / scale).astype(np.float32), said)
    assert_heights(read(path))
    gsffile.write_gsf(path, (HEIGHT_M / scale).astype(np.float32), said | {"XReal": 5e-6})
    with pytest.raises(DataError, match="6 × 5 pixels of the design"):
        read(path)
    gsffile.write_gsf(path, (HEIGHT_M * 1e9).astype(np.float32))
    with pytest.raises(DataError, match="of which the file does not say the unit"):
        read(path)
    assert_heights(read(path, unit=NM))


def points(step: float = 1.0) -> np.ndarray:
    """x, y and height of pixels in micrometres, y up, in no order."""
    row, column = np.indices(SHAPE[1:])
    table = np.stack((column * step + 100, (5 - row) * step - 7, HEIGHT_M * 1e6), axis=-1).reshape(-1, 3)
    return RNG.permutation(table)


@pytest.mark.parametrize("delimiter", [" ", ",", ";", "\t", ", "])
@pytest.mark.parametrize("header", ["", "x,y,z", "# x [um] y [um] z [um]", "X / um;Y / um;height / um"])
def test_points_in_any_order_are_a_map(delimiter: str, header: str, tmp_path: Path) -> None:
    path = tmp_path / "points.xyz"
    np.savetxt(path, points(), delimiter=delimiter, header=header, comments="")
    path.write_text(path.read_text().lstrip("\n"))
    if "um" not in header:
        with pytest.raises(DataError, match="of which the file does not say the unit"):
            read(path)
        assert_heights(read(path, unit=Scale(1e-6)))
    else:
        assert_heights(read(path))


def test_points_of_another_distance_or_with_gaps_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    np.savetxt(path, points(0.5), delimiter=",")
    with pytest.raises(DataError, match="6 × 10 samples, 3 × 5 pixels of the design"):
        read(path, unit=Scale(1e-6))
    assert_heights(read(path, unit=Scale(1e-6), pitch_m=1e-6))
    np.savetxt(path, points()[1:], delimiter=",")
    with pytest.raises(DataError, match="59 points on a grid of 6 × 10"):
        read(path, unit=Scale(1e-6))
    table = points()
    table[3, 0] += 0.3
    np.savetxt(path, table, delimiter=",")
    with pytest.raises(DataError, match=r"points on a grid|a point at x"):
        read(path, unit=Scale(1e-6))
    np.savetxt(path, table[:, :2], delimiter=",")
    with pytest.raises(DataError, match="2 numbers in a line"):
        read(path)


def solid(path: Path, scale: float = 1e3, kind: str = "stl") -> Path:
    """Boxes side by side on a plate of 2 µm, as a program of solids would join them, in millimetres."""
    parts = []
    for (row, column), height_m in np.ndenumerate(HEIGHT_M):
        box = trimesh.creation.box((1e-6, 1e-6, 2e-6 + height_m))
        box.apply_translation((column * 1e-6 + 3e-6, (5 - row) * 1e-6, 0.5 * (2e-6 + height_m)))
        parts.append(box)
    mesh = trimesh.util.concatenate(parts)
    mesh.apply_scale(scale)
    mesh.export(path, file_type=kind)
    return path


@pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
def test_a_solid_is_as_high_as_its_upper_side(kind: str, tmp_path: Path) -> None:
    path = solid(tmp_path / "solid.stl", kind=kind)
    with pytest.raises(DataError, match=r"an STL file, which names no unit of length(.|\n)*--unit mm"):
        read(path)
    expected = HEIGHT_M - HEIGHT_M.min()
    assert_heights(read(path, unit=Scale(1e-3)), expected, atol=1e-11)
    with pytest.raises(DataError, match=r"a solid of 10 mm × 6 mm(.|\n)*--pitch"):
        read(solid(tmp_path / "large.stl", 1e6, kind), unit=Scale(1e-3))
    assert_heights(read(tmp_path / "large.stl", unit=Scale(1e-3), pitch_m=1e-3), expected, atol=1e-11)


def test_a_smooth_solid_is_taken_at_the_middle_of_pixels(tmp_path: Path) -> None:
    """A wedge between two planes: triangles far larger than pixels, seen from either side."""
    corners = np.array(
        [(0, 0, 0), (10, 0, 0), (10, 6, 0), (0, 6, 0), (0, 0, 1), (10, 0, 2), (10, 6, 2), (0, 6, 1)], float
    )
    wedge = trimesh.convex.convex_hull(corners * 1e-3)
    for mesh in (wedge, trimesh.Trimesh(wedge.vertices, wedge.faces[:, ::-1], process=False)):
        mesh.export(tmp_path / "wedge.stl")
        expected = np.broadcast_to(np.arange(10) * 0.1e-6, SHAPE[1:])
        assert_heights(read(tmp_path / "wedge.stl", unit=Scale(1e-3)), expected, atol=1e-12)


MEANINGLESS = [
    ("gds", "unit"),
    ("gds", "pitch_m"),
    ("gds", "full_scale"),
    ("tif", "layers"),
    ("tif", "tone"),
    ("png", "cell"),
]
MEANINGLESS += [("npz", "unit"), ("npy", "origin_m"), ("gsf", "full_scale"), ("xyz", "off_grid"), ("stl", "mirror")]
MEANINGLESS += [("dat", "full_scale"), ("png", "unit"), ("oas", "pitch_m"), ("bmp", "kind")]
VALUES = {"unit": NM, "pitch_m": 1e-6, "full_scale": TWO_PI, "tone": "keep", "cell": "A", "origin_m": (0.0, 0.0)}
VALUES |= {"layers": SourceFile(Path("a.csv"), b""), "off_grid": True, "mirror": False, "kind": "bits"}


@pytest.mark.parametrize(("suffix", "field"), MEANINGLESS)
def test_what_means_nothing_for_a_format_is_refused(suffix: str, field: str, tmp_path: Path) -> None:
    path = tmp_path / f"file.{suffix}"
    path.write_bytes(b"")
    np.savez(tmp_path / "file.npz", height_m=HEIGHT_M)
    option = field.removesuffix("_m").replace("_", "-")
    with pytest.raises(UsageError, match=f"--{option}: meaningless for") as caught:
        read(path, **{field: VALUES[field]})
    assert caught.value.exit_code == 2


def test_every_option_means_something_for_some_format() -> None:
    meant = {field for importer in importers().values() for field in importer.options} | {"flat"}
    assert meant == set(Said.__dataclass_fields__)


def npz_of_zeros(path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (30000, 30000)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("height_m.npy", head.getvalue() + bytes(1 << 20))


def huge_png(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 13000, 13000, 8, 0, 0, 0, 0)
    packed = zlib.compress(bytes(13001 * 100))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def huge_tiff(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4000, 4000), np.float32), compression="zlib", metadata=None)


FIELD = b"Gwyddion Simple Field 1.0\n"


def sag(first: str, point: str = "0 0 0 0\n") -> Callable[[Path], Any]:
    return lambda path: path.write_text(first + point * 60)


def infinite(path: Path) -> None:
    np.savez(path, height_m=HEIGHT_M, pitch_m=np.inf)


def enormous(path: Path) -> None:
    np.savez(path, height_m=HEIGHT_M * 1e308 / 1e-6)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "zeros.npz": (npz_of_zeros, "30000 × 30000 samples"),
    "huge.png": (huge_png, "13000 × 13000 samples"),
    "huge.tif": (huge_tiff, "4000 × 4000 samples"),
    "infinite.npz": (infinite, "samples .* m apart"),
    "enormous.npz": (enormous, r"row \d column \d is .*e\+30. m high"),
    "infinite.dat": (sag("inf 6 1e-3 1e-3 0 0 0\n"), "describes no grid"),
    "step.dat": (sag("10 6 inf 1e-3 0 0 0\n"), "describes no grid"),
    "sag.dat": (sag("10 6 1e-3 1e-3 0 0 0\n", "inf 0 0 0\n"), "row 0 column 0 is no number"),
    "large.dat": (sag("1e300 1e300 1e-3 1e-3 0 0 0\n"), "60 points of"),
    "short.gsf": (
        lambda path: path.write_bytes(FIELD + b"XRes = 5\n\0"),
        "a head without its numbers",
    ),
    "size.gsf": (
        lambda path: path.write_bytes(FIELD + b"XRes = 5\nYRes = 9\n\0\0"),
        "bytes of values",
    ),
    "signal.gsf": (
        lambda path: path.write_bytes(FIELD + b"XRes = 10\nYRes = 6\nZUnits=m\n" + bytes(2) + b"\0\0\xa0\x7f" * 60),
        "row 0 column 0 is no number",
    ),
    "nothing.npy": (lambda path: np.save(path, np.full(SHAPE, np.nan)), "numbers from 0 to 0, of which the file"),
    "no.gsf": (lambda path: path.write_bytes(b"nothing"), "byte 0: not a Gwyddion Simple Field"),
    "cut.stl": (lambda path: path.write_bytes(bytes(100)), "byte 80: 0 triangles in 100 bytes"),
    "empty.stl": (lambda path: path.write_bytes(bytes(84)), "no triangles"),
    "text.stl": (lambda path: path.write_bytes(b"solid a\nvertex 1 2\n"), "no triangles"),
    "no.3mf": (lambda path: path.write_bytes(b"nothing"), "a damaged archive"),
    "no.png": (lambda path: path.write_bytes(b"nothing"), "cannot be read"),
    "no.npy": (lambda path: path.write_bytes(b"nothing"), "cannot be read"),
    "words.xyz": (lambda path: path.write_bytes(b"nothing\n" * 5), "no table of numbers"),
    "empty.csv": (lambda path: path.write_bytes(b""), "no table of numbers"),
    "signed.npy": (lambda path: np.save(path, np.zeros(SHAPE, np.int16)), "numbers of type int16"),
    "complex.npy": (lambda path: np.save(path, np.zeros(SHAPE, complex)), "numbers of type complex128"),
    "objects.npy": (lambda path: np.save(path, np.array([{}], object)), "cannot be read: Object"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_map_or_far_too_large_is_refused(name: str, tmp_path: Path) -> None:
    make, message = BAD[name]
    make(tmp_path / name)
    said = {"unit": Scale(1e-3)} if name.endswith((".stl", ".xyz", ".csv")) else {}
    with pytest.raises(OpticDesignError, match=message) as caught:
        read(tmp_path / name, **said)
    assert caught.value.exit_code == 2 and (caught.value.expected or caught.value.remedy)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(DataError, match="cannot be read: no plain file"):
        SourceFile.read(tmp_path / "pipe.tif")


@pytest.mark.parametrize("text", ["0 um", "-2pi", "2 kg", "pi2", "1.2", "", "nan pi", "1e999 pi", "..pi"])
def test_a_scale_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Scale.read(text)
    assert caught.value.expected


@pytest.mark.parametrize("unit", ["furlong", "px", "point", "foot", "in", "lightyear", "parsec", "turn", "arcmin"])
def test_a_scale_in_a_unit_of_no_mask_is_refused(unit: str) -> None:
    with pytest.raises(UsageError) as caught:
        Scale.read(f"1 {unit}")
    assert "nm, um" in caught.value.expected


def test_scales_are_heights_or_phases() -> None:
    assert Scale.read("2pi") == Scale.read("2 π") == Scale(2 * np.pi, phase=True)
    assert Scale.read("1 waves") == Scale.read("2pi") == Scale.read("1 wave")
    assert Scale.read("pi") == Scale(np.pi, phase=True)
    assert Scale.read("1.2 um") == Scale(1.2e-6)
    assert Scale.read("2pi").height_m(PROCESS) == pytest.approx(PROCESS.full_height_m)
