"""GDSII: geometry confirmed by klayout, exact changes located, the rectangles themselves."""

from __future__ import annotations

from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from klayout import db

from opticdesign.errors import UsageError, VerificationError
from opticdesign.export import ExportJob, export_design, exporters, verify_files
from opticdesign.manifest import load_manifest
from opticdesign_exporters.gds import rectangles
from opticdesign_exporters.gds_records import read_library

GDS = "gds/d2nn5.gds"


def layout_of(folder: Path) -> db.Layout:
    layout = db.Layout()
    layout.read(str(folder / GDS))
    return layout


def save(layout: db.Layout, folder: Path) -> None:
    layout.write(str(folder / GDS))


def painted(layout: db.Layout, job: ExportJob) -> np.ndarray:
    """Levels (layers, rows, columns) as klayout sees them, each pixel covered at most once."""
    pitch = round(job.pitch_m * 1e6 / layout.dbu)
    levels, covers = np.zeros(job.levels.shape, int), np.zeros(job.levels.shape, int)
    rows = job.levels.shape[1]
    for index in layout.layer_indexes():
        info = layout.get_info(index)
        for cell in layout.each_cell():
            for shape in cell.shapes(index).each():
                if info.layer > 100:
                    assert (cell.name, info.datatype) == (f"L{info.layer - 100}", 0)
                    continue
                assert cell.name == f"L{info.layer}"
                box = shape.bbox()
                assert shape.is_box() or (shape.polygon.is_rectilinear() and shape.polygon.num_points() == 4)
                sides = np.array([box.left, box.bottom, box.right, box.top])
                assert not (sides % pitch).any()
                left, low, right, high = (sides // pitch).tolist()
                here = (info.layer - 1, slice(rows - high, rows - low), slice(left, right))
                levels[here] = info.datatype
                covers[here] += 1
    assert covers.max() <= 1
    return levels


def problems(folder: Path, job: ExportJob) -> tuple[str, ...]:
    """The problems beside the changed hash."""
    (check,) = verify_files(folder, job.levels, job.process)
    assert check.problems[0].startswith(f"{GDS}: changed since it was exported")
    return check.problems[1:]


@pytest.fixture
def dot(make_job, tmp_path) -> tuple[ExportJob, Path]:
    """Three layers; one pixel of level 5 on the third, alone in its neighbourhood."""
    array = np.zeros((3, 24, 210), dtype=np.uint8)
    array[:, 2:6, 3:9] = 3
    array[2, 17, 201] = 5
    job = make_job(8, array=array)
    export_design(job, ["gds"], tmp_path / "dot", {})
    return job, tmp_path / "dot"


def dot_shape(layout: db.Layout) -> db.Shape:
    return next(layout.cell("L3").shapes(layout.layer(3, 5)).each())


def test_klayout_sees_five_masks_of_256_by_256_exactly_once(make_job, tmp_path):
    job = make_job(8, (5, 256, 256))
    export_design(job, ["gds"], tmp_path / "x", {})
    layout = layout_of(tmp_path / "x")
    assert layout.dbu == pytest.approx(2e-4, rel=1e-12)
    assert [cell.name for cell in layout.top_cells()] == ["d2nn5"]
    assert sorted(instance.cell.name for instance in layout.top_cell().each_inst()) == ["L1", "L2", "L3", "L4", "L5"]
    assert all(instance.trans == db.Trans() for instance in layout.top_cell().each_inst())
    np.testing.assert_array_equal(painted(layout, job), job.levels)


def test_klayout_sees_the_orientation(f_job, tmp_path):
    export_design(f_job, ["gds"], tmp_path / "x", {})
    np.testing.assert_array_equal(painted(layout_of(tmp_path / "x"), f_job), f_job.levels)


def test_the_top_row_has_the_largest_y(make_job, tmp_path):
    array = np.zeros((1, 4, 6), dtype=np.uint8)
    array[0, 0, 1] = 7
    export_design(make_job(array=array), ["gds"], tmp_path / "x", {})
    layout = layout_of(tmp_path / "x")
    box = next(layout.cell("L1").shapes(layout.layer(1, 7)).each()).bbox()
    assert (box.left, box.bottom, box.right, box.top) == (1582, 3 * 1582, 2 * 1582, 4 * 1582)


def test_marks_and_labels_stay_outside_the_array(make_job, tmp_path):
    job = make_job(8, (2, 21, 34))
    export_design(job, ["gds"], tmp_path / "x", {})
    layout = layout_of(tmp_path / "x")
    array = db.Region(db.Box(0, 0, 34 * 1582, 21 * 1582))
    for layer in (1, 2):
        marks = db.Region(layout.cell(f"L{layer}").begin_shapes_rec(layout.layer(100 + layer, 0)))
        assert (marks & array).is_empty()
        crosses = [
            polygon for polygon in marks.each() if polygon.num_points() == 12 and polygon.bbox().width() == 12656
        ]
        assert len(crosses) == 4
        assert marks.count() > 8  # the label too


def test_a_file_saved_by_klayout_reads_the_same(make_job, tmp_path):
    job = make_job(8, (3, 40, 30))
    export_design(job, ["gds"], tmp_path / "x", {})
    before = (tmp_path / "x" / GDS).read_bytes()
    save(layout_of(tmp_path / "x"), tmp_path / "x")
    assert (tmp_path / "x" / GDS).read_bytes() != before
    assert problems(tmp_path / "x", job) == ()


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
def test_the_database_unit_is_the_coarsest_that_fits(pitch_m, unit_m, error_m, make_job, tmp_path):
    job = make_job(8, (1, 33, 47), pitch_m=pitch_m)
    manifest = export_design(job, ["gds"], tmp_path / "x", {})
    options = manifest.record("gds").options
    assert options["database_unit_m"] == unit_m
    assert options["largest_edge_error_m"] == pytest.approx(error_m, abs=1e-15)
    assert layout_of(tmp_path / "x").dbu == pytest.approx(unit_m * 1e6, rel=1e-12)
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems


def test_edge_errors_never_add_up(make_job, tmp_path):
    job = make_job(2, (1, 2, 3000), pitch_m=1e-6 / 3)
    export_design(job, ["gds"], tmp_path / "x", {})
    layout = layout_of(tmp_path / "x")
    bounds = layout.cell("L1").bbox_per_layer(layout.layer(1, 1))
    assert abs(bounds.right - 3000 * 1000 / 3) <= 0.5


def test_a_changed_level_is_located(dot):
    job, folder = dot
    layout = layout_of(folder)
    dot_shape(layout).layer = layout.layer(3, 4)
    save(layout, folder)
    assert problems(folder, job) == (f"{GDS}: layer 3 row 17 column 201: level 4, expected 5",)


def test_a_missing_rectangle_is_located(dot):
    job, folder = dot
    layout = layout_of(folder)
    dot_shape(layout).delete()
    save(layout, folder)
    assert problems(folder, job) == (f"{GDS}: layer 3 row 17 column 201: level 0, expected 5",)


def test_an_enlarged_rectangle_is_located(dot):
    job, folder = dot
    layout = layout_of(folder)
    shape = dot_shape(layout)
    shape.box = db.Box(shape.box.left, shape.box.bottom, shape.box.right + 1582, shape.box.top)
    save(layout, folder)
    assert problems(folder, job) == (f"{GDS}: layer 3 row 17 column 202: level 5, expected 0",)


def test_an_overlap_is_located(dot):
    job, folder = dot
    layout = layout_of(folder)
    layout.cell("L3").shapes(layout.layer(3, 1)).insert(dot_shape(layout).bbox())
    save(layout, folder)
    assert problems(folder, job) == (f"{GDS}: layer 3 row 17 column 201: covered by 2 rectangles",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (db.Trans(1, 0), "off the pixel grid"),
        (db.Trans(0, -1), "off the pixel grid"),
        (db.Trans(1582 * 9, 0), "outside the array"),
        (db.Trans(0, -1582 * 7), "outside the array"),
    ],
)
def test_a_moved_rectangle_is_refused(change, why, dot):
    job, folder = dot
    layout = layout_of(folder)
    dot_shape(layout).transform(change)
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert problem.startswith(f"{GDS}: byte ") and why in problem


