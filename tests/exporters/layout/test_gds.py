"""GDSII records: bytes of the writer, and what the reader refuses."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from klayout import db

from opticdesign.errors import VerificationError
from opticdesign.handover.export import ExportJob, export_design, exporters, verify_files
from opticdesign.handover.manifest import load_manifest
from opticdesign_exporters.layout.cell import Boxes, Cell, Placements, Polygon
from opticdesign_exporters.layout.gds_records import read_library
from opticdesign_exporters.layout.gds_stream import write_gds

GDS = "gds/d2nn5.gds"


@pytest.fixture
def plain(make_job, tmp_path) -> tuple[ExportJob, Path]:
    """Two layers of 9 × 7 pixels."""
    job = make_job(8, (2, 9, 7))
    export_design(job, ["gds"], tmp_path / "x", {})
    return job, tmp_path / "x"


def problems(folder: Path, job: ExportJob, data: bytes) -> tuple[str, ...]:
    """The problems beside the changed hash."""
    (folder / GDS).write_bytes(data)
    (check,) = verify_files(folder, job.levels, job.process)
    assert check.problems[0].startswith(f"{GDS}: changed since it was exported")
    return check.problems[1:]


def record(kind: int, form: int, data: bytes = b"") -> bytes:
    return struct.pack(">HBB", len(data) + 4, kind, form) + data


def library(*elements: bytes, cell: bytes = b"TOP\0") -> bytes:
    """A library of one cell."""
    head = record(0, 2, bytes(2)) + record(1, 2, bytes(24)) + record(2, 6, b"LB")
    units = record(3, 5, struct.pack(">QQ", 0x3E41893_74BC6A7F0, 0x3944B82FA09B5A54))
    begin = record(5, 2, bytes(24)) + record(6, 6, cell)
    return head + units + begin + b"".join(elements) + record(7, 0) + record(4, 0)


def boundary(*points: int, layer: int = 1, datatype: int = 1) -> bytes:
    tags = record(13, 2, struct.pack(">h", layer)) + record(14, 2, struct.pack(">h", datatype))
    return record(8, 0) + tags + record(16, 3, struct.pack(f">{len(points)}i", *points)) + record(17, 0)


def reference(name: bytes, *point: int) -> bytes:
    return record(10, 0) + record(18, 6, name) + record(16, 3, struct.pack(">2i", *point)) + record(17, 0)


def test_klayout_reads_what_is_written_cell_by_cell(tmp_path):
    """Shapes, letters and placements at the limits of 32 bits."""
    far = 2**31 - 1
    boxes = Boxes(np.array([[1, 2], [255, 255]]), np.array([[-far, -far, far, far], [0, -5, 7, 3]]))
    letter = Polygon(3, 4, np.array([[0, 0], [10, 0], [0, 10]]))
    cells = [
        Cell("ODD", boxes, (letter,)),
        Cell("TOP", placements=(Placements("ODD", np.array([[0, 0], [5, -far]])),)),
    ]
    write_gds(tmp_path / "x.gds", "lib", 0.2e-9, cells)
    layout = db.Layout()
    layout.read(str(tmp_path / "x.gds"))
    odd = layout.cell("ODD")
    assert layout.dbu == pytest.approx(2e-4, rel=1e-14)
    assert next(odd.shapes(layout.layer(1, 2)).each()).box == db.Box(-far, -far, far, far)
    assert next(odd.shapes(layout.layer(255, 255)).each()).box == db.Box(0, -5, 7, 3)
    assert next(odd.shapes(layout.layer(3, 4)).each()).polygon == db.Polygon(
        [db.Point(*point) for point in letter.points.tolist()]
    )
    places = {(one.trans.disp.x, one.trans.disp.y) for one in layout.cell("TOP").each_inst()}
    assert places == {(0, 0), (5, -far)}


@pytest.mark.parametrize("unit_m", [1e-9, 0.5e-9, 0.2e-9, 0.1e-9])
def test_the_unit_is_written_to_the_last_digit(unit_m, tmp_path):
    write_gds(tmp_path / "x.gds", "lib", unit_m, [Cell("TOP")])
    assert read_library((tmp_path / "x.gds").read_bytes(), "x").unit_m == pytest.approx(unit_m, rel=1e-15)


def test_every_shape_is_found_at_its_byte(make_job, tmp_path):
    """Rectangles in the common form are read in bulk, others one by one; both orders must be kept up."""
    export_design(make_job(8, (2, 64, 64)), ["gds"], tmp_path / "x", {})
    data = (tmp_path / "x" / GDS).read_bytes()
    found = read_library(data, GDS)
    layout = db.Layout()
    layout.read(str(tmp_path / "x" / GDS))
    for cell in layout.each_cell():
        shapes = found.cells[cell.name].shapes
        assert len(shapes) == sum(cell.shapes(index).size() for index in layout.layer_indexes())
        assert all(data[offset : offset + 4] == b"\x00\x04\x08\x00" for offset in shapes.offset)


def test_padding_is_tolerated_and_other_data_after_the_end_is_not(plain):
    job, folder = plain
    good = (folder / GDS).read_bytes()
    assert problems(folder, job, good + bytes(100)) == ()
    assert problems(folder, job, good + b"x") == (f"{GDS}: byte {len(good)}: data after ENDLIB",)


def test_either_way_round_is_a_rectangle():
    ways = [(0, 0, 0, 9, 7, 9, 7, 0, 0, 0), (7, 9, 0, 9, 0, 0, 7, 0, 7, 9)]
    shapes = read_library(library(*(boundary(*way) for way in ways)), "x").cells["TOP"].shapes
    assert shapes.rectangular.all()
    assert shapes.low.tolist() == [[0, 0]] * 2 and shapes.high.tolist() == [[7, 9]] * 2


@pytest.mark.parametrize(
    "points",
    [
        (0, 0, 0, 9, 7, 9, 7, 1, 0, 0),  # a corner beside its place
        (0, 0, 0, 9, 0, 9, 0, 0, 0, 0),  # no area
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 9, 7, 9, 0, 0),  # a triangle
        (0, 0, 0, 9, 7, 9, 7, 5, 7, 0, 0, 0),  # five corners
    ],
)
def test_another_polygon_is_no_rectangle(points):
    found = read_library(library(boundary(*points)), "x")
    assert not found.cells["TOP"].shapes.rectangular.any()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "byte 0: the file ends where HEADER is due"),
        (library(boundary(0, 0, 0, 9, 7, 9, 7, 0, 1, 0)), "a boundary that is not closed"),
        (library(boundary(0, 0, 0, 9, 7, 9)), "a boundary of 3 points"),
        (library(boundary(0, 0, 0, 9, 7, 9, 0, 1)), "a boundary that is not closed"),
        (library(record(9, 0)), "record PATH, expected BOUNDARY or SREF or TEXT or ENDSTR"),
        (library(record(11, 0)), "record AREF, expected"),
        (library(record(99, 0)), "record kind 99, expected"),
        (library(record(8, 2)), "record BOUNDARY has data type 2, expected 0"),
        (library(struct.pack(">HBB", 3, 8, 0)), "record BOUNDARY has length 3"),
        (library(struct.pack(">HBB", 60000, 8, 0)), "the file ends inside a record BOUNDARY"),
        (library(reference(b"OTHR", 0, 0)), "cell 'OTHR' in 'TOP' is not in the file"),
        (library(reference(b"TOP\0", 0, 0)), "cell 'TOP' is placed in itself"),
        (library(cell=b"\xff\xfe"), "record STRNAME is not ASCII"),
        (library()[:-4] + library()[-44:], "a second cell 'TOP'"),
    ],
)
def test_another_kind_of_file_is_refused(data, why):
    with pytest.raises(VerificationError, match=why):
        read_library(data, "x")


@pytest.mark.parametrize("unit", [bytes(8), b"\x7f" + bytes(7) + b"", b"\x7f\xff" + bytes(6), b"\xb9\x44" + bytes(6)])
def test_a_unit_out_of_range_is_refused(unit):
    data = bytearray(library())
    at = data.index(struct.pack(">Q", 0x3944B82FA09B5A54))
    data[at : at + 8] = unit
    with pytest.raises(VerificationError, match="a database unit of"):
        read_library(bytes(data), "x")


def test_a_chain_of_many_cells_is_read():
    """Cells in cells, deeper than Python's own stack is."""
    cells = [
        record(5, 2, bytes(24))
        + record(6, 6, b"C%05d" % number + b"")
        + reference(b"C%05d" % (number + 1), 1, 0)
        + record(7, 0)
        for number in range(5000)
    ]
    last = record(5, 2, bytes(24)) + record(6, 6, b"C05000") + boundary(0, 0, 0, 9, 7, 9, 7, 0, 0, 0) + record(7, 0)
    empty = library()
    data = empty[:-4] + b"".join(cells) + last + empty[-4:]
    found = read_library(data, "x")
    (shapes,) = found.flat("C00000", 20000, lambda shapes: shapes.rectangular)
    assert (shapes.low.tolist(), shapes.high.tolist()) == ([[5000, 0]], [[5007, 9]])
    with pytest.raises(VerificationError, match="more than 4000 shapes and placed cells"):
        next(found.flat("C00000", 4000, lambda shapes: shapes.rectangular))


def test_the_file_is_read_by_the_exporter(plain):
    job, folder = plain
    np.testing.assert_array_equal(exporters()["gds"].read(folder, load_manifest(folder)).levels, job.levels)


def test_memory_does_not_grow_with_the_number_of_layers(make_job, tmp_path):
    peaks = []
    for layers in (1, 6):
        job, folder = make_job(8, (layers, 128, 128)), tmp_path / str(layers)
        folder.mkdir()
        tracemalloc.start()
        exporters()["gds"].write(job, folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
