"""Height maps from elsewhere as masks: TIFF, NPZ and Grid Sag, at other pitches and in other units, and bad ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from opticdesign.design import Layout
from opticdesign.errors import DataError, UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.importing import ImportJob, Masks, importers, read_masks
from opticdesign.handover.said import Said, Scale
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.heights.grid_sag_importer import GridSagImporter
from opticdesign_exporters.heights.heightmap import HeightMapExporter
from opticdesign_exporters.heights.npz_importer import NpzImporter
from opticdesign_exporters.heights.tiff_importer import TiffImporter
from opticdesign_exporters.heights.zemax import ZemaxExporter
from opticdesign_exporters.layout.importer import LayoutImporter

PITCH_M = 316.4e-9
PROCESS = FabricationProcess(8, 632.8e-9, 1.45702, 1.0003)
SHAPE = (2, 12, 18)


def heights(seed: int = 0) -> np.ndarray:
    """Random levels in metres, of no symmetry."""
    return np.random.default_rng(seed).integers(0, 8, SHAPE) * PROCESS.step_height_m


def read(*paths: Path, **more: Any) -> Masks:
    files = tuple(map(SourceFile.read, paths))
    return read_masks(ImportJob(files, SHAPE, (PITCH_M, PITCH_M), PROCESS, Layout(), said=Said(**more)))[0]


def heights_of(masks: Masks) -> np.ndarray:
    return masks.phase_rad * PROCESS.full_height_m / (2.0 * np.pi)


def save_tiff(path: Path, height_m: np.ndarray, **more: Any) -> Path:
    """Heights in nanometres, which the file says as ours do."""
    more = {"description": '{"unit": "nm"}', "metadata": None} | more
    tifffile.imwrite(path, (height_m * 1e9).astype(np.float32), photometric="minisblack", **more)
    return path


def save_sag(path: Path, height_m: np.ndarray, unit: int = 0, pitch_m: float = PITCH_M, tail: str = "0 0") -> Path:
    """A Grid Sag as a program of its own would write it."""
    unit_m = (1e-3, 1e-2, 0.0254, 1.0)[unit]
    rows, columns = height_m.shape
    step = f"{pitch_m / unit_m:.12g}"
    table = np.zeros((height_m.size, 5))
    table[:, 0] = height_m.ravel() / unit_m
    header = f"! made elsewhere\n{columns} {rows} {step} -{step} {unit} {tail}"
    np.savetxt(path, table, header=header, comments="", fmt="%.12e %g %g %g %d")
    return path


def save_sags(folder: Path, height_m: np.ndarray, **more: Any) -> list[Path]:
    return [save_sag(folder / f"mask{number}.DAT", plane, **more) for number, plane in enumerate(height_m)]


def test_importers_are_found_by_entry_points() -> None:
    found = importers()
    assert {type(one) for one in found.values()} >= {LayoutImporter, TiffImporter, NpzImporter, GridSagImporter}
    assert all(one.name == name and one.summary for name, one in found.items())


@pytest.mark.parametrize("exporter", [HeightMapExporter(), ZemaxExporter()], ids=lambda one: one.name)
def test_what_we_export_comes_back(exporter, make_job, tmp_path) -> None:
    job = make_job(8, SHAPE)
    files = [file.path for file in exporter.write(job, tmp_path).files]
    groups = {
        suffix: [tmp_path / path for path in files if path.endswith(suffix)] for suffix in ("tif", "npz", "sag.DAT")
    }
    expected = job.levels * job.process.step_height_m
    for paths in filter(None, groups.values()):
        np.testing.assert_allclose(heights_of(read(*paths)), expected, rtol=1e-6, atol=1e-15)


def test_pages_are_masks_and_heights_are_not_rounded(tmp_path: Path) -> None:
    height_m = heights() * 0.77
    masks = read(save_tiff(tmp_path / "masks.tiff", height_m))
    np.testing.assert_allclose(heights_of(masks), height_m, rtol=1e-6)
    pitch = "the files do not say how far samples are apart: 316.4 nm, as the design's pixels"
    rounded = (
        "the 8 levels of the design round heights by up to 0.46 of a step, and 0.51 of all pixels by more than 0.25"
    )
    assert masks.notes == ("heights span 0.6738 of 2π", pitch, rounded)
    first, second = (save_tiff(tmp_path / f"{number}.tif", plane) for number, plane in enumerate(height_m))
    np.testing.assert_array_equal(read(first, second).phase_rad, masks.phase_rad)
    np.testing.assert_array_equal(read(second, first).phase_rad, masks.phase_rad[::-1])


@pytest.mark.parametrize("unit", [0, 1, 2, 3])
def test_a_grid_sag_begins_at_the_upper_left(unit: int, tmp_path: Path) -> None:
    masks = read(*save_sags(tmp_path, heights(), unit=unit))
    np.testing.assert_allclose(heights_of(masks), heights(), rtol=1e-6, atol=1e-15)


def test_a_grid_sag_says_what_is_left_out(tmp_path: Path) -> None:
    first, second = save_sags(tmp_path, heights(), tail="0.1 0")
    lines = second.read_text().splitlines()
    lines[2] = "0 0 0 0 1"
    second.write_text("\n".join(lines))
    notes = read(first, second).notes
    assert "mask0.DAT: its decentre is left out" in notes
    assert "mask1.DAT: 1 points without data are taken as their sag says" in notes


@pytest.mark.parametrize("unit", ["CENTIMETER", "INCH"])
def test_coarser_samples_are_repeated(unit: str, tmp_path: Path) -> None:
    coarse = heights()[:, ::3, ::3]
    per_unit = {"CENTIMETER": 0.01, "INCH": 0.0254}[unit] / (3 * PITCH_M)
    path = save_tiff(tmp_path / "coarse.tif", coarse, resolution=(per_unit, per_unit), resolutionunit=unit)
    expected = np.repeat(np.repeat(coarse, 3, axis=1), 3, axis=2)
    np.testing.assert_allclose(heights_of(read(path)), expected, rtol=1e-6, atol=1e-15)


def test_finer_samples_are_averaged(tmp_path: Path) -> None:
    fine = np.repeat(np.repeat(heights(), 4, axis=1), 4, axis=2)
    fine[:, ::4, ::4] += 80e-9
    np.savez(tmp_path / "fine.npz", height_m=fine, pitch_m=PITCH_M / 4)
    np.testing.assert_allclose(heights_of(read(tmp_path / "fine.npz")), heights() + 5e-9, rtol=1e-6)


def test_pitch_and_unit_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "micrometres.tif"
    tifffile.imwrite(path, heights() * 1e6, photometric="minisblack", resolution=(72, 72), resolutionunit="INCH")
    with pytest.raises(DataError, match=r"of which the file does not say the unit(.|\n)*0\.875 of 2π in um"):
        read(path)
    with pytest.raises(DataError, match="12 × 18 samples, 13380 × 20070 pixels of the design"):
        read(path, unit=Scale(1e-6))
    masks = read(path, pitch_m=PITCH_M, unit=Scale(1e-6))
    np.testing.assert_allclose(heights_of(masks), heights(), rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("pitch_m", [1.5 * PITCH_M, 1.01 * PITCH_M, PITCH_M / 2.4])
def test_a_pitch_that_is_no_multiple_or_part_is_refused(pitch_m: float, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"on pixels of 316\.4 nm") as caught:
        read(*save_sags(tmp_path, heights(), pitch_m=pitch_m))
    assert "optics.pitch" in caught.value.remedy


def test_radians_taken_for_millimetres_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"heights from 0 m to 5\.49779 mm, 3968 times that of 2π"):
        read(*save_sags(tmp_path, heights() / PROCESS.full_height_m * 2.0 * np.pi * 1e-3))


def test_files_of_several_formats_are_refused(tmp_path: Path) -> None:
    first = save_tiff(tmp_path / "a.tif", heights()[0])
    with pytest.raises(DataError, match=r"a file of type \.dat among others"):
        read(first, save_sag(tmp_path / "b.dat", heights()[1]))


def test_no_file_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to import"):
        read()


def test_an_uninstalled_checkout_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: ())
    with pytest.raises(UsageError, match=r"no importer is installed\n  remedy:   install with pip install -e \."):
        importers()


def not_heights(folder: Path) -> Path:
    tifffile.imwrite(folder / "grey.tif", np.zeros(SHAPE, np.uint8), photometric="minisblack")
    return folder / "grey.tif"


def damaged(folder: Path) -> Path:
    path = save_tiff(folder / "damaged.tif", heights())
    path.write_bytes(path.read_bytes()[:600])
    return path


def save_npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "masks.npz", **arrays)
    return folder / "masks.npz"


def text(folder: Path, content: str) -> Path:
    (folder / "text.dat").write_text(content)
    return folder / "text.dat"


def holed() -> np.ndarray:
    height_m = heights()
    height_m[1, 3, 5] = np.nan
    return height_m


POINTS = "0 0 0 0\n"
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "none.tif", "cannot be read: No such file"),
    "folder": (lambda folder: folder, "cannot be read"),
    "other format": (lambda folder: text(folder, "").rename(folder / "mask.obj"), r"a file of type \.obj"),
    "damaged": (damaged, "cannot be read"),
    "no tiff": (lambda folder: text(folder, "no").rename(folder / "mask.tif"), "cannot be read"),
    "grey values": (not_heights, "grey values, up to 0 of 255, which by themselves stand for no height"),
    "objects": (lambda folder: save_npz(folder, height_m=np.array([{}], dtype=object)), "cannot be read: Object"),
    "other array": (lambda folder: save_npz(folder, phase=heights()), "no array height_m"),
    "integers": (lambda folder: save_npz(folder, height_m=np.zeros(SHAPE, int)), "height_m of int64"),
    "one line": (lambda folder: save_npz(folder, height_m=np.zeros(5)), "height_m of float64 and shape"),
    "no pitch": (lambda folder: save_npz(folder, height_m=heights(), pitch_m=-1.0), "pitch_m of"),
    "no npz": (lambda folder: text(folder, "no").rename(folder / "mask.npz"), "cannot be read"),
    "one mask": (lambda folder: save_tiff(folder / "one.tif", heights()[0]), "1 height maps in 1 files, for 2"),
    "narrow": (lambda folder: save_tiff(folder / "small.tif", heights()[:, :, 1:]), "12 × 17 samples"),
    "no number": (lambda folder: save_tiff(folder / "nan.tif", holed()), "row 3 column 5 is no number"),
    "empty sag": (lambda folder: text(folder, "! nothing\n"), "an empty file"),
    "short head": (lambda folder: text(folder, "2 2 1 1\n" + POINTS * 4), "4 numbers in the first line"),
    "short sag": (lambda folder: text(folder, "2 2 1 1 0 0 0\n" + POINTS), "1 points of 2 × 2"),
    "words": (lambda folder: text(folder, "2 1 1 1 0 0 0\nz z z z\n" + POINTS), "not a table of numbers"),
    "ragged": (lambda folder: text(folder, "2 1 1 1 0 0 0\n0 0 0\n" + POINTS), "not a table of numbers"),
    "no grid": (lambda folder: text(folder, "2 2 0 1 0 0 0\n" + POINTS * 4), "describes no grid"),
    "half a point": (lambda folder: text(folder, "2.5 2 1 1 0 0 0\n" + POINTS * 5), "describes no grid"),
    "other unit": (lambda folder: text(folder, "2 2 1 1 7 0 0\n" + POINTS * 4), "describes no grid"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_or_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    make, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        read(make(tmp_path))
    assert caught.value.exit_code == 2
    assert caught.value.expected or caught.value.remedy


@pytest.mark.parametrize(("down", "across"), [(1, 1), (2, 1), (1, 3)])
def test_maps_of_other_samples_become_rectangular_pixels(down: int, across: int, tmp_path: Path) -> None:
    """Pixels of 2 µm × 1 µm from samples that are finer along one axis; one number is a square sample."""
    sides_m = 2e-6, 1e-6
    fine = np.repeat(np.repeat(heights(), down, axis=1), across, axis=2)
    np.savez(tmp_path / "fine.npz", height_m=fine, pitch_m=np.array((sides_m[0] / down, sides_m[1] / across)))
    job = ImportJob((SourceFile.read(tmp_path / "fine.npz"),), SHAPE, sides_m, PROCESS, Layout())
    np.testing.assert_allclose(heights_of(read_masks(job)[0]), heights(), atol=1e-12)
    if (down, across) == (2, 1):
        np.savez(tmp_path / "fine.npz", height_m=fine, pitch_m=1e-6)
        job = ImportJob((SourceFile.read(tmp_path / "fine.npz"),), SHAPE, sides_m, PROCESS, Layout())
        np.testing.assert_allclose(heights_of(read_masks(job)[0]), heights(), atol=1e-12)


def test_square_samples_on_rectangular_pixels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "square.npz", height_m=heights(), pitch_m=1.5e-6)
    job = ImportJob((SourceFile.read(tmp_path / "square.npz"),), SHAPE, (2e-6, 1e-6), PROCESS, Layout())
    with pytest.raises(DataError, match=r"samples of 1\.5 µm on pixels of 2 µm × 1 µm"):
        read_masks(job)


def test_columns_finer_than_pixels_are_averaged_and_rows_repeated(tmp_path: Path) -> None:
    fine = np.random.default_rng(3).random((2, 6, 36)) * 1e-7
    np.savez(tmp_path / "mixed.npz", height_m=fine, pitch_m=np.array((2e-6, 0.5e-6)))
    job = ImportJob((SourceFile.read(tmp_path / "mixed.npz"),), SHAPE, (1e-6, 1e-6), PROCESS, Layout())
    expected = fine.reshape(2, 6, 18, 2).mean(axis=3).repeat(2, axis=1)
    np.testing.assert_allclose(heights_of(read_masks(job)[0]), expected, atol=1e-13)
