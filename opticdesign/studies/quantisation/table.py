"""The table of a study of quantisation: what each training loses from float to quantised to read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from opticdesign.learning.evaluation import METRICS, Score, crossed_interval
from opticdesign.studies.files import FAILED, score_cells
from opticdesign.studies.quantisation.schema import FLOAT, QuantisationStudy

__all__ = ["STAGES", "QuantisationRow", "QuantisationTable", "Stages", "tabulate_quantisation"]

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

    @property
    def mark(self) -> Literal["failed", "floor", ""]:
        """What sets the row apart in its table."""
        return "failed" if self.problems else ""


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
        kind: kind of study.
    """

    name: str
    quick: bool
    exporter: str
    patches: int
    rows: tuple[QuantisationRow, ...]
    notes: tuple[str, ...]
    kind: Literal["quantisation"] = "quantisation"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""
        return list(_HEADINGS.values()), [_cells(row) for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows for programs."""
        return [
            {**_record(row, self.patches), "quick": self.quick, "problems": " | ".join(row.problems)}
            for row in self.rows
        ]

    def remarks(self) -> dict[str, Sequence[str]]:
        """What is said below the table: what its numbers are, what failed."""
        failed = dict.fromkeys(f"{row.name}, {problem}" for row in self.rows for problem in row.problems)
        return {"Notes": self.notes, FAILED: list(failed)}


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


def _record(row: QuantisationRow, patches: int) -> dict[str, Any]:
    """What a row has by column."""
    record: dict[str, Any] = {"levels": row.levels, "trained": row.trained, "seeds": len(row.seeds), "patches": patches}
    for stage in STAGES:
        for metric in METRICS:
            score = row.scores[stage][metric] if row.scores else None
            record |= score_cells(f"{stage.replace(' ', '_')}_{metric}", score)
    return record | score_cells("drop_db", row.drop_db) | score_cells("gain_db", row.gain_db)


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
