"""Layouts that somebody changed, saved by klayout in both formats: every change is located or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from klayout import db
from test_damage import mutant

from opticdesign.errors import VerificationError
from opticdesign.handover.export import ExportJob, export_design, exporters, verify_files
from opticdesign.handover.manifest import MANIFEST_NAME, load_manifest
from tests.support.klayout_view import FORMATS, layout_of, spec

UNIT = 1582  # database units in a pixel


class Edited:
    """An export of one format, opened in klayout."""

    def __init__(self, job: ExportJob, name: str, folder: Path) -> None:
        self.job, self.name, self.folder = job, name, folder
        export_design(job, [name], folder, {})
        self.file = FORMATS[name]
        self.layout = layout_of(folder / self.file)

    def cell(self, layer: int) -> db.Cell:
        return self.layout.cell(f"L{layer}")

    def insert(self, shape: object, layer: int, datatype: int, cell: str = "L1") -> None:
        self.layout.cell(cell).shapes(self.layout.layer(layer, datatype)).insert(shape)

    def problems(self) -> tuple[str, ...]:
        """Save, and give the problems beside the changed hash."""
        self.layout.write(str(self.folder / self.file))
        (check,) = verify_files(self.folder, self.job.levels, self.job.process, self.job.openings)
        assert check.problems[0].startswith(f"{self.file}: changed since it was exported")
        return check.problems[1:]


@pytest.fixture(params=FORMATS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def dot(name, make_job, tmp_path) -> Edited:
    """Three layers; one pixel of level 5 on the third, alone in its neighbourhood."""
    return Edited(make_job(8, array=dotted()), name, tmp_path / "dot")


def dotted() -> np.ndarray:
    array = np.zeros((3, 24, 210), dtype=np.uint8)
    array[:, 2:6, 3:9] = 3
    array[2, 17, 201] = 5
    return array


def dot_shape(edited: Edited, layer: int = 3, datatype: int = 5) -> db.Shape:
    return next(edited.cell(3).shapes(edited.layout.layer(layer, datatype)).each())


@pytest.mark.parametrize("arrange", ["overlaid", "side by side"])
@pytest.mark.parametrize("kind", ["levels", "bits"])
def test_a_layout_saved_by_klayout_reads_the_same(name, kind, arrange, make_job, tmp_path):
    openings = np.random.default_rng(3).integers(0, 65, (3, 40, 30)).astype(np.uint16)
    options = spec(kind=kind, arrange=arrange, array=(2, 2), mirror=True)
    job = make_job(8, (3, 40, 30), spec=options, openings=openings)
    edited = Edited(job, name, tmp_path / "x")
    before = (tmp_path / "x" / FORMATS[name]).read_bytes()
    assert edited.problems() == ()
    assert (tmp_path / "x" / FORMATS[name]).read_bytes() != before


def test_a_flattened_die_reads_the_same(dot):
    dot.layout.flatten(dot.layout.top_cell().cell_index(), -1, True)
    assert [cell.name for cell in dot.layout.each_cell()] == ["d2nn5"]
    assert dot.problems() == ()


def test_a_changed_level_is_located(dot):
    dot_shape(dot).layer = dot.layout.layer(3, 4)
    assert dot.problems() == (f"{dot.file}: layer 3 row 17 column 201: level 4, expected 5",)


def test_a_missing_rectangle_is_located(dot):
    dot_shape(dot).delete()
    assert dot.problems() == (f"{dot.file}: layer 3 row 17 column 201: level 0, expected 5",)


def test_an_enlarged_rectangle_is_located(dot):
    shape = dot_shape(dot)
    shape.box = db.Box(shape.box.left, shape.box.bottom, shape.box.right + UNIT, shape.box.top)
    assert dot.problems() == (f"{dot.file}: layer 3 row 17 column 202: level 5, expected 0",)


def test_an_overlap_is_located(dot):
    dot.insert(dot_shape(dot).bbox(), 3, 1, "L3")
    assert dot.problems() == (f"{dot.file}: layer 3 row 17 column 201: covered by 2 rectangles",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (db.Trans(1, 0), "off the pixel grid"),
        (db.Trans(0, -1), "off the pixel grid"),
        (db.Trans(UNIT * 9, 0), "outside the array"),
        (db.Trans(0, -UNIT * 7), "outside the array"),
    ],
)
def test_a_moved_rectangle_is_refused(change, why, dot):
    dot_shape(dot).transform(change)
    (problem,) = dot.problems()
    assert problem.startswith(f"{dot.file}: byte ") and why in problem


UNKNOWN = [(3, 8), (3, 0), (4, 1), (0, 1), (104, 0), (101, 1), (201, 0), (201, 1)]


@pytest.mark.parametrize(
    ("name", "layer", "datatype"),
    [(name, *tag) for name in FORMATS for tag in UNKNOWN] + [("oasis", 40000, 1)],  # GDSII has no such layer
    indirect=["name"],
)
def test_an_unknown_layer_is_refused(layer, datatype, dot):
    dot.insert(db.Box(0, 0, UNIT, UNIT), layer, datatype)
    (problem,) = dot.problems()
    assert f"layout layer {layer} datatype {datatype} stands for nothing" in problem


def test_a_triangle_is_refused(dot):
    dot.insert(db.Polygon([db.Point(0, 0), db.Point(0, UNIT), db.Point(UNIT, 0)]), 1, 1)
    (problem,) = dot.problems()
    assert "not a rectangle" in problem


@pytest.mark.parametrize("x", [-100, 210 * UNIT - 100])
def test_a_mark_over_the_array_is_refused(x, dot):
    dot.insert(db.Box(x, -100, x + 200, 100), 101, 0)
    (problem,) = dot.problems()
    assert "a mark lies over the array" in problem


@pytest.mark.parametrize("end", [-1, 1])
def test_a_mark_over_the_mask_beside_it_is_refused(end, name, make_job, tmp_path):
    edited = Edited(make_job(8, array=dotted(), spec=spec(arrange="side by side")), name, tmp_path / "x")
    left = end * edited_option(edited, "mask_step_x") + 10 * UNIT
    edited.insert(db.Box(left, 30 * UNIT, left + 100, 30 * UNIT + 100), 102, 0, cell="L2")
    (problem,) = edited.problems()
    assert "a mark reaches the mask beside it" in problem


def test_masks_in_one_anothers_place_are_refused(name, make_job, tmp_path):
    edited = Edited(make_job(8, array=dotted(), spec=spec(arrange="side by side")), name, tmp_path / "x")
    die, places = edited.layout.cell("DIE"), []
    for inst in die.each_inst():
        places.append((inst.cell_index, inst.trans))
    die.clear_insts()
    for (cell, _), (_, place) in zip(places, [places[1], places[0], places[2]], strict=True):
        die.insert(db.CellInstArray(cell, place))
    (problem,) = edited.problems()
    assert "a mark reaches the mask beside it" in problem or "outside the array" in problem


def test_a_moved_cell_is_refused(dot):
    next(dot.layout.cell("DIE").each_inst()).trans = db.Trans(1, 0)
    (problem,) = dot.problems()
    assert "off the pixel grid" in problem


@pytest.mark.parametrize("trans", [db.Trans.R90, db.Trans.M0, db.Trans.M90, db.Trans.R180])
def test_a_placement_that_turns_is_refused(trans, dot):
    next(dot.layout.top_cell().each_inst()).trans = trans
    (problem,) = dot.problems()
    assert any(word in problem for word in ("turned", "record ANGLE", "record PLACEMENT"))


def test_a_cell_placed_twice_is_located(dot):
    die = dot.layout.cell("DIE")
    die.insert(db.CellInstArray(dot.layout.cell("L2").cell_index(), db.Trans()))
    assert dot.problems() == (f"{dot.file}: layer 2 row 2 column 3: covered by 2 rectangles",)


def test_a_cell_placed_nowhere_is_refused(dot):
    next(dot.layout.cell("DIE").each_inst()).delete()
    (problem,) = dot.problems()
    assert "2 top cells, expected one" in problem


def test_a_path_element_is_refused_by_name(dot):
    dot.insert(db.Path([db.Point(0, 0), db.Point(9000, 0)], 100), 1, 1)
    (problem,) = dot.problems()
    assert "record PATH, " in problem


def test_a_text_is_tolerated(dot):
    for number in range(3):
        dot.insert(db.Text("a note", db.Trans(5 + number, 5)), 1, 0)
    dot.insert(db.Text("another", db.Trans(5, 5)), 1, 0)
    assert dot.problems() == ()


def test_another_database_unit_is_refused(dot):
    dot.layout.dbu = 1e-3
    dot.layout.write(str(dot.folder / dot.file))
    with pytest.raises(VerificationError, match=r"byte \d+: an edge at [xy] = \d+ database units is"):
        exporters()[dot.name].read(dot.folder, load_manifest(dot.folder))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("tone", ["keep", "etch"])
def test_a_missing_bit_is_located_in_the_design(tone, mirror, name, make_job, tmp_path):
    """Row and column are those of the design, also where the die is mirrored."""
    job = make_job(8, array=dotted(), spec=spec(kind="bits", tone=tone, mirror=mirror))
    edited = Edited(job, name, tmp_path / "x")
    shapes = edited.cell(3).shapes(edited.layout.layer(3, 2))  # the lowest bit
    left = (8 if mirror else 201) * UNIT
    pixel = db.Region(db.Box(left, 6 * UNIT, left + UNIT, 7 * UNIT))
    region = db.Region(shapes)
    changed = (region - pixel) if tone == "keep" else (region + pixel)
    shapes.clear()
    shapes.insert(changed.decompose_trapezoids_to_region())
    assert edited.problems() == (f"{edited.file}: layer 3 row 17 column 201: level 4, expected 5",)


def test_a_die_that_differs_is_located(name, make_job, tmp_path):
    job = make_job(8, array=dotted(), spec=spec(array=(2, 3), marks=False))
    edited = Edited(job, name, tmp_path / "x")
    top, variant = edited.layout.top_cell(), edited.layout.cell("DIE").dup()
    variant.flatten(False)
    next(variant.shapes(edited.layout.layer(3, 5)).each()).delete()
    top.clear_insts()
    step = [edited_option(edited, f"die_step_{axis}") for axis in "xy"]
    for row in range(2):
        for column in range(3):
            cell = variant if (row, column) == (1, 2) else edited.layout.cell("DIE")
            place = db.Trans(column * step[0], (1 - row) * step[1])
            top.insert(db.CellInstArray(cell.cell_index(), place))
    assert edited.problems() == (
        f"{edited.file}: die row 1 column 2: layer 3 row 17 column 201: level 0, but 5 in the first die",
    )


def edited_option(edited: Edited, key: str) -> int:
    return load_manifest(edited.folder).record(edited.name).options[key]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("missing", "die row 1 column 2: placed 0 times, expected once"),
        ("twice", "die row 1 column 2: placed 2 times, expected once"),
        ("moved", "no die has its place at ("),
        ("beyond", "no die has its place at ("),
        ("beside", "a shape beside the dies, in the top cell"),
    ],
)
def test_a_die_out_of_place_is_refused(change, why, name, make_job, tmp_path):
    job = make_job(8, (1, 5, 5), spec=spec(array=(2, 3)))
    edited = Edited(job, name, tmp_path / "x")
    top, die = edited.layout.top_cell(), edited.layout.cell("DIE").cell_index()
    step = [edited_option(edited, f"die_step_{axis}") for axis in "xy"]
    places = [(column * step[0], row * step[1]) for row in range(2) for column in range(3)]
    last = places.index((2 * step[0], 0))
    if change in ("missing", "moved"):
        places.pop(last)
    if change != "missing" and change != "beside":
        places.append({"twice": (2 * step[0], 0), "moved": (2 * step[0], 1), "beyond": (3 * step[0], 0)}[change])
    top.clear_insts()
    for place in places:
        top.insert(db.CellInstArray(die, db.Trans(*place)))
    if change == "beside":
        top.shapes(edited.layout.layer(1, 1)).insert(db.Box(0, 0, UNIT, UNIT))
    (problem,) = edited.problems()
    assert why in problem


def test_a_changed_cell_of_the_chrome_is_located(name, make_job, tmp_path):
    openings = np.full((2, 6, 9), 3, np.uint16)
    openings[1, 4, 2] = 16
    job = make_job(8, (2, 6, 9), pitch_m=2e-6, openings=openings, spec=spec(halftone=4))
    edited = Edited(job, name, tmp_path / "x")
    edited.insert(db.Box(2 * 2000, 1 * 2000, 2 * 2000 + 500, 1 * 2000 + 500), 202, 0)
    assert edited.problems() == (f"{edited.file}: layer 2 row 4 column 2: open cells 15, expected 16",)


def test_chrome_over_chrome_is_located(name, make_job, tmp_path):
    job = make_job(8, (1, 6, 9), pitch_m=2e-6, openings=np.zeros((1, 6, 9), np.uint16), spec=spec(halftone=4))
    edited = Edited(job, name, tmp_path / "x")
    edited.insert(db.Box(2 * 2000, 1 * 2000, 2 * 2000 + 500, 1 * 2000 + 500), 201, 0)
    assert edited.problems() == (f"{edited.file}: layer 1 row 4 column 2: covered by 2 rectangles",)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("layout", '"rows"', "options of gds: layout"),
        ("tone", "7", "options of gds: tone"),
        ("mirror", '"no"', "options of gds: mirror"),
        ("die_rows", "0", "options of gds: die_rows"),
        ("die_columns", "1001", "options of gds: die_columns"),
        ("die_step_x", "0", "options of gds: die_step_x"),
        ("mask_step_x", "-1", "options of gds: mask_step_x"),
        ("die_step_y", "1e99", "options of gds: die_step_y"),
    ],
)
def test_damaged_options_are_refused(key, value, why, make_job, tmp_path):
    job = make_job(8, (1, 5, 5))
    export_design(job, ["gds"], tmp_path / "x", {})
    path = tmp_path / "x" / MANIFEST_NAME
    text = path.read_text()
    line = [line for line in text.splitlines() if f'"{key}":' in line][-1]  # the conventions have a layout, too
    path.write_text(text.replace(line, f'"{key}": {value},'))
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert why in check.problems[0] and check.problems[0].startswith("manifest.json: ")


def test_bits_of_six_levels_are_refused(make_job, tmp_path):
    job = make_job(6, (1, 5, 5))
    export_design(job, ["gds"], tmp_path / "x", {})
    path = tmp_path / "x" / MANIFEST_NAME
    path.write_text(path.read_text().replace('"layout": "levels"', '"layout": "bits"'))
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.problems == ("manifest.json: 6 levels, which no layout of bits holds",)


def test_cells_in_cells_without_end_are_refused(name, make_job, tmp_path):
    """Thirty cells, each placed twice in the next, hold a billion shapes."""
    edited = Edited(make_job(8, (1, 5, 5)), name, tmp_path / "x")
    inner = edited.layout.cell("DIE")
    for number in range(30):
        outer = edited.layout.create_cell(f"N{number}")
        for _ in range(2):
            outer.insert(db.CellInstArray(inner.cell_index(), db.Trans()))
        inner = outer
    edited.layout.top_cells()[0].clear_insts()
    edited.layout.cell("d2nn5").clear_insts()
    edited.layout.cell("d2nn5").insert(db.CellInstArray(inner.cell_index(), db.Trans()))
    (problem,) = edited.problems()
    assert "shapes and placed cells in cell 'd2nn5'" in problem


@pytest.mark.parametrize("kind", ["levels", "bits"])
def test_mutants_of_dies_with_chrome_are_refused_or_read(kind, name, make_job, tmp_path):
    openings = np.random.default_rng(3).integers(0, 10, (2, 9, 7)).astype(np.uint16)
    layout = spec(kind=kind, array=(2, 2), halftone=3, mirror=True, tone="etch")
    export_design(make_job(8, (2, 9, 7), openings=openings, spec=layout), [name], tmp_path / "x", {})
    manifest, path = load_manifest(tmp_path / "x"), tmp_path / "x" / FORMATS[name]
    good, draw, reader, refused = path.read_bytes(), np.random.default_rng(8), exporters()[name], 0
    for _ in range(100):
        path.write_bytes(mutant(good, draw))
        try:
            assert reader.read(tmp_path / "x", manifest).levels.shape == (2, 9, 7)
        except VerificationError as error:
            refused += 1
            assert FORMATS[name] in error.message
    assert refused > 50
