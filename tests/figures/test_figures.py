from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from opticdesign import figures
from opticdesign.errors import UsageError
from opticdesign.figures.canvas import Scale, error_scale, nice_length, save_figure
from opticdesign.figures.profiles import structured_row
from opticdesign.learning.metrics import psnr_db, ssim, ssim_map

PITCH = 0.5e-6
TURN = 2.0 * math.pi


def picture(rows: int, seed: int, shape: tuple[int, int] = (24, 40)) -> Tensor:
    return torch.rand((rows, *shape), generator=torch.Generator().manual_seed(seed)) * 0.5


TARGETS, IMAGES, READINGS = picture(2, 0), picture(2, 1) * 1.2 - 0.05, picture(2, 2, (6, 10))
FIELDS = torch.polar(picture(2, 3) + 0.5, TARGETS * TURN)
VALID = torch.ones(24, 40, dtype=torch.bool)
VALID[:, 30:] = False
SIMILARITY = ssim_map(IMAGES[:1], TARGETS[:1])[0]
SYSTEMS = {"this design": IMAGES, "clear aperture + decoder": TARGETS + 0.01}
PROFILES = {name: images[0] for name, images in SYSTEMS.items()}
RECORDS: list[dict[str, Any]] = [
    {"stage": "optics", "total": 1, "loss": 0.5},
    {"stage": "decoder", "total": 2, "loss": 0.2, "psnr_db": 20.0, "ssim": 0.7},
    {"stage": "decoder", "total": 3, "loss": 0.1, "psnr_db": 22.0, "ssim": 0.8},
]

CALLS: dict[str, tuple[Any, ...]] = {
    "panel": (FIELDS, TARGETS, READINGS, IMAGES, PITCH, "patches"),
    "comparison": (TARGETS, SYSTEMS, PITCH, "systems"),
    "profiles": (TARGETS[0], PROFILES, PITCH, "line"),
    "field": (TARGETS[0], IMAGES[0], SIMILARITY, VALID, "field", PITCH),
    "masks": (picture(3, 4, (120, 100)) * 30.0, "masks"),
    "history": (RECORDS, "training"),
}


def figure_of(name: str, *changed: Any) -> Figure:
    made: Figure = getattr(figures, f"{name}_figure")(*(changed or CALLS[name]))
    return made


def pictures(figure: Figure) -> list[Any]:
    """Axes that hold a picture of data, in the order of drawing; a colour bar's hold none."""
    return [axes for axes in figure.axes if axes.images]


def bars(figure: Figure) -> list[Any]:
    """Axes of colour bars, those beside a picture too."""
    every = [child for axes in figure.axes for child in (axes, *axes.child_axes)]
    return [axes for axes in every if hasattr(axes, "_colorbar")]


def bar_labels(figure: Figure) -> list[str]:
    return [axes.get_xlabel() or axes.get_ylabel() for axes in bars(figure)]


def shown(axes: Any) -> np.ndarray[Any, Any]:
    return np.ma.filled(axes.images[0].get_array().astype(float), np.nan)


@pytest.mark.parametrize("name", CALLS)
def test_drawing_writes_a_png_of_the_figure_s_size_and_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    draw: Callable[..., Path] = getattr(figures, f"draw_{name}")
    path = draw(tmp_path / "deep" / "first.png", *CALLS[name])
    assert path == tmp_path / "deep" / "first.png"
    content = path.read_bytes()
    assert draw(tmp_path / "second.png", *CALLS[name]).read_bytes() == content
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.format == "PNG"
        figure = figure_of(name)
        assert image.size == tuple(int(inches * figure.dpi) for inches in figure.get_size_inches())
        assert len(set(image.convert("L").tobytes())) > 20
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["first.png", "second.png"]


