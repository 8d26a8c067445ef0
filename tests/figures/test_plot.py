"""Pictures for notebooks: what is drawn, in which unit, and how large the scale bar says it is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from opticdesign.design import load_design
from opticdesign.errors import UsageError
from opticdesign.figures import plot
from opticdesign.instrument.building import build_optics
from opticdesign.optics.elements import Aperture, DiffractiveElement, ThinLens
from opticdesign.optics.field import Grid
from opticdesign.optics.free_space import free_space
from tests.support.design_texts import D2NN5, ROOT, TINY


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def drawn(axes: Axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def bar_label(axes: Axes) -> str:
    return axes.child_axes[0].get_ylabel()


FIELD = torch.polar(torch.tensor([[1.0, 2.0, 0.5], [0.1, 1.0, 3.0]]), torch.tensor([[0.0, 1.0, -1.0], [3.0, 4.0, 5.0]]))


@pytest.mark.parametrize("as_given", [lambda field: field, lambda field: field.numpy(), lambda field: field[None]])
def test_a_complex_field_is_shown_by_its_phase_and_by_its_intensity(as_given) -> None:
    turns = plot.phase(as_given(FIELD), 2e-6)
    assert drawn(turns) == pytest.approx(FIELD.angle().remainder(2.0 * math.pi).numpy(), abs=1e-6)
    assert bar_label(turns) == "phase / rad" and turns.images[0].get_clim() == (0.0, 2.0 * math.pi)
    light = plot.intensity(as_given(FIELD), 2e-6)
    assert drawn(light) == pytest.approx(FIELD.abs().square().numpy(), rel=1e-6)
    assert bar_label(light) == "intensity / incident"


@pytest.mark.parametrize(("size_m", "unit"), [(1.2e-6, "µm"), (8e-10, "nm"), (450e-9, "nm"), (2e-3, "mm"), (0.0, "nm")])
def test_heights_are_in_the_unit_that_suits_them(size_m: float, unit: str) -> None:
    metres = {"nm": 1e-9, "µm": 1e-6, "mm": 1e-3}[unit]
    axes = plot.height(torch.tensor([[0.0, size_m], [size_m / 2.0, 0.0]]), 1e-6)
    assert bar_label(axes) == f"height / {unit}"
    assert drawn(axes).max() == pytest.approx(size_m / metres, rel=1e-6)


@pytest.mark.parametrize("pitch_m", [316.4e-9, 4e-6, 1e-3])
@pytest.mark.parametrize("columns", [16, 300])
def test_the_scale_bar_is_as_long_as_it_says(columns: int, pitch_m: float) -> None:
    axes = plot.phase(torch.zeros(8, columns), pitch_m)
    (bar,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    (text,) = (text.get_text() for text in axes.texts if "µm" in text.get_text())
    assert bar.get_width() * columns * pitch_m == pytest.approx(float(text.removesuffix(" µm")) * 1e-6, rel=1e-6)


def test_samples_that_are_no_squares_are_drawn_as_they_are() -> None:
    axes = plot.phase(torch.zeros(8, 8), Grid((8, 8), (4e-6, 2e-6)))
    assert axes.get_aspect() == 2.0


def test_axes_that_are_given_are_drawn_on() -> None:
    ours = pyplot.subplots()[1]
    assert plot.intensity(torch.ones(4, 4), 1e-6, axes=ours, title="a $ sign") is ours
    assert ours.get_title() == "a $ sign"


@pytest.mark.parametrize("draw", [plot.phase, plot.intensity, plot.height])
def test_what_is_no_picture_is_refused(draw) -> None:
    with pytest.raises(UsageError, match=r"a picture of 2 × 4 × 4\n.*\(y, x\)"):
        draw(torch.zeros(2, 4, 4), 1e-6)
    with pytest.raises(UsageError, match="NaN or infinity"):
        draw(torch.tensor([[math.nan]]), 1e-6)
    with pytest.raises(UsageError, match="a pitch of 0"):
        draw(torch.zeros(4, 4), 0.0)
    assert not pyplot.get_fignums()  # nothing half-drawn


def planes(axes: Axes) -> dict[str, float]:
    names = [text.get_text() for text in axes.texts]
    places = [float(line.get_xdata()[0]) for line in axes.lines[: len(names)]]
    return dict(zip(names, places, strict=True))


def test_layers_stand_where_the_design_says() -> None:
    design = load_design(D2NN5, TINY)
    axes = plot.system(build_optics(design))
    found = planes(axes)
    optics = design.optics
    assert found["object"] == 0.0 and axes.get_xlabel() == "z / µm"
    assert found["mask 1"] == pytest.approx(optics.input_gap * 1e6)
    assert found["camera"] == pytest.approx(
        (optics.input_gap + (optics.layers - 1) * optics.layer_gap + optics.detector_gap) * 1e6, rel=1e-6
    )
    assert len(found) == optics.layers + 2


def test_a_filter_stands_between_its_lenses() -> None:
    design = load_design(ROOT / "designs" / "lff64.toml")
    found = planes(plot.system(build_optics(design)))
    assert {"object", "filter", "camera"} <= found.keys()
    assert found["camera"] == pytest.approx(2.0 * found["filter"]) and found["object"] == 0.0


def test_a_list_of_elements_and_ways_is_a_system_too() -> None:
    grid = Grid.square(16, 4e-6)
    way = free_space(grid, 532e-9, 3e-3)
    axes = plot.system(
        [Aperture.circular(grid, 2e-5), way, ThinLens(grid, 532e-9, 3e-3), DiffractiveElement(grid), way]
    )
    assert planes(axes) == {"Aperture": 0.0, "lens": 3.0, "mask 1": 3.0, "camera": 6.0}
    assert axes.get_ylabel() == "y / µm"
    with pytest.raises(UsageError, match="no elements"):
        plot.system([])
