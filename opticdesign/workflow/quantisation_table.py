"""The table of a study of quantisation: what each training loses from float to quantised to read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from opticdesign.evaluation import METRICS, Score
from opticdesign.quantisation_study import FLOAT, QuantisationStudy
from opticdesign.storage import write_json, write_text
from opticdesign.workflow.study_table import crossed_interval

__all__ = ["STAGES", "QuantisationRow", "QuantisationTable", "Stages", "tabulate_quantisation", "write_table"]

STAGES = ("float", "quantised", "read back")
"""The masks as designed, as the process makes them, and as exported files hold them."""

Stages: TypeAlias = dict[str, dict[str, list[float]]]
"""Stage → metric → value for each test patch."""

_HEADINGS = {
    "levels": "levels",
    "trained": "trained",
    "seeds": "seeds",
    **{f"psnr_{stage}": f"PSNR {stage} / dB" for stage in STAGES},
    "drop": "lost / dB",
    "gain": "over float training / dB",
    "ssim": "SSIM read back",
    "mae": "MAE read back / rad",
}


@dataclass(frozen=True)
class QuantisationRow:
    """One training at one number of levels.

    Args:
        name: name of the training, also of its run folders.
        trained: "float", or how it learned through levels.
        levels: number of levels.
        seeds: the seeds whose runs are in the means.
        scores: stage → metric → mean over seeds and patches with its 95 % interval; empty where every seed failed.
        drop_db: PSNR float less PSNR read back, patch by patch; None where every seed failed.
        gain_db: PSNR read back less that of the float training of the same seed, patch by patch; None for that one.
        problems: what failed, a line for each seed.
    """

    name: str
    trained: str
    levels: int
    seeds: tuple[int, ...]
    scores: dict[str, dict[str, Score]]
    drop_db: Score | None
    gain_db: Score | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class QuantisationTable:
    """The whole table.

    Args:
        name: name of the study.
        quick: whether all rows are smoke runs, which are no result.
        exporter: whose files were read back.
        patches: test patches of a seed.
        rows: few levels before many, the float training first.
        notes: what the numbers are.
    """

    name: str
    quick: bool
    exporter: str
    patches: int
    rows: tuple[QuantisationRow, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether any training failed with any seed."""
        return any(row.problems for row in self.rows)

    def failures(self) -> list[str]:
        """What failed, a line for each training and seed."""
        return list(dict.fromkeys(f"{row.name}, {problem}" for row in self.rows for problem in row.problems))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""
        return list(_HEADINGS.values()), [_cells(row) for row in self.rows]


def tabulate_quantisation(
    study: QuantisationStudy,
    quick: bool,
    found: Mapping[tuple[str, int], Mapping[int, Stages]],
    problems: Mapping[tuple[str, int], str],
) -> QuantisationTable:
    """The table of a study.

    Args:
        study: the study.
        quick: whether it was run at the smoke budget.
        found: name of a training and seed → number of levels → scores.
        problems: name of a training and seed → why it has none.
    """
    seeds = study.seeds_of(quick)
    rows = []
    for name, rounding, counts in study.trainings(quick):
        for levels in counts:
            scored = {seed: found[name, seed][levels] for seed in seeds if levels in found.get((name, seed), {})}
            floats = {seed: found[FLOAT, seed][levels] for seed in scored if levels in found.get((FLOAT, seed), {})}
            failed = tuple(f"seed {seed}: {problems[name, seed]}" for seed in seeds if (name, seed) in problems)
            rows.append(_row((name, rounding), levels, scored, {} if rounding == FLOAT else floats, failed))
    rows.sort(key=lambda row: row.levels)  # stable: the trainings stay in their order
    patches = max((len(stages["float"]["psnr_db"]) for runs in found.values() for stages in runs.values()), default=0)
    notes = tuple(_notes(study, quick, patches))
    return QuantisationTable(study.name, quick, study.format, patches, tuple(rows), notes)


