"""Design rules on patterns with known answers, and beside klayout's own checks on random masks.

klayout's width and space checks with projection metrics, its areas and its kissing corners are defined alike; an aspect
ratio it does not know, and neither diagonal distances (Euclidean metrics) nor corner contacts as widths are counted
here.
"""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klayout import db

from opticdesign.fabrication.design_rules import RULES, Finding, Limits, ShapeClass, check_rules

PITCH_M = 100e-9
PITCH = 100  # the same in klayout's database units of 1 nm
HEIGHTS_M = np.array([0.0, 50e-9, 120e-9, 300e-9])


def check(
    levels: np.ndarray, width_m: float = 300e-9, aspect: float = 1.0, own: int = 1, drawn: bool = True, kept: int = 9999
) -> dict[str, Finding]:
    """Findings by rule."""
    shapes = ShapeClass("level", np.asarray(levels, np.uint8), own, HEIGHTS_M, drawn=drawn)
    return {found.rule: found for found in check_rules(shapes, (PITCH_M, PITCH_M), Limits(width_m, aspect), kept)}


def picture(text: str) -> np.ndarray:
    """Levels of a picture: a digit is a level, a dot is level 0."""
    return np.array([[int(sign.replace(".", "0")) for sign in line] for line in text.split()])


def boxes(found: Finding) -> list[tuple[int, ...]]:
    return [tuple(box) for box in found.boxes.tolist()]


def test_a_line_is_one_violation_as_wide_as_it_is() -> None:
    found = check(picture("....... .11.... .11.... .11.... .11.... ......."))["width"]
    assert (found.total, boxes(found)) == (1, [(1, 5, 1, 3)])
    assert found.worst == pytest.approx(200e-9)
    assert found.values == pytest.approx([200e-9])


def test_a_step_in_a_line_begins_another_violation() -> None:
    found = check(picture("11... 11... 11... 1.... 1.... 1...."))["width"]
    assert boxes(found) == [(0, 3, 0, 2), (3, 6, 0, 1)]
    assert found.worst == pytest.approx(100e-9)


def test_a_width_that_equals_the_limit_is_allowed() -> None:
    square = np.ones((3, 3))
    assert check(square)["width"].total == 0
    assert check(square)["width"].worst == pytest.approx(300e-9)
    assert check(square, width_m=300.001e-9)["width"].total == 2  # along x and along y


def test_a_gap_lies_between_shapes_and_not_at_the_edge_of_the_mask() -> None:
    found = check(picture(".111..111. .111..111. .111..111."))["gap"]
    assert boxes(found) == [(0, 3, 4, 6)]
    assert found.worst == pytest.approx(200e-9)
    assert check(picture("....111 ....111 ....111"))["gap"].worst is None


def test_what_another_level_fills_is_a_gap_too() -> None:
    found = check(picture("111221113 111221113 111221113"))["gap"]
    assert boxes(found) == [(0, 3, 3, 5)]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("11.. 11.. ..11 ..11", [(1, 3, 1, 3)]),
        ("..11 ..11 11.. 11..", [(1, 3, 1, 3)]),
        ("1.1 .1. 1.1", [(0, 2, 0, 2), (0, 2, 1, 3), (1, 3, 0, 2), (1, 3, 1, 3)]),
        ("11.. 11.. .11. .11.", []),
        ("112 112 221", [(1, 3, 1, 3)]),
    ],
)
def test_a_corner_contact_is_counted_where_pixels_touch_by_a_corner_only(
    text: str, places: list[tuple[int, ...]]
) -> None:
    found = check(picture(text))["corner"]
    assert (found.total, boxes(found)) == (len(places), places)


def test_pieces_hang_together_by_sides_and_are_small_below_the_square_of_the_width() -> None:
    found = check(picture("111..... 111.1111 111.1111 ...1.... ..11...."), width_m=290e-9)["area"]
    assert boxes(found) == [(1, 3, 4, 8), (3, 5, 2, 4)]
    assert found.values == pytest.approx([8e-14, 3e-14])
    assert found.worst == pytest.approx(3e-14)
    assert found.limit == pytest.approx(8.41e-14)


