"""The surface of a stepped relief, judged by trimesh: closed, wound one way, of the right volume, for any steps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign_exporters.solids.stepped_solid import stepped_solid

BASE, STEP, PITCH = 3.0, 0.7, 2.0
CORNERS = [np.array(four, np.uint8).reshape(2, 2) for four in itertools.product(range(4), repeat=4)]


def mesh_of(levels: np.ndarray) -> trimesh.Trimesh:
    """The solid with its vertices merged by place, as a program that opens the file does it."""
    solid = stepped_solid(levels)
    tops = BASE + STEP * np.arange(int(levels.max()) + 1)
    return trimesh.Trimesh(solid.placed(len(levels), (PITCH, PITCH), tops), solid.triangles, process=True)


def check(levels: np.ndarray) -> None:
    mesh = mesh_of(levels)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.is_volume
    assert mesh.volume == pytest.approx((BASE + STEP * levels.astype(float)).sum() * PITCH**2, rel=1e-12)
    rows, columns = levels.shape
    top = BASE + STEP * float(levels.max())
    np.testing.assert_allclose(mesh.bounds, [[0, 0, 0], [columns * PITCH, rows * PITCH, top]], atol=1e-12)
    assert mesh.area_faces.min() > 1e-9  # no triangle is a line
    normals = np.abs(mesh.face_normals)
    np.testing.assert_allclose(normals.max(axis=1), 1.0)  # all faces lie along the axes


def edge_counts(mesh: trimesh.Trimesh) -> np.ndarray:
    return np.unique(mesh.edges_sorted, axis=0, return_counts=True)[1]


def test_all_corners_of_four_pixels_are_closed():
    for levels in CORNERS:
        check(levels)


@pytest.mark.parametrize("swap", [False, True])
def test_pixels_that_touch_at_a_corner_share_no_edge_of_four(swap):
    levels = np.array([[1, 0], [0, 1]], np.uint8)
    mesh = mesh_of(levels[::-1] if swap else levels)
    assert (edge_counts(mesh) == 2).all()


def test_a_plain_mesh_of_touching_pixels_would_not_be_closed():
    """What the solid avoids: two boxes that meet along an edge."""
    boxes = [trimesh.creation.box(bounds=[[x, x, 0], [x + 1, x + 1, 1]]) for x in (0, 1)]
    both = trimesh.util.concatenate(boxes)
    both.merge_vertices()
    assert not both.is_watertight


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (20, 20), (5, 8)])
@pytest.mark.parametrize("levels", [2, 8, 256])
def test_any_shape_and_number_of_levels_is_closed(shape, levels):
    check(np.random.default_rng(levels).integers(0, levels, shape, dtype=np.uint8))


def test_a_chessboard_is_closed():
    check((np.indices((12, 15)).sum(axis=0) % 2 * 3).astype(np.uint8))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_random_reliefs_are_closed(rows, columns, levels, seed):
    check(np.random.default_rng(seed).integers(0, levels, (rows, columns), dtype=np.uint8))


def test_a_flat_plate_has_as_few_triangles_as_its_pixels_need():
    solid = stepped_solid(np.full((4, 6), 2, np.uint8))
    tops, sides, underside = 2 * 4 * 6, 2 * 2 * (4 + 6), 2 * (4 + 6)
    assert len(solid.triangles) == tops + sides + underside


def test_no_vertex_is_there_twice():
    solid = stepped_solid(np.random.default_rng(1).integers(0, 8, (16, 16), dtype=np.uint8))
    assert len(np.unique(solid.vertices, axis=0)) == len(solid.vertices)
    assert set(np.unique(solid.triangles)) == set(range(len(solid.vertices)))
