"""Levels of a table of heights through the manifest and every exporter: right, or refused in words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from opticdesign.design import Export, Layout
from opticdesign.errors import UsageError, VerificationError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob, export_design, exporters, verify_files
from opticdesign.handover.manifest import ProcessRecord, load_manifest

FULL = 632.8e-9 / (1.45702 - 1.0003)
HEIGHTS = (0.0, 0.11 * FULL, 0.5 * FULL, 0.83 * FULL)
UNEQUAL = FabricationProcess(4, 632.8e-9, 1.45702, 1.0003, HEIGHTS)


def job(process: FabricationProcess = UNEQUAL, spec: Export | None = None, two_pi_grey: int = 256) -> ExportJob:
    levels = np.random.default_rng(0).integers(0, process.levels, (2, 9, 12), dtype=np.uint8)
    return ExportJob("table", levels, process, (400e-9, 400e-9), two_pi_grey, spec=spec or Export())


@pytest.mark.parametrize("name", sorted(exporters()))
def test_every_format_holds_unequal_levels(name: str, tmp_path: Path) -> None:
    wanted = job()
    export_design(wanted, [name], tmp_path / "out", {})
    (check,) = verify_files(tmp_path / "out", wanted.levels, UNEQUAL)
    assert check.ok, check.problems
    assert check.phase_error_rad is not None
    assert check.phase_error_rad <= (math.pi / 255 * (1.0 + 1e-5) if name in ("slm", "grey") else 1e-4)  # eight bits


def test_heights_in_files_are_those_of_the_table(tmp_path: Path) -> None:
    wanted = job()
    export_design(wanted, ["heightmap"], tmp_path / "out", {})
    with np.load(tmp_path / "out" / "heightmap" / "heights.npz") as heights:
        np.testing.assert_array_equal(heights["height_m"], np.asarray(HEIGHTS)[wanted.levels])


def test_greys_of_a_panel_are_those_of_the_heights(tmp_path: Path) -> None:
    from PIL import Image

    wanted = job(two_pi_grey=200)
    export_design(wanted, ["slm"], tmp_path / "out", {})
    with Image.open(tmp_path / "out" / "slm" / "layer1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.array([0, 22, 100, 166])[wanted.levels[0]])


@pytest.mark.parametrize("second", [0.001, 0.999])
def test_levels_that_share_a_grey_are_refused(second: float, tmp_path: Path) -> None:
    close = FabricationProcess(2, 632.8e-9, 1.45702, 1.0003, (0.0, second * FULL))
    with pytest.raises(UsageError, match=r"two of 2 levels share one of 256 grey levels"):
        export_design(job(close), ["slm"], tmp_path / "out", {})


def test_a_layout_of_bits_is_refused(tmp_path: Path) -> None:
    bits = Export(layout=Layout(kind="bits"))
    with pytest.raises(UsageError, match="equally spaced"):
        export_design(job(spec=bits), ["gds"], tmp_path / "out", {})


def test_manifest_records_the_table_and_gives_the_process_back(tmp_path: Path) -> None:
    export_design(job(), ["heightmap"], tmp_path / "out", {})
    record = load_manifest(tmp_path / "out").process
    assert record.process == UNEQUAL
    assert (record.heights_m, record.step_height_m) == (HEIGHTS, None)
    equal = ProcessRecord.of(FabricationProcess(4, 632.8e-9, 1.45702, 1.0003))
    assert (equal.heights_m, equal.step_height_m) == (None, pytest.approx(FULL / 4))


@pytest.mark.parametrize(
    "change",
    [
        {"heights_m": None},
        {"heights_m": [*HEIGHTS[:-1], FULL]},
        {"heights_m": [0.0, 1e-7, 2e-7]},
        {"heights_m": [1e-9, *HEIGHTS[1:]]},
        {"step_height_m": FULL / 4},
        {"heights_m": [level * FULL / 4 for level in range(4)]},
        {"full_height_m": 1.5e-6},
    ],
)
def test_damaged_tables_in_a_manifest_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    export_design(job(), ["heightmap"], tmp_path / "out", {})
    path = tmp_path / "out" / "manifest.json"
    content = json.loads(path.read_text())
    content["process"] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(VerificationError, match="damaged manifest: process"):
        load_manifest(tmp_path / "out")


def test_files_of_another_table_are_noticed(tmp_path: Path) -> None:
    wanted = job()
    export_design(wanted, ["heightmap"], tmp_path / "out", {})
    other = FabricationProcess(4, 632.8e-9, 1.45702, 1.0003, (*HEIGHTS[:-1], 0.8 * FULL))
    with pytest.raises(VerificationError, match="exported for the process"):
        verify_files(tmp_path / "out", wanted.levels, other)
