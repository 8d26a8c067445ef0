"""The files of a tolerance study: result.json, draws.csv and the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from opticdesign.errors import RunError, StorageError
from opticdesign.storage import read_record, write_record, write_text
from opticdesign.tolerance.report import write_report
from opticdesign.tolerance.result import ToleranceResult

__all__ = ["stored_metrics", "write_result"]

_RESULT = "result.json"


def write_result(result: ToleranceResult, folder: Path) -> None:
    """Write a finished study.

    Raises:
        StorageError: the disk refused.
    """
    write_record(folder / _RESULT, asdict(result))
    write_text(folder / "draws.csv", _draws(result))
    write_report(result, folder)


def _draws(result: ToleranceResult) -> str:
    """One line a draw: its number, its parameters in SI units, its metrics."""
    units = {parameter.name: parameter.unit for parameter in result.parameters}
    names = [f"{name} / {unit}" if (unit := units[name]) else name for name in result.draws.values]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["draw", *names, *result.draws.metrics])
    columns = (*result.draws.values.values(), *result.draws.metrics.values())
    writer.writerows(zip(range(result.samples), *columns, strict=True))
    return text.getvalue()


def stored_metrics(folder: Path, index: int, metrics: Iterable[str]) -> dict[str, float]:
    """The metrics of one draw in result.json.

    Raises:
        RunError: no study has been finished there.
        StorageError: the file is damaged.
    """
    path = folder / _RESULT
    if not path.is_file():
        raise RunError(
            f"{folder}: no finished study",
            expected="the options of a study that was finished: samples, seed, device and others",
            remedy="give the same options as for the study, or run it first without --replay",
        )
    try:
        columns = read_record(path)["draws"]["metrics"]
    except StorageError as error:
        raise StorageError(f"{path}: damaged", remedy="run the study again: its draws are kept") from error
    return {name: float(columns[name][index]) for name in metrics}
