"""Layouts of other programs become the pixels that KLayout finds: every kind of record, nested, turned, repeated."""

from __future__ import annotations

import itertools
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdstk
import numpy as np
import pytest
import torch
from klayout import db

from opticdesign.design import Layout
from opticdesign.errors import DataError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.importing import ImportJob, Masks, read_masks
from opticdesign.handover.said import Said
from opticdesign.handover.source_file import SourceFile

PROCESS = FabricationProcess(4, 632.8e-9, 1.45702, 1.0003)  # two bits
SIDE = 24  # pixels of 1 µm
UNIT = 1000  # database units in one


def read(path: Path, shape: tuple[int, int, int] = (1, SIDE, SIDE), **said: Any) -> Masks:
    job = ImportJob((SourceFile.read(path),), shape, (1e-6, 1e-6), PROCESS, Layout(), said=Said(**said))
    return read_masks(job)[0]


def levels_of(masks: Masks) -> np.ndarray:
    return PROCESS.level_of_phase(torch.from_numpy(masks.phase_rad)).numpy()


def bits_by_klayout(path: Path, cell: str, origin: tuple[int, int]) -> np.ndarray:
    """Bits of pixels (2, rows, columns) by KLayout; −1 where an outline runs through the middle of a pixel."""
    layout = db.Layout()
    layout.read(str(path))
    found = np.full((2, SIDE, SIDE), -1)
    for bit in (0, 1):
        region = db.Region(layout.cell(cell).begin_shapes_rec(layout.layer(1, bit))).merged()
        middles = db.Region()
        for row, column in itertools.product(range(SIDE), repeat=2):
            x, y = origin[0] + column * UNIT + UNIT // 2, origin[1] + (SIDE - 1 - row) * UNIT + UNIT // 2
            middles.insert(db.Box(x - 3, y - 3, x + 3, y + 3))
        for value, chosen in ((1, middles.inside(region)), (0, middles.outside(region))):
            for polygon in chosen.each():
                at = polygon.bbox().center()
                found[bit, SIDE - 1 - (at.y - origin[1]) // UNIT, (at.x - origin[0]) // UNIT] = value
    return found


def assert_as_klayout(path: Path, cell: str, origin: tuple[int, int] = (0, 0)) -> None:
    """Bits and their places agree wherever KLayout is sure."""
    said = {"kind": "bits", "tone": "keep", "mirror": False, "cell": cell, "off_grid": True, "flat": True}
    masks = read(path, origin_m=(origin[0] * 1e-9, origin[1] * 1e-9), **said)
    expected = bits_by_klayout(path, cell, origin)
    levels = levels_of(masks)[0]
    found = np.stack((levels >> 1, levels & 1))
    sure = expected >= 0
    assert sure.mean() > 0.9 and len(np.unique(expected[sure])) == 2
    np.testing.assert_array_equal(found[sure], expected[sure])


def drawn(seed: int, path: Path) -> Path:
    """Boxes, polygons, paths and texts in four cells, each placed in those behind it in every way."""
    rng, layout = random.Random(seed), db.Layout()  # noqa: S311
    layout.dbu = 1e-3

    def anywhere(reach: int = 8000) -> int:
        return rng.randint(-reach, reach)

    def path_of_steps() -> db.Path:
        points, width = [db.Point(anywhere(), anywhere())], 2 * rng.randint(100, 600)
        for number in range(rng.randint(1, 4)):
            step = rng.choice((-1, 1)) * rng.randint(2000, 6000)
            points.append(points[-1] + (db.Vector(step, 0) if number % 2 else db.Vector(0, step)))
        ends = rng.choice(((0, 0), (width // 2, width // 2), (rng.randint(0, 500), rng.randint(0, 500))))
        return db.Path(points, width, *ends, False)

    kinds: list[Callable[[], Any]] = [
        lambda: db.Box(anywhere(), anywhere(), anywhere(), anywhere()),
        lambda: db.Polygon([db.Point(anywhere(), anywhere()) for _ in range(rng.randint(3, 5))]),
        path_of_steps,
        lambda: db.Text("text", anywhere(), anywhere()),
    ]
    cells: list[db.Cell] = []
    for number in range(4):
        cell = layout.create_cell(f"C{number}")
        for _ in range(6):
            cell.shapes(layout.layer(*rng.choice(((1, 0), (1, 1), (9, 0))))).insert(rng.choice(kinds)())
        for child in cells:
            if rng.random() < 0.7:
                move = db.DVector(anywhere(20000), anywhere(20000))
                turn = rng.choice((0, 90, 180, 270, 30, 12.5))
                placed = db.ICplxTrans(db.CplxTrans(rng.choice((1, 0.5, 2, 1.37)), turn, rng.random() < 0.5, move))
                steps = db.Vector(rng.randint(1000, 9000), 300), db.Vector(-200, rng.randint(1000, 9000))
                counts = (rng.randint(1, 3), rng.randint(1, 3)) if rng.random() < 0.4 else (1, 1)
                cell.insert(db.CellInstArray(child.cell_index(), placed, *steps, *counts))
        cells.append(cell)
    layout.write(str(path))
    return path


@pytest.mark.parametrize("suffix", ["gds", "oas"])
@pytest.mark.parametrize("seed", range(8))
def test_random_layouts_are_read_as_klayout_reads_them(seed: int, suffix: str, tmp_path: Path) -> None:
    path = drawn(seed, tmp_path / f"drawn.{suffix}")
    assert_as_klayout(path, "C3", (-SIDE * UNIT // 2, -SIDE * UNIT // 2 + 77))


def record(kind: int, form: int = 0, data: bytes = b"") -> bytes:
    return struct.pack(">HBB", 4 + len(data), kind, form) + data


def real(value: float) -> bytes:
    exponent = 0
    while value >= 1:
        value, exponent = value / 16, exponent + 1
    while value < 1 / 16:
        value, exponent = value * 16, exponent - 1
    return struct.pack(">Q", (exponent + 64) << 56 | round(value * 2**56))


def points(*corners: tuple[float, float]) -> bytes:
    return record(0x10, 3, struct.pack(f">{2 * len(corners)}i", *(round(1000 * x) for xy in corners for x in xy)))


def short(kind: int, value: int) -> bytes:
    return record(kind, 2, struct.pack(">h", value))


def long(kind: int, value: int) -> bytes:
    return record(kind, 3, struct.pack(">i", value))


END, LAYER = record(0x11), short(0x0D, 1)
FLAGS = record(0x26, 1, b"\0\1") + long(0x2F, 3)  # ELFLAGS, PLEX
PROPERTY = short(0x2B, 1) + record(0x2C, 6, b"name")
SQUARE = ((1, 1), (1, 9), (9, 9), (9, 1), (1, 1))


def path_element(kind: int, width: int, *corners: tuple[float, float], more: bytes = b"") -> bytes:
    style = short(0x21, kind) + long(0x0F, width)
    return record(0x09) + LAYER + short(0x0E, 1) + style + more + points(*corners) + PROPERTY + END


def placement(name: bytes, how: bytes, *where: tuple[float, float], counts: tuple[int, int] | None = None) -> bytes:
    kind, lattice = (0x0A, b"") if counts is None else (0x0B, record(0x13, 2, struct.pack(">2h", *counts)))
    return record(kind) + FLAGS + record(0x12, 6, name) + how + lattice + points(*where) + PROPERTY + END


def turned(mirror: bool, angle: float, scale: float = 1.0) -> bytes:
    bits = record(0x1A, 1, b"\x80\0" if mirror else b"\0\0")
    return bits + record(0x1B, 5, real(scale)) + record(0x1C, 5, real(angle) if angle else bytes(8))


ELEMENTS = {
    "flags and properties": record(0x08) + FLAGS + LAYER + short(0x0E, 1) + points(*SQUARE) + PROPERTY * 2 + END,
    "box": record(0x2D) + FLAGS + LAYER + short(0x2E, 1) + points(*SQUARE) + END,
    "node": record(0x15) + LAYER + short(0x2A, 1) + points((20, 20)) + END + path_element(0, 4000, (4, 4), (20, 4)),
    "flush path": path_element(0, 4000, (4, 4), (20, 4), (20, 18)),
    "round path": path_element(1, 5000, (6, 6), (18, 6)),
    "square path": path_element(2, 4000, (4, 4), (20, 4), (20, 18)),
    "extended path": path_element(4, 4000, (6, 6), (18, 6), more=long(0x30, 3000) + long(0x31, -1000)),
    "slanted path": path_element(0, 4000, (3.1, 3.2), (20.3, 14.1)),
    "absolute width": path_element(0, -4000, (4, 4), (20, 4)),
    "array": placement(b"CHILD\0", b"", (1, 2), (13, 2), (1, 22), counts=(3, 2)),
    "turned array": placement(b"CHILD\0", turned(False, 90), (20, 2), (20, 20), (2, 2), counts=(3, 3)),
    "mirrored": placement(b"CHILD\0", turned(True, 0), (3, 20)),
    "turned and mirrored": placement(b"CHILD\0", turned(True, 270), (18, 16)),
    "magnified": placement(b"CHILD\0", turned(False, 180, 2.5), (20, 21)),
    "any angle": placement(b"CHILD\0", turned(True, 33.0, 1.7), (9.2, 11.3)),
}
CHILD = record(0x08) + LAYER + short(0x0E, 1) + points((0, 0), (0, 5), (2, 5), (2, 2), (4, 2), (4, 0), (0, 0)) + END


def gds(path: Path, **cells: bytes) -> Path:
    """A GDSII file of cells with these elements."""
    stamp = struct.pack(">12h", *(2000, 1, 1, 0, 0, 0) * 2)
    head = (
        short(0x00, 600) + record(0x01, 2, stamp) + record(0x02, 6, b"LIB\0") + record(0x03, 5, real(1e-3) + real(1e-9))
    )
    parts = (
        record(0x05, 2, stamp) + record(0x06, 6, name.encode() + b"\0" * (len(name) % 2)) + elements + record(0x07)
        for name, elements in cells.items()
    )
    path.write_bytes(head + b"".join(parts) + record(0x04))
    return path


@pytest.mark.parametrize("name", ELEMENTS)
def test_every_element_of_gdsii_is_read_as_klayout_reads_it(name: str, tmp_path: Path) -> None:
    square = record(0x08) + LAYER + short(0x0E, 0) + points(*((x + 8, y + 8) for x, y in SQUARE)) + END
    path = gds(tmp_path / "elements.gds", CHILD=CHILD, TOP=square + ELEMENTS[name])
    assert_as_klayout(path, "TOP")


def placed_twice(path: Path, **options: Any) -> Path:
    """Boxes, trapezoids, a circle and a path of gdstk, repeated and in a cell that is placed twice, as OASIS."""
    library = gdstk.Library()
    child, top = library.new_cell("CHILD"), library.new_cell("TOP")
    rectangle = gdstk.rectangle((0, 0), (1, 2), layer=1, datatype=1)
    rectangle.repetition = gdstk.Repetition(3, 2, spacing=(2, 4))
    child.add(rectangle)
    for shift, corners in enumerate((((0, 8), (4, 8), (3, 11), (1, 11)), ((0, 12), (3, 12), (3, 15), (2, 15)))):
        child.add(gdstk.Polygon([(x + 0.2 * shift, y) for x, y in corners], layer=1, datatype=0))
    child.add(gdstk.ellipse((6, 12), 2.9, layer=1, datatype=1, tolerance=1e-4))
    top.add(gdstk.Reference(child), gdstk.Reference(child, (23, 23), rotation=np.pi))
    top.add(gdstk.FlexPath([(12, 2), (22, 2), (22, 6)], 1.0, layer=1, datatype=0, simple_path=True))
    library.write_oas(path, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {"detect_rectangles": True, "detect_trapezoids": True, "circle_tolerance": 1e-3},
        {"compression_level": 9, "validation": "crc32"},
        {"detect_rectangles": False, "compression_level": 0, "standard_properties": True},
    ],
)
def test_every_element_of_oasis_is_read_as_klayout_reads_it(options: dict[str, Any], tmp_path: Path) -> None:
    assert_as_klayout(placed_twice(tmp_path / "elements.oas", **options), "TOP")


def test_a_polygon_that_crosses_itself_is_filled_as_klayout_fills_it(tmp_path: Path) -> None:
    star = ((12, 23), (19, 1), (1, 15), (23, 15), (5, 1), (12, 23))
    square = record(0x08) + LAYER + short(0x0E, 0) + points(*SQUARE) + END
    path = gds(tmp_path / "star.gds", TOP=square + record(0x08) + LAYER + short(0x0E, 1) + points(*star) + END)
    assert_as_klayout(path, "TOP")


def boxes(levels: np.ndarray, layout: db.Layout, name: str, at: tuple[int, int] = (0, 0), pitch: float = UNIT) -> None:
    """A cell with a box for each pixel of each level."""
    cell = layout.create_cell(name)
    for row, column in np.ndindex(levels.shape):
        if levels[row, column]:
            left, low = at[0] + column * pitch, at[1] + (len(levels) - 1 - row) * pitch
            box = db.Box(round(left), round(low), round(left + pitch), round(low + pitch))
            cell.shapes(layout.layer(1, int(levels[row, column]))).insert(box)


LEVELS = np.random.default_rng(5).integers(0, 4, (SIDE, SIDE))


def saved(path: Path, *cells: tuple[str, np.ndarray], **more: Any) -> Path:
    layout = db.Layout()
    layout.dbu = 1e-3
    for name, levels in cells:
        boxes(levels, layout, name, **more)
    layout.write(str(path))
    return path


def test_one_of_several_top_cells_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "two.gds", ("FIRST", LEVELS), ("SECOND", LEVELS.T))
    with pytest.raises(DataError, match="2 top cells that draw masks: 'FIRST', 'SECOND'") as caught:
        read(path)
    assert "--cell NAME" in caught.value.remedy
    for cell, expected in (("FIRST", LEVELS), ("SECOND", LEVELS.T)):
        np.testing.assert_array_equal(levels_of(read(path, cell=cell))[0], expected)
    with pytest.raises(DataError, match=r"no cell 'THIRD'(.|\n)*one of 'FIRST', 'SECOND'"):
        read(path, cell="THIRD")


def test_a_top_cell_that_draws_no_mask_is_passed_over(tmp_path: Path) -> None:
    layout = db.Layout()
    layout.dbu = 1e-3
    boxes(LEVELS, layout, "MASKS")
    other = layout.create_cell("$$$CONTEXT_INFO$$$")
    other.shapes(layout.layer(99, 0)).insert(db.Box(0, 0, 10, 10))
    layout.write(str(tmp_path / "context.oas"))
    np.testing.assert_array_equal(levels_of(read(tmp_path / "context.oas"))[0], LEVELS)


def framed() -> np.ndarray:
    """Levels with nothing in a margin of unequal widths."""
    levels = LEVELS.copy()
    levels[:2], levels[-5:], levels[:, :4], levels[:, -1:] = 0, 0, 0, 0
    return levels


@pytest.mark.parametrize("at", [(0, 0), (-SIDE * UNIT // 2, -SIDE * UNIT // 2)])
def test_a_blank_margin_is_one_where_the_masks_begin_at_the_origin_or_lie_around_it(at, tmp_path: Path) -> None:
    masks = read(saved(tmp_path / "margin.gds", ("MASKS", framed()), at=at))
    np.testing.assert_array_equal(levels_of(masks)[0], framed())
    begin = ", ".join(f"{one / UNIT:g} µm" for one in at)
    assert f"the masks are taken to begin at ({begin})" in masks.notes[1]


def test_masks_that_may_begin_anywhere_have_their_origin_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "anywhere.gds", ("MASKS", framed()), at=(7003, -90000))
    with pytest.raises(DataError, match=r"shapes from \(11\.003 µm, -85 µm\)") as caught:
        read(path)
    assert "--origin" in caught.value.remedy
    masks = read(path, origin_m=(7.003e-6, -90e-6))
    np.testing.assert_array_equal(levels_of(masks)[0], framed())
    moved = read(path, origin_m=(8.003e-6, -90e-6), flat=True)
    np.testing.assert_array_equal(levels_of(moved)[0][:, :-1], framed()[:, 1:])
    with pytest.raises(DataError, match="nothing is drawn over masks that begin at"):
        read(path, origin_m=(0.0, 0.0))


def test_what_reaches_beyond_a_named_origin_is_cut(tmp_path: Path) -> None:
    masks = read(saved(tmp_path / "cut.gds", ("MASKS", np.pad(LEVELS, 3, mode="wrap"))), origin_m=(3e-6, 3e-6))
    np.testing.assert_array_equal(levels_of(masks)[0], LEVELS)
    assert any("shapes reach beyond the masks, and are cut" in note for note in masks.notes)


@pytest.mark.parametrize("scale", [0.99, 1.013, 0.5, 4.0, 20.0])
def test_a_layout_of_another_scale_is_refused_and_the_pitch_that_fits_is_named(scale: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "scaled.gds", ("MASKS", LEVELS), pitch=UNIT * scale)
    with pytest.raises(DataError) as caught:
        read(path)
    assert f"edges fit a pitch of {scale * 1000 if scale < 1 else scale:g}" in caught.value.remedy
    assert f"scale the layout by {1 / scale:.6g}, or set optics.pitch" in caught.value.remedy


def test_a_layout_beside_the_grid_is_refused_and_its_origin_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "beside.gds", ("MASKS", framed()), at=(330, 250))
    with pytest.raises(DataError, match=r"edges lie up to 330 nm beside those of pixels(.|\n)*say it with --origin"):
        read(path)
    np.testing.assert_array_equal(levels_of(read(path, origin_m=(0.33e-6, 0.25e-6)))[0], framed())


def pillars(path: Path) -> Path:
    """A pillar in each pixel, of four diameters that stand for phases."""
    layout = db.Layout()
    layout.dbu = 1e-3
    cell = layout.create_cell("PILLARS")
    for row, column in np.ndindex(LEVELS.shape):
        x, y, half = column * UNIT + 500, row * UNIT + 500, (110, 160, 210, 390)[LEVELS[row, column]]
        cell.shapes(layout.layer(1, 1)).insert(db.Polygon.ellipse(db.Box(x - half, y - half, x + half, y + half), 32))
    layout.write(str(path))
    return path


def test_edges_off_the_grid_are_refused_with_their_place_unless_that_is_said(tmp_path: Path) -> None:
    path = pillars(tmp_path / "pillars.gds")
    with pytest.raises(
        DataError, match=r"edges lie up to 4\d\d nm beside those of pixels, \d+ of them slanted: on 1/1 at"
    ) as caught:
        read(path, origin_m=(0.0, 0.0))
    assert "--off-grid" in caught.value.remedy and "no other pitch fits" in caught.value.remedy
    masks = read(path, origin_m=(0.0, 0.0), off_grid=True, flat=True)
    assert (levels_of(masks) == 1).all()
    assert any("of them slanted: the centres of pixels decide" in note for note in masks.notes)


SLANTED: dict[str, Callable[[float, float], gdstk.Polygon]] = {  # each in a square of 4 pixels
    "diamond": lambda x, y: gdstk.Polygon([(x + 2, y), (x + 4, y + 2), (x + 2, y + 4), (x, y + 2)]),
    "triangle": lambda x, y: gdstk.Polygon([(x, y), (x + 4, y), (x, y + 4)]),
    "other triangle": lambda x, y: gdstk.Polygon([(x, y), (x + 4, y), (x + 4, y + 4)]),
    "trapezoid": lambda x, y: gdstk.Polygon([(x, y), (x + 4, y), (x + 3, y + 4), (x + 1, y + 4)]),
    "disc": lambda x, y: gdstk.ellipse((x + 2, y + 2), 2, tolerance=1e-3),
    "octagon": lambda x, y: gdstk.regular_polygon((x + 2, y + 2), 1.5, 8),
    "clipped corner": lambda x, y: gdstk.Polygon([(x, y), (x + 4, y), (x + 4, y + 4), (x + 2.6, y + 4), (x, y + 3)]),
}


@pytest.mark.parametrize("at", [(0.0, 0.0), (-12.0, -12.0), (100.3, -7.77)])
@pytest.mark.parametrize("name", SLANTED)
def test_slanted_edges_are_off_the_grid_and_the_same_shape_makes_the_same_pixels(
    name: str, at: tuple[float, float], tmp_path: Path
) -> None:
    library, places = gdstk.Library(), [(x, y) for x in range(0, SIDE, 4) for y in range(0, SIDE, 4)]
    top, path = library.new_cell("TOP"), tmp_path / "slanted.gds"
    for x, y in places:
        shape = SLANTED[name](at[0] + x, at[1] + y)
        shape.layer, shape.datatype = 1, 2
        top.add(shape)
    library.write_gds(path)
    said = {"origin_m": (at[0] * 1e-6, at[1] * 1e-6)}
    with pytest.raises(DataError, match=r"beside those of pixels, \d+ of them slanted: on 1/2 at \(") as caught:
        read(path, **said)
    assert "--off-grid" in caught.value.remedy and "--origin" not in caught.value.remedy
    masks = read(path, off_grid=True, **said)
    assert any("of them slanted: the centres of pixels decide" in note for note in masks.notes)
    tiles = levels_of(masks)[0].reshape(SIDE // 4, 4, SIDE // 4, 4).swapaxes(1, 2).reshape(-1, 4, 4)
    assert set(np.unique(tiles)) == {0, 2} and (tiles == tiles[0]).all()


@pytest.mark.parametrize("angle", [0.5, 5.0, 45.0])
def test_a_turned_layout_is_off_the_grid(angle: float, tmp_path: Path) -> None:
    layout = db.Layout()
    layout.dbu = 1e-3
    boxes(LEVELS, layout, "MASKS", (-SIDE * UNIT // 2, -SIDE * UNIT // 2))
    layout.cell("MASKS").transform(db.DCplxTrans(1.0, angle, False, 0, 0))
    layout.write(str(tmp_path / "turned.gds"))
    with pytest.raises(DataError, match=r"\d+ of them slanted: on 1/\d at"):
        read(tmp_path / "turned.gds", origin_m=(-SIDE / 2 * 1e-6, -SIDE / 2 * 1e-6))


@pytest.mark.parametrize(("kind", "other"), [("levels", "bits"), ("bits", "levels")])
def test_a_layout_of_the_other_kind_is_refused(kind: str, other: str, tmp_path: Path) -> None:
    layout = db.Layout()
    layout.dbu = 1e-3
    if kind == "levels":
        boxes(LEVELS, layout, "MASKS")
        expected = LEVELS
    else:
        cell = layout.create_cell("MASKS")
        expected = LEVELS
        for row, column in np.ndindex(LEVELS.shape):
            for bit in (0, 1):
                if LEVELS[row, column] >> (1 - bit) & 1:
                    box = db.Box(column * UNIT, (SIDE - 1 - row) * UNIT, (column + 1) * UNIT, (SIDE - row) * UNIT)
                    cell.shapes(layout.layer(1, bit)).insert(box)
    layout.write(str(tmp_path / "kind.gds"))
    with pytest.raises(DataError, match=f"stand for nothing in a layout of {other}(.|\n)*--kind {kind}"):
        read(tmp_path / "kind.gds", kind=other)
    np.testing.assert_array_equal(levels_of(read(tmp_path / "kind.gds", kind=kind))[0], expected)


def test_a_level_that_the_design_has_not_is_refused(tmp_path: Path) -> None:
    levels = LEVELS.copy()
    levels[3, 4] = 6
    with pytest.raises(DataError, match=r"1/6 stand for nothing in a layout of levels(.|\n)*datatypes 1 to 3"):
        read(saved(tmp_path / "six.gds", ("MASKS", levels)))


def test_a_mask_more_than_the_design_has_is_refused_and_another_layer_is_told(tmp_path: Path) -> None:
    layout = db.Layout()
    layout.dbu = 1e-3
    boxes(LEVELS, layout, "MASKS")
    cell = layout.cell("MASKS")
    cell.shapes(layout.layer(30, 1)).insert(db.Box(0, 0, 500, 500))
    layout.write(str(tmp_path / "labelled.gds"))
    assert "left out: 30/1, which stand for nothing" in read(tmp_path / "labelled.gds").notes
    cell.shapes(layout.layer(2, 1)).insert(db.Box(0, 0, UNIT, UNIT))
    layout.write(str(tmp_path / "two.gds"))
    with pytest.raises(DataError, match="2/1 look like another mask than the 1 of the design"):
        read(tmp_path / "two.gds")


def test_what_looks_inverted_is_refused_unless_its_tone_is_said(tmp_path: Path) -> None:
    inverted = 3 - framed()
    path = saved(tmp_path / "inverted.gds", ("MASKS", inverted))
    with pytest.raises(DataError, match="looks inverted") as caught:
        read(path)
    assert "--tone etch" in caught.value.remedy
    np.testing.assert_array_equal(levels_of(read(path, tone="etch"))[0], framed())
    np.testing.assert_array_equal(levels_of(read(path, tone="keep"))[0], inverted)


def test_flat_masks_are_refused_unless_they_are_meant(tmp_path: Path) -> None:
    path = saved(tmp_path / "flat.gds", ("MASKS", np.full((SIDE, SIDE), 2)))
    with pytest.raises(DataError, match=r"flat masks: all phases lie within 0 of 2π(.|\n)*--flat"):
        read(path)
    assert (levels_of(read(path, flat=True)) == 2).all()


def of_references(path: Path) -> Path:
    """Eleven cells of ten references each: 10¹¹ squares in a few kilobytes."""
    library = gdstk.Library()
    last = library.new_cell("A0")
    last.add(gdstk.rectangle((0, 0), (1, 1), layer=1, datatype=1))
    for number in range(1, 12):
        cell = library.new_cell(f"A{number}")
        cell.add(*(gdstk.Reference(last, (10.0 ** (number - 1) * one, 0)) for one in range(10)))
        last = cell
    library.write_oas(path) if path.suffix == ".oas" else library.write_gds(path)
    return path


def of_an_array(path: Path) -> Path:
    library = gdstk.Library()
    child, top = library.new_cell("A"), library.new_cell("TOP")
    child.add(gdstk.rectangle((0, 0), (1, 1), layer=1, datatype=1))
    top.add(gdstk.Reference(child, columns=32767, rows=32767, spacing=(1, 1)))
    library.write_gds(path)
    return path


def unsigned(value: int) -> bytes:
    parts = [value >> 7 * place & 127 for place in range(max(1, -(-value.bit_length() // 7)))]
    return bytes(part | 128 for part in parts[:-1]) + bytes(parts[-1:])


def of_padding(path: Path, claimed: int = 1 << 28, real_size: int = 1 << 28) -> Path:
    """A compressed block of padding, which claims some size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(real_size >> 20)) + packer.flush()
    start = b"%SEMI-OASIS\r\n\x01\x031.0\x00" + unsigned(1000) + bytes(13)
    block = b"\x0e\x01A\x22\x00" + unsigned(claimed) + unsigned(len(packed)) + packed
    path.write_bytes(start + block + b"\x02" + unsigned(250) + bytes(251))
    return path


def of_itself(path: Path) -> Path:
    return gds(path, A=placement(b"B\0", b"", (0, 0)), B=placement(b"A\0", b"", (0, 0)))


def test_a_coarse_database_unit_has_a_remedy(tmp_path: Path) -> None:
    library = gdstk.Library(precision=1e-6)
    library.new_cell("TOP").add(gdstk.rectangle((0, 0), (SIDE, SIDE), layer=1, datatype=1))
    library.write_gds(tmp_path / "coarse.gds")
    with pytest.raises(DataError, match=r"a database unit of 1e-06 m") as caught:
        read(tmp_path / "coarse.gds")
    assert "precision=1e-9" in caught.value.remedy


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "references.gds": (of_references, "more than 264448 shapes and placed cells in cell 'A11'"),
    "references.oas": (of_references, "more than 264448 shapes and placed cells in cell 'A11'"),
    "array.gds": (of_an_array, "more than 264448 shapes and placed cells in cell 'TOP'"),
    "itself.gds": (of_itself, "is placed in itself"),
    "absent.gds": (lambda path: gds(path, A=placement(b"B\0", b"", (0, 0))), "Missing referenced cell B"),
    "cornerless.gds": (
        lambda path: gds(path, A=record(0x08) + LAYER + short(0x0E, 1) + END),
        "cannot be read: reading it ended with code",
    ),
    "line.gds": (
        lambda path: gds(path, A=record(0x08) + LAYER + short(0x0E, 1) + points((0, 0), (1, 1)) + END),
        "nothing is drawn",
    ),
    "magnified.gds": (
        lambda path: gds(path, B=CHILD, A=placement(b"B\0", turned(False, 3, 1e60), (0, 0))),
        "corners that no number holds",
    ),
    "unknown.gds": (lambda path: gds(path, A=record(0x60)), "Unknown record type 0x60"),
    "padding.oas": (of_padding, "cannot be read|nothing is drawn"),
    "claim.oas": (lambda path: of_padding(path, 1 << 62, 1 << 20), "cannot be read"),
    "empty.gds": (lambda path: (path.write_bytes(b"") and path) or path, "cannot be read"),
    "cells.gds": (lambda path: gds(path), "a layout without cells"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layouts_are_refused_soon_and_within_memory(name: str, tmp_path: Path) -> None:
    make, message = HOSTILE[name]
    path = make(tmp_path / name)
    began = time.process_time()
    with pytest.raises(DataError, match=message):
        read(path)
    assert time.process_time() - began < 2.0  # of this process; the other one bounds itself


@pytest.mark.parametrize(("bound", "value"), [("_MEMORY", 8 << 20), ("_SECONDS", 0.0)])
def test_a_reader_that_needs_too_much_ends_alone(bound: str, value: float, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(f"opticdesign_exporters.layout.drawing.{bound}", value)
    with pytest.raises(DataError, match=r"cannot be read: reading it (ended|did not end).*within \d+ MiB and \d s"):
        read(saved(tmp_path / "whole.gds", ("MASKS", LEVELS)))


def test_a_file_of_bits_that_flipped_is_refused_or_drawn_never_a_crash(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.oas", ("MASKS", LEVELS[:6, :6])).read_bytes()
    rng = np.random.default_rng(1)
    for number in range(12):
        data = bytearray(whole)
        data[int(rng.integers(14, len(data)))] ^= 1 << int(rng.integers(8))
        path = tmp_path / f"{number}.oas"
        path.write_bytes(data)
        try:
            read(path, (1, 6, 6))
        except DataError as error:
            assert error.expected or error.remedy


def test_what_lies_in_the_working_folder_is_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = saved(tmp_path / "whole.gds", ("MASKS", LEVELS))
    for name in ("numpy.py", "gdstk.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(levels_of(read(path))[0], LEVELS)
