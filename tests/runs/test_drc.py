from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from klayout import db, rdb

from opticdesign.design import Export, Layout
from opticdesign.errors import RunError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.runs.drc import PLACED, RuleCheck, check_design_rules, shape_classes
from opticdesign.runs.drc_report import write_rule_check
from opticdesign.runs.export import export, export_job
from opticdesign.runs.run_folder import Run, open_run

PITCH_M = 316.4e-9
PROCESS = FabricationProcess(8, 632.8e-9, 1.45702)
LEVELS = np.arange(8, dtype=np.uint8).reshape(2, 4)


@pytest.fixture
def run_copy(trained_run: Run, tmp_path: Path) -> Run:
    return open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run")))


def with_levels(run: Run, levels: np.ndarray) -> Run:
    """The run with other masks (layers, rows, columns)."""
    tensors, position, _ = run.load()
    for layer, plane in enumerate(levels):
        key = next(name for name in tensors if name.endswith(f"elements.{layer}.phase_rad"))
        tensors[key] = torch.from_numpy(plane * (2.0 * np.pi / 8)).to(tensors[key])
    run.save(tensors, position)
    run.finish()
    np.testing.assert_array_equal(export_job(run)[0].levels, levels)
    return run


@pytest.fixture
def blocks(run_copy: Run) -> Run:
    """Masks of level 0 with one square of 20 pixels of level 1 on each, and a dot of 2 × 1 pixels on the second."""
    levels = np.zeros((2, 64, 64), dtype=np.uint8)
    levels[:, 10:30, 20:40] = 1
    levels[1, 40:42, 50] = 1
    return with_levels(run_copy, levels)


def broken(result: RuleCheck) -> set[tuple[str, int, int]]:
    return {(row.rule, row.layer, row.total) for row in result.rows() if row.total}


def test_trained_masks_are_checked_by_every_rule_layer_and_level(trained_run: Run) -> None:
    result = check_design_rules(trained_run, 700e-9)
    assert len(result.findings) == 2 * (7 * 5 + 1)
    assert len(list(result.rows())) == 2 * 5
    levels = export_job(trained_run)[0].levels
    here = [levels == level for level in range(1, 8)]
    contacts = sum(
        (a & d & ~b & ~c | b & c & ~a & ~d).sum(axis=(1, 2))
        for a, b, c, d in ((x[:, :-1, :-1], x[:, :-1, 1:], x[:, 1:, :-1], x[:, 1:, 1:]) for x in here)
    )
    assert [row.total for row in result.rows() if row.rule == "corner"] == contacts.tolist()
    assert not result.ok


def test_a_small_dot_breaks_its_rules_and_is_placed(blocks: Run) -> None:
    result = check_design_rules(blocks, 700e-9)
    # a wall of one step is 173 nm high, and the dot 316 nm wide
    assert broken(result) == {("width", 2, 2), ("area", 2, 1)}
    width = next(row for row in result.rows() if (row.rule, row.layer) == ("width", 2))
    assert width.worst == pytest.approx(PITCH_M)
    assert width.first == (40, 50, "level_1")
    assert check_design_rules(blocks).ok  # with the 300 nm of the design


def test_report_table_and_markers_tell_the_same(blocks: Run, tmp_path: Path) -> None:
    write_rule_check(check_design_rules(blocks, 700e-9), tmp_path / "drc")
    report = json.loads((tmp_path / "drc" / "report.json").read_text())
    assert report["ok"] is False
    assert report["limits"] == pytest.approx({"width_m": 7e-7, "gap_m": 7e-7, "area_m2": 4.9e-13, "aspect": 1.0})
    (area,) = [found for found in report["findings"] if found["rule"] == "area" and found["violations"]]
    assert (area["layer"], area["shapes"], area["violations"], area["placed"]) == (2, "level_1", 1, 1)
    place = {"row": 40, "column": 50, "rows": 2, "columns": 1, "x_um": 15.82, "y_um": 6.9608}
    assert area["positions"] == [place | {"value": pytest.approx(2 * PITCH_M**2)}]
    with (tmp_path / "drc" / "violations.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["rule"], line["layer"], line["row"], line["y_um"]) for line in lines] == [
        ("width", "2", "40", "6.9608"),
        ("width", "2", "40", "6.9608"),
        ("area", "2", "40", "6.9608"),
    ]
    database = rdb.ReportDatabase("")
    database.load(str(tmp_path / "drc" / "violations.lyrdb"))
    assert database.num_items() == 3
    category = database.category_by_path("area.layer_2.level_1")
    (item,) = list(database.each_item_per_category(category.rdb_id()))
    box = next(value.box() for value in item.each_value() if value.is_box())
    assert isinstance(box, db.DBox)
    assert (box.left, box.bottom, box.right, box.top) == pytest.approx((15.82, 6.9608, 16.1364, 7.5936))
    assert database.cell_by_id(item.cell_id()).name() == "DIE"
    texts = [value.string() for value in item.each_value() if value.is_string()]
    assert texts == ["row 40 column 50: 0.2002 µm²"]


