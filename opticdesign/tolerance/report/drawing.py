"""Plots as SVG that stands in the page: its colours follow the page's theme, its bytes depend on the data alone."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ACCENT", "BAD", "GOOD", "GRID", "INK", "MUTED", "SERIES", "draw"]

INK, MUTED, GRID = "#18222d", "#5a6774", "#dde3e8"
ACCENT, GOOD, BAD = "#1a5fb4", "#1b7f4d", "#b3352b"
SERIES = ("#0b62a8", "#c4570a", "#0f7f63", "#9c3f87", "#8a6a00", "#3f6fd9", "#b02a4c", "#4b5563")

# Each colour is drawn as itself where the page's style sheet is missing, and as the theme's variable where it is there.
_VARIABLES = MappingProxyType(
    {
        INK: "--ink",
        MUTED: "--muted",
        GRID: "--rule",
        ACCENT: "--accent",
        GOOD: "--good",
        BAD: "--bad",
        **{colour: f"--series-{index}" for index, colour in enumerate(SERIES)},
    }
)
_STYLE: MappingProxyType[str, Any] = MappingProxyType(
    {
        "svg.hashsalt": "opticdesign",
        "svg.fonttype": "none",  # text stays text: it is found, selected and read aloud
        "text.parse_math": False,  # names may hold a dollar sign
        "text.color": INK,
        "font.size": 8.5,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
    }
)
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def draw(paint: Callable[[Axes], None], label: str, size: tuple[float, float] = (4.7, 2.9)) -> Markup:
    """What `paint` draws, as an SVG element for the page.

    Args:
        paint: draws into the axes it is given, in this module's colours.
        label: what a reader who does not see the plot is told.
        size: inches.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer, style = io.BytesIO(), dict[Any, Any](_STYLE)
    with rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure.subplots())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    return _inline(buffer.getvalue(), label)


def _inline(svg: bytes, label: str) -> Markup:
    """An SVG file as an element: no header, no style sheet, names of its own, colours as variables."""
    root = ElementTree.fromstring(svg)  # noqa: S314 (matplotlib wrote it a moment ago)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{_SVG}metadata", f"{_SVG}style")]:
            parent.remove(child)
    prefix = f"p{hashlib.sha256(svg + label.encode()).hexdigest()[:10]}-"
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg.decode()))
    for element in root.iter():
        _rename(element, prefix, used)
        if style := element.get("style"):
            element.set("style", _COLOUR.sub(_themed, style))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(_without_namespaces(root))  # noqa: S704 (ElementTree has escaped every text and attribute)


def _rename(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Give an element's name and references a prefix: two plots of one page may use the same; drop unused names."""
    name = element.attrib.pop("id", None)
    if name in used:
        element.set("id", prefix + name)
    if (link := element.attrib.pop(_LINK, None)) is not None:
        element.set("href", f"#{prefix}{link.removeprefix('#')}")
    for key, value in element.attrib.items():
        if value.startswith("url(#"):
            element.set(key, value.replace("url(#", f"url(#{prefix}"))


def _themed(found: re.Match[str]) -> str:
    variable = _VARIABLES.get(found[0])
    return f"var({variable}, {found[0]})" if variable else found[0]


def _without_namespaces(root: ElementTree.Element) -> str:
    """The element as HTML wants it: SVG by its names alone."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    return ElementTree.tostring(root, encoding="unicode")
