"""Polygons as pixels: against klayout's test of a point in a polygon, and rectangles by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klayout import db

from opticdesign_exporters.layout.polygon_raster import Outlines, covers

PITCH = 10


def outlines(*polygons: list[tuple[int, int]]) -> Outlines:
    sizes = [len(polygon) for polygon in polygons]
    points = np.array([point for polygon in polygons for point in polygon], dtype=np.int64).reshape(-1, 2)
    return Outlines(points, np.cumsum([0, *sizes[:-1]])[: len(sizes)].astype(np.int64))


def box(left: int, low: int, right: int, high: int) -> list[tuple[int, int]]:
    return [(left, low), (left, high), (right, high), (right, low)]


def test_row_0_is_at_the_top_and_column_0_at_the_left() -> None:
    found = covers(outlines(box(20, 0, 40, 10)), (3, 5), (PITCH, PITCH))
    np.testing.assert_array_equal(found, [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 1, 0]])


def test_a_pixel_belongs_to_the_shape_its_centre_lies_in() -> None:
    found = covers(outlines(box(5, 4, 16, 26)), (3, 3), (PITCH, PITCH))
    np.testing.assert_array_equal(found, [[1, 1, 0], [1, 1, 0], [1, 1, 0]])
    assert not covers(outlines(box(6, 6, 14, 24)), (3, 3), (PITCH, PITCH)).any()


def test_shapes_that_share_an_edge_share_no_pixel() -> None:
    """A centre on an edge belongs to the shape right of it or above."""
    found = covers(outlines(box(0, 0, 15, 30), box(15, 0, 30, 15), box(15, 15, 30, 30)), (3, 3), (PITCH, PITCH))
    np.testing.assert_array_equal(found, np.ones((3, 3)))


def test_overlaps_are_counted_and_what_lies_outside_is_cut() -> None:
    found = covers(
        outlines(box(-50, -50, 20, 20), box(10, 10, 500, 500), box(-90, -90, -50, -50)), (3, 3), (PITCH, PITCH)
    )
    np.testing.assert_array_equal(found, [[0, 1, 1], [1, 2, 1], [1, 1, 0]])


def test_a_hole_cut_into_an_outline_is_empty() -> None:
    ring = [(0, 0), (0, 50), (50, 50), (50, 0), (10, 0), (10, 10), (40, 10), (40, 40), (10, 40), (10, 0)]
    found = covers(outlines(ring), (5, 5), (PITCH, PITCH))
    expected = np.ones((5, 5))
    expected[1:4, 1:4] = 0
    np.testing.assert_array_equal(found, expected)


def test_no_polygon_covers_nothing() -> None:
    assert not covers(outlines(), (4, 7), (PITCH, PITCH)).any()


POINT = st.tuples(st.integers(-20, 120), st.integers(-20, 120))
QUADS = st.lists(POINT, min_size=4, max_size=4, unique=True).map(
    lambda points: sorted(points, key=lambda point: np.arctan2(point[1] - 50.5, point[0] - 50.5))
)


@settings(deadline=None, max_examples=100)
@given(polygons=st.lists(QUADS, min_size=1, max_size=4))
def test_pixels_are_those_whose_centre_klayout_finds_inside(polygons: list[list[tuple[int, int]]]) -> None:
    """Corners in the order of their direction make an outline that does not cross itself.

    Centres on an outline are left out: klayout counts those as inside on all sides.
    """
    found = covers(outlines(*polygons), (11, 11), (PITCH, PITCH))
    shapes = [db.Polygon([db.Point(*point) for point in polygon], True) for polygon in polygons]
    expected, exact = np.zeros((11, 11)), np.ones((11, 11), bool)
    for row, column in np.ndindex(11, 11):
        centre = db.Point(PITCH * column + 5, PITCH * (10 - row) + 5)
        exact[row, column] = not any(edge.contains(centre) for shape in shapes for edge in shape.each_edge())
        expected[row, column] = sum(shape.inside(centre) for shape in shapes)
    np.testing.assert_array_equal(found[exact], expected[exact])


@pytest.mark.parametrize("pitch", [1582.0, 949.35])
def test_rounded_rectangles_of_pixels_give_back_the_pixels(pitch: float) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 2, (300, 300))
    edges = np.rint(np.arange(301) * pitch).astype(np.int64)
    row, column = np.nonzero(drawn)
    left, right, low, high = edges[column], edges[column + 1], edges[299 - row], edges[300 - row]
    points = np.stack((left, low, left, high, right, high, right, low), axis=1).reshape(-1, 2)
    found = covers(Outlines(points, np.arange(0, len(points), 4)), (300, 300), (pitch, pitch))
    np.testing.assert_array_equal(found, drawn)