@pytest.mark.parametrize("kind", ["levels", "bits"])
@pytest.mark.parametrize("mirror", [False, True])
def test_markers_lie_on_the_shapes_of_the_exported_layout(
    kind: Literal["levels", "bits"], mirror: bool, blocks: Run, tmp_path: Path
) -> None:
    layout = Layout(kind=kind, mirror=mirror, array=(2, 2))
    run = Run(blocks.folder, blocks.design.model_copy(update={"export": Export(layout=layout)}), blocks.info)
    export(run, ("gds",), tmp_path / "files")
    drawn = db.Layout()
    drawn.read(str(tmp_path / "files" / "gds" / "d2nn5.gds"))
    write_rule_check(check_design_rules(run, 700e-9), tmp_path / "drc")
    database = rdb.ReportDatabase("")
    database.load(str(tmp_path / "drc" / "violations.lyrdb"))
    datatype = {"levels": 1, "bits": 2}[kind]  # level 1 sets the last bit
    category = database.category_by_path(f"area.layer_2.{'level_1' if kind == 'levels' else 'bit_2'}")
    (item,) = list(database.each_item_per_category(category.rdb_id()))
    (box,) = [value.box() for value in item.each_value() if value.is_box()]
    cell = drawn.cell(database.cell_by_id(item.cell_id()).name())
    shapes = db.Region(cell.begin_shapes_rec(drawn.layer(2, datatype)))
    marked = db.Region(db.CplxTrans(drawn.dbu).inverted() * box)
    assert not marked.is_empty() and ((shapes & marked) ^ marked).is_empty()
    assert shapes.merged().interacting(marked).area() == marked.area()


def test_positions_are_capped_and_counts_are_not(trained_run: Run, tmp_path: Path) -> None:
    result = check_design_rules(trained_run, 10e-6)
    write_rule_check(result, tmp_path)
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    most = max(findings, key=lambda found: found["violations"])
    assert most["violations"] > PLACED == most["placed"] == len(most["positions"])
    database = rdb.ReportDatabase("")
    database.load(str(tmp_path / "violations.lyrdb"))
    assert database.num_items() == sum(found["placed"] for found in findings)


def test_an_earlier_check_is_replaced_and_another_file_is_not(trained_run: Run, tmp_path: Path) -> None:
    result = check_design_rules(trained_run)
    write_rule_check(result, tmp_path / "drc")
    write_rule_check(result, tmp_path / "drc")
    (tmp_path / "mine").mkdir()
    for name, content in (("violations.csv", "mine"), ("report.json", "[]"), ("report.json", "mine")):
        (tmp_path / "mine" / name).write_text(content)
        with pytest.raises(RunError, match="not of a design-rule check"):
            write_rule_check(result, tmp_path / "mine")
        assert (tmp_path / "mine" / name).read_text() == content


@pytest.mark.parametrize("tone", ["keep", "etch"])
def test_classes_of_a_levels_layout_are_all_levels_but_the_one_not_drawn(tone: str) -> None:
    classes = list(shape_classes(LEVELS, PROCESS, Layout(tone=tone)))
    free = 0 if tone == "keep" else 7
    assert [(one.own, one.drawn) for one in classes] == [
        *((level, True) for level in range(8) if level != free),
        (free, False),
    ]
    assert all(one.ground == free for one in classes)
    assert classes[0].heights_m == pytest.approx(np.arange(8) * PROCESS.step_height_m)


@pytest.mark.parametrize("tone", ["keep", "etch"])
def test_classes_of_a_bits_layout_are_the_masks_with_the_depth_they_etch(tone: str) -> None:
    classes = list(shape_classes(LEVELS, PROCESS, Layout(kind="bits", tone=tone)))
    assert [one.drawn for one in classes] == [True, False] * 3
    for bit, (drawn, free) in enumerate(zip(classes[::2], classes[1::2], strict=True)):
        assert drawn.name == f"bit_{bit}"
        stays = (LEVELS >> (2 - bit)) & 1 == 1
        np.testing.assert_array_equal(drawn.levels == drawn.own, stays if tone == "keep" else ~stays)
        np.testing.assert_array_equal(free.levels == free.own, ~(drawn.levels == drawn.own))
        assert drawn.heights_m == pytest.approx([0.0, PROCESS.full_height_m / 2 ** (bit + 1)])
        assert drawn.ground == free.own
