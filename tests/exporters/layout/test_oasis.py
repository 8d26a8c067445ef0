"""OASIS records: our reader against klayout's, field by field, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klayout import db
from test_damage import mutant

from opticdesign.errors import VerificationError
from opticdesign.handover.export import export_design, exporters, verify_files
from opticdesign.handover.manifest import load_manifest
from opticdesign_exporters.layout.oasis_numbers import Cursor
from opticdesign_exporters.layout.oasis_records import read_library
from tests.support.oasis_bytes import (
    MAGIC,
    block,
    compass,
    delta,
    end,
    library,
    polygon,
    rectangle,
    signed,
    start,
    text,
    unsigned,
)

MOST = 10_000
OAS = "oasis/d2nn5.oas"

REPETITIONS = {
    "1": unsigned(1) + unsigned(1) + unsigned(2) + unsigned(70) + unsigned(90),
    "2": unsigned(2) + unsigned(3) + unsigned(700),
    "3": unsigned(3) + unsigned(0) + unsigned(70),
    "4": unsigned(4) + unsigned(1) + unsigned(30) + unsigned(500),
    "5": unsigned(5) + unsigned(1) + unsigned(10) + unsigned(3) + unsigned(50),
    "6": unsigned(6) + unsigned(2) + unsigned(30) + unsigned(0x4000) + unsigned(1),
    "7": unsigned(7) + unsigned(0) + unsigned(1582) + unsigned(31),
    "8": unsigned(8) + unsigned(1) + unsigned(0) + delta(30, -4) + compass(11, 0b0110, 4),
    "9": unsigned(9) + unsigned(4) + delta(-30, 40),
    "10": unsigned(10) + unsigned(2) + delta(-30, 40) + compass(60, 0b1010, 4) + compass(7, 0b0100, 4),
    "11": unsigned(11) + unsigned(3) + unsigned(7) + delta(3, 0) + delta(0, -90) + compass(9, 0b0010, 4) + delta(5, 5),
}
POINTS = {
    "0": unsigned(0) + unsigned(4) + signed(30) + signed(40) + signed(-10) + signed(25),
    "1": unsigned(1) + unsigned(4) + signed(30) + signed(40) + signed(-10) + signed(25),
    "2": unsigned(2) + unsigned(3) + compass(30, 0, 2) + compass(40, 1, 2) + compass(30, 2, 2),
    "3": unsigned(3) + unsigned(3) + compass(30, 4) + compass(40, 5) + compass(30, 2),
    "4": unsigned(4) + unsigned(3) + delta(30, 7) + delta(-5, 60) + compass(20, 0b0100, 4),
    "5": unsigned(5) + unsigned(3) + delta(30, 7) + delta(-5, 60) + compass(20, 0b0100, 4),
}


def ours(data: bytes) -> list[tuple[int, ...]]:
    """Layer, datatype and box of all shapes of the top cell."""
    found = read_library(data, "x.oas", MOST)
    boxes = []
    for shapes in found.flat(found.top, MOST, lambda shapes: shapes.layer >= 0):
        boxes += np.column_stack((shapes.layer, shapes.datatype, shapes.low, shapes.high)).tolist()
    return sorted(map(tuple, boxes))


def theirs(data: bytes, folder: Path) -> list[tuple[int, ...]]:
    """The same as klayout sees it."""
    (folder / "x.oas").write_bytes(data)
    layout = db.Layout()
    layout.read(str(folder / "x.oas"))
    boxes = []
    for index in layout.layer_indexes():
        info, shapes = layout.get_info(index), layout.top_cell().begin_shapes_rec(index)
        while not shapes.at_end():
            box = shapes.shape().bbox().transformed(shapes.trans())
            boxes.append((info.layer, info.datatype, box.left, box.bottom, box.right, box.top))
            shapes.next()
    return sorted(boxes)


@pytest.mark.parametrize("kind", REPETITIONS)
def test_repetitions_are_those_of_klayout(kind, tmp_path):
    again = bytes([20, 0b00011100]) + signed(5000) + signed(-300) + unsigned(0)  # moved, sizes and repetition as before
    data = library(rectangle(-3, 4, 10, 20, REPETITIONS[kind]), again)
    assert ours(data) == theirs(data, tmp_path)
    assert len(ours(data)) > 2


@pytest.mark.parametrize("kind", POINTS)
def test_polygons_are_those_of_klayout(kind, tmp_path):
    again = bytes([21, 0b00011100]) + signed(5000) + signed(-300) + REPETITIONS["2"]
    data = library(polygon(-3, 4, POINTS[kind]), again)
    assert ours(data) == theirs(data, tmp_path)
    assert not read_library(data, "x", MOST).cells["TOP"].shapes.rectangular.any()


@pytest.mark.parametrize("kind", [0, 1])
def test_a_polygon_can_be_a_rectangle(kind, tmp_path):
    data = library(polygon(-3, 4, unsigned(kind) + unsigned(2) + signed(-30) + signed(40)))
    assert ours(data) == theirs(data, tmp_path)
    assert read_library(data, "x", MOST).cells["TOP"].shapes.rectangular.all()
    flat = library(polygon(-3, 4, unsigned(kind) + unsigned(2) + signed(-30) + signed(0)))
    assert not read_library(flat, "x", MOST).cells["TOP"].shapes.rectangular.any()


def test_squares_relative_places_and_fields_left_out(tmp_path):
    square = bytes([20, 0b11011011]) + unsigned(1) + unsigned(2) + unsigned(50) + signed(100) + signed(200)
    same = bytes([20, 0b00010000]) + signed(300)
    relative = b"\x10" + bytes([20, 0b00011000]) + signed(-7) + signed(9) + bytes([20, 0b00001000]) + signed(9)
    absolute = b"\x0f" + bytes([20, 0b00111000]) + unsigned(60) + signed(-7) + signed(9)
    data = library(square, same, relative, absolute, b"\x00\x00")
    assert ours(data) == theirs(data, tmp_path)
    assert len(ours(data)) == 5


def test_cells_by_number_and_name_and_their_placements(tmp_path):
    """Two cells, one placed by number, by name, and as before; names of numbers come last."""
    small = b"\x0d\x07" + rectangle(0, 0, 5, 6)
    other = b"\x0e" + text(b"B") + rectangle(0, 0, 50, 60, layer=4)
    by_number = bytes([17, 0b11111000]) + unsigned(7) + signed(10) + signed(-20) + REPETITIONS["10"]
    by_name = bytes([17, 0b10110000]) + text(b"B") + signed(1000) + signed(2000)
    before = bytes([17, 0b00100000]) + signed(-1000)
    data = start() + b"\x0e" + text(b"TOP") + by_number + by_name + before + small + other
    data += b"\x04" + text(b"A") + unsigned(7)
    data += end(data)
    assert ours(data) == theirs(data, tmp_path)
    assert set(read_library(data, "x", MOST).cells) == {"TOP", "A", "B"}


def test_names_counted_from_zero(tmp_path):
    data = start() + b"\x03" + text(b"TOP") + b"\x03" + text(b"A") + b"\x0d\x00" + bytes([17, 0b11110000])
    data += unsigned(1) + signed(3) + signed(4) + b"\x0d\x01" + rectangle(0, 0, 5, 6)
    data += end(data)
    assert ours(data) == theirs(data, tmp_path) == [(1, 2, 3, 4, 8, 10)]


def test_names_properties_and_texts_are_passed_over(tmp_path):
    names = b"\x07" + text(b"P") + b"\x0a" + text(b"S") + unsigned(3) + b"\x05" + text(b"note")
    layers = b"\x0b" + text(b"metal") + unsigned(3) + unsigned(1) + unsigned(4) + unsigned(2) + unsigned(5)
    values = b"\x07" + struct.pack("<d", 0.5) + b"\x08\x05" + b"\x09\x05" + b"\x0a" + text(b"x") + b"\x01\x07"
    properties = b"\x1c" + bytes([0x56]) + unsigned(0) + values + b"\x1d"
    note = bytes([19, 0b01111111]) + unsigned(0) + unsigned(1) + unsigned(0) + signed(5) + signed(6) + REPETITIONS["2"]
    data = start() + names + layers + b"\x0e" + text(b"TOP") + properties + rectangle(0, 0, 5, 6) + properties + note
    data += end(data)
    assert ours(data) == [(1, 2, 0, 0, 5, 6)]
    (tmp_path / "x.oas").write_bytes(data)
    db.Layout().read(str(tmp_path / "x.oas"))  # well-formed for klayout, too


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_blocks_and_checksums(scheme, tmp_path):
    records = rectangle(0, 0, 5, 6, REPETITIONS["11"]) * 3
    data = library(rectangle(9, 9, 1, 1), block(records), rectangle(1, 2, 3, 4), block(records), scheme=scheme)
    assert ours(data) == theirs(data, tmp_path)
    assert len(ours(data)) == 32


@pytest.mark.parametrize(
    "real",
    [
        b"\x00" + unsigned(5000), b"\x04" + unsigned(10000) + unsigned(2), b"\x06" + struct.pack("<f", 5000.0),
        b"\x07" + struct.pack("<d", 5000.0),
    ],
)  # fmt: skip
def test_the_resolution_may_be_any_real(real):
    assert read_library(library(head=start(real)), "x", MOST).unit_m == pytest.approx(0.2e-9, rel=1e-15)


def test_reals_of_every_kind():
    numbers = [b"\x00\x07", b"\x01\x07", b"\x02\x07", b"\x03\x07", b"\x04\x07\x02", b"\x05\x07\x02"]
    cursor = Cursor(b"".join(numbers) + b"\x06" + struct.pack("<f", 1.5) + b"\x07" + struct.pack("<d", 0.1), "x")
    assert [cursor.real() for _ in range(8)] == [7, -7, 1 / 7, -1 / 7, 3.5, -3.5, 1.5, 0.1]
    assert cursor.ended


steps = st.tuples(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-(2**31) + 1, 2**31 - 1))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(steps, st.tuples(st.integers(0, 7), st.integers(0, 2**31 - 1)).map(lambda one: (*one, 0)))))
def test_displacements_in_one_and_two_numbers_are_told_apart(made):
    """Whatever follows them: the numbers behind are not looked at, only their ends."""
    compass_of = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))
    data, expected = b"", []
    for one in made:
        if len(one) == 2:
            data += delta(*one)
            expected.append(list(one))
        else:
            data += compass(one[1], one[0] << 1, 4)
            expected.append([one[1] * side for side in compass_of[one[0]]])
    for behind in (b"", b"\xff" * 20, b"\x01", b"\x81" * 12 + b"\x01"):
        cursor = Cursor(data + behind, "x")
        assert cursor.deltas(len(made)).tolist() == expected
        assert cursor.position == len(data)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 2**63 - 1)), st.sampled_from([b"", b"\xff" * 20, b"\x01"]))
def test_lists_of_numbers_are_decoded_at_once(values, behind):
    data = b"".join(map(unsigned, values))
    cursor, one_by_one = Cursor(data + behind, "x"), Cursor(data + behind, "x")
    assert cursor.many(len(values)).tolist() == values == [one_by_one.unsigned() for _ in values]
    assert cursor.position == one_by_one.position == len(data)


HUGE = unsigned(2**40)
RECTANGLE = rectangle(0, 0, 5, 6)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "byte 0: not an OASIS file"),
        (b"\x00\x06\x00\x02", "byte 0: not an OASIS file"),
        (MAGIC, "byte 13: the data end before 1 more bytes"),
        (MAGIC + b"\x02", "byte 13: no record START"),
        (MAGIC + b"\x01" + text(b"2.0"), "version '2.0', expected '1.0'"),
        (start(b"\x00\x00"), "a resolution of 0.0 steps in a micrometre"),
        (start(b"\x07" + struct.pack("<d", float("nan"))), "a resolution of nan steps"),
        (start(b"\x04\x01\x00"), "a division by zero"),
        (start(b"\x09\x01"), "a real of kind 9"),
        (library(head=start(b"\x00\x01")), "a database unit of 1e-06 m"),
        (start(), "the data end before 1 more bytes"),
        (start() + end(start())[:-1], "record END, 255 bytes before the end of the file, expected 256"),
        (start() + end(start()) + b"\x00", "record END, 257 bytes before the end"),
        (start() + end(start())[:-1] + b"\x07", "a checksum of kind 7"),
        (library(RECTANGLE, scheme=1)[:-1] + b"\x00", "the checksum differs: the file is damaged"),
        (library(RECTANGLE, scheme=1).replace(b"TOP", b"TIP"), "the checksum differs: the file is damaged"),
        (start() + RECTANGLE, "an element outside a cell"),
        (library(b"\x0e" + text(b"TOP")), "a second cell 'TOP'"),
        (library(b"\x0d\x05"), "cell number 5 has no name"),
        (library(b"\x04\x01A\x01\x04\x01B\x01"), "a second name for cell number 1"),
        (library(b"\x04\x03TOP\x01\x0d\x01"), "a second cell 'TOP'"),
        (library(bytes([20, 0])), "no layer given so far"),
        (library(bytes([20, 1, 1])), "no datatype given so far"),
        (library(bytes([20, 0b11, 1, 2])), "no width given so far"),
        (library(bytes([20, 0b11100011, 1, 2, 5])), "a square with a height"),
        (library(bytes([21, 0b11, 1, 2])), "no points given so far"),
        (library(bytes([20, 0b01100111, 1, 2, 5, 6, 0])), "no repetition given so far"),
        (library(rectangle(0, 0, 5, 6, b"\x0c")), "a repetition of kind 12"),
        (library(rectangle(0, 0, 5, 6, b"\x01" + HUGE + HUGE + b"\x01\x01")), "more than the design can hold"),
        (library(rectangle(0, 0, 5, 6, b"\x02" + unsigned(MOST) + b"\x01")), "more than the design can hold"),
        (library(rectangle(0, 0, 5, 6, b"\x0a" + HUGE + b"\x01")), "the data end before 1099511627777 displacements"),
        (library(rectangle(0, 0, 5, 6, b"\x04" + HUGE + b"\x01")), "the data end before 1099511627777 numbers"),
        (library(rectangle(0, 0, 5, 6, b"\x02\x05" + unsigned(2**30))), "a repetition out of the range of coordinates"),
        (library(rectangle(2**31 - 1, 0, 5, 6, b"\x02\x05\x01")), "a repetition out of the range of coordinates"),
        (library(rectangle(0, 0, 5, 6, b"\x05\x00" + unsigned(2**20) + unsigned(2**20))), "a distance of 10995116"),
        (library(rectangle(0, 0, 5, 6, b"\x04\x01" + unsigned(2**30) * 2)), "a repetition out of the range"),
        (library(rectangle(0, 0, 5, 6, b"\x0b\x00\x02" + delta(2**31 - 1, 0))), "a displacement of 4294967294"),
        (library(rectangle(2**31, 0, 5, 6)), "a coordinate of 2147483648 database units"),
        (library(rectangle(2**31 - 1, 0, 5, 6)), "a shape out of the range of coordinates"),
        (library(rectangle(0, 0, 2**31, 6)), "a distance of 2147483648 database units"),
        (library(b"\x10", rectangle(2**30, 0, 5, 6), rectangle(2**30, 0, 5, 6)), "a coordinate of 2147483648"),
        (library(polygon(0, 0, b"\x06\x01\x01")), "a list of 1 points of kind 6"),
        (library(polygon(0, 0, b"\x00\x00")), "a list of 0 points of kind 0"),
        (library(polygon(0, 0, b"\x00" + HUGE)), "a list of 1099511627776 points"),
        (library(polygon(0, 0, b"\x00\x02" + unsigned(2**62) * 2)), "a coordinate of 2305843009213693952"),
        (library(polygon(0, 0, b"\x02\x02" + unsigned(2**62) * 2)), "a displacement of 1152921504606846976"),
        (library(polygon(0, 0, b"\x05\x03" + delta(2**30, 0) * 3)), "a polygon out of the range of coordinates"),
        (library(bytes([17, 0b00110000]) + b"\x01\x01"), "no placed cell given so far"),
        (library(bytes([17, 0b10000001]) + text(b"TOP")), "a placement that is mirrored or turned"),
        (library(bytes([17, 0b10000010]) + text(b"TOP")), "a placement that is mirrored or turned"),
        (library(bytes([17, 0b10000000]) + text(b"A")), "cell 'A' in 'TOP' is not in the file"),
        (library(bytes([17, 0b10000000]) + text(b"TOP")), "cell 'TOP' is placed in itself"),
        (library(bytes([18, 0b10000000])), "record PLACEMENT, which a layout of masks does not need"),
        (library(b"\x17"), "record TRAPEZOID, which a layout of masks does not need"),
        (library(b"\x63"), "record number 99, which a layout of masks does not need"),
        (library(b"\xff" * 9 + b"\x01"), "a number of more than 63 bits"),
        (library(b"\x0b" + text(b"L") + b"\x05"), "an interval of kind 5"),
        (library(b"\x1c" + bytes([0x16]) + b"\x00\x10"), "a property of kind 16"),
        (library(b"\x22\x01\x05\x05"), "a block of 5 bytes in compression 1"),
        (library(b"\x22\x00" + HUGE + b"\x05"), "a block of 1099511627776 bytes"),
        (library(b"\x22\x00\x05" + HUGE), "the data end before 1099511627776 more bytes"),
        (library(b"\x22\x00\x05\x05hello"), "a damaged block: |a block that does not hold 5 bytes"),
        (library(block(b"\x00" * 5)[:2] + b"\x04" + block(b"\x00" * 5)[3:]), "a block that does not hold 4 bytes"),
        (library(block(b"\x00" * 5)[:2] + b"\x06" + block(b"\x00" * 5)[3:]), "a block that does not hold 6 bytes"),
        (library(block(block(b"\x00"))), "byte 0: record CBLOCK, which a layout"),
        (library(block(b"\x02")), "inflated: byte 0: record END, which a layout"),
        (library(block(RECTANGLE[:4])), "inflated: byte 4: the data end before 1 more bytes"),
    ],
)
def test_another_kind_of_file_is_refused(data, why):
    with pytest.raises(VerificationError, match=rf"^x\.oas: .*({why})"):
        read_library(data, "x.oas", MOST)


def test_a_bomb_is_refused_before_it_takes_memory():
    """A kilobyte that inflates to a megabyte of padding; more than 64 bytes a shape is not looked at."""
    data = library(block(bytes(1 << 20)))
    assert len(data) < 3000
    with pytest.raises(VerificationError, match="a block of 1048576 bytes"):
        read_library(data, "x.oas", MOST)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    lying = deflate.compress(bytes(1 << 20)) + deflate.flush()
    with pytest.raises(VerificationError, match="a block that does not hold 100 bytes"):
        read_library(library(b"\x22\x00" + unsigned(100) + unsigned(len(lying)) + lying), "x.oas", MOST)


def test_shapes_are_counted_over_the_whole_file():
    half = rectangle(0, 0, 5, 6, b"\x02" + unsigned(MOST // 2 - 2) + b"\x01")
    assert len(read_library(library(half, half), "x.oas", MOST).cells["TOP"].shapes) == MOST
    with pytest.raises(VerificationError, match="more shapes than a layout of this design can hold"):
        read_library(library(half, half, RECTANGLE), "x.oas", MOST)


def unpacked(data: bytes) -> bytes:
    """The records of a file without its blocks, checksum and END."""
    position, out = 0, b""
    while (at := data.find(b"\x22\x00", position)) >= 0:
        cursor = Cursor(data, "x", at + 2)
        size, deflated = cursor.unsigned(), cursor.unsigned()
        try:
            records = zlib.decompress(data[cursor.position : cursor.position + deflated], -15)
        except zlib.error:
            records = b""
        if len(records) == size and size:
            out += data[position:at] + records
            position = cursor.position + deflated
        else:
            out += data[position : at + 1]
            position = at + 1
    return (out + data[position:])[:-256]


def test_damage_behind_a_right_checksum_is_refused_or_read(make_job, tmp_path):
    """The records themselves are changed, and the END record is made anew."""
    job = make_job(8, (2, 9, 7))
    export_design(job, ["oasis"], tmp_path / "x", {})
    manifest = load_manifest(tmp_path / "x")
    records = unpacked((tmp_path / "x" / OAS).read_bytes())
    (tmp_path / "x" / OAS).write_bytes(records + end(records, 1, bytes(12)))
    np.testing.assert_array_equal(exporters()["oasis"].read(tmp_path / "x", manifest).levels, job.levels)
    reader, draw, refused = exporters()["oasis"], np.random.default_rng(5), 0
    for _ in range(400):
        changed = mutant(records, draw)
        (tmp_path / "x" / OAS).write_bytes(changed + end(changed, 1, bytes(12)))
        try:
            assert reader.read(tmp_path / "x", manifest).levels.shape == job.levels.shape
        except VerificationError as error:
            refused += 1
            assert OAS in error.message
    assert refused > 200


def test_the_file_is_many_times_smaller_than_rectangles_of_pixels(make_job, tmp_path):
    """Forty times for random levels, as hardware notes measured for structured ones; the entropy floor is 171."""
    job = make_job(8, (2, 128, 128))
    record = export_design(job, ["oasis"], tmp_path / "x", {}).record("oasis")
    assert record.files[0].bytes * 40 < 64 * np.count_nonzero(job.levels)


def test_a_checksum_stands_in_the_file(make_job, tmp_path):
    job = make_job(8, (2, 9, 7))
    export_design(job, ["oasis"], tmp_path / "x", {})
    data = bytearray((tmp_path / "x" / OAS).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "x" / OAS).write_bytes(data)
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert len(check.problems) == 2