@pytest.mark.parametrize(("layer", "datatype"), [(3, 8), (3, 0), (4, 1), (0, 1), (104, 0), (101, 1)])
def test_an_unknown_layer_is_refused(layer, datatype, dot):
    job, folder = dot
    layout = layout_of(folder)
    layout.cell("L1").shapes(layout.layer(layer, datatype)).insert(db.Box(0, 0, 1582, 1582))
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert f"GDS layer {layer} datatype {datatype}" in problem


def test_a_triangle_is_refused(dot):
    job, folder = dot
    layout = layout_of(folder)
    triangle = db.Polygon([db.Point(0, 0), db.Point(0, 1582), db.Point(1582, 0)])
    layout.cell("L1").shapes(layout.layer(1, 1)).insert(triangle)
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert "not a rectangle" in problem


def test_a_mark_over_the_array_is_refused(dot):
    job, folder = dot
    layout = layout_of(folder)
    layout.cell("L1").shapes(layout.layer(101, 0)).insert(db.Box(-100, -100, 100, 100))
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert "a mark lies over the array" in problem


@pytest.mark.parametrize(
    ("trans", "why"),
    [(db.Trans(1, 0), "is moved by"), (db.Trans.R90, "record ANGLE|turned"), (db.Trans.M0, "mirrored")],
)
def test_a_placement_that_moves_or_turns_is_refused(trans, why, dot):
    job, folder = dot
    layout = layout_of(folder)
    next(layout.top_cell().each_inst()).trans = trans
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert any(word in problem for word in why.split("|"))


