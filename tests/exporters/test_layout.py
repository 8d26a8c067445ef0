"""What is drawn, in every kind of layout and both formats, as klayout sees it."""

from __future__ import annotations

import csv
import tempfile
import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klayout import db, lay
from klayout_view import FORMATS, drawn, edges, layout_of, painted, pixel_region, planes

from opticdesign.design import Export
from opticdesign.errors import UsageError
from opticdesign.export import ExportJob, export_design, verify_files
from opticdesign.fabrication import FabricationProcess

every_format = pytest.mark.parametrize("name", FORMATS)
PITCHES = {"316.4e-9": "2e-10", "2e-6": "1e-9", "316.45e-9": "1e-9", "1e-7": "1e-9"}  # metres: database unit


def spec(**layout: object) -> Export:
    return Export.model_validate({"layout": layout})


def write(job: ExportJob, name: str, folder: Path) -> tuple[db.Layout, dict]:
    """Export in one format, read back, and give klayout's view and the options in the manifest."""
    manifest = export_design(job, [name], folder, {})
    (check,) = verify_files(folder, job.levels, job.process, job.openings)
    assert check.ok, check.problems
    np.testing.assert_array_equal(check.readback.levels, job.levels)
    if job.openings is not None:
        np.testing.assert_array_equal(check.readback.openings, job.openings)
    return layout_of(folder / FORMATS[name]), manifest.record(name).options


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
        "array": (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        "spacing": draw(st.sampled_from(["0 m", "1 um", "1.23456 um"])),
        "marks": draw(st.booleans()),
        "halftone": side,
    }
    openings = random.integers(0, side**2 + 1, shape).astype(np.uint16) if draw(st.booleans()) else None
    array = random.integers(0, levels, shape).astype(np.uint8)
    process = FabricationProcess(levels, 632.8e-9, 1.45702, 1.0003)
    job = ExportJob("d2nn5", array, process, float(pitch), openings=openings, spec=spec(**layout))
    return job, Fraction(pitch) / Fraction(PITCHES[pitch])


def check_relief(job: ExportJob, pitch: Fraction, regions: dict, origins: list[tuple[int, int]]) -> None:
    """Every pixel of every die is drawn once where it should be, and nothing else is."""
    x, y = edges(job.levels.shape[2], pitch), edges(job.levels.shape[1], pitch)
    found = {tag: region for tag, region in regions.items() if tag[0] < 100}
    expected = {tag: pixel_region(plane, x, y) for tag, plane in planes(job) if plane.any()}
    assert found.keys() == expected.keys()
    for tag, one in expected.items():
        all_dies = db.Region()
        for origin in origins:
            all_dies += one.moved(*origin)
        assert (found[tag] ^ all_dies).is_empty()
        assert found[tag].area() == all_dies.area()  # no overlap


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
        regions = drawn(layout)
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
def test_the_top_row_has_the_largest_y(name, make_job, tmp_path):
    array = np.zeros((1, 4, 6), dtype=np.uint8)
    array[0, 0, 1] = 7
    layout, _ = write(make_job(array=array), name, tmp_path / "x")
    box = drawn(layout)[1, 7].bbox()
    assert (box.left, box.bottom, box.right, box.top) == (1582, 3 * 1582, 2 * 1582, 4 * 1582)


@every_format
@pytest.mark.parametrize("mirror", [False, True])
def test_marks_stay_outside_the_array_and_inside_the_frame(name, mirror, make_job, tmp_path):
    job = make_job(8, (2, 21, 34), spec=spec(kind="bits", mirror=mirror))
    layout, _ = write(job, name, tmp_path / "x")
    array = db.Region(db.Box(0, 0, 34 * 1582, 21 * 1582))
    regions = drawn(layout)
    assert {tag for tag in regions if tag[0] > 100} == {(100 + layer, bit) for layer in (1, 2) for bit in (0, 1, 2)}
    for layer in (1, 2):
        marks = [regions[100 + layer, bit] for bit in (0, 1, 2)]
        assert all((region & array).is_empty() for region in marks)
        frame = marks[0].bbox()
        inside = db.Region(frame.enlarged(-2 * 5000, -2 * 5000))
        assert all((region - inside).is_empty() for region in marks[1:])
        assert (marks[0] - inside).merged().area() == 2 * 5000 * (2 * frame.width() + 2 * frame.height() - 8 * 5000)


