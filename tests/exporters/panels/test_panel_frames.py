"""Whole frames of a panel: greys by hand, placing, orders of turns, corrections, carriers, and what is refused."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from opticdesign.design.panel import PanelProfile
from opticdesign.errors import UsageError
from opticdesign.handover.export import export_design, verify_files
from opticdesign.handover.manifest import load_manifest, sha256
from opticdesign.handover.panel import TURN_PARTS, Mounting, Panel
from opticdesign.optics.elements import linear_lut
from tests.exporters.conftest import F_PATTERN


def a_panel(pixels=(40, 60), lut=None, correction=None, **keys):
    profile = PanelProfile.model_validate({"name": "small", "pixels": pixels, "pitch": "8 um", **keys})
    lut = linear_lut(profile.bits, profile.two_pi_grey or 2**profile.bits).numpy() if lut is None else lut
    return Panel(profile, lut, correction)


def a_curve(bits=8, reach=2.3):
    """Phases that bend as those of liquid crystals do, up to so many π."""
    share = np.linspace(0.0, 1.0, 2**bits)
    return reach * math.pi * (share**1.4 + 0.15 * np.sin(math.pi * share))


@pytest.fixture
def on_panel(make_job, tmp_path):
    """`on_panel(job, panel, mounting)`: the frames as Pillow reads them, and the check that reads them back."""

    def export(panel, mounting=None, **job):
        made = make_job(pitch_m=8e-6, **job)
        made = type(made)(**{**vars(made), "panel": panel, "mounting": mounting or Mounting()})
        export_design(made, ["slm"], tmp_path / "x", {})
        frames = []
        for path in sorted((tmp_path / "x" / "slm").glob("frame*.png")):
            with Image.open(path) as image:
                frames.append(np.array(image))
        (check,) = verify_files(tmp_path / "x", made.levels, made.process, made.openings)
        return np.stack(frames), check, made

    return export


def test_a_mask_lies_in_the_middle_and_the_rest_is_flat(on_panel):
    frames, check, job = on_panel(a_panel(), shape=(2, 21, 34))
    assert frames.shape == (2, 40, 60) and frames.dtype == np.uint8
    for frame, levels in zip(frames, job.levels, strict=True):
        np.testing.assert_array_equal(frame[10:31, 13:47], levels * 32)
        frame[10:31, 13:47] = 0
        assert not frame.any()
    assert check.ok and check.phase_error_rad == 0.0


def test_superpixels_and_center_count_panel_pixels(on_panel):
    mounting = Mounting(center=(20.0, 30.0), superpixel=2)
    frames, check, job = on_panel(a_panel(), mounting, shape=(1, 9, 7))
    np.testing.assert_array_equal(frames[0, 21:39, 13:27], (job.levels[0] * 32).repeat(2, 0).repeat(2, 1))
    assert np.count_nonzero(frames) == 4 * np.count_nonzero(job.levels)
    assert check.ok, check.problems


def test_tiles_are_filled_in_the_order_of_the_light(on_panel):
    frames, check, job = on_panel(a_panel(), Mounting(tiles=(2, 2)), shape=(5, 20, 30))
    assert len(frames) == 2
    for place, levels in zip([(0, 0), (0, 30), (20, 0), (20, 30)], job.levels, strict=False):
        np.testing.assert_array_equal(frames[0][place[0] : place[0] + 20, place[1] : place[1] + 30], levels * 32)
    np.testing.assert_array_equal(frames[1, :20, :30], job.levels[4] * 32)
    assert not frames[1, 20:].any() and check.ok


@pytest.mark.parametrize("flip", ["none", "rows", "columns"])
@pytest.mark.parametrize("turns", range(4))
def test_what_is_seen_of_a_flipped_and_turned_panel_is_the_mask(flip, turns, on_panel):
    panel = a_panel((20, 20), flip=flip, turns=turns)
    frames, check, _ = on_panel(panel, array=np.stack([F_PATTERN * 5]))
    shown = frames[0]
    seen = {"none": shown, "rows": shown[::-1], "columns": shown[:, ::-1]}[flip]
    for _ in range(turns):
        seen = seen.T[::-1]  # a quarter turn counter-clockwise
    rows, columns = np.nonzero(seen)
    found = seen[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    np.testing.assert_array_equal(found, F_PATTERN[:6, :4] * 5 * 32)
    assert check.ok, check.problems


@pytest.mark.parametrize("levels", [2, 8, 16, 100, 256])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_greys_are_the_nearest_of_a_measured_table_after_correction_and_carrier(levels, bits, on_panel, tmp_path):
    correction = np.random.default_rng(3).integers(0, TURN_PARTS, (40, 60)).astype(np.uint16)
    lut = a_curve(bits)
    panel = a_panel(lut=lut, correction=correction, bits=bits)
    frames, check, job = on_panel(panel, Mounting(carrier=-6.5, superpixel=2), levels=levels, shape=(1, 9, 11))
    wanted = correction * (2 * math.pi / TURN_PARTS)
    mask = (job.levels[0] * (2 * math.pi / levels)).repeat(2, 0).repeat(2, 1)
    wanted[11:29, 19:41] += mask + 2 * math.pi * np.arange(19, 41) / -6.5
    apart = np.abs(np.exp(1j * lut)[:, None, None] - np.exp(1j * wanted))
    shown = np.take_along_axis(apart, frames[0][None].astype(int), 0)[0]
    np.testing.assert_allclose(shown, apart.min(0), atol=1e-6)
    assert check.ok, check.problems
    rounding = options_of(tmp_path / "x")["largest_rounding_rad"]
    assert 2 * np.arcsin(shown.max() / 2) == pytest.approx(rounding, abs=1e-5)
    assert check.phase_error_rad <= rounding + 1e-5


def options_of(folder):
    return load_manifest(folder).record("slm").options


def test_more_levels_than_greys_round_and_say_how_far(on_panel, tmp_path):
    panel = a_panel(two_pi_grey=50, wavelength="632.8 nm")
    _, check, _ = on_panel(panel, levels=200, shape=(1, 20, 20))
    assert check.ok, check.problems
    assert 0.0 < check.phase_error_rad <= math.pi / 50 * (1 + 1e-6)
    assert f"round by up to {check.phase_error_rad:.4f} rad" in options_of(tmp_path / "x")["note"]


def test_the_magnification_and_the_time_to_settle_are_recorded(on_panel, tmp_path):
    on_panel(a_panel(settle="50 ms"), Mounting(superpixel=3), shape=(1, 8, 8))
    assert options_of(tmp_path / "x")["magnification"] == pytest.approx(3.0)
    assert options_of(tmp_path / "x")["settle_s"] == 0.05


def openings_of(shape):
    """Open cells of 64, none and all among them."""
    openings = np.random.default_rng(5).integers(0, 65, shape).astype(np.uint16)
    openings[:, 0, :2], openings[:, 1, :2] = 0, 64
    return openings


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("levels", [2, 8, 200])
@pytest.mark.parametrize("bits", [8, 12])
def test_the_mean_of_a_checkerboard_is_the_amplitude(levels, bits, turns, on_panel):
    panel, openings = a_panel(lut=a_curve(bits), bits=bits, turns=turns, flip="rows"), openings_of((1, 7, 9))
    mounting = Mounting(superpixel=4, encode="checkerboard")
    frames, check, job = on_panel(panel, mounting, levels=levels, shape=(1, 7, 9), openings=openings)
    assert check.ok, check.problems
    rows, columns = (9, 7) if turns else (7, 9)
    place = check.readback.frames.places[0]
    shown = np.exp(1j * panel.lut_rad[frames[0][place.top :, place.left :][: rows * 4, : columns * 4]])
    mean = np.rot90(shown.reshape(rows, 4, columns, 4).mean((1, 3))[::-1], turns)
    wanted = openings[0] / 64 * np.exp(2j * np.pi * job.levels[0] / levels)
    step = np.diff(np.sort(np.mod(panel.lut_rad, 2 * np.pi))).max()
    np.testing.assert_allclose(mean, wanted, atol=step)
    assert np.abs(check.readback.openings - openings).max() <= math.ceil(64 * step)


def test_another_amplitude_than_that_designed_is_found(on_panel, tmp_path):
    openings = openings_of((1, 7, 9))
    mounting = Mounting(superpixel=2, encode="checkerboard")
    _, _, job = on_panel(a_panel(bits=12), mounting, shape=(1, 7, 9), openings=openings)
    openings[0, 3, 4] = (openings[0, 3, 4] + 30) % 64
    (check,) = verify_files(tmp_path / "x", job.levels, job.process, openings)
    assert len(check.problems) == 1 and "layer 1 row 3 column 4: open cells" in check.problems[0]


def test_without_encoding_frames_hold_no_amplitude(on_panel):
    _, check, _ = on_panel(a_panel(), shape=(1, 7, 9), openings=openings_of((1, 7, 9)))
    assert check.ok and check.readback.openings is None


def test_amplitudes_of_masks_that_absorb_nothing_are_refused(on_panel):
    with pytest.raises(UsageError, match="these masks absorb nothing"):
        on_panel(a_panel(), Mounting(encode="checkerboard"), shape=(1, 7, 9))


@pytest.mark.parametrize(
    ("mounting", "shape", "message", "expected"),
    [
        (
            Mounting(),
            (1, 41, 60),
            "41 × 60 pixels of 1 × 1 panel pixels are 41 × 60, on 40 × 60",
            "at most 40 × 60 pixels",
        ),
        (Mounting(superpixel=5), (1, 9, 14), "are 45 × 70, on 40 × 60", "at most --superpixel 4: 36 × 56"),
        (Mounting(tiles=(1, 2)), (2, 20, 31), "are 20 × 31, on 40 × 30", "at most 40 × 30 pixels"),
        (Mounting(center=(4.0, 20.0)), (1, 20, 20), 'center "4 20"', "x of 10 to 50, y of 10 to 30"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_largest_that_would(
    mounting, shape, message, expected, on_panel, tmp_path
):
    with pytest.raises(UsageError) as caught:
        on_panel(a_panel(), mounting, shape=shape)
    assert message in caught.value.message and expected in caught.value.expected
    assert not list(tmp_path.iterdir())


def test_a_mask_turned_a_quarter_has_to_fit_as_it_lies(on_panel):
    with pytest.raises(UsageError, match="50 × 30 pixels"):
        on_panel(a_panel(turns=1), shape=(1, 30, 50))


def test_pixels_that_are_not_square_are_refused(make_job, tmp_path):
    job = make_job(pitch_m=(8e-6, 4e-6))
    with pytest.raises(UsageError, match="expected: square ones"):
        export_design(type(job)(**{**vars(job), "panel": a_panel()}), ["slm"], tmp_path / "x", {})


@pytest.mark.parametrize(
    "bad",
    [
        {"carrier": 1.5},
        {"carrier": math.nan},
        {"tiles": (0, 1)},
        {"superpixel": 0},
        {"encode": "grating"},
        {"encode": "checkerboard", "superpixel": 3},
    ],
)
def test_mountings_out_of_range_are_refused(bad):
    with pytest.raises(UsageError):
        Mounting(**bad)


def damaged(folder, name, change):
    """Change a file of an export and what the manifest says of it, as a program that writes wrong frames would."""
    path = folder / "slm" / name
    path.write_bytes(change(path.read_bytes()))
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["exports"][0]["files"]:
        data = (folder / file["path"]).read_bytes()
        file["sha256"], file["bytes"] = sha256(data), len(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def changed_pixel(row, column):
    def change(data):
        with Image.open(io.BytesIO(data)) as image:
            greys = np.array(image)
        greys[row, column] += 1
        stream = io.BytesIO()
        Image.fromarray(greys).save(stream, format="PNG")
        return stream.getvalue()

    return change


@pytest.mark.parametrize(("row", "column"), [(0, 0), (20, 30), (25, 41), (39, 59)])
def test_a_wrong_grey_is_located_in_a_mask_and_beside_it(row, column, on_panel, tmp_path):
    _, _, job = on_panel(a_panel(lut=a_curve()), Mounting(carrier=5.0, superpixel=2), shape=(1, 9, 11))
    damaged(tmp_path / "x", "frame1.png", changed_pixel(row, column))
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert len(check.problems) == 1
    assert f"slm/frame1.png: row {row} column {column}: grey" in check.problems[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n7,", b"\n9,"),
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"0.0\n", b"nan\n", 1),
    ],
)
def test_a_damaged_table_is_refused(change, on_panel, tmp_path):
    _, _, job = on_panel(a_panel(), shape=(1, 9, 11))
    damaged(tmp_path / "x", "lut.csv", change)
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.problems == ("manifest.json: slm: no panel with its table and the places of the masks",)


@pytest.mark.parametrize("key", ["places", "superpixel", "rows", "turns", "carrier", "encode"])
@pytest.mark.parametrize("value", [-1, "[[0, 99, 99]]", 1e300])
def test_a_damaged_manifest_is_refused(key, value, on_panel, tmp_path):
    _, _, job = on_panel(a_panel(), Mounting(superpixel=2, carrier=5.0), shape=(1, 9, 11))
    path = tmp_path / "x" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["exports"][0]["options"][key] = value
    path.write_text(json.dumps(manifest))
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.problems


def test_equal_jobs_give_equal_bytes(on_panel, tmp_path, make_job):
    _, _, job = on_panel(a_panel(lut=a_curve(10), bits=10), Mounting(carrier=7.0), shape=(2, 9, 7))
    export_design(job, ["slm"], tmp_path / "y", {})
    for path in (tmp_path / "x" / "slm").iterdir():
        assert path.read_bytes() == (tmp_path / "y" / "slm" / path.name).read_bytes()
