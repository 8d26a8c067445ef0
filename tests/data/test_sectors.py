from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.data import PhaseField, split_fields
from opticdesign.errors import DataError, UsageError


def numbered(shape, name="cells", valid=None, source=""):
    phase = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    ones = np.ones(shape, np.float32)
    return PhaseField(name, phase / 1e5, ones, ones > 0 if valid is None else valid, source)


def pixels(fields):
    return [set(np.rint(field.phase_rad * 1e5).astype(int).ravel().tolist()) for field in fields]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(8, 60),
    st.integers(8, 60),
    st.floats(0.2, 0.6),
    st.floats(0.3, 0.7),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_sectors_share_no_pixel_and_leave_none_of_the_valid_box(rows, columns, train, val, top, left):
    valid = np.zeros((rows, columns), np.bool_)
    valid[top:-1, left:-2] = True
    fractions = (train, (1 - train) * val, (1 - train) * (1 - val))
    parts = split_fields([numbered((rows, columns), valid=valid)], fractions, "sector", (1, 1))
    sets = [pixels(part)[0] for part in parts]
    assert all(not one & other for one, other in permutations(sets, 2))
    assert sum(map(len, sets)) == np.count_nonzero(valid)


def test_sectors_lie_above_left_and_right():
    split = split_fields([numbered((100, 80))], (0.5, 0.25, 0.25), "sector", (40, 40))
    assert [part[0].shape for part in split] == [(50, 80), (50, 40), (50, 40)]
    assert [round(float(part[0].phase_rad[0, 0]) * 1e5) for part in split] == [0, 50 * 80, 50 * 80 + 40]
    assert [part[0].name for part in split] == ["cells:train", "cells:val", "cells:test"]


def test_sectors_of_every_field_are_dealt_to_the_same_part():
    split = split_fields([numbered((20, 20), "a"), numbered((30, 30), "b")], (0.5, 0.25, 0.25), "sector", (8, 8))
    assert [field.name for field in split.test] == ["a:test", "b:test"]


def test_sector_smaller_than_the_patch_is_refused_with_the_numbers():
    with pytest.raises(
        DataError, match=r"cells:val: the sector has 50 × 40 pixels.*\n.*41 × 41\n.*split_by = \"file\""
    ):
        split_fields([numbered((100, 80))], (0.5, 0.25, 0.25), "sector", (41, 41))


def test_sector_without_a_valid_patch_is_refused():
    valid = np.ones((100, 80), np.bool_)
    valid[60:90, :40] = False
    with pytest.raises(DataError, match="cells:val: the validation data holds no valid patch"):
        split_fields([numbered((100, 80), valid=valid)], (0.5, 0.25, 0.25), "sector", (40, 40))


def test_sectors_of_a_field_without_valid_pixels_are_refused():
    with pytest.raises(DataError, match="no valid pixel"):
        split_fields([numbered((9, 9), valid=np.zeros((9, 9), np.bool_))], (0.5, 0.25, 0.25), "sector", (2, 2))


def test_sectors_of_a_thread_of_valid_pixels_are_refused():
    valid = np.zeros((9, 9), np.bool_)
    valid[4] = True
    with pytest.raises(DataError, match="has no pixel"):
        split_fields([numbered((9, 9), valid=valid)], (0.5, 0.25, 0.25), "sector", (1, 1))


@pytest.mark.parametrize("count", [3, 4, 5, 8, 24])
@pytest.mark.parametrize("fractions", [(0.5, 0.25, 0.25), (0.98, 0.01, 0.01), (0.01, 0.495, 0.495)])
def test_files_are_dealt_out_whole_whatever_their_order(count, fractions):
    fields = [numbered((4, 4), f"f{i}") for i in range(count)]
    split = split_fields(fields, fractions, "file", (2, 2))
    names = [sorted(field.name for field in part) for part in split]
    assert all(names)
    assert sorted(name for part in names for name in part) == sorted(field.name for field in fields)
    shuffled = split_fields(fields[::-1], fractions, "file", (2, 2))
    assert [sorted(field.name for field in part) for part in shuffled] == names


def test_files_are_dealt_out_in_proportion():
    split = split_fields([numbered((4, 4), f"f{i}") for i in range(24)], (0.5, 0.25, 0.25), "file", (2, 2))
    assert [len(part) for part in split] == [12, 6, 6]


def test_images_of_one_stack_stay_together():
    fields = [numbered((4, 4), f"s{i}[{k}]", source=f"s{i}") for i in range(4) for k in range(3)]
    split = split_fields(fields, (0.5, 0.25, 0.25), "file", (2, 2))
    sources = [{field.source for field in part} for part in split]
    assert all(not one & other for one, other in permutations(sources, 2))
    assert [len(part) for part in split] == [6, 3, 3]


def test_two_files_cannot_be_dealt_out():
    with pytest.raises(DataError, match=r'2 files cannot be dealt out(.*\n)*.*split_by = "sector"'):
        split_fields([numbered((4, 4), "a"), numbered((4, 4), "b")], (0.5, 0.25, 0.25), "file", (2, 2))


@pytest.mark.parametrize(
    ("fields", "fractions", "by", "message"),
    [
        ([numbered((9, 9))], (0.5, 0.5, 0.5), "sector", "a split of"),
        ([numbered((9, 9))], (1.0, 0.0, 0.0), "sector", "a split of"),
        ([numbered((9, 9))], (0.5, 0.25, 0.25), "colour", "a split by 'colour'"),
        ([], (0.5, 0.25, 0.25), "sector", "no fields to split"),
    ],
)
def test_split_refuses_what_is_no_split(fields, fractions, by, message):
    with pytest.raises(UsageError, match=message):
        split_fields(fields, fractions, by, (2, 2))