@every_format
def test_every_bit_has_crosses_in_windows_of_the_first_mask(name, make_job, tmp_path):
    job = make_job(16, (1, 21, 34), spec=spec(kind="bits"))
    layout, _ = write(job, name, tmp_path / "x")
    regions = drawn(layout)
    unit, high = 5000, 21 * 1582
    cross = db.Region(db.Box(8 * unit, 0, 12 * unit, 20 * unit)) + db.Region(db.Box(0, 8 * unit, 20 * unit, 12 * unit))
    for bit in range(4):
        near = (10 + 28 * bit) * unit
        for x in (-near - 20 * unit, 34 * 1582 + near):
            for y in (-30 * unit, high + 10 * unit):
                place = db.Region(db.Box(x, y, x + 20 * unit, y + 20 * unit))
                assert ((regions[101, bit] & place) ^ cross.moved(x, y)).is_empty()
                others = [regions[101, other] & place for other in range(4) if other != bit]
                window = others[0] if bit else db.Region()
                assert all(other.is_empty() for other in (others[1:] if bit else others))
                # The window leaves two units free on each side of the cross.
                assert (window.sized(2 * unit) & cross.moved(x, y)).is_empty() and window.count() == (4 if bit else 0)


@every_format
def test_verniers_read_the_displacement_of_a_mask(name, make_job, tmp_path):
    """Displace a bit mask by three steps: the third bars beside the middle of the two scales meet, along x and y."""
    job = make_job(4, (1, 5, 5), spec=spec(kind="bits", vernier="50 nm"))
    layout, options = write(job, name, tmp_path / "x")
    assert options["vernier_m"] == pytest.approx(50e-9)
    unit, step = 5000, 250
    regions = drawn(layout)
    moving = regions[101, 1]

    def bars(region: db.Region, along: str) -> dict[int, tuple[int, int]]:
        """Middle of each bar of a scale: across it → along it; bars are 2 units by 10 or 14."""
        sizes = {(2 * unit, 10 * unit), (2 * unit, 14 * unit)}
        found = []
        for polygon in region.each():
            box = polygon.bbox()
            size = (box.width(), box.height()) if along == "x" else (box.height(), box.width())
            if size in sizes:
                found.append((box.center().x if along == "x" else box.center().y, size[1] == 14 * unit))
        return dict(enumerate(sorted(found)))

    for along in ("x", "y"):
        fixed, shifted = bars(regions[101, 0], along), bars(moving.moved(3 * step, 3 * step), along)
        assert len(fixed) == len(shifted) == 21
        assert fixed[10][1] and shifted[10][1] and sum(long for _, long in fixed.values()) == 1
        away = [shifted[index][0] - fixed[index][0] for index in range(21)]
        assert away == [3 * step + (index - 10) * step for index in range(21)]
        assert away.index(0) == 10 - 3
        assert max(map(abs, away)) < 2 * unit  # a bar never comes near the neighbour of its partner


@every_format
def test_no_marks_are_drawn_where_none_are_wanted(name, make_job, tmp_path):
    layout, options = write(make_job(8, (2, 9, 7), spec=spec(marks=False)), name, tmp_path / "x")
    assert layout.top_cell().bbox() == db.Box(0, 0, 7 * 1582, 9 * 1582)
    assert options["die_step_x"] == 7 * 1582 + 500_000


