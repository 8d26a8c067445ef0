"""Markers that klayout shows over a layout: a report database, `.lyrdb`.

The form is what klayout's own class ReportDatabase writes (https://www.klayout.de/doc-qt5/code/class_ReportDatabase.html);
coordinates are micrometres in the coordinates of a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

__all__ = ["Marker", "marker_file"]

Path = tuple[str, ...]
_Tree = dict[str, "_Tree"]


class Marker(NamedTuple):
    """A box with a text.

    Args:
        category: names of the categories around it, outermost first: letters, digits and underscores.
        box_um: left, bottom, right, top in micrometres.
        text: what it says.
    """

    category: Path
    box_um: tuple[float, float, float, float]
    text: str


def marker_file(title: str, cell: str, categories: Mapping[Path, str], markers: Sequence[Marker]) -> str:
    """The content of a report database.

    Args:
        title: what it reports.
        cell: cell of the layout that the coordinates are those of.
        categories: what each category holds; those around them need not be named.
        markers: the markers, each in one of the categories.
    """
    tree: _Tree = {}
    for path in categories:
        branch = tree
        for name in path:
            branch = branch.setdefault(name, {})
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<report-database>",
        f" <description>{escape(title)}</description>",
        " <original-file/>",
        " <generator>opticdesign drc</generator>",
        f" <top-cell>{escape(cell)}</top-cell>",
        " <tags/>",
        *_categories(tree, (), categories),
        f" <cells><cell><name>{escape(cell)}</name><variant/><layout-name/><references/></cell></cells>",
        " <items>",
        *(_item(marker, cell) for marker in markers),
        " </items>",
        "</report-database>",
    ]
    return "\n".join(lines) + "\n"


def _categories(tree: _Tree, around: Path, texts: Mapping[Path, str]) -> Iterator[str]:
    indent = " " * (2 * len(around) + 1)
    if not tree:
        yield f"{indent}<categories/>"
        return
    yield f"{indent}<categories>"
    for name, inside in tree.items():
        path = (*around, name)
        yield f"{indent} <category><name>{escape(name)}</name>"
        yield f"{indent}  <description>{escape(texts.get(path, ''))}</description>"
        yield from _categories(inside, path, texts)
        yield f"{indent} </category>"
    yield f"{indent}</categories>"


def _item(marker: Marker, cell: str) -> str:
    left, bottom, right, top = (f"{side:.10g}" for side in marker.box_um)
    text = marker.text.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"  <item><tags/><category>{escape('.'.join(marker.category))}</category><cell>{escape(cell)}</cell>"
        "<visited>false</visited><multiplicity>1</multiplicity><comment/><image/><values>"
        f"<value>box: ({left},{bottom};{right},{top})</value><value>text: '{escape(text)}'</value></values></item>"
    )