def _row(
    names: tuple[str, str],
    levels: int,
    scored: Mapping[int, Stages],
    floats: Mapping[int, Stages],
    problems: tuple[str, ...],
) -> QuantisationRow:
    """A row of its scores, and of those of the float training, by seed."""
    scores = {
        stage: {metric: crossed_interval([one[stage][metric] for one in scored.values()]) for metric in METRICS}
        for stage in STAGES
        if scored
    }
    read_back = {seed: np.asarray(one["read back"]["psnr_db"]) for seed, one in scored.items()}
    lost = [np.asarray(one["float"]["psnr_db"]) - read_back[seed] for seed, one in scored.items()]
    gained = [read_back[seed] - np.asarray(one["read back"]["psnr_db"]) for seed, one in floats.items()]
    drop, gain = (crossed_interval([one.tolist() for one in each]) if each else None for each in (lost, gained))
    return QuantisationRow(*names, levels, tuple(scored), scores, drop, gain, problems)


def _notes(study: QuantisationStudy, quick: bool, patches: int) -> Iterator[str]:
    if quick:
        yield "quick: smoke budget, no result"
    count = len(study.seeds_of(quick))
    yield (
        f"means over {count} seed{'s' if count > 1 else ''} and {patches} test patches of each "
        f"[95 % interval over {'both' if count > 1 else 'patches only: it says nothing of other seeds'}]"
    )
    yield "trained float: without levels, then rounded to them, its decoder as it is; all trainings have equal steps"
    yield "lost: from float to read back; over float training: at as many levels, both read back; differences by patch"
    yield f"read back: from the files of the exporter {study.format}, which hold the levels as designed"


def _cells(row: QuantisationRow) -> list[str]:
    """What stands in the columns of a row."""
    psnr = [_spread(row.scores[stage]["psnr_db"], 2) if row.scores else "–" for stage in STAGES]
    last = row.scores.get("read back")
    return [
        str(row.levels),
        row.trained,
        str(len(row.seeds)),
        *psnr,
        _spread(row.drop_db, 2),
        _spread(row.gain_db, 2),
        _spread(last["ssim"] if last else None, 3),
        _spread(last["mae_rad"] if last else None, 3),
    ]


def _spread(score: Score | None, digits: int) -> str:
    return "–" if score is None else score.text(digits)


def write_table(folder: Path, table: QuantisationTable, environment: dict[str, Any]) -> None:
    """Write quantisation.json, quantisation.csv and quantisation.md into a folder.

    Raises:
        StorageError: the disk refused.
    """
    write_json(folder / "quantisation.json", {**asdict(table), "environment": environment})
    write_text(folder / "quantisation.csv", _csv(table))
    write_text(folder / "quantisation.md", "\n".join(_markdown(table)) + "\n")


def _csv(table: QuantisationTable) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{stage.replace(' ', '_')}_{metric}" for stage in STAGES for metric in METRICS]
    spread = [f"{column}{end}" for column in (*columns, "drop_db", "gain_db") for end in ("", "_low", "_high")]
    writer.writerow(["levels", "trained", "seeds", "patches", *spread, "quick", "problems"])
    for row in table.rows:
        cells: list[Any] = [row.levels, row.trained, len(row.seeds), table.patches]
        scores = [row.scores[stage][metric] if row.scores else None for stage in STAGES for metric in METRICS]
        for score in (*scores, row.drop_db, row.gain_db):
            cells += ["", "", ""] if score is None else [score.mean, score.low, score.high]
        writer.writerow([*cells, table.quick, " | ".join(row.problems)])
    return text.getvalue()


def _markdown(table: QuantisationTable) -> Iterator[str]:
    headings, rows = table.table()
    yield from (f"# {table.name}", "")
    for cells in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(cells)} |"
    for heading, lines in (("Notes", table.notes), ("Failed", table.failures())):
        if lines:
            yield from ("", f"**{heading}**", "", *(f"- {' '.join(line.split())}" for line in lines))
