"""Pictures: the palette's index is the level, confirmed by Pillow; the picture of the die."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from opticdesign.design import Export
from opticdesign.errors import VerificationError
from opticdesign.handover.export import ExportJob, export_design, exporters
from opticdesign.handover.manifest import load_manifest
from opticdesign_exporters.images.die_picture import die_figure
from opticdesign_exporters.images.png_writer import write_png

PNG = "preview/layer2.png"


def read(folder):
    return exporters()["preview"].read(folder, load_manifest(folder))


@pytest.mark.parametrize("levels", [2, 8, 256])
def test_pillow_sees_levels_as_indices(levels, make_job, tmp_path):
    job = make_job(levels, (2, 21, 34))
    export_design(job, ["preview"], tmp_path / "x", {})
    with Image.open(tmp_path / "x" / PNG) as image:
        assert (image.mode, image.size) == ("P", (34, 21))
        assert len(image.getpalette()) == 3 * levels
        np.testing.assert_array_equal(np.asarray(image), job.levels[1])
        assert len(image.convert("RGB").getcolors()) > 1


def test_an_index_beyond_the_levels_is_located(small_of):
    _, folder = small_of("preview")
    with Image.open(folder / PNG) as image:
        palette, values = image.getpalette(), np.array(image)
    values[4, 6] = 8
    write_png(folder / PNG, values, np.array(palette, np.uint8).reshape(-1, 3))
    with pytest.raises(VerificationError, match=rf"^{PNG}: layer 2 row 4 column 6: index 8 is no level"):
        read(folder)


@pytest.mark.parametrize(
    ("mode", "why"),
    [("L", "byte 8: not an 8-bit palettised image of 7 by 9 pixels"), ("RGB", "byte 8: not an 8-bit palettised image")],
)
def test_another_kind_of_image_is_refused(mode, why, small_of):
    _, folder = small_of("preview")
    Image.new(mode, (7, 9)).save(folder / PNG)
    with pytest.raises(VerificationError, match=rf"^{PNG}: {why}"):
        read(folder)


@pytest.mark.parametrize("colours", [1, 7, 9, 256])
def test_another_palette_is_refused(colours, small_of):
    _, folder = small_of("preview")
    write_png(folder / PNG, np.zeros((9, 7), np.uint8), np.zeros((colours, 3), np.uint8))
    with pytest.raises(VerificationError, match=rf"^{PNG}: byte 33: no palette of 8 colours"):
        read(folder)


def colours_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3), dtype=np.uint8)


def test_the_die_shows_every_layer_in_the_order_of_the_light(make_job):
    job, colours = make_job(8, (3, 21, 34)), colours_of(8)
    figure = die_figure(job, colours)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["layer 1", "layer 2", "layer 3"]
    for axes, levels in zip(shown, job.levels, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), colours[levels])
        assert axes.yaxis_inverted()  # row 0 at the top
        assert [text.get_text() for text in axes.texts] == ["2 µm"]
        assert axes.patches[0].get_width() * 34 * 0.3164 == pytest.approx(2.0)


def test_the_die_names_levels_and_heights(make_job):
    figure = die_figure(make_job(4, (1, 5, 5), heights_m=(0.0, 1e-7, 2.5e-7, 1.2e-6)), colours_of(4))
    names = [label.get_text() for label in figure.axes[-1].get_yticklabels()]
    assert names == ["0: 0 nm", "1: 100 nm", "2: 250 nm", "3: 1200 nm"]


def test_the_die_names_sixteen_of_many_levels(make_job):
    figure = die_figure(make_job(256, (1, 5, 5)), colours_of(256))
    assert len(figure.axes[-1].get_yticklabels()) == 16


def test_the_die_is_dark_where_a_mask_absorbs(make_job):
    job, colours = make_job(8, (1, 5, 6)), colours_of(8)
    openings = np.zeros((1, 5, 6), np.uint16)
    openings[0, 0], openings[0, 1] = 64, 32
    masked = ExportJob(job.name, job.levels, job.process, job.pitch_m, openings=openings, spec=Export())
    picture = die_figure(masked, colours).axes[0].images[0].get_array()
    np.testing.assert_array_equal(picture[0], colours[job.levels[0, 0]])
    np.testing.assert_array_equal(picture[1], np.rint(colours[job.levels[0, 1]] / 2))
    assert not picture[2:].any()


def test_the_die_says_which_layers_are_not_shown(make_job):
    figure = die_figure(make_job(8, (51, 5, 6)), colours_of(8))
    assert sum(bool(axes.images) for axes in figure.axes) == 50
    assert "layers 51 to 51 are not shown" in figure.get_supxlabel()


def test_the_die_is_a_picture(small_of):
    _, folder = small_of("preview")
    with Image.open(folder / "preview/die.png") as image:
        assert image.width > 500 and image.height > 150
        assert "Software" not in image.info


def test_pictures_of_rectangular_pixels_have_their_shape(make_job, tmp_path):
    job = make_job(8, (1, 20, 40), pitch_m=(2e-6, 1e-6))  # a square mask
    export_design(job, ["preview"], tmp_path / "x", {})
    with Image.open(tmp_path / "x/preview/layer1.png") as image:
        assert image.size == (40, 20)
        across, down = image.info["dpi"]
        assert across / down == pytest.approx(2.0)
    axes = die_figure(job, np.zeros((8, 3), np.uint8)).axes[0]
    assert axes.get_aspect() == 2.0