@pytest.mark.parametrize("name", CALLS)
def test_nothing_that_is_written_in_a_figure_overlaps_or_is_cut_off(name: str) -> None:
    figure = figure_of(name)
    figure.canvas.draw()
    every = [child for axes in figure.axes for child in (axes, *axes.child_axes)]
    texts = [text for axes in every for text in (axes.title, axes.xaxis.label, axes.yaxis.label)]
    boxes = [text.get_window_extent() for text in [*texts, figure._suptitle] if text.get_text()]
    width, height = figure.canvas.get_width_height()
    for index, box in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0.0
        assert box.x1 <= width
        assert box.y1 <= height
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_panel_has_a_row_for_each_sample_and_a_column_for_each_quantity() -> None:
    figure = figure_of("panel")
    drawn = pictures(figure)
    expected = [FIELDS.abs(), TARGETS * TURN, READINGS, IMAGES * TURN, (IMAGES - TARGETS) * TURN]
    for index, axes in enumerate(drawn):
        row, column = divmod(index, 5)
        np.testing.assert_allclose(shown(axes), expected[column][row].numpy(), atol=1e-6)
    assert len(drawn) == 10
    titles = ["amplitude", "true phase", "camera, 6 × 10 pixels", "reconstruction", "error"]
    assert [axes.get_title() for axes in drawn] == [*titles, "", "", "", "", ""]
    assert bar_labels(figure) == ["amplitude", "phase / rad", "reading / full count", "phase / rad", "error / rad"]


def test_panel_shares_its_scales_between_samples_and_between_phase_and_reconstruction() -> None:
    limits = [axes.images[0].get_clim() for axes in pictures(figure_of("panel"))]
    assert limits[:5] == limits[5:]
    least, most = float(TARGETS.min()) * TURN, float(TARGETS.max()) * TURN
    assert limits[3] == limits[1] == (pytest.approx(least), pytest.approx(most))
    assert limits[4][0] == -limits[4][1]


def test_panel_says_how_good_each_reconstruction_is() -> None:
    captions = [axes.get_xlabel() for axes in pictures(figure_of("panel"))]
    for row, (decibels, similarity) in enumerate(zip(psnr_db(IMAGES, TARGETS), ssim(IMAGES, TARGETS), strict=True)):
        assert captions[5 * row + 3] == f"PSNR {decibels:.1f} dB, SSIM {similarity:.3f}"
        miss = float((IMAGES[row] - TARGETS[row]).abs().mean()) * TURN
        assert captions[5 * row + 4] == f"mean |error| {miss:.3f} rad"


@pytest.mark.parametrize(
    ("name", "places"), [("panel", [0, 5]), ("comparison", [0, 3]), ("field", [0]), ("profiles", [0])]
)
def test_scale_bar_is_as_long_as_it_says(name: str, places: list[int]) -> None:
    """Forty samples of 0.5 µm are 20 µm, of which 5 µm are a quarter."""
    drawn = pictures(figure_of(name))
    assert [index for index, axes in enumerate(drawn) if axes.patches] == places
    for index in places:
        assert [text.get_text() for text in drawn[index].texts] == ["5 µm"]
        assert drawn[index].patches[0].get_width() == pytest.approx(0.25)


def test_bar_points_to_where_values_lie_beyond_it() -> None:
    figure = figure_of("panel", FIELDS, TARGETS, READINGS, TARGETS * 2.0, PITCH, "title")
    assert [axes._colorbar.extend for axes in bars(figure)][1::2] == ["neither", "max"]
    figure = figure_of("panel", FIELDS, TARGETS, READINGS, TARGETS - 1.0, PITCH, "title")
    assert bars(figure)[3]._colorbar.extend == "min"


def test_comparison_has_a_column_for_each_system_on_one_scale() -> None:
    figure = figure_of("comparison")
    drawn = pictures(figure)
    assert [axes.get_title() for axes in drawn[:3]] == ["true phase", *SYSTEMS]
    assert len({axes.images[0].get_clim() for axes in drawn}) == 1
    assert bar_labels(figure) == ["phase / rad"]
    for index, axes in enumerate(drawn):
        row, column = divmod(index, 3)
        np.testing.assert_allclose(shown(axes), [TARGETS, *SYSTEMS.values()][column][row].numpy() * TURN, atol=1e-6)
    assert drawn[1].get_xlabel() == f"PSNR {psnr_db(IMAGES, TARGETS)[0]:.1f} dB, SSIM {ssim(IMAGES, TARGETS)[0]:.3f}"
    assert drawn[2].get_xlabel().startswith("PSNR 40.0 dB")