def test_an_aspect_ratio_is_the_taller_wall_over_the_width() -> None:
    """Level 2 is 120 nm, beside level 3 with 300 nm a wall of 180 nm; the mask ends against level 0."""
    rows = picture("0223300 0223300")
    found = check(rows, own=2, aspect=0.5)["aspect"]
    # along rows 180 nm over 200 nm, along columns 120 nm over 200 nm
    assert found.worst == pytest.approx(0.9)
    assert sorted(found.values.tolist()) == pytest.approx([0.6, 0.9])
    assert (found.total, sorted(boxes(found))) == (2, [(0, 2, 1, 3), (0, 2, 1, 3)])
    assert check(rows, own=2, aspect=0.9)["aspect"].total == 0


def test_walls_of_another_height_begin_another_violation() -> None:
    found = check(picture("323 323 020 020 222 222"), own=2, aspect=1.0, width_m=1e-9)["aspect"]
    along_rows = [(box, value) for box, value in zip(boxes(found), found.values, strict=True) if box[1] - box[0] == 2]
    assert along_rows[0] == ((0, 2, 1, 2), pytest.approx(1.8))
    assert along_rows[1] == ((2, 4, 1, 2), pytest.approx(1.2))


def test_what_is_not_drawn_has_walls_but_no_width_at_the_edge() -> None:
    found = check(picture("0030030 0030030"), own=0, aspect=1.0, drawn=False)
    assert set(found) == {"aspect"}
    assert boxes(found["aspect"]) == [(0, 2, 3, 5)]
    assert found["aspect"].worst == pytest.approx(1.5)


@pytest.mark.parametrize("levels", [np.zeros((4, 5)), np.ones((1, 1)), np.ones((6, 6))])
def test_empty_and_full_masks_are_clean(levels: np.ndarray) -> None:
    found = check(levels, width_m=100e-9)
    assert set(found) == set(RULES)
    assert not any(finding.total for finding in found.values())


def test_only_the_first_violations_are_placed_and_all_are_counted() -> None:
    levels = np.indices((20, 20)).sum(axis=0) % 2
    found = check(levels, kept=7)
    for rule, total in {"width": 400, "corner": 361, "area": 200}.items():
        assert found[rule].total == total
        assert len(found[rule].boxes) == len(found[rule].values) == 7
        assert boxes(found[rule]) == boxes(check(levels)[rule])[:7]


MASKS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 1))


def region_of(levels: np.ndarray) -> db.Region:
    """The drawn pixels in klayout, merged, pieces that touch by corners apart."""
    rows = len(levels)
    region = db.Region(
        [
            db.Box(column * PITCH, (rows - 1 - row) * PITCH, (column + 1) * PITCH, (rows - row) * PITCH)
            for row, column in np.argwhere(levels == 1).tolist()
        ]
    )
    region.min_coherence = True
    return region.merged()


