"""Layouts as klayout sees them, and as they should be: written anew from the description of the formats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from klayout import db

from opticdesign.design import Export
from opticdesign.handover.export import ExportJob, export_design, verify_files

FORMATS = {"gds": "gds/d2nn5.gds", "oasis": "oasis/d2nn5.oas"}
Tag = tuple[int, int]
every_format = pytest.mark.parametrize("name", FORMATS)


def layout_of(path: Path) -> db.Layout:
    layout = db.Layout()
    layout.read(str(path))
    return layout


def drawn(layout: db.Layout) -> dict[Tag, db.Region]:
    """All shapes of the top cell by layer and datatype, flat, not merged."""
    regions = {}
    for index in layout.layer_indexes():
        region = db.Region(layout.top_cell().begin_shapes_rec(index))
        region.merged_semantics = False
        region.flatten()
        if not region.is_empty():
            info = layout.get_info(index)
            regions[info.layer, info.datatype] = region
    return regions


def edges(count: int, pitch: Fraction) -> list[int]:
    """Edges of pixels, in database units, each rounded by itself."""
    return [math.floor(index * pitch + Fraction(1, 2)) for index in range(count + 1)]


def steps_of(job: ExportJob) -> np.ndarray:
    """Steps that are drawn in each pixel as it lies in the file."""
    layout = job.spec.layout
    steps = job.levels.astype(int) if layout.tone == "keep" else job.process.levels - 1 - job.levels.astype(int)
    return steps[:, :, ::-1] if layout.mirror else steps


def planes(job: ExportJob) -> Iterator[tuple[Tag, np.ndarray]]:
    """What is drawn in which pixels (rows, columns), by layer and datatype."""
    count = job.process.levels
    for layer, steps in enumerate(steps_of(job), start=1):
        if job.spec.layout.kind == "levels":
            yield from (((layer, datatype), steps == datatype) for datatype in range(1, count))
        else:
            bits = count.bit_length() - 1
            yield from (((layer, bit), (steps >> (bits - 1 - bit)) % 2 == 1) for bit in range(bits))


def pixel_region(plane: np.ndarray, x: list[int], y: list[int]) -> db.Region:
    """A box for each pixel drawn; row 0 is at the top, y points up."""
    rows = len(plane)
    region = db.Region()
    for row, column in np.argwhere(plane).tolist():
        region.insert(db.Box(x[column], y[rows - 1 - row], x[column + 1], y[rows - row]))
    return region


def painted(layout: db.Layout, job: ExportJob) -> np.ndarray:
    """Levels (layers, rows, columns) of the cells L1 …, kind levels, tone keep; square pixels covered at most once."""
    pitch = round(job.pitch_m[0] * 1e6 / layout.dbu)
    levels, covers = np.zeros(job.levels.shape, int), np.zeros(job.levels.shape, int)
    rows = job.levels.shape[1]
    for index in layout.layer_indexes():
        info = layout.get_info(index)
        if info.layer > 100:
            continue
        for shape in layout.cell(f"L{info.layer}").shapes(index).each():
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


def spec(**layout: object) -> Export:
    """What an export is asked for, by keys of its layout."""
    return Export.model_validate({"layout": layout})


def write(job: ExportJob, name: str, folder: Path) -> tuple[db.Layout, dict]:
    """Export in one format, read back and compare, and give klayout's view and the options in the manifest."""
    manifest = export_design(job, [name], folder, {})
    (check,) = verify_files(folder, job.levels, job.process, job.openings)
    assert check.ok, check.problems
    np.testing.assert_array_equal(check.readback.levels, job.levels)
    if job.openings is not None:
        np.testing.assert_array_equal(check.readback.openings, job.openings)
    return layout_of(folder / FORMATS[name]), manifest.record(name).options


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
