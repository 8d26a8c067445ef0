"""What lies beside a layout: its layers as a table and as klayout's layer properties, and the doses of its levels."""

from __future__ import annotations

import colorsys
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from opticdesign.handover.export import ExportedFile
from opticdesign_exporters.layout.layer_map import Drawn

if TYPE_CHECKING:
    from opticdesign_exporters.layout.layout import Layout

__all__ = ["write_tables"]

_TURN = 0.381966  # of the colour circle from layer to layer, the golden section: neighbours never look alike


def write_tables(layout: Layout, folder: Path, name: str) -> list[ExportedFile]:
    """Write `layers.csv`, klayout's layer properties, and `doses.csv` where doses are given.

    Args:
        layout: the layout they are about.
        folder: the folder of the export.
        name: folder of the files in it.
    """
    properties = f"{layout.job.file_name}.lyp"
    texts = {"layers.csv": _layers(layout.drawn, layout.job.spec.layout.mirror), properties: _properties(layout.drawn)}
    files = [
        ExportedFile(f"{name}/layers.csv", "layers and datatypes, what is drawn there, height or etch depth", "nm"),
        ExportedFile(f"{name}/{properties}", "layer names and colours for klayout", "none"),
    ]
    if doses := layout.job.spec.layout.doses:
        texts["doses.csv"] = _doses(layout.drawn, doses)
        files.append(ExportedFile(f"{name}/doses.csv", "relative dose of each layer and datatype", "relative"))
    for path, text in texts.items():
        (folder / name / path).write_text(text, encoding="utf-8", newline="")
    return files


def _layers(drawn: Iterable[Drawn], mirror: bool) -> str:
    seen = ", mirrored" if mirror else ""
    rows = (
        (one.layer, one.datatype, one.content + seen, one.measure, f"{one.height_nm:.6g}" if one.height_nm else "")
        for one in drawn
    )
    return _table(("layer", "datatype", "content", "measure", "nm"), rows)


def _doses(drawn: Iterable[Drawn], doses: Sequence[float]) -> str:
    rows = ((one.layer, one.datatype, one.level, f"{doses[one.level]:.6g}") for one in drawn if one.level is not None)
    return _table(("layer", "datatype", "level", "dose"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _properties(drawn: Sequence[Drawn]) -> str:
    """Layer properties as klayout saves them: a hue for each mask layer, deeper for higher datatypes."""
    highest = max(one.datatype for one in drawn)
    entries = (
        f"""
 <properties>
  <frame-color>{colour}</frame-color>
  <fill-color>{colour}</fill-color>
  <dither-pattern>I0</dither-pattern>
  <valid>true</valid>
  <visible>true</visible>
  <transparent>false</transparent>
  <width>1</width>
  <name>{escape(one.content)}</name>
  <source>{one.layer}/{one.datatype}@1</source>
 </properties>"""
        for one in drawn
        for colour in (_colour(one, highest),)
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n<layer-properties>{"".join(entries)}\n</layer-properties>\n'


def _colour(one: Drawn, highest: int) -> str:
    red, green, blue = colorsys.hsv_to_rgb(one.layer * _TURN % 1.0, 0.35 + 0.65 * one.datatype / max(highest, 1), 0.9)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