def test_profiles_run_along_the_marked_row_in_radians_and_micrometres() -> None:
    target = TARGETS[0].clone()
    target[7] = torch.arange(40) % 2
    left, right = figure_of("profiles", target, PROFILES, PITCH, "line").axes[:2]
    assert structured_row(target) == 7
    assert left.lines[0].get_ydata() == [7, 7]
    for line, image in zip(right.lines, [target, *PROFILES.values()], strict=True):
        np.testing.assert_allclose(line.get_xdata(), (np.arange(40) + 0.5) * 0.5)
        np.testing.assert_allclose(line.get_ydata(), image[7].numpy() * TURN, rtol=1e-6)
    assert (right.get_xlabel(), right.get_ylabel()) == ("x / µm", "phase / rad")
    assert right.get_title() in {f"along the dashed line, {depth_um} µm from the top" for depth_um in (3.7, 3.8)}
    assert right.get_xlim() == (0.0, 20.0)


def test_profile_keeps_away_from_the_rim_where_a_frame_would_hide_its_line() -> None:
    image = torch.zeros(16, 16)
    image[0, ::2], image[15, ::2], image[5, ::2] = 3.0, 2.0, 1.0
    assert structured_row(image) == 5
    assert structured_row(image[:1]) == 0


def test_profiles_are_told_apart_and_named_in_the_legend() -> None:
    systems = {f"system {index}": TARGETS[0] for index in range(24)}
    figure = figure_of("profiles", TARGETS[0], systems, PITCH, "line")
    lines = figure.axes[1].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines[1:]}) == 24
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true phase", *systems]


def test_field_is_blank_and_uncounted_where_it_is_not_valid() -> None:
    target, image = TARGETS[0].clone(), IMAGES[0].clone()
    target[:, 30:], image[:, 30:] = 50.0, -50.0
    figure = figure_of("field", target, image, SIMILARITY, VALID, "field", PITCH)
    drawn = pictures(figure)
    assert [axes.get_title() for axes in drawn] == ["true phase", "reconstruction", "error", "SSIM map"]
    assert bar_labels(figure) == ["phase / rad", "phase / rad", "error / rad", "SSIM"]
    expected = [target * TURN, image * TURN, (image - target) * TURN, SIMILARITY.clamp(max=1.0)]
    for axes, layer in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(shown(axes)[:, :30], layer[:, :30].numpy(), atol=1e-5)
        assert np.isnan(shown(axes)[:, 30:]).all()
        assert axes.images[0].get_clim()[1] < 50.0
    good = TARGETS[0, :, :30], IMAGES[0, :, :30]
    decibels = -10.0 * math.log10(float(((good[0] - good[1]) ** 2).mean()))
    assert drawn[1].get_xlabel() == f"PSNR {decibels:.1f} dB, SSIM {float(SIMILARITY[:, :30].mean()):.3f}"


def test_field_without_a_pitch_has_no_scale_bar() -> None:
    assert not any(axes.patches for axes in pictures(figure_of("field", *CALLS["field"][:5])))


def test_masks_are_wrapped_and_cut_to_their_middle() -> None:
    phases, _ = CALLS["masks"]
    figure = figure_of("masks")
    for axes, phase in zip(pictures(figure), phases, strict=True):
        np.testing.assert_allclose(shown(axes), phase[12:108, 2:98].remainder(TURN).numpy(), atol=1e-6)
    assert figure._suptitle is not None
    assert figure._suptitle.get_text() == "masks, middle 96 × 96 neurons"


def test_history_draws_every_stage_and_survives_having_nothing_to_draw() -> None:
    loss, decibels, similarity = figure_of("history").axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["optics", "decoder"]
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), [[2, 0.2], [3, 0.1]])
    np.testing.assert_array_equal(decibels.lines[1].get_xydata(), [[2, 20.0], [3, 22.0]])
    assert similarity.get_ylabel() == "SSIM"
    assert loss.get_yscale() == "log"
    assert not figure_of("history", [], "empty").axes[0].lines


def test_names_that_look_like_formulas_are_drawn_as_they_are(tmp_path: Path) -> None:
    """A sample or a system may be called anything; matplotlib would refuse this as mathematics."""
    odd = "a$\\frac$b"
    figures.draw_comparison(tmp_path / "c.png", TARGETS, {odd: IMAGES}, PITCH, odd)
    figures.draw_profiles(tmp_path / "p.png", TARGETS[0], {odd: IMAGES[0], "_hidden": TARGETS[0]}, PITCH, odd)
    figures.draw_history(
        tmp_path / "h.png", [{"stage": "_first", "total": 1, "loss": 1.0}, {"stage": odd, "total": 1, "loss": 1.0}], odd
    )