@every_format
def test_the_label_is_what_was_asked_for(name, make_job, tmp_path):
    other = drawn(write(make_job(8, (1, 5, 5), spec=spec(label="WAFER 7")), name, tmp_path / "x")[0])[101, 0]
    usual = drawn(write(make_job(8, (1, 5, 5)), name, tmp_path / "y")[0])[101, 0]
    letters = db.Region(db.Box(0, -60 * 5000, 10**8, -35 * 5000))
    assert not ((other & letters) ^ (usual & letters)).is_empty()
    assert (other & letters).count() > 8


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


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("tone", ["keep", "etch"])
def test_the_layer_table_says_heights_and_depths(tone, make_job, tmp_path):
    job = make_job(4, (2, 5, 5), spec=spec(tone=tone))
    layout, _ = write(job, "gds", tmp_path / "x")
    rows = rows_of(tmp_path / "x/gds/layers.csv")
    tags = {(int(row["layer"]), int(row["datatype"])) for row in rows}
    assert drawn(layout).keys() <= tags == {(k, d) for k in (1, 2) for d in (1, 2, 3)} | {(101, 0), (102, 0)}
    step_nm = job.process.step_height_m * 1e9
    for row in rows:
        datatype = int(row["datatype"]) or 3  # marks are made like the last datatype
        assert row["measure"] == ("height" if tone == "keep" else "etch depth")
        assert float(row["nm"]) == pytest.approx(datatype * step_nm, rel=1e-5)
        assert f"layer {int(row['layer']) % 100}" in row["content"]


def test_the_layer_table_says_the_depth_of_each_bit(make_job, tmp_path):
    job = make_job(8, (1, 5, 5), spec=spec(kind="bits"), openings=np.ones((1, 5, 5), np.uint16))
    write(job, "gds", tmp_path / "x")
    full_nm = job.process.full_height_m * 1e9
    for row in rows_of(tmp_path / "x/gds/layers.csv"):
        if row["layer"] == "201":
            assert (row["measure"], row["nm"]) == ("", "") and "chrome" in row["content"]
        else:
            assert row["measure"] == "etch depth"
            assert float(row["nm"]) == pytest.approx(full_nm / 2 ** (int(row["datatype"]) + 1), rel=1e-5)


def test_unequal_heights_are_in_the_layer_table(make_job, tmp_path):
    heights_m = (0.0, 100e-9, 350e-9, 1200e-9)
    write(make_job(4, (1, 5, 5), heights_m=heights_m, spec=spec(tone="etch")), "gds", tmp_path / "x")
    rows = rows_of(tmp_path / "x/gds/layers.csv")
    assert [float(row["nm"]) for row in rows if row["layer"] == "1"] == [850, 1100, 1200]


@pytest.mark.parametrize("tone", ["keep", "etch"])
def test_doses_are_those_of_the_levels(tone, make_job, tmp_path):
    job = make_job(4, (1, 5, 5), spec=spec(tone=tone, doses=[1.0, 1.1, 1.25, 1.4]))
    write(job, "oasis", tmp_path / "x")
    rows = [tuple(row.values()) for row in rows_of(tmp_path / "x/oasis/doses.csv")]
    kept = [("1", "1", "1", "1.1"), ("1", "2", "2", "1.25"), ("1", "3", "3", "1.4"), ("101", "0", "3", "1.4")]
    etched = [("1", "1", "2", "1.25"), ("1", "2", "1", "1.1"), ("1", "3", "0", "1"), ("101", "0", "0", "1")]
    assert rows == (kept if tone == "keep" else etched)


@every_format
def test_layer_properties_load_in_klayout(name, make_job, tmp_path):
    job = make_job(8, (2, 5, 5), name="a <b> & c", spec=spec(kind="bits"))
    export_design(job, [name], tmp_path / "x", {})
    path = tmp_path / "x" / name / "a_b_c.lyp"
    entries = ElementTree.parse(path).getroot().findall("properties")  # noqa: S314 (our own file)
    assert len(entries) == 12 and len({entry.findtext("fill-color") for entry in entries}) == 12
    view = lay.LayoutView()
    view.load_layout(str(tmp_path / "x" / FORMATS[name].replace("d2nn5", "a_b_c")), False)
    view.load_layer_props(str(path))
    layers = [(one.source_layer, one.source_datatype, one.name) for one in view.each_layer()]
    assert layers[:2] == [(1, 0, "layer 1, bit 0, what stays"), (1, 1, "layer 1, bit 1, what stays")]


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
