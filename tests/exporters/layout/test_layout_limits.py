"""What no layout can be, and names that every layout can have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opticdesign.errors import UsageError
from opticdesign.handover.export import export_design, verify_files
from tests.support.klayout_view import every_format, layout_of, spec


@pytest.mark.parametrize(
    ("levels", "heights_m", "layout", "why"),
    [
        (6, None, {"kind": "bits"}, "a layout of kind bits for 6 levels\n"),
        (4, (0.0, 1e-7, 3e-7, 1e-6), {"kind": "bits"}, "a layout of kind bits for 4 levels of unequal steps"),
        (4, None, {"kind": "bits", "doses": [1, 1, 1, 1]}, "4 doses for 4 levels in a layout of kind bits"),
        (4, None, {"doses": [1, 1, 1]}, "3 doses for 4 levels"),
        (4, None, {"vernier": "0.1 nm"}, "a vernier that reads steps of 1e-10 m"),
        (4, None, {"array": (1000, 1000), "spacing": "1 mm"}, r"a layout 1\.1.* m wide"),
        (4, None, {"spacing": "10 m", "array": (1, 2)}, "a layout 10 m wide"),
    ],
)
@every_format
def test_what_no_layout_can_be_is_refused(name, levels, heights_m, layout, why, make_job, tmp_path):
    job = make_job(levels, (1, 5, 5), heights_m=heights_m, spec=spec(**layout))
    with pytest.raises(UsageError, match=why):
        export_design(job, [name], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


@every_format
def test_coordinates_beyond_32_bits_are_refused(name, make_job, tmp_path):
    job = make_job(2, (1, 2, 3000), pitch_m=1e-3)
    with pytest.raises(UsageError, match=r"a layout 3.* m wide"):
        export_design(job, [name], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


def test_a_pitch_near_the_database_unit_is_refused(make_job, tmp_path):
    with pytest.raises(UsageError, match=r"a pitch of 1\.23e-09 m"):
        export_design(make_job(2, (1, 4, 4), pitch_m=1.23e-9), ["gds"], tmp_path / "x", {})


def test_halftone_cells_near_the_database_unit_are_refused(make_job, tmp_path):
    openings = np.zeros((1, 4, 4), np.uint16)
    job = make_job(2, (1, 4, 4), pitch_m=100e-9, openings=openings, spec=spec(halftone=64))
    with pytest.raises(UsageError, match=r"halftone cells of 1\.5625e-09 m"):
        export_design(job, ["gds"], tmp_path / "x", {})


@pytest.mark.parametrize(("layers", "chrome", "most"), [(100, False, 99), (56, True, 55)])
def test_more_mask_layers_than_layout_layers_are_refused(layers, chrome, most, make_job, tmp_path):
    openings = np.zeros((layers, 2, 2), np.uint16) if chrome else None
    with pytest.raises(UsageError, match=f"{layers} mask layers\n  expected: at most {most}"):
        export_design(make_job(2, (layers, 2, 2), openings=openings), ["gds"], tmp_path / "x", {})


@pytest.mark.parametrize(
    ("design", "file", "top"),
    [
        ("a design/with: signs", "a_design_with_signs", "a_design_with_signs"),
        ("main", "main", "main_top"),
        ("DIE", "DIE", "DIE_top"),
        ("L1", "L1", "L1_top"),
        ("C1_0", "C1_0", "C1_0_top"),
        ("é" * 50, "_", "_"),
        ("n" * 60, "n" * 32, "n" * 32),
    ],
)
@every_format
def test_names_are_valid_in_files_and_layouts(name, design, file, top, make_job, tmp_path):
    job = make_job(name=design)
    record = export_design(job, [name], tmp_path / "x", {}).record(name)
    assert Path(record.files[0].path).stem == file
    assert record.options["top_cell"] == top
    assert layout_of(tmp_path / "x" / record.files[0].path).top_cell().name == top
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
