"""Files of ours come back by the manifest beside them, whatever the design or the names of files say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from opticdesign.design import Export, Layout
from opticdesign.errors import DataError, UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob, export_design, exporters
from opticdesign.handover.importing import ImportJob, Masks, read_masks
from opticdesign.handover.said import Said, Scale
from opticdesign.handover.source_file import SourceFile
from opticdesign.runs.own_files import own_masks

PROCESS = FabricationProcess(8, 632.8e-9, 1.45702, 1.0003)
PITCH_M = (316.4e-9, 632.8e-9)
Make = Callable[..., tuple[ExportJob, Path]]


def export_job(levels: int = 8, spec: Export | None = None, openings: bool = False) -> ExportJob:
    rng = np.random.default_rng(0)
    array = rng.integers(0, levels, (2, 9, 12), dtype=np.uint8)
    array[:, 0, 0], array[:, -1, -1] = 0, levels - 1
    halves = rng.integers(0, 65, array.shape).astype(np.uint16) if openings else None
    return ExportJob("masks", array, replace(PROCESS, levels=levels), PITCH_M, 256, halves, spec or Export())


def import_job(job: ExportJob, *paths: Path, **more: Any) -> ImportJob:
    """What imports files into the design, whose own export settings are those of a new one."""
    files = tuple(map(SourceFile.read, paths))
    halftone = more.pop("halftone", None)
    shape, pitch_m = more.pop("shape", job.levels.shape), more.pop("pitch_m", job.pitch_m)
    process = more.pop("process", job.process)
    return ImportJob(files, shape, pitch_m, process, Layout(), halftone, Said(**more))


def imported(job: ExportJob, *paths: Path, **more: Any) -> Masks:
    found = own_masks(import_job(job, *paths, **more))
    assert found is not None
    return found[0]


def phases(job: ExportJob) -> np.ndarray:
    return job.process.phase_of_level(torch.from_numpy(job.levels)).numpy()


SWEEP = list(product(["gds", "oasis"], ["levels", "bits"], ["keep", "etch"], [False, True], [2, 4, 8]))


@pytest.mark.parametrize(("name", "kind", "tone", "mirror", "levels"), SWEEP)
def test_layouts_come_back_bit_for_bit(name, kind, tone, mirror, levels, tmp_path):
    job = export_job(levels, Export(layout=Layout(kind=kind, tone=tone, mirror=mirror, array=(1, 2))))
    export_design(job, [name], tmp_path, {})
    masks = imported(job, next((tmp_path / name).glob("*.[go]*s")))
    assert masks.phase_rad.tobytes() == phases(job).tobytes()
    said = f"{name}, {levels} levels, kind {kind}{' (the design says levels)' if kind == 'bits' else ''}"
    assert masks.notes[0].startswith(f"read as manifest.json says: {said}")
    assert ("(the design says keep)" in masks.notes[0]) == (tone == "etch")


@pytest.mark.parametrize("name", ["gds", "oasis"])
def test_masks_side_by_side_come_back(name, tmp_path):
    job = export_job(8, Export(layout=Layout(arrange="side by side", mirror=True)))
    export_design(job, [name], tmp_path, {})
    masks = imported(job, next((tmp_path / name).glob("*.[go]*s")))
    assert masks.phase_rad.tobytes() == phases(job).tobytes()


FILES = {
    "3mf": "layer{}.3mf", "grey": "layer{}.png", "gsf": "layer{}.gsf", "heightmap": "layer{}.tif",
    "png16": "layer{}.png", "preview": "layer{}.png", "slm": "layer{}.png", "stl": "layer{}.stl", "xyz": "layer{}.csv",
    "zemax": "layer{}_sag.DAT", "gds": "masks.gds", "oasis": "masks.oas",
}  # fmt: skip
ERROR_RAD = {"grey": 0.02, "png16": 5e-5, "slm": 1e-6}  # of formats whose numbers are greys


def test_every_exporter_is_in_the_table() -> None:
    assert set(FILES) == set(exporters())


@pytest.mark.parametrize("name", FILES)
def test_every_format_comes_back(name: str, tmp_path: Path) -> None:
    job = export_job()
    export_design(job, [name], tmp_path, {})
    paths = list(dict.fromkeys(tmp_path / name / FILES[name].format(number) for number in (1, 2)))
    masks = imported(job, *paths)
    np.testing.assert_allclose(masks.phase_rad, phases(job), rtol=0.0, atol=ERROR_RAD.get(name, 0.0))
    found = job.process.level_of_phase(torch.from_numpy(masks.phase_rad)).numpy()
    np.testing.assert_array_equal(found, job.levels)
    if len(paths) > 1:
        np.testing.assert_array_equal(imported(job, *paths[::-1]).phase_rad, masks.phase_rad[::-1])
        with pytest.raises(DataError, match=r"1 masks, by manifest\.json"):
            imported(job, paths[0])


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """`made(*names, **options)`: an export of formats, and its folder."""

    def make(*names: str, **options: Any) -> tuple[ExportJob, Path]:
        job = export_job(**options)
        export_design(job, list(names), tmp_path / "made", {})
        return job, tmp_path / "made"

    return make


def test_other_files_of_an_export_hold_the_masks_too(made: Make) -> None:
    job, folder = made("heightmap", "zemax", "preview")
    expected = phases(job)
    np.testing.assert_array_equal(imported(job, folder / "heightmap" / "heights.npz").phase_rad, expected)
    grids = [folder / "zemax" / f"layer{number}_phase.DAT" for number in (1, 2)]
    np.testing.assert_array_equal(imported(job, *grids).phase_rad, expected)
    with pytest.raises(DataError, match=r"holds no mask: all layers as the light meets them"):
        imported(job, folder / "preview" / "die.png")


def test_renamed_and_moved_files_are_known_by_their_hash(made: Make, tmp_path: Path) -> None:
    job, folder = made("gds", "heightmap", spec=Export(layout=Layout(tone="etch", mirror=True)))
    flat = tmp_path / "sent"
    flat.mkdir()
    for path in (folder / "manifest.json", *(folder / "heightmap").iterdir()):
        shutil.copy(path, flat)
    shutil.copy(folder / "gds" / "masks.gds", flat / "final (2).gds")
    np.testing.assert_array_equal(imported(job, flat / "final (2).gds").phase_rad, phases(job))
    (flat / "layer1.tif").rename(flat / "first.tif")
    np.testing.assert_array_equal(imported(job, flat / "first.tif", flat / "layer2.tif").phase_rad, phases(job))


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_known_under_other_names(name: str, made: Make) -> None:
    """One file renamed, or all of them; what lies beside them keeps its name."""
    job, folder = made(name)
    paths = list(dict.fromkeys(folder / name / FILES[name].format(number) for number in (1, 2)))
    expected = imported(job, *paths).phase_rad
    other = [path.with_stem(f"renamed {number}") for number, path in enumerate(paths)]
    for path, new in zip(paths, other, strict=True):
        path.rename(new)
    np.testing.assert_array_equal(imported(job, *other).phase_rad, expected)
    if len(paths) > 1:
        np.testing.assert_array_equal(imported(job, *other[::-1]).phase_rad, expected[::-1])
        other[0].rename(paths[0])
        np.testing.assert_array_equal(imported(job, paths[0], other[1]).phase_rad, expected)


def test_half_toned_chrome_comes_back(made: Make) -> None:
    job, folder = made("gds", openings=True)
    assert job.openings is not None
    path = folder / "gds" / "masks.gds"
    np.testing.assert_array_equal(imported(job, path, halftone=8).amplitudes, job.openings / np.float32(64))
    with pytest.raises(DataError, match="masks that absorb, for a design whose masks absorb nothing"):
        imported(job, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"process": FabricationProcess(4, 632.8e-9, 1.45702, 1.0003)}, "says levels 8"),
        ({"process": FabricationProcess(8, 500e-9, 1.45702, 1.0003)}, "says wavelength m 6.328e-07"),
        ({"pitch_m": (316.4e-9, 600e-9)}, "says pitch along x, m 6.328e-07"),
        ({"shape": (2, 9, 13)}, "says columns 12"),
        ({"shape": (3, 9, 12)}, "2 masks, by manifest.json"),
    ],
)
def test_masks_of_another_design_are_refused(changes, message, made: Make) -> None:
    job, folder = made("gds")
    with pytest.raises(DataError, match=message) as caught:
        imported(job, folder / "gds" / "masks.gds", **changes)
    assert "as the design has" in caught.value.expected


def test_a_file_that_was_changed_is_refused(made: Make) -> None:
    job, folder = made("gds")
    path = folder / "gds" / "masks.gds"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="changed since it was exported") as caught:
        imported(job, path)
    assert "in a folder without a manifest" in caught.value.remedy


def test_a_manifest_that_is_damaged_is_refused_and_that_of_others_is_none(made: Make) -> None:
    job, folder = made("gds")
    path, manifest = folder / "gds" / "masks.gds", folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"levels": 8', '"levels": -8'))
    with pytest.raises(DataError, match=r"damaged manifest: process\.levels"):
        imported(job, path)
    manifest.write_text(json.dumps({"name": "a web application", "icons": []}))
    assert own_masks(import_job(job, path)) is None


def test_what_the_manifest_says_is_said_by_no_one_else(made: Make) -> None:
    job, folder = made("gds", "heightmap", spec=Export(layout=Layout(tone="etch")))
    path = folder / "gds" / "masks.gds"
    np.testing.assert_array_equal(imported(job, path, tone="etch").phase_rad, phases(job))
    with pytest.raises(UsageError, match="--tone: meaningless for files of which manifest"):
        imported(job, path, tone="keep")
    with pytest.raises(UsageError, match="--unit: meaningless"):
        imported(job, folder / "heightmap" / "heights.npz", unit=Scale(1e-9))


def test_other_files_are_none_of_ours(made: Make, tmp_path: Path) -> None:
    job, folder = made("gsf")
    strange = tmp_path / "strange.gsf"
    strange.write_bytes(b"strange")
    assert own_masks(import_job(job, strange)) is None
    assert own_masks(import_job(job, folder / "gsf" / "layer1.gsf", strange)) is None


SAID: dict[str, dict[str, Any]] = {
    "3mf": {}, "gds": {"tone": "keep"}, "gsf": {}, "heightmap": {}, "oasis": {}, "xyz": {}, "zemax": {},
    "png16": {"full_scale": "top"}, "slm": {"full_scale": Scale.read(f"{2 * 255 / 256}pi")},
    "grey": {"full_scale": "highest"}, "stl": {"unit": Scale(1e-3)},
}  # fmt: skip
WITHOUT_RAD = {"grey": 0.02, "png16": 5e-5, "gds": 0.0, "oasis": 0.0}


@pytest.mark.parametrize("name", SAID)
def test_files_of_ours_come_back_without_their_manifest_too(name: str, tmp_path: Path) -> None:
    job = replace(export_job(), pitch_m=(316.4e-9, 316.4e-9))
    export_design(job, [name], tmp_path, {})
    said, highest_m = dict(SAID[name]), job.process.highest_m
    scales = {"highest": Scale(highest_m), "top": Scale(highest_m * 65535 / (65535 // 7 * 7))}
    said = {key: scales.get(value, value) if isinstance(value, str) else value for key, value in said.items()}
    (tmp_path / "manifest.json").unlink()
    paths = list(dict.fromkeys(tmp_path / name / FILES[name].format(number) for number in (1, 2)))
    asked = import_job(job, *paths, **said)
    assert own_masks(asked) is None
    phase_rad = read_masks(asked)[0].phase_rad
    np.testing.assert_allclose(phase_rad, phases(job), rtol=0.0, atol=WITHOUT_RAD.get(name, 2e-6))


def test_a_grid_phase_is_read_where_its_radians_are_said(made: Make, tmp_path: Path) -> None:
    job, folder = made("zemax")
    (folder / "manifest.json").unlink()
    paths = [folder / "zemax" / f"layer{number}_phase.DAT" for number in (1, 2)]
    found = read_masks(import_job(job, *paths, unit=Scale.read("1 rad")))[0]
    np.testing.assert_allclose(found.phase_rad, phases(job), atol=1e-6)
    with pytest.raises(DataError, match="times that of 2π"):
        read_masks(import_job(job, *paths))
    with pytest.raises(DataError, match="--unit of a length, which its first line says"):
        read_masks(import_job(job, *paths, unit=Scale(1e-6)))


def test_a_picture_of_levels_is_no_map_without_its_manifest(made: Make) -> None:
    job, folder = made("preview")
    (folder / "manifest.json").unlink()
    paths = [folder / "preview" / f"layer{number}.png" for number in (1, 2)]
    with pytest.raises(DataError, match="a picture with colours, of mode P"):
        read_masks(import_job(job, *paths, full_scale=Scale.read("2pi")))


def test_a_layout_that_its_manifest_does_not_list_is_read_as_its_others_are(made: Make) -> None:
    """As when a layout is changed and saved under another name beside the first."""
    job, folder = made("gds", spec=Export(layout=Layout(tone="etch", mirror=True)))
    data = (folder / "gds" / "masks.gds").read_bytes()
    other = folder / "gds" / "second.gds"
    other.write_bytes(data.replace(bytes.fromhex("07d0"), bytes.fromhex("07d1")))  # another year
    asked = import_job(job, other)
    assert own_masks(asked) is None
    masks = read_masks(asked)[0]
    assert masks.phase_rad.tobytes() == phases(job).tobytes()
    assert "tone etch, mirrored: as the layouts of manifest.json beside it, which does not list it" in masks.notes[0]


def test_the_table_of_layers_is_of_the_design(made: Make, tmp_path: Path) -> None:
    job, folder = made("gds", spec=Export(layout=Layout(kind="bits", tone="etch", mirror=True)))
    moved, table = tmp_path / "moved.gds", folder / "gds" / "layers.csv"
    shutil.copy(folder / "gds" / "masks.gds", moved)
    found = read_masks(import_job(job, moved, layers=SourceFile.read(table)))[0]
    assert found.phase_rad.tobytes() == phases(job).tobytes()
    assert "bits, tone etch, mirrored: as layers.csv says of it" in found.notes[0]
    with pytest.raises(UsageError, match="--kind with --layers"):
        read_masks(import_job(job, moved, layers=SourceFile.read(table), kind="bits"))
    other = FabricationProcess(4, 632.8e-9, 1.45702, 1.0003)
    with pytest.raises(DataError, match=r"2 masks of 8 levels(.|\n)*2 of 4, as the design has"):
        read_masks(import_job(job, moved, layers=SourceFile.read(table), process=other))


def test_bits_that_make_a_level_too_high_are_refused(tmp_path: Path) -> None:
    job = export_job(8, Export(layout=Layout(kind="bits")))
    export_design(job, ["gds"], tmp_path / "made", {})
    moved = tmp_path / "moved.gds"
    shutil.copy(tmp_path / "made" / "gds" / "masks.gds", moved)
    six = FabricationProcess(6, 632.8e-9, 1.45702, 1.0003)
    with pytest.raises(DataError, match=r"mask 1 row \d column \d has the level [67] by its bits"):
        read_masks(import_job(job, moved, kind="bits", process=six))
