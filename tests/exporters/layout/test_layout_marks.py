"""Marks, verniers and labels beside the array, as klayout sees them."""

from __future__ import annotations

import pytest
from klayout import db

from tests.support.klayout_view import drawn, every_format, spec, write


@every_format
@pytest.mark.parametrize("mirror", [False, True])
def test_marks_stay_outside_the_array_and_inside_the_frame(name, mirror, make_job, tmp_path):
    job = make_job(8, (2, 21, 34), spec=spec(kind="bits", mirror=mirror))
    layout, _ = write(job, name, tmp_path / "x")
    array = db.Region(db.Box(0, 0, 34 * 1582, 21 * 1582))
    regions = drawn(layout)
    assert {tag for tag in regions if tag[0] > 100} == {(100 + layer, bit) for layer in (1, 2) for bit in (0, 1, 2)}
    for layer in (1, 2):
        marks = [regions[100 + layer, bit] for bit in (0, 1, 2)]
        assert all((region & array).is_empty() for region in marks)
        frame = marks[0].bbox()
        inside = db.Region(frame.enlarged(-2 * 5000, -2 * 5000))
        assert all((region - inside).is_empty() for region in marks[1:])
        assert (marks[0] - inside).merged().area() == 2 * 5000 * (2 * frame.width() + 2 * frame.height() - 8 * 5000)


@every_format
def test_every_bit_has_crosses_in_windows_of_the_first_mask(name, make_job, tmp_path):
    job = make_job(16, (1, 21, 34), spec=spec(kind="bits"))
    layout, _ = write(job, name, tmp_path / "x")
    regions = drawn(layout)
    unit, high = 5000, 21 * 1582
    cross = db.Region(db.Box(8 * unit, 0, 12 * unit, 20 * unit)) + db.Region(db.Box(0, 8 * unit, 20 * unit, 12 * unit))
    for bit in range(4):
        near = (10 + 28 * bit) * unit
        for x in (-near - 20 * unit, 34 * 1582 + near):
            for y in (-30 * unit, high + 10 * unit):
                place = db.Region(db.Box(x, y, x + 20 * unit, y + 20 * unit))
                assert ((regions[101, bit] & place) ^ cross.moved(x, y)).is_empty()
                others = [regions[101, other] & place for other in range(4) if other != bit]
                window = others[0] if bit else db.Region()
                assert all(other.is_empty() for other in (others[1:] if bit else others))
                # The window leaves two units free on each side of the cross.
                assert (window.sized(2 * unit) & cross.moved(x, y)).is_empty() and window.count() == (4 if bit else 0)


@every_format
def test_verniers_read_the_displacement_of_a_mask(name, make_job, tmp_path):
    """Displace a bit mask by three steps: the third bars beside the middle of the two scales meet, along x and y."""
    job = make_job(4, (1, 5, 5), spec=spec(kind="bits", vernier="50 nm"))
    layout, options = write(job, name, tmp_path / "x")
    assert options["vernier_m"] == pytest.approx(50e-9)
    unit, step = 5000, 250
    regions = drawn(layout)
    moving = regions[101, 1]

    def bars(region: db.Region, along: str) -> dict[int, tuple[int, int]]:
        """Middle of each bar of a scale: across it → along it; bars are 2 units by 10 or 14."""
        sizes = {(2 * unit, 10 * unit), (2 * unit, 14 * unit)}
        found = []
        for polygon in region.each():
            box = polygon.bbox()
            size = (box.width(), box.height()) if along == "x" else (box.height(), box.width())
            if size in sizes:
                found.append((box.center().x if along == "x" else box.center().y, size[1] == 14 * unit))
        return dict(enumerate(sorted(found)))

    for along in ("x", "y"):
        fixed, shifted = bars(regions[101, 0], along), bars(moving.moved(3 * step, 3 * step), along)
        assert len(fixed) == len(shifted) == 21
        assert fixed[10][1] and shifted[10][1] and sum(long for _, long in fixed.values()) == 1
        away = [shifted[index][0] - fixed[index][0] for index in range(21)]
        assert away == [3 * step + (index - 10) * step for index in range(21)]
        assert away.index(0) == 10 - 3
        assert max(map(abs, away)) < 2 * unit  # a bar never comes near the neighbour of its partner


@every_format
def test_no_marks_are_drawn_where_none_are_wanted(name, make_job, tmp_path):
    layout, options = write(make_job(8, (2, 9, 7), spec=spec(marks=False)), name, tmp_path / "x")
    assert layout.top_cell().bbox() == db.Box(0, 0, 7 * 1582, 9 * 1582)
    assert options["die_step_x"] == 7 * 1582 + 500_000


@every_format
def test_the_label_is_what_was_asked_for(name, make_job, tmp_path):
    other = drawn(write(make_job(8, (1, 5, 5), spec=spec(label="WAFER 7")), name, tmp_path / "x")[0])[101, 0]
    usual = drawn(write(make_job(8, (1, 5, 5)), name, tmp_path / "y")[0])[101, 0]
    letters = db.Region(db.Box(0, -60 * 5000, 10**8, -35 * 5000))
    assert not ((other & letters) ^ (usual & letters)).is_empty()
    assert (other & letters).count() > 8
