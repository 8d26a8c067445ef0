import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.data import PatchSampler, PhaseField, Window, grid_patches, split_fields
from opticdesign.data.patches import admissible_positions
from opticdesign.errors import DataError, UsageError


def numbered(shape, valid=None, name="numbered"):
    """A field whose pixels all differ, so that a patch tells where it was cut."""
    phase = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape) / 100
    amplitude = (1 / (1 + phase)).astype(np.float32)
    return PhaseField(name, phase, amplitude, np.ones(shape, np.bool_) if valid is None else valid)


def orientations(image):
    for turned in (np.rot90(image, k) for k in range(4)):
        yield turned
        yield turned[:, ::-1]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))
def test_admissible_positions_are_those_counted_one_by_one(rows, columns, height, width, seed):
    valid = np.random.default_rng(seed).random((rows, columns)) < 0.9
    found = admissible_positions(numbered((rows, columns), valid), (height, width))
    expected = [
        [valid[r : r + height, c : c + width].mean() >= 0.95 for c in range(columns - width + 1)]
        for r in range(rows - height + 1)
        if columns >= width
    ]
    assert found.tolist() == expected


def test_drawn_patches_are_oriented_crops_of_the_field():
    field = numbered((12, 15))
    amplitude, phase = PatchSampler([field], Window((4, 4))).draw(40, np.random.default_rng(1))
    assert (amplitude.dtype, phase.dtype, phase.shape) == (np.float32, np.float32, (40, 4, 4))
    np.testing.assert_allclose(amplitude, 1 / (1 + phase), rtol=1e-5)
    for patch in phase:
        row, column = divmod(round(float(patch.min()) * 100), 15)
        original = field.phase_rad[row : row + 4, column : column + 4]
        assert any(np.array_equal(patch, turned) for turned in orientations(original))


def test_drawn_patches_take_all_positions_and_eight_orientations_equally():
    fields = [numbered((4, 5)), numbered((3, 4), name="second")]
    fields[1].phase_rad[...] += 100
    sampler = PatchSampler(fields, Window((3, 3)))
    assert sampler.positions == 2 * 3 + 1 * 2
    _, phase = sampler.draw(6400, np.random.default_rng(2))
    seen = {}
    for patch in phase:
        seen[patch.tobytes()] = seen.get(patch.tobytes(), 0) + 1
    assert len(seen) == 8 * sampler.positions
    assert min(seen.values()) > 100 - 5 * 10
    assert max(seen.values()) < 100 + 5 * 10


def test_drawn_patches_of_a_rectangle_keep_their_shape():
    _, phase = PatchSampler([numbered((9, 9))], Window((3, 5))).draw(50, np.random.default_rng(3))
    assert phase.shape == (50, 3, 5)
    steps = {(round(float(p[0, 1] - p[0, 0]), 2), round(float(p[1, 0] - p[0, 0]), 2)) for p in phase}
    assert steps == {(sx * 0.01, sy * 0.09) for sx in (1, -1) for sy in (1, -1)}


def test_drawn_patches_depend_on_the_generator_only():
    sampler = PatchSampler([numbered((20, 20))], Window((5, 5)))
    first, again, other = (sampler.draw(6, np.random.default_rng(seed))[1] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_drawn_patches_avoid_the_masked_part():
    valid = np.zeros((30, 30), np.bool_)
    valid[10:20, 5:25] = True
    _, phase = PatchSampler([numbered((30, 30), valid)], Window((6, 6))).draw(100, np.random.default_rng(4))
    rows, columns = np.divmod(np.rint(phase * 100).astype(int), 30)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 19, 5, 24)


def test_sampler_without_a_position_names_the_numbers():
    with pytest.raises(DataError, match=r"no patch of 16 × 16 .*\n.*20 × 10 pixels"):
        PatchSampler([numbered((20, 10)), numbered((6, 6))], Window((16, 16)))


def test_grid_patches_reach_the_last_row_and_column():
    amplitude, phase = grid_patches([numbered((10, 13))], Window((4, 4)), 4)
    corners = [divmod(round(float(patch[0, 0]) * 100), 13) for patch in phase]
    assert corners == [(r, c) for r in (0, 4, 6) for c in (0, 4, 8, 9)]
    np.testing.assert_allclose(amplitude, 1 / (1 + phase), rtol=1e-5)


def test_grid_patches_take_a_stride_for_each_axis():
    _, phase = grid_patches([numbered((8, 8))], Window((4, 4)), (4, 2))
    assert len(phase) == 2 * 3


def test_grid_patches_of_an_awkward_mask_give_its_most_valid_patch():
    valid = np.zeros((20, 20), np.bool_)
    valid[3:9, 5:11] = True
    _, phase = grid_patches([numbered((20, 20), valid)], Window((6, 6)), 6)
    assert len(phase) == 1
    assert phase[0, 0, 0] == np.float32((3 * 20 + 5) / 100)


def test_grid_patches_of_nothing_valid_are_refused():
    with pytest.raises(DataError, match="no patch of 4 × 4"):
        grid_patches([numbered((8, 8), np.zeros((8, 8), np.bool_))], Window((4, 4)), 4)


def test_grid_patches_refuse_a_stride_of_zero():
    with pytest.raises(UsageError, match="a stride of 0"):
        grid_patches([numbered((8, 8))], Window((4, 4)), 0)


