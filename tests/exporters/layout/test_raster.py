"""Rectangles of planes, and edges on the grid of a file."""

from __future__ import annotations

from fractions import Fraction

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign_exporters.layout.raster import Raster, rectangles


@settings(deadline=None, max_examples=80)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements={"max_value": 3}))
def test_rectangles_cover_each_drawn_pixel_once(plane):
    values, covers = np.zeros(plane.shape, int), np.zeros(plane.shape, int)
    for first_row, end_row, first_column, end_column, value in rectangles(plane):
        assert first_row < end_row and first_column < end_column
        values[first_row:end_row, first_column:end_column] = value
        covers[first_row:end_row, first_column:end_column] += 1
    np.testing.assert_array_equal(values, plane)
    np.testing.assert_array_equal(covers, plane > 0)


def test_rectangles_merge_runs_downwards():
    plane = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 1, 1, 2]], dtype=np.uint8)
    assert rectangles(plane).tolist() == [[0, 2, 0, 2, 1], [2, 3, 1, 3, 1], [0, 3, 3, 4, 2]]


def test_one_rectangle_covers_a_constant_plane():
    assert rectangles(np.full((5, 7), 3, np.uint8)).tolist() == [[0, 5, 0, 7, 3]]
    assert rectangles(np.zeros((5, 7), np.uint8)).shape == (0, 5)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 5000), st.integers(1, 300), st.integers(1, 4))
def test_edges_are_rounded_one_by_one(tenths, count, parts):
    pitch = Fraction(tenths, 10) + 8
    raster = Raster(1e-9, (12.0, float(pitch)))
    ideal = [index * pitch / parts for index in range(count * parts + 1)]
    assert raster.edges(0, 3).tolist() == [0, 12, 24, 36]
    found = raster.edges(1, count, parts).tolist()
    assert all(
        abs(edge - place) <= Fraction(1, 2) + Fraction(1, 10**6) for edge, place in zip(found, ideal, strict=True)
    )
    worst = max(abs(edge - place) for edge, place in zip(found, ideal, strict=True))
    assert raster.edge_error_m((1, count), parts) == pytest.approx(float(worst) * 1e-9, abs=1e-16)
