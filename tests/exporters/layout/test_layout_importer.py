"""Layouts as masks: ours come back, foreign ones written by klayout become pixels, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from klayout import db

from opticdesign.design import Export, Layout
from opticdesign.errors import DataError
from opticdesign.handover.export import Exporter, ExportJob
from opticdesign.handover.importing import ImportJob, Masks, read_masks
from opticdesign.handover.said import Said
from opticdesign.handover.source_file import SourceFile
from opticdesign_exporters.layout.gds import GdsExporter
from opticdesign_exporters.layout.oasis import OasisExporter

DBU_UM = 2e-4
PITCH = 1582  # of 316.4 nm in units of 0.2 nm


def import_job(job: ExportJob, path: Path, **more: Any) -> ImportJob:
    """What would read the masks of an export job from a file."""
    layout = more.pop("layout", job.spec.layout)
    table = more.pop("table", None)
    halftone = more.pop("halftone", None)
    layers = None if table is None else SourceFile(Path("layers.csv"), table.encode())
    said = Said(layers=layers, **more)
    return ImportJob((SourceFile.read(path),), job.levels.shape, job.pitch_m, job.process, layout, halftone, said)


def written(exporter: Exporter, job: ExportJob, folder: Path) -> Path:
    """The layout file of an export."""
    return folder / exporter.write(job, folder).files[0].path


def levels_of(masks: Masks, job: ExportJob) -> np.ndarray:
    import torch

    return job.process.level_of_phase(torch.from_numpy(masks.phase_rad)).numpy()


def boxes_of(plane: np.ndarray, value: int) -> db.Region:
    """The pixels of a value as klayout merges them: polygons, not rectangles."""
    rows = len(plane)
    boxes = [
        db.Box(column * PITCH, (rows - 1 - row) * PITCH, (column + 1) * PITCH, (rows - row) * PITCH)
        for row, column in np.argwhere(plane == value).tolist()
    ]
    return db.Region(boxes).merged()


def foreign(
    path: Path, shapes: dict[tuple[int, int], db.Region], dbu_um: float = DBU_UM, cell: str = "FOREIGN"
) -> Path:
    """A layout from elsewhere: a top cell of klayout with regions by layer and datatype."""
    layout = db.Layout()
    layout.dbu = dbu_um
    top = layout.create_cell(cell)
    for (layer, datatype), region in shapes.items():
        top.shapes(layout.layer(layer, datatype)).insert(region)
    layout.write(str(path))
    return path


@pytest.mark.parametrize("exporter", [GdsExporter(), OasisExporter()], ids=lambda one: one.name)
@pytest.mark.parametrize("kind", ["levels", "bits"])
@pytest.mark.parametrize("tone", ["keep", "etch"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("levels", [2, 8])
def test_our_own_layouts_come_back(exporter, kind, tone, mirror, beside, levels, make_job, tmp_path):
    """By the table beside them whatever the design says, or by what the user says where there is none."""
    job = make_job(levels, (2, 9, 14))
    layout = Layout(kind=kind, tone=tone, mirror=mirror, array=(2, 2))
    path = written(exporter, replace(job, spec=Export(layout=layout)), tmp_path)
    said = {}
    if not beside:
        (path.parent / "layers.csv").unlink()
        said = {"kind": kind, "tone": tone, "mirror": mirror}
    masks, name = read_masks(import_job(job, path, **said))
    assert name == "layout"
    np.testing.assert_array_equal(levels_of(masks, job), job.levels)
    told = f"read as {kind}, tone {tone}, {'' if mirror else 'not '}mirrored: as layers.csv beside it says"
    assert masks.notes == ((told,) if beside else ()) and masks.amplitudes is None


def test_the_phase_has_the_bits_of_that_of_the_levels(make_job, tmp_path):
    import torch

    job = make_job(8, (1, 9, 14))
    masks, _ = read_masks(import_job(job, written(GdsExporter(), job, tmp_path)))
    assert masks.phase_rad.tobytes() == job.process.phase_of_level(torch.from_numpy(job.levels)).numpy().tobytes()


@pytest.mark.parametrize("tone", ["keep", "etch"])
@pytest.mark.parametrize("mirror", [False, True])
def test_half_toned_chrome_comes_back_as_amplitude(tone, mirror, make_job, tmp_path):
    job = make_job(8, (2, 6, 5))
    openings = np.random.default_rng(1).integers(0, 17, job.levels.shape).astype(np.uint16)
    spec = Export(layout=Layout(tone=tone, mirror=mirror, halftone=4))
    job = replace(job, openings=openings, spec=spec)
    path = written(GdsExporter(), job, tmp_path)
    masks, _ = read_masks(import_job(job, path, halftone=4))
    np.testing.assert_array_equal(masks.amplitudes, openings / np.float32(16))
    np.testing.assert_array_equal(levels_of(masks, job), job.levels)
    with pytest.raises(DataError, match=r"chrome on 201/0, 202/0, for masks that absorb nothing"):
        read_masks(import_job(job, path))


def test_merged_polygons_with_holes_from_klayout_become_pixels(make_job, tmp_path):
    job = make_job(8, (2, 20, 31))
    shapes = {(k, level): boxes_of(job.levels[k - 1], level) for k in (1, 2) for level in range(1, 8)}
    masks, _ = read_masks(import_job(job, foreign(tmp_path / "foreign.gds", shapes)))
    np.testing.assert_array_equal(levels_of(masks, job), job.levels)


def test_a_slanted_polygon_takes_the_pixels_whose_centre_it_holds(make_job, tmp_path):
    job = make_job(8, (1, 12, 12))
    corners = [db.Point(0, 0), db.Point(0, 12 * PITCH), db.Point(12 * PITCH, 0)]
    path = foreign(tmp_path / "slanted.gds", {(1, 3): db.Region(db.Polygon(corners))})
    masks, _ = read_masks(import_job(job, path, off_grid=True))
    row, column = np.indices((12, 12))
    inside = (11 - row) + column + 1 < 12  # centres on the slant are of the outside, which is right of it
    np.testing.assert_array_equal(levels_of(masks, job)[0], np.where(inside, 3, 0))


def test_edges_beside_those_of_pixels_are_told(make_job, tmp_path):
    job = make_job(8, (1, 8, 8))
    region = db.Region(db.Box(100, 0, 8 * PITCH, 7 * PITCH - 100))
    masks, _ = read_masks(import_job(job, foreign(tmp_path / "off.gds", {(1, 7): region})))
    assert (levels_of(masks, job)[0, 1:] == 7).all()
    assert masks.notes[2:] == ("edges lie up to 20 nm beside those of pixels: the centres of pixels decide",)


TABLE = "layer,datatype,mask,level,remark\n10,0,1,5,first\n11,2,2,1,second\n11,3,2,7,\n1,1,,,nothing\n"


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.title(),
        "\ufeff" + TABLE.replace(",", ";").replace("\n", "\r\n"),
        TABLE.replace(",", "\t").upper(),
        TABLE.replace(",", " , "),
    ],
)
def test_a_table_says_which_layer_is_which(table, make_job, tmp_path):
    array = np.zeros((2, 10, 10), np.uint8)
    array[0, :, 2:4], array[1, 3], array[1, 7] = 5, 1, 7
    job = make_job(8, array=array)
    shapes = {(10, 0): boxes_of(array[0], 5), (11, 2): boxes_of(array[1], 1), (11, 3): boxes_of(array[1], 7)}
    path = foreign(tmp_path / "foreign.gds", shapes | {(1, 1): db.Region(db.Box(0, 0, PITCH, PITCH))})
    masks, _ = read_masks(import_job(job, path, table=table))
    np.testing.assert_array_equal(levels_of(masks, job), array)
    assert "left out: 1/1, which stand for nothing" in masks.notes
    lines = table.splitlines(keepends=True)
    for line in (1, 2, 3, 4):  # a drawn layer that the table does not name may be a level
        with pytest.raises(DataError, match=r"1\d?/\d stand for nothing, and layers\.csv does not name them") as caught:
            read_masks(import_job(job, path, table="".join(lines[:line] + lines[line + 1 :])))
        assert "--layers CSV" in caught.value.remedy


@pytest.mark.parametrize("layers", [(0, 1), (1, 3), (2, 3), (1, 7), (0, 2), (1, 0)])
def test_masks_on_other_layers_than_theirs_are_refused(layers, make_job, tmp_path):
    job = make_job(4, (2, 9, 9))
    shapes = {
        (layer, level): boxes_of(plane, level) for layer, plane in zip(layers, job.levels, strict=True)
        for level in (1, 2, 3)
    }  # fmt: skip
    path = foreign(tmp_path / "other.gds", shapes)
    with pytest.raises(DataError, match=r"look like another mask|stand for nothing, and nothing is drawn of mask"):
        read_masks(import_job(job, path))
    rows = [f"{layer},{level},{mask},{level}" for mask, layer in enumerate(layers, start=1) for level in (1, 2, 3)]
    masks, _ = read_masks(import_job(job, path, table="\n".join(["layer,datatype,mask,level", *rows])))
    np.testing.assert_array_equal(levels_of(masks, job), job.levels)


def test_a_table_of_bits_adds_them_up(make_job, tmp_path):
    job = make_job(4, (1, 9, 9))
    bits = {(50 + bit, 0): boxes_of((job.levels[0] >> (1 - bit)) & 1, 1) for bit in (0, 1)}
    path = foreign(tmp_path / "bits.gds", bits)
    masks, _ = read_masks(import_job(job, path, table="layer,datatype,mask,bit\n50,0,1,0\n51,0,1,1\n"))
    np.testing.assert_array_equal(levels_of(masks, job), job.levels)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("layer,datatype,mask,level\n1,0,3,1\n", "line 2: mask 3"),
        ("layer,datatype,mask,level\n1,0,1,8\n", "line 2: level 8"),
        ("layer,datatype,mask,bit\n1,0,1,3\n", "line 2: bit 3"),
        ("layer,datatype,mask,level\n1,0,1,1\n1,0,2,1\n", "line 3: layer 1 datatype 0"),
        ("layer,datatype,mask,level,bit\n1,0,1,1,\n1,1,1,,1\n", "values of bit and level"),
        ("layer,datatype,mask,level\n1,0,1,one\n", "no table of layers"),
        ("layer,level\n1,1\n", "line 2: mask None"),
        ("layer,datatype,content,measure,nm\n1,1,,height,173\n", "values of no kind"),
        ("", "values of no kind"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(table, message, make_job, tmp_path):
    job = make_job(8, (2, 9, 9))
    path = foreign(tmp_path / "foreign.gds", {(1, 1): boxes_of(job.levels[0], 1)})
    with pytest.raises(DataError, match=message) as caught:
        read_masks(import_job(job, path, table=table))
    if "kind" in message or "table" in message:
        assert "layer,datatype,mask,level" in caught.value.remedy


def test_masks_elsewhere_are_found_if_they_fill_their_size(make_job, tmp_path):
    array = np.full((1, 8, 12), 2, np.uint8)
    array[0, 1:4, 2:5] = 0
    job = make_job(8, array=array)
    for move in (db.ICplxTrans(-6 * PITCH, -4 * PITCH), db.ICplxTrans(1000, 77)):
        region = boxes_of(array[0], 2).transformed(move)
        masks, _ = read_masks(import_job(job, foreign(tmp_path / "moved.gds", {(1, 2): region})))
        np.testing.assert_array_equal(levels_of(masks, job), array)
        assert "the masks begin at" in masks.notes[1]


@pytest.mark.parametrize("corner", [0, 7 * PITCH])
def test_masks_smaller_than_the_design_are_refused_unless_their_cell_says_where_they_are(corner, make_job, tmp_path):
    job = make_job(8, (1, 20, 20))
    shapes = {(1, 2): db.Region(db.Box(corner, corner, corner + 5 * PITCH, corner + 5 * PITCH))}
    told = "shapes reach over 1.582 µm × 1.582 µm of 6.328 µm × 6.328 µm"
    with pytest.raises(DataError, match=rf"{told}(.|\n)*--origin(.|\n)*optics.neurons"):
        read_masks(import_job(job, foreign(tmp_path / "small.gds", shapes)))
    first = corner // PITCH
    expected = np.zeros((20, 20), np.uint8)
    expected[15 - first : 20 - first, first : first + 5] = 2
    for cell, said in (("DIE", {}), ("SMALL", {"origin_m": (0.0, 0.0)})):
        masks, _ = read_masks(import_job(job, foreign(tmp_path / "die.gds", shapes, cell=cell), **said))
        np.testing.assert_array_equal(levels_of(masks, job)[0], expected)
    assert any(told in note for note in masks.notes) == (cell == "DIE")


def test_masks_larger_than_the_design_are_refused(make_job, tmp_path):
    job = make_job(8, (1, 8, 8))
    path = foreign(tmp_path / "large.gds", {(1, 2): db.Region(db.Box(0, 0, 9 * PITCH, 8 * PITCH))})
    with pytest.raises(DataError, match=r"shapes from \(0 µm, 0 µm\) to \(2.8476 µm, 2.5312 µm\)") as caught:
        read_masks(import_job(job, path))
    assert "2.5312 µm × 2.5312 µm" in caught.value.expected
    path = foreign(tmp_path / "coarse.gds", {(1, 2): db.Region(db.Box(0, 0, 8 * PITCH, 8 * PITCH))}, dbu_um=1e-3)
    with pytest.raises(DataError, match="shapes from"):
        read_masks(import_job(job, path))


def test_two_levels_in_a_pixel_are_refused_and_placed(make_job, tmp_path):
    job = make_job(8, (1, 8, 8))
    shapes = {
        (1, 2): db.Region(db.Box(0, 0, 5 * PITCH, 8 * PITCH)),
        (1, 3): db.Region(db.Box(4 * PITCH, 0, 8 * PITCH, PITCH)),
    }
    with pytest.raises(DataError, match="mask 1 row 7 column 4 has 2 levels"):
        read_masks(import_job(job, foreign(tmp_path / "twice.gds", shapes)))


def test_a_layout_without_masks_is_refused_and_its_layers_are_named(make_job, tmp_path):
    job = make_job(8, (1, 8, 8))
    path = foreign(tmp_path / "other.gds", {(7, 1): db.Region(db.Box(0, 0, PITCH, PITCH))})
    with pytest.raises(
        DataError, match="nothing is drawn on the layers of masks in cell 'FOREIGN'; there are 7/1"
    ) as caught:
        read_masks(import_job(job, path))
    assert "--layers" in caught.value.remedy


def test_a_mask_without_shapes_is_told(make_job, tmp_path):
    job = make_job(8, (2, 8, 8))
    masks, _ = read_masks(import_job(job, foreign(tmp_path / "one.gds", {(1, 1): boxes_of(np.eye(8), 1)})))
    assert masks.notes[1:] == ("nothing is drawn of mask 2",)


def damaged(path: Path) -> Path:
    foreign(path, {(1, 1): db.Region(db.Box(0, 0, PITCH, PITCH))})
    path.write_bytes(path.read_bytes()[:-20])
    return path


def no_layout(path: Path) -> Path:
    path.write_bytes(b"no layout")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [(damaged, "cannot be read: .*End of file"), (no_layout, "cannot be read: .*End of file")],
)
def test_what_is_no_layout_of_polygons_is_refused(make, message, make_job, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read_masks(import_job(make_job(8, (1, 8, 8)), make(tmp_path / "bad.gds")))
    assert caught.value.exit_code == 2


def test_two_layouts_are_refused(make_job, tmp_path):
    job = make_job(8, (1, 8, 8))
    path = foreign(tmp_path / "one.gds", {(1, 1): boxes_of(np.ones((8, 8)), 1)})
    twice = import_job(job, path)
    with pytest.raises(DataError, match="a second layout"):
        read_masks(replace(twice, files=twice.files * 2))


@pytest.mark.parametrize("exporter", [GdsExporter(), OasisExporter()], ids=lambda one: one.name)
def test_masks_of_rectangular_pixels_come_back(exporter, make_job, tmp_path) -> None:
    job = make_job(8, (2, 14, 30), pitch_m=(9.8880273e-6, 1e-6 / 3))
    masks, _ = read_masks(import_job(job, written(exporter, job, tmp_path)))
    np.testing.assert_array_equal(levels_of(masks, job), job.levels)
    assert len(masks.notes) == 1
