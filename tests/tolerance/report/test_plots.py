from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from markupsafe import Markup
from matplotlib.axes import Axes

from opticdesign.tolerance.report import plots
from opticdesign.tolerance.report.drawing import ACCENT, INK, SERIES, draw
from tests.support.example_study import example_study


def line(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=ACCENT, marker="o")
    axes.set(xlabel="$\\frac{1}$ <b>&", ylabel="y")


def read(svg: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 (we drew it)


def words(svg: Markup) -> list[str]:
    return [element.text or "" for element in read(svg).iter("text")]


def test_drawing_is_the_same_twice_and_an_element_of_its_own() -> None:
    svg = draw(line, "a line")
    assert svg == draw(line, "a line")
    root = read(svg)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "a line"
    assert {element.tag for element in root.iter()} <= {"svg", "g", "defs", "path", "use", "text", "clipPath", "rect"}
    assert "metadata" not in svg
    assert "xmlns" not in svg


def test_drawing_has_the_colours_of_the_theme_and_keeps_text_as_text() -> None:
    svg = draw(line, "a line")
    colours = set(re.findall(r"(?:var\((--[a-z0-9-]+), )?(#[0-9a-f]{6})", svg))
    assert ("--accent", ACCENT) in colours
    assert ("--ink", INK) in colours
    assert all(variable for variable, _ in colours)
    assert "$\\frac{1}$ <b>&" in words(svg)
    assert "&lt;b&gt;&amp;" in svg


def test_two_drawings_share_no_name() -> None:
    first, second = (set(re.findall(r'id="([^"]+)"', draw(line, label))) for label in ("one", "other"))
    assert first
    assert not first & second
    for name in re.findall(r'(?:url\(#|href="#)([^")]+)', draw(line, "one")):
        assert name in first


def test_label_cannot_leave_its_attribute() -> None:
    label = '"><script>alert(1)</script>'
    assert read(draw(line, label)).get("aria-label") == label


def test_histogram_and_yield_mark_the_limit() -> None:
    for make in (plots.histogram_plot, plots.yield_plot):
        assert "limit 23.00 dB" in [key.name for key in make(example_study()).keys]


def test_histogram_holds_draws_that_are_all_alike() -> None:
    result = example_study()
    same = replace(result, draws=replace(result.draws, metrics={"psnr_db": (24.0,) * 200}))
    assert "draws" in words(plots.histogram_plot(same).svg)


def test_ranking_shows_the_first_and_says_how_many_there_are() -> None:
    result = example_study()
    plot = plots.ranking_plot(result.ranking, result.metric)
    assert plot
    names = [row.name for row in result.ranking if row.of == "parameter"]
    assert [word for word in words(plot.svg) if word in names] == names[:15][::-1]
    assert plot.caption.endswith("The first 15 of 31.")


def test_long_names_beside_bars_are_cut() -> None:
    result = example_study()
    named = tuple(replace(row, name="a name that is much too long for this") for row in result.ranking[:1])
    plot = plots.ranking_plot(named, result.metric)
    assert plot
    assert "a name that is much too…" in words(plot.svg)


def test_sobol_plot_names_groups_in_words() -> None:
    plot = plots.sobol_plot(example_study().ranking)
    assert plot
    assert "etch depth" in words(plot.svg)


def test_curves_stand_in_the_order_of_the_harm_they_do_and_name_the_worst_of_their_group() -> None:
    result = example_study()
    found = plots.curve_plots(result)
    reached = [float(plot.caption.split()[-2]) for plot in found]
    assert reached == sorted(reached)
    (shifts,) = (plot for plot in found if plot.caption.startswith("layer shift"))
    assert [key.name for key in shifts.keys][-1] == "6 more, which cost less"
    ends = {one.parameter: min(one.metrics["psnr_db"]) for one in result.curves if one.group == "layer_shift"}
    assert [key.name for key in shifts.keys][:-1] == sorted(ends, key=lambda name: ends[name])[:4]
    assert "deviation / nm" in words(shifts.svg)
    for place in range(4):
        assert SERIES[place] in shifts.svg


def test_curves_of_an_error_are_worst_at_their_greatest() -> None:
    found = plots.curve_plots(example_study("mae_rad"))
    reached = [float(plot.caption.split()[-2]) for plot in found]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] > 0.142


@pytest.mark.parametrize("judged", ["psnr_db", "mae_rad"])
def test_convergence_follows_the_bad_end(judged: str) -> None:
    result = example_study(judged)
    names = [key.name for key in plots.convergence_plot(result.convergence, result).keys]
    assert names[0].startswith("mean, finally")
    assert names[1].startswith("5th" if judged == "psnr_db" else "95th")


def test_nothing_studied_is_nothing_drawn() -> None:
    assert plots.ranking_plot((), "psnr_db") is None
    assert plots.sobol_plot(example_study().ranking[:3]) is None
    assert plots.compensator_plot((), "psnr_db") is None
    assert plots.curve_plots(replace(example_study(), curves=())) == ()
