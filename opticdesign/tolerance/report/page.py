"""The report as one HTML page: opens from a file, asks nothing of the network, prints to PDF from any browser."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from opticdesign.errors import StorageError
from opticdesign.formatting import Metric, metric, share, spoken
from opticdesign.storage import write_text
from opticdesign.tolerance.headline import headline
from opticdesign.tolerance.quantities import interval_text
from opticdesign.tolerance.report import plots, tables
from opticdesign.tolerance.result import ToleranceResult, WorstDraw

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"
_QUALITY = 90  # of WebP


@dataclass(frozen=True)
class _Tile:
    """One figure that is read first: what it is, its value, what it means."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class _Worst:
    """A bad draw with its picture as a data URL, None without one, and its parameters."""

    rank: int
    draw: WorstDraw
    score: str
    picture: str | None
    table: tables.Table


def write_report(result: ToleranceResult, folder: Path) -> Path:
    """Write report.html, which holds everything it shows, the pictures of the worst draws too.

    Args:
        result: what the study found.
        folder: where the page goes, and what the paths of its pictures are relative to.

    Returns:
        The page.

    Raises:
        StorageError: the disk refused, or a picture is missing or no PNG.
    """
    path = folder / REPORT
    write_text(path, _render(result, folder))
    return path


def _render(result: ToleranceResult, folder: Path) -> str:
    """The page as text; every string of the result is escaped where it is put in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("opticdesign.tolerance.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_packaged(name) for name in ("page.css", "page.js"))
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        result=result,
        measure=metric(result.metric),
        headline=headline(result, result.metric),
        tiles=_tiles(result),
        style=style,
        script=script,
        script_hash=script_hash,
        share=share,
        worst=_worst(result, folder),
        provenance=tuple(_flat(result.provenance)),
        **_plots(result),
        **_tables(result),
    )


def _packaged(name: str) -> Markup:
    """A file of the templates, to stand in the page as it is."""
    text = (files("opticdesign.tolerance.report") / "templates" / name).read_text("utf-8")
    return Markup(text)  # noqa: S704 (it comes with this module)


def _plots(result: ToleranceResult) -> dict[str, Any]:
    return {
        "histogram": plots.histogram_plot(result),
        "yield_curve": plots.yield_plot(result),
        "effect_plot": plots.effect_plot(result.effects, result.metric),
        "ranking_plot": plots.ranking_plot(result.ranking, result.metric),
        "sobol_plot": plots.sobol_plot(result.ranking),
        "curves": plots.curve_plots(result),
        "compensator_plot": plots.compensator_plot(result.compensators, result.metric),
        "convergence": plots.convergence_plot(result.convergence, result),
    }


def _tables(result: ToleranceResult) -> dict[str, tables.Table | None]:
    return {
        "stages": tables.stage_table(result),
        "spread": tables.spread_table(result),
        "effects": tables.effect_table(result),
        "ranking": tables.ranking_table(result),
        "sobol": tables.group_table(result),
        "inverse": tables.inverse_table(result),
        "budget": tables.budget_table(result),
        "trial": tables.trial_table(result),
        "compensators": tables.compensator_table(result),
        "worst_table": tables.worst_table(result),
        "parameters": tables.parameter_table(result),
    }


def _tiles(result: ToleranceResult) -> list[_Tile]:
    """Nominal value, worse end, and what matters most."""
    measure, summary = metric(result.metric), result.summaries[result.metric]
    percent = "95" if summary.lower_is_better else "5"
    end = summary.percentiles[percent]
    tiles = [
        _Tile(f"nominal {measure.label}", measure.text(summary.nominal), "without any perturbation"),
        _Tile(f"{percent}th percentile", measure.text(end.value), f"95 % interval {interval_text(end, measure)}"),
        _Tile(
            "median change",
            _change(measure, summary.percentiles["50"].value - summary.nominal),
            "draws against nominal",
        ),
    ]
    most = _matters_most(result)
    return tiles if most is None else [*tiles, most]


def _matters_most(result: ToleranceResult) -> _Tile | None:
    if not result.effects or result.effects[0].alone.value <= 0.0:
        return None
    first = result.effects[0]
    measure = metric(result.metric)
    return _Tile("matters most", spoken(first.group), f"alone it changes {measure.text(first.alone.value)}")


def _change(measure: Metric, value: float) -> str:
    return ("+" if value > 0.0 else "") + measure.text(value)


def _worst(result: ToleranceResult, folder: Path) -> list[_Worst]:
    measure = metric(result.metric)
    return [
        _Worst(
            rank,
            draw,
            measure.text(draw.metrics[result.metric]),
            _picture(folder, draw.picture) if draw.picture else None,
            tables.draw_table(result, draw),
        )
        for rank, draw in enumerate(result.worst, start=1)
    ]


def _picture(folder: Path, name: str) -> str:
    """A PNG of the result's folder as a data URL, as WebP: a tenth of its size, with no difference that is seen.

    Raises:
        StorageError: it is missing, lies elsewhere, or is no PNG.
    """
    from PIL import Image

    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError
        with Image.open(path, formats=["PNG"]) as picture:
            small = io.BytesIO()
            picture.convert("RGB").save(small, "WEBP", quality=_QUALITY, method=6)
    except (OSError, SyntaxError, ValueError):  # as Pillow tells what is missing, damaged or no PNG
        raise StorageError(
            f"{path}: not a picture of this study",
            expected="a PNG in the result's folder",
            remedy="run the tolerance study again: finished draws are kept",
        ) from None
    return f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"


def _flat(values: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, str]]:
    """Nested JSON values as lines, those that are there: "packages · torch", "2.13.0"."""
    for key, value in values.items():
        name = f"{parent} · {key}" if parent else str(key)
        name = name.replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value))
        elif value is not None:
            yield name, str(value)
