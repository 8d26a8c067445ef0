"""The picture of data, before any optics."""

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.figures import FieldPicture, fields_figure


def picture(values, **more):
    return FieldPicture(
        "training: a very long name of a field that nobody could read in full $x$", "", values, "phase / rad", **more
    )


def ramp(rows=40, columns=60):
    return torch.linspace(0.0, 3.0, rows)[:, None] + torch.zeros(columns)


def test_a_patch_is_outlined_where_it_fits_and_nothing_valid_is_grey():
    values = ramp()
    values[:5] = torch.nan
    figure = fields_figure([picture(values, pitch_m=5e-7, box=(10, 20, 16, 24))], "data: a_b$.npz")
    (axes,) = [axes for axes in figure.axes if axes.images]
    outline = next(patch for patch in axes.patches if patch.get_width() == 24)
    assert (outline.get_xy(), outline.get_height()) == ((19.5, 9.5), 16)
    assert axes.get_title().startswith("…") and axes.get_title().endswith("in full $x$")
    assert any("µm" in text.get_text() for text in axes.texts)


def test_one_hot_pixel_does_not_hide_the_rest():
    values = ramp(200, 200)
    values[3, 3] = 1e4
    figure = fields_figure([picture(values)], "data")
    assert figure.axes[0].images[0].get_clim()[1] < 3.1


@pytest.mark.parametrize("level", [0.0, 3.0, -2.0])
def test_a_flat_field_can_be_drawn(level, tmp_path):
    figure = fields_figure([picture(torch.full((30, 30), level))] * 4, "data")
    low, high = figure.axes[0].images[0].get_clim()
    assert low < level < high
    figure.canvas.draw()


@pytest.mark.parametrize("pictures", [[], [picture(torch.full((9, 9), torch.nan))]])
def test_nothing_to_draw_is_refused(pictures):
    with pytest.raises(UsageError, match="nothing to draw"):
        fields_figure(pictures, "data")