def test_a_cell_placed_twice_is_refused(dot):
    job, folder = dot
    layout = layout_of(folder)
    layout.top_cell().insert(db.CellInstArray(layout.cell("L2").cell_index(), db.Trans()))
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert "expected once in the top cell 'd2nn5'" in problem


def test_a_cell_placed_nowhere_is_refused(dot):
    job, folder = dot
    layout = layout_of(folder)
    next(layout.top_cell().each_inst()).delete()
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert "2 top cells, expected one" in problem


def test_a_path_element_is_refused_by_name(dot):
    job, folder = dot
    layout = layout_of(folder)
    layout.cell("L1").shapes(layout.layer(1, 1)).insert(db.Path([db.Point(0, 0), db.Point(9000, 0)], 100))
    save(layout, folder)
    (problem,) = problems(folder, job)
    assert "record PATH, expected BOUNDARY or SREF or TEXT or ENDSTR" in problem


def test_a_text_is_tolerated(dot):
    job, folder = dot
    layout = layout_of(folder)
    layout.cell("L1").shapes(layout.layer(1, 0)).insert(db.Text("a note", db.Trans(5, 5)))
    save(layout, folder)
    assert problems(folder, job) == ()


def test_padding_is_tolerated_and_other_data_after_the_end_is_not(dot):
    job, folder = dot
    good = (folder / GDS).read_bytes()
    (folder / GDS).write_bytes(good + bytes(100))
    assert problems(folder, job) == ()
    (folder / GDS).write_bytes(good + b"x")
    assert problems(folder, job) == (f"{GDS}: byte {len(good)}: data after ENDLIB",)


def test_another_database_unit_is_refused(dot):
    _, folder = dot
    layout = layout_of(folder)
    layout.dbu = 1e-3
    save(layout, folder)
    with pytest.raises(VerificationError, match=r"byte \d+: an edge at x = \d+ database units is"):
        exporters()["gds"].read(folder, load_manifest(folder))


def test_rectangles_far_apart_are_all_found(make_job, tmp_path):
    """Canonical rectangles are read in bulk, others one by one; both orders must be kept up."""
    job = make_job(8, (2, 64, 64))
    export_design(job, ["gds"], tmp_path / "x", {})
    data = (tmp_path / "x" / GDS).read_bytes()
    library = read_library(data, GDS)
    layout = layout_of(tmp_path / "x")
    total = sum(cell.shapes(index).size() for cell in layout.each_cell() for index in layout.layer_indexes())
    assert len(library.shapes.offset) == total
    assert all(data[offset : offset + 4] == b"\x00\x04\x08\x00" for offset in library.shapes.offset)


@pytest.mark.parametrize(
    ("name", "file", "top"),
    [
        ("a design/with: signs", "a_design_with_signs", "a_design_with_signs"),
        ("main", "main", "main_top"),
        ("L1", "L1", "L1_top"),
        ("é" * 50, "_", "_"),
        ("n" * 60, "n" * 32, "n" * 32),
    ],
)
def test_names_are_valid_in_files_and_layouts(name, file, top, make_job, tmp_path):
    job = make_job(name=name)
    manifest = export_design(job, ["gds"], tmp_path / "x", {})
    assert [entry.path for entry in manifest.record("gds").files] == [f"gds/{file}.gds"]
    assert manifest.record("gds").options["top_cell"] == top
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems


def test_coordinates_beyond_32_bits_are_refused(make_job, tmp_path):
    job = make_job(2, (1, 2, 3000), pitch_m=1e-3)
    with pytest.raises(UsageError, match=r"a layout 3.* m wide"):
        export_design(job, ["gds"], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


def test_a_pitch_near_the_database_unit_is_refused(make_job, tmp_path):
    job = make_job(2, (1, 4, 4), pitch_m=1.23e-9)
    with pytest.raises(UsageError, match=r"a pitch of 1\.23e-09 m"):
        export_design(job, ["gds"], tmp_path / "x", {})


def test_more_layers_than_the_marks_allow_are_refused(make_job, tmp_path):
    job = make_job(2, (100, 2, 2))
    with pytest.raises(UsageError, match="100 mask layers"):
        export_design(job, ["gds"], tmp_path / "x", {})


@settings(deadline=None, max_examples=80)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements={"max_value": 3}))
def test_rectangles_cover_each_drawn_pixel_once(plane):
    levels, covers = np.zeros(plane.shape, int), np.zeros(plane.shape, int)
    for first_row, end_row, first_column, end_column, level in rectangles(plane):
        assert first_row < end_row and first_column < end_column
        levels[first_row:end_row, first_column:end_column] = level
        covers[first_row:end_row, first_column:end_column] += 1
    np.testing.assert_array_equal(levels, plane)
    np.testing.assert_array_equal(covers, plane > 0)


def test_rectangles_merge_runs_downwards():
    plane = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 1, 1, 2]], dtype=np.uint8)
    expected = [[0, 2, 0, 2, 1], [0, 3, 3, 4, 2], [2, 3, 1, 3, 1]]
    assert rectangles(plane).tolist() == expected