def test_flat_pictures_have_a_scale(tmp_path: Path) -> None:
    flat = torch.full((1, 8, 8), 0.25)
    fields = torch.ones((1, 8, 8), dtype=torch.complex64)
    figures.draw_panel(tmp_path / "flat.png", fields, flat, flat, flat, PITCH, "flat")
    scale = Scale.over(flat, "gray", "label")
    assert scale.low < 0.25 < scale.high


@settings(deadline=None, max_examples=50)
@given(most=st.floats(1e-9, 1e3))
def test_nice_length_is_round_and_the_greatest_that_fits(most: float) -> None:
    length = nice_length(most)
    assert length <= most * (1.0 + 1e-6)
    assert 2.5 * length * (1.0 + 1e-6) >= most
    assert f"{length:.0e}"[0] in "125"


@pytest.mark.parametrize(
    ("errors", "limit"), [([0.1], 0.1), ([-0.11], 0.2), ([3.0], 5.0), ([7.0], 10.0), ([0.0], 1e-3)]
)
def test_error_scale_is_symmetric_and_round(errors: list[float], limit: float) -> None:
    scale = error_scale(torch.tensor(errors, dtype=torch.float64))
    assert (scale.low, scale.high) == (pytest.approx(-limit), pytest.approx(limit))


def test_error_scale_leaves_rare_outliers_to_the_bar_s_point() -> None:
    errors = torch.full((1000,), 0.15)
    errors[0] = 100.0
    assert error_scale(errors).high == pytest.approx(0.2)


NAN = TARGETS.clone()
NAN[0, 3, 3] = math.nan
BAD: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "panel shapes": ("panel", (FIELDS[:1], TARGETS, READINGS, IMAGES, PITCH, ""), "targets of 2 × 24 × 40\n"),
    "panel readings": ("panel", (FIELDS, TARGETS, READINGS[:1], IMAGES, PITCH, ""), "2 targets, 1 readings"),
    "panel images": ("panel", (FIELDS, TARGETS, READINGS, IMAGES[:, 1:], PITCH, ""), "reconstructions of 2 × 23 × 40"),
    "panel pitch": ("panel", (FIELDS, TARGETS, READINGS, IMAGES, 0.0, ""), "a pitch of 0.0 m"),
    "no rows": ("panel", (FIELDS[:0], TARGETS[:0], READINGS[:0], IMAGES[:0], PITCH, ""), "amplitudes of 0 × 24 × 40"),
    "tiny": ("comparison", (TARGETS[:, :5], {"a": IMAGES[:, :5]}, PITCH, ""), "images of 5 × 40"),
    "nan": ("panel", (FIELDS, NAN, READINGS, IMAGES, PITCH, ""), "targets with NaN"),
    "no systems": ("comparison", (TARGETS, {}, PITCH, ""), "no reconstructions"),
    "other system": ("comparison", (TARGETS, {"far": IMAGES[:1]}, PITCH, ""), "reconstructions by far of 1 × 24 × 40"),
    "no profiles": ("profiles", (TARGETS[0], {}, PITCH, ""), "0 reconstructions\n  expected: 1 to 24"),
    "other profile": ("profiles", (TARGETS[0], {"far": IMAGES[0, 1:]}, PITCH, ""), "by far of 1 × 23 × 40"),
    "profile pitch": ("profiles", (TARGETS[0], PROFILES, math.nan, ""), "a pitch of nan m"),
    "field shapes": ("field", (TARGETS[0], IMAGES[0], SIMILARITY[1:], VALID, ""), "a SSIM map of 1 × 23 × 40"),
    "field mask": ("field", (TARGETS[0], IMAGES[0], SIMILARITY, VALID & False, ""), "without valid samples"),
    "field pitch": ("field", (TARGETS[0], IMAGES[0], SIMILARITY, VALID, "", -1.0), "a pitch of -1.0 m"),
    "masks": ("masks", (TARGETS[0], ""), "masks of 24 × 40\n  expected: one image or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(case: str, tmp_path: Path) -> None:
    name, arguments, message = BAD[case]
    with pytest.raises(UsageError, match=message):
        getattr(figures, f"draw_{name}")(tmp_path / "figure.png", *arguments)
    assert not list(tmp_path.iterdir())


def test_saved_figure_replaces_the_one_before(tmp_path: Path) -> None:
    first = save_figure(tmp_path / "a.png", figure_of("history")).read_bytes()
    assert save_figure(tmp_path / "a.png", figure_of("masks")).read_bytes() != first
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
