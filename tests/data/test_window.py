from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.data import Window
from opticdesign.errors import UsageError

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))
MARGINS = st.tuples(st.integers(0, 25), st.integers(0, 25))


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, MARGINS, st.integers(0, 999))
def test_neighbours_are_those_of_the_field_continued_by_reflection(field, patch, margin, place):  # type: ignore[no-untyped-def]
    """A patch may itself reach beyond the field, as the last tile of a padded one does."""
    image = np.arange(field[0] * field[1]).reshape(field)
    row, column = place % field[0], place // field[0] % field[1]
    found = Window(patch, margin).cut(image, row, column)
    beyond = [(margin[axis], margin[axis] + patch[axis]) for axis in range(2)]
    whole = np.pad(image, beyond, mode="reflect")
    rows, columns = patch[0] + 2 * margin[0], patch[1] + 2 * margin[1]
    np.testing.assert_array_equal(found, whole[row : row + rows, column : column + columns])


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, MARGINS, st.integers(0, 999))
def test_a_repeated_patch_surrounds_itself(field, patch, margin, place):  # type: ignore[no-untyped-def]
    image = np.arange(field[0] * field[1]).reshape(field)
    row, column = place % field[0], place // field[0] % field[1]
    alone = Window(patch).cut(image, row, column)
    found = Window(patch, margin, repeated=True).cut(image, row, column)
    np.testing.assert_array_equal(found, np.pad(alone, [(margin[0],) * 2, (margin[1],) * 2], mode="wrap"))


def test_a_part_is_a_copy_of_its_type() -> None:
    image = np.ones((4, 5), np.float32)
    part = Window((2, 3)).cut(image, 1, 1)
    part[...] = 0.0
    assert part.dtype == np.float32 and image.all()


def test_square_windows_have_square_patches_and_even_margins() -> None:
    assert Window((4, 4), (2, 2)).square
    assert not Window((4, 4), (1, 2)).square
    assert not Window((5, 3), (1, 2)).square
    assert Window((5, 3), (1, 2)).shape == (7, 7)


@pytest.mark.parametrize(("patch", "margin"), [((0, 4), (0, 0)), ((4, 4), (-1, 0))])
def test_windows_of_nothing_are_refused(patch: tuple[int, int], margin: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=re.escape(f"patches of {patch} pixels with margins of {margin}")):
        Window(patch, margin)
