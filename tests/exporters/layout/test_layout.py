"""What is drawn, in every kind of layout and both formats, as klayout sees it."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klayout import db

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob
from tests.support.klayout_view import FORMATS, check_relief, drawn, edges, every_format, painted, spec, write

PITCHES = {"316.4e-9": "2e-10", "2e-6": "1e-9", "316.45e-9": "1e-9", "1e-7": "1e-9"}  # metres: database unit


@st.composite
def jobs(draw: st.DrawFn) -> tuple[ExportJob, Fraction]:
    """A small job with any options, and its pitch in database units."""
    kind = draw(st.sampled_from(["levels", "bits"]))
    levels = draw(st.sampled_from([2, 4, 8, 16] if kind == "bits" else [2, 3, 8, 256]))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    pitch = draw(st.sampled_from(list(PITCHES)))
    side = draw(st.integers(1, 5))
    layout = {
        "kind": kind,
        "tone": draw(st.sampled_from(["keep", "etch"])),
        "mirror": draw(st.booleans()),
        "arrange": draw(st.sampled_from(["overlaid", "side by side"])),
        "array": (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        "spacing": draw(st.sampled_from(["0 m", "1 um", "1.23456 um"])),
        "marks": draw(st.booleans()),
        "halftone": side,
    }
    openings = random.integers(0, side**2 + 1, shape).astype(np.uint16) if draw(st.booleans()) else None
    array = random.integers(0, levels, shape).astype(np.uint8)
    process = FabricationProcess(levels, 632.8e-9, 1.45702, 1.0003)
    job = ExportJob("d2nn5", array, process, (float(pitch), float(pitch)), openings=openings, spec=spec(**layout))
    return job, Fraction(pitch) / Fraction(PITCHES[pitch])


def together(regions: dict, step: int) -> dict:
    """Masks that lie side by side, moved over the first."""
    return {tag: region.moved((1 - tag[0] % 100) * step, 0) for tag, region in regions.items()}


def check_chrome(job: ExportJob, pitch: Fraction, regions: dict, dies: int) -> None:
    """In each pixel of the first die as many cells are drawn as should be, each whole."""
    side, layout = job.spec.layout.halftone, job.spec.layout
    _, rows, columns = job.levels.shape
    x, y = edges(columns * side, pitch / side), edges(rows * side, pitch / side)
    openings = job.openings[:, :, ::-1] if layout.mirror else job.openings
    for layer, plane in enumerate(openings.astype(int), start=1):
        count = side**2 - plane if layout.tone == "keep" else plane
        region = regions.get((200 + layer, 0), db.Region())
        assert region.area() == region.merged().area()
        die = region & db.Region(db.Box(x[0], y[0], x[-1], y[-1]))
        assert die.area() * dies == region.area()
        cells = np.zeros((rows * side, columns * side), dtype=bool)
        for polygon in die.each():
            box = polygon.bbox()
            left, right = x.index(box.left), x.index(box.right)
            low, high = y.index(box.bottom), y.index(box.top)
            cells[rows * side - high : rows * side - low, left:right] = True
        np.testing.assert_array_equal(cells.reshape(rows, side, columns, side).sum(axis=(1, 3)), count)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=25)
@given(made=jobs())
def test_any_layout_is_drawn_pixel_by_pixel_and_read_back(name, made):
    job, pitch = made
    with tempfile.TemporaryDirectory() as folder:
        layout, options = write(job, name, Path(folder) / "x")
        regions = together(drawn(layout), options["mask_step_x"])
    rows, columns = job.spec.layout.array
    step = options["die_step_x"], options["die_step_y"]
    origins = [(column * step[0], row * step[1]) for row in range(rows) for column in range(columns)]
    check_relief(job, pitch, regions, origins)
    assert bool([tag for tag in regions if 100 < tag[0] < 200]) == job.spec.layout.marks
    if job.openings is not None:
        check_chrome(job, pitch, regions, len(origins))
    else:
        assert not [tag for tag in regions if tag[0] > 200]


@every_format
def test_five_masks_of_256_by_256_are_drawn_exactly_once(name, make_job, tmp_path):
    job = make_job(8, (5, 256, 256))
    layout, options = write(job, name, tmp_path / "x")
    assert layout.dbu == pytest.approx(2e-4, rel=1e-12)
    assert [cell.name for cell in layout.top_cells()] == ["d2nn5"] == [options["top_cell"]]
    assert {cell.name for cell in layout.each_cell()} == {"d2nn5", "DIE", "L1", "L2", "L3", "L4", "L5"}
    np.testing.assert_array_equal(painted(layout, job), job.levels)


@every_format
@pytest.mark.parametrize("kind", ["levels", "bits"])
@pytest.mark.parametrize("tone", ["keep", "etch"])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_orientation_holds_through_every_option(name, kind, tone, mirror, f_job, tmp_path):
    """The F of the mask and the F beside the array are turned alike: both as they are, or both reversed."""
    options = {"kind": kind, "tone": tone, "mirror": mirror}
    job = ExportJob(f_job.name, f_job.levels, f_job.process, f_job.pitch_m, spec=spec(**options))
    layout, _ = write(job, name, tmp_path / "x")
    regions = drawn(layout)
    check_relief(job, Fraction(1582), regions, [(0, 0)])
    width, high = 6 * 1582, 7 * 1582
    beside = db.Region(db.Box(-100 * 5000, high + 35 * 5000, 100 * 5000, high + 65 * 5000))
    letter = (regions[101, 0] & beside & db.Region(db.Box(-16 * 5000, 0, width + 16 * 5000, 10**7))).merged()
    unit, low = 5000, high + 40 * 5000
    bars = [(0, 0, 4, 20), (0, 16, 12, 20), (0, 8, 10, 12)]
    expected = db.Region()
    for left, bottom, right, top in bars:
        box = db.Box(left * unit, low + bottom * unit, right * unit, low + top * unit)
        expected.insert(box.transformed(db.Trans(db.Trans.M90, width, 0)) if mirror else box)
    assert (letter ^ expected).is_empty()
    drawn_mirrored = letter.moved(-width, 0).transformed(db.Trans.M90)
    assert not (drawn_mirrored ^ letter).is_empty()  # the F can tell


@every_format
@pytest.mark.parametrize("mirror", [False, True])
def test_masks_side_by_side_share_no_place_and_their_labels_no_line(name, mirror, make_job, tmp_path):
    job = make_job(8, (3, 9, 7), spec=spec(arrange="side by side", mirror=mirror, spacing="20 um"))
    layout, options = write(job, name, tmp_path / "x")
    boxes = [layout.cell(f"L{number}").bbox() for number in (1, 2, 3)]
    placed = {inst.cell.name: inst.trans.disp for inst in layout.cell("DIE").each_inst()}
    moved = [box.moved(placed[f"L{number}"]) for number, box in enumerate(boxes, start=1)]
    for left, right in ((0, 1), (1, 2)):
        assert (moved[right].left - moved[left].right) * layout.dbu == pytest.approx(20.0, abs=layout.dbu)
    check_relief(job, Fraction(1582), together(drawn(layout), options["mask_step_x"]), [(0, 0)])


@every_format
def test_the_top_row_has_the_largest_y(name, make_job, tmp_path):
    array = np.zeros((1, 4, 6), dtype=np.uint8)
    array[0, 0, 1] = 7
    layout, _ = write(make_job(array=array), name, tmp_path / "x")
    box = drawn(layout)[1, 7].bbox()
    assert (box.left, box.bottom, box.right, box.top) == (1582, 3 * 1582, 2 * 1582, 4 * 1582)


@every_format
@pytest.mark.parametrize("pitch_m", [316.4e-9, 1e-6 / 3])
def test_dies_are_placed_one_by_one_on_whole_units(name, pitch_m, make_job, tmp_path):
    job = make_job(8, (2, 9, 7), pitch_m=pitch_m, spec=spec(array=(3, 4), spacing="12.3456 um"))
    layout, options = write(job, name, tmp_path / "x")
    die, unit = layout.cell("DIE").bbox(), layout.dbu * 1e-6
    step = options["die_step_x"], options["die_step_y"]
    for length, size in zip(step, (die.width(), die.height()), strict=True):
        assert 0 <= (length - size) * unit - 12.3456e-6 < unit * (1 + 1e-6)
    if name == "gds":
        instances = list(layout.top_cell().each_inst())
        assert len(instances) == 12 and not any(instance.is_regular_array() for instance in instances)
    origins = [(column * step[0], row * step[1]) for row in range(3) for column in range(4)]
    check_relief(job, Fraction(pitch_m) / Fraction(options["database_unit_m"]), drawn(layout), origins)


@every_format
def test_edge_errors_never_add_up(name, make_job, tmp_path):
    job = make_job(2, (1, 2, 3000), pitch_m=1e-6 / 3)
    layout, options = write(job, name, tmp_path / "x")
    assert abs(drawn(layout)[1, 1].bbox().right - 3000 * 1000 / 3) <= 0.5
    assert options["largest_edge_error_m"] == pytest.approx(1e-9 / 3)


@pytest.mark.parametrize(
    ("pitch_m", "unit_m", "error_m"),
    [
        (2e-6, 1e-9, 0.0),
        (300e-9, 1e-9, 0.0),
        (316.5e-9, 0.5e-9, 0.0),
        (316.4e-9, 0.2e-9, 0.0),
        (316.3e-9, 0.1e-9, 0.0),
        (316.45e-9, 1e-9, 0.5e-9),
        (1e-6 / 3, 1e-9, 1e-9 / 3),
    ],
)
@every_format
def test_the_database_unit_is_the_coarsest_that_fits(name, pitch_m, unit_m, error_m, make_job, tmp_path):
    layout, options = write(make_job(8, (1, 33, 47), pitch_m=pitch_m), name, tmp_path / "x")
    assert options["database_unit_m"] == unit_m
    assert options["largest_edge_error_m"] == pytest.approx(error_m, abs=1e-15)
    assert layout.dbu == pytest.approx(unit_m * 1e6, rel=1e-12)


def test_edges_of_halftone_cells_count_as_errors(make_job, tmp_path):
    job = make_job(8, (1, 5, 5), openings=np.full((1, 5, 5), 7, np.uint16))
    _, options = write(job, "gds", tmp_path / "x")
    assert options["largest_edge_error_m"] == pytest.approx(0.5 * 0.2e-9)  # 197.75 units a cell
