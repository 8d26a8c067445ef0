"""The files beside a layout: layers with their heights and depths, doses, colours for klayout."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from klayout import lay

from opticdesign.handover.export import export_design
from tests.support.klayout_view import FORMATS, drawn, every_format, spec, write


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