def runs_of(pairs: db.EdgePairs, levels: np.ndarray, value: int) -> set[tuple[int, ...]]:
    """What lies between the edges of pairs, cut into boxes one pixel high (or wide).

    Without those that hold pixels of another value: klayout measures through a notch of a shape, too.
    """
    found = set()
    for pair in pairs.each():
        upright = pair.first.dx() == 0
        first, second = (edge.bbox() if upright else db.Trans.R90 * edge.bbox() for edge in (pair.first, pair.second))
        low, high = max(first.bottom, second.bottom) // PITCH, min(first.top, second.top) // PITCH
        left, right = sorted((first.left // PITCH, second.left // PITCH))
        for line in range(low, high):
            if upright:
                found.add((len(levels) - line - 1, len(levels) - line, left, right))
            else:  # a quarter turn takes x, y to −y, x
                found.add((len(levels) + left, len(levels) + right, line, line + 1))
    return {box for box in found if (levels[box[0] : box[1], box[2] : box[3]] == value).all()}


def ways_to_cut(found: Finding) -> list[list[set[tuple[int, ...]]]]:
    """Each violation cut as `runs_of` cuts: across its length, which is its value; a square can be cut in two ways."""
    cut = []
    for (top, bottom, left, right), value in zip(boxes(found), found.values, strict=True):
        rows = {(row, row + 1, left, right) for row in range(top, bottom)}
        columns = {(top, bottom, column, column + 1) for column in range(left, right)}
        length = round(value / PITCH_M)
        cut.append([lines for lines, side in ((rows, right - left), (columns, bottom - top)) if side == length])
    return cut


@settings(deadline=None, max_examples=150)
@given(levels=MASKS, pixels=st.integers(2, 5))
def test_widths_and_gaps_are_those_of_klayout_with_projection_metrics(levels: np.ndarray, pixels: int) -> None:
    region, limit = region_of(levels), pixels * PITCH
    found = check(levels, width_m=limit * 1e-9)
    for rule, pairs, value in (
        ("width", region.width_check(limit, metrics=db.Region.Projection), 1),
        ("gap", region.space_check(limit, metrics=db.Region.Projection), 0),
    ):
        theirs, ours = runs_of(pairs, levels, value), ways_to_cut(found[rule])
        assert all(any(lines <= theirs for lines in ways) for ways in ours)
        assert theirs <= {line for ways in ours for lines in ways for line in lines}


@settings(deadline=None, max_examples=100)
@given(levels=MASKS, pixels=st.integers(1, 4))
def test_small_pieces_are_those_of_klayout(levels: np.ndarray, pixels: int) -> None:
    small = region_of(levels).with_area(0, (pixels * PITCH) ** 2, False)
    found = check(levels, width_m=pixels * PITCH * 1e-9)["area"]
    assert found.total == small.count()
    assert sorted(found.values * 1e18) == pytest.approx(sorted(polygon.area() for polygon in small.each()))


@settings(deadline=None, max_examples=100)
@given(levels=MASKS)
def test_corner_contacts_are_points_that_klayouts_contours_meet_twice(levels: np.ndarray) -> None:
    points = [
        (point.x, point.y)
        for polygon in region_of(levels).each()
        for contour in (polygon.each_point_hull(), *map(polygon.each_point_hole, range(polygon.holes())))
        for point in contour
    ]
    twice = {point for point in points if points.count(point) == 2}
    found = check(levels)["corner"]
    # the box of a contact is of the four pixels around it
    assert {((box[2] + 1) * PITCH, (len(levels) - box[0] - 1) * PITCH) for box in boxes(found)} == twice


def test_rectangular_pixels_are_measured_along_their_own_sides() -> None:
    """One pixel of 200 nm × 50 nm: 200 nm high, 50 nm wide, between walls of 50 nm."""
    levels = np.zeros((5, 5), np.uint8)
    levels[2, 2] = 1
    shapes = ShapeClass("level", levels, 1, HEIGHTS_M)
    found = {one.rule: one for one in check_rules(shapes, (200e-9, 50e-9), Limits(120e-9, 0.6), 99)}
    assert (found["width"].total, found["width"].worst) == (1, pytest.approx(50e-9))
    assert found["width"].values == pytest.approx([50e-9])
    assert (found["area"].total, found["area"].worst) == (1, pytest.approx(200e-9 * 50e-9))
    assert (found["aspect"].total, found["aspect"].values.tolist()) == (1, pytest.approx([1.0]))


@settings(deadline=None, max_examples=60)
@given(levels=MASKS, dy=st.integers(1, 5), dx=st.integers(1, 5), limit=st.integers(1, 20))
def test_rectangular_pixels_break_the_rules_that_their_squares_break(
    levels: np.ndarray, dy: int, dx: int, limit: int
) -> None:
    """A pixel of dy × dx nanometres is dy × dx square ones, whose rules are klayout's."""
    limits = Limits(limit * 1e-9, 20.0)
    fine = np.repeat(np.repeat(levels, dy, axis=0), dx, axis=1)
    coarse_shapes, fine_shapes = (ShapeClass("level", plane, 1, HEIGHTS_M) for plane in (levels, fine))
    squares = {found.rule: found for found in check_rules(fine_shapes, (1e-9, 1e-9), limits, 9999)}
    for found in check_rules(coarse_shapes, (dy * 1e-9, dx * 1e-9), limits, 9999):
        expected = squares[found.rule]
        assert found.total == expected.total
        assert found.worst == (None if expected.worst is None else pytest.approx(expected.worst))
        if found.rule != "corner":  # whose boxes are of the four pixels around a point
            scaled = [tuple(box) for box in (found.boxes * (dy, dy, dx, dx)).tolist()]
            assert sorted(zip(scaled, np.round(found.values * 1e18).tolist(), strict=True)) == sorted(
                zip(boxes(expected), np.round(expected.values * 1e18).tolist(), strict=True)
            )