def ramp(shape, start=0, name="ramp"):
    """Phase 100·row + column + start, exact in float32; amplitude the same over 10⁴."""
    phase = (100.0 * np.arange(shape[0])[:, None] + np.arange(shape[1]) + start).astype(np.float32)
    return PhaseField(name, phase, phase / np.float32(1e4), np.ones(shape, np.bool_))


def middle_of(window, values):
    (my, mx), (y, x) = window.margin, window.patch
    return values[..., my : my + y, mx : mx + x]


WINDOWS = [
    Window((5, 3), (2, 4)),
    Window((5, 3), (4, 2)),
    Window((4, 4), (3, 3)),
    Window((7, 6), (0, 5)),
    Window((5, 3), (30, 40)),  # larger than the field
    Window((5, 3), (6, 8), repeated=True),
]


@pytest.mark.parametrize("window", WINDOWS)
def test_grid_patches_lie_in_the_middle_of_their_neighbours(window):
    """Whatever surrounds them, the patches stay where they are without."""
    field = ramp((13, 17))
    alone, (amplitude, phase) = grid_patches([field], Window(window.patch), 3), grid_patches([field], window, 3)
    assert phase.shape[1:] == amplitude.shape[1:] == window.shape
    np.testing.assert_array_equal(middle_of(window, amplitude), alone[0])
    np.testing.assert_array_equal(middle_of(window, phase), alone[1])
    np.testing.assert_array_equal(amplitude, phase / np.float32(1e4))
    (my, mx), (y, x) = window.margin, window.patch
    margins = (my, my), (mx, mx)
    whole = np.pad(field.phase_rad, margins, mode="reflect")
    for patch, found in zip(alone[1], phase, strict=True):
        row, column = divmod(int(patch[0, 0]), 100)
        neighbours = whole[row : row + y + 2 * my, column : column + x + 2 * mx]
        np.testing.assert_array_equal(found, np.pad(patch, margins, mode="wrap") if window.repeated else neighbours)


@pytest.mark.parametrize("window", WINDOWS)
def test_drawn_patches_are_turned_together_with_their_margin(window):
    """Undone, the turn of the patch gives the neighbours where they were."""
    field = ramp((13, 17))
    alone = PatchSampler([field], Window(window.patch)).draw(60, np.random.default_rng(5))
    found = PatchSampler([field], window).draw(60, np.random.default_rng(5))
    cut = {tuple(part.flatten()): part for part in grid_patches([field], window, 1)[1]}
    whole = {tuple(middle_of(window, part).flatten()): part for part in cut.values()}
    turned = 0
    for patch, amplitude, surrounded in zip(alone[1], *found, strict=True):
        np.testing.assert_array_equal(middle_of(window, surrounded), patch)
        np.testing.assert_array_equal(amplitude, surrounded / np.float32(1e4))
        upright = [way for way in WAYS if tuple(way(patch).flatten()) in whole]
        assert len(upright) == 1
        np.testing.assert_array_equal(upright[0](surrounded), whole[tuple(upright[0](patch).flatten())])
        turned += upright[0] in WAYS[4:]
    assert (turned > 10) == window.square


FLIPS = (lambda a: a, lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[::-1, ::-1])
WAYS = (*FLIPS, *(lambda a, flip=flip: flip(a).T for flip in FLIPS))


def test_square_patches_of_uneven_margins_are_flipped_only():
    """And oblong ones whose window is square by chance."""
    for window in (Window((4, 4), (1, 2)), Window((5, 3), (1, 2))):
        _, phase = PatchSampler([ramp((12, 12))], window).draw(80, np.random.default_rng(6))
        steps = {abs(float(part[1, 0] - part[0, 0])) for part in phase}
        assert steps <= {100.0, 99.0, 101.0} and 100.0 in steps
        inner = middle_of(window, phase)
        assert {abs(float(part[1, 0] - part[0, 0])) for part in inner} == {100.0}


def test_a_margin_leaves_every_position_admissible():
    valid = np.zeros((20, 20), np.bool_)
    valid[7:11, 7:11] = True
    field = numbered((20, 20), valid)
    assert (
        PatchSampler([field], Window((4, 4), (9, 9))).positions == PatchSampler([field], Window((4, 4))).positions == 1
    )
    assert len(grid_patches([field], Window((4, 4), (9, 9)), 5)[1]) == 1


@pytest.mark.parametrize("margin", [(3, 5), (40, 40)])
def test_margins_never_hold_a_pixel_of_another_part_of_the_split(margin):
    """Sectors share no pixel, and each sector's patches hold its own pixels alone, however far their margin reaches."""
    fields = [ramp((40, 44)), ramp((40, 44), start=5000, name="second")]
    split = split_fields(fields, (0.5, 0.25, 0.25), "sector", (8, 6))
    held = []
    for part in split:
        own = np.unique([field.phase_rad for field in part])
        _, drawn = PatchSampler(part, Window((8, 6), margin)).draw(50, np.random.default_rng(7))
        _, cut = grid_patches(part, Window((8, 6), margin), 2)
        assert np.isin(drawn, own).all() and np.isin(cut, own).all()
        held.append(set(np.unique(cut)))
    assert all(first.isdisjoint(second) for i, first in enumerate(held) for second in held[:i])
