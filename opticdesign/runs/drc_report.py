"""The files of a design-rule check: a report, a table of violations, and markers over the layout."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from opticdesign.errors import RunError
from opticdesign.fabrication.design_rules import Finding, Rule
from opticdesign.handover.marker_file import Marker, marker_file
from opticdesign.runs.drc import PLACED, RuleCheck
from opticdesign.storage import storage_errors, write_json, write_text
from opticdesign.units import format_length

__all__ = ["format_value", "rule_report", "write_rule_check"]

_FORMAT = "opticdesign-drc"
_REPORT, _TABLE, _MARKERS = "report.json", "violations.csv", "violations.lyrdb"
_DIE = "DIE"  # cell of a layout that holds one die, its array at the origin
_UNITS: dict[Rule, str] = {"width": "m", "gap": "m", "corner": "m", "area": "m^2", "aspect": "1"}


class _Violation(NamedTuple):
    """Where a rule is broken: first pixel, pixels along y and x, the corner nearest the layout's origin, the value."""

    row: int
    column: int
    rows: int
    columns: int
    x_um: float
    y_um: float
    value: float


def format_value(rule: Rule, value: float) -> str:
    """A value of a rule for people: a length, an area in µm², or a ratio."""
    if rule == "aspect":
        return f"{value:.3g} : 1"
    return f"{value * 1e12:.4g} µm²" if rule == "area" else format_length(value)


def write_rule_check(result: RuleCheck, folder: Path) -> None:
    """Write `report.json`, `violations.csv` and `violations.lyrdb`; each replaces that of an earlier check.

    Raises:
        RunError: a file in the folder is not of a check.
        StorageError: the disk refused.
    """
    _refuse_losses(folder)
    write_json(folder / _REPORT, rule_report(result))  # first: it says that the other two are ours
    write_text(folder / _TABLE, _table(result))
    write_text(folder / _MARKERS, _markers(result))


def rule_report(result: RuleCheck) -> dict[str, Any]:
    """Everything that was found, as plain values in SI units but for positions in µm."""
    job, limits = result.job, result.limits
    layers, rows, columns = job.levels.shape
    return {
        "format": _FORMAT,
        "name": job.name,
        "ok": result.ok,
        "quick": result.quick,
        "layout": {"kind": job.spec.layout.kind, "tone": job.spec.layout.tone, "mirror": job.spec.layout.mirror},
        "shape": [layers, rows, columns],
        "pitch_m": list(job.pitch_m),
        "limits": {
            "width_m": limits.width_m,
            "gap_m": limits.width_m,
            "area_m2": limits.width_m**2,
            "aspect": limits.aspect,
        },
        "placed_at_most": PLACED,
        "notes": list(result.notes),
        "findings": [
            {
                "rule": finding.rule,
                "layer": layer,
                "shapes": finding.shapes,
                "limit": finding.limit,
                "unit": _UNITS[finding.rule],
                "violations": finding.total,
                "placed": len(finding.boxes),
                "worst": finding.worst,
                "positions": [place._asdict() for place in _placed(result, finding)],
            }
            for layer, finding in result.findings
        ],
    }


def _refuse_losses(folder: Path) -> None:
    """Stop when a file of another origin would be replaced."""
    there = [name for name in (_REPORT, _TABLE, _MARKERS) if (folder / name).exists()]
    try:
        with storage_errors(folder):
            report = json.loads((folder / _REPORT).read_text("utf-8")) if _REPORT in there else {}
    except ValueError:
        report = {}
    if there and not (isinstance(report, dict) and report.get("format") == _FORMAT):
        raise RunError(
            f"{folder / there[0]}: not of a design-rule check; it is left as it is",
            expected="a free place, or an earlier check",
            remedy="choose another folder with --to DIR",
        )


def _placed(result: RuleCheck, finding: Finding) -> Iterator[_Violation]:
    """The violations of a finding, where the layout has them."""
    _, rows, columns = result.job.levels.shape
    (dy_um, dx_um), mirror = _pitch_um(result), result.job.spec.layout.mirror
    for (top, bottom, left, right), value in zip(finding.boxes.tolist(), finding.values.tolist(), strict=True):
        x = columns - right if mirror else left
        x_um, y_um = round(x * dx_um, 6), round((rows - bottom) * dy_um, 6)
        yield _Violation(top, left, bottom - top, right - left, x_um, y_um, value)


def _pitch_um(result: RuleCheck) -> tuple[float, float]:
    """Sides of a pixel along y and x in micrometres."""
    dy_m, dx_m = result.job.pitch_m
    return dy_m * 1e6, dx_m * 1e6


def _table(result: RuleCheck) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "shapes", "rule", *_Violation._fields, "unit", "limit"])
    for layer, finding in result.findings:
        for place in _placed(result, finding):
            unit = _UNITS[finding.rule]
            writer.writerow([layer, finding.shapes, finding.rule, *place, unit, finding.limit])
    return text.getvalue()


def _markers(result: RuleCheck) -> str:
    """A report database in the coordinates of the die, one category for each rule, mask layer and class of shapes."""
    dy_um, dx_um = _pitch_um(result)
    categories: dict[tuple[str, ...], str] = {}
    markers = []
    for layer, finding in result.findings:
        if not finding.total:
            continue
        path = (finding.rule, f"layer_{layer}", finding.shapes)
        limit = "none is allowed" if finding.rule == "corner" else f"limit {format_value(finding.rule, finding.limit)}"
        categories[path] = f"{finding.total} violations, {len(finding.boxes)} placed; {limit}"
        for place in _placed(result, finding):
            box = (place.x_um, place.y_um, place.x_um + place.columns * dx_um, place.y_um + place.rows * dy_um)
            text = f"row {place.row} column {place.column}: {format_value(finding.rule, place.value)}"
            markers.append(Marker(path, box, text))
    return marker_file(f"{result.job.name}: design rules", _DIE, categories, markers)
