"""The table of a study of transfer: every network on the data of every value, and whether its own is its best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from opticdesign.learning.evaluation import METRICS, SMALL_IS_GOOD, Score, crossed_interval
from opticdesign.studies.files import FAILED, score_cells
from opticdesign.studies.transfer.schema import ADAPTIVE, TransferStudy, network_name

__all__ = ["SHOWN", "Scores", "TransferRow", "TransferTable", "tabulate_transfer"]

Scores: TypeAlias = dict[str, list[float]]
"""Metric → its value for each test patch."""

SHOWN = {"ssim": ("SSIM", 3), "psnr_db": ("PSNR / dB", 1), "mae_rad": ("MAE / rad", 3)}
"""The metrics that are shown: heading, and decimals."""


@dataclass(frozen=True)
class TransferRow:
    """One network.

    Args:
        name: its name, also of its run folders.
        value: what it is trained at, "all" for the adaptive one.
        seeds: the seeds in the means.
        scores: value of the data → metric → mean over seeds and patches with its 95 % interval; empty where every seed
            failed.
        problems: what failed, a line for each seed.
    """

    name: str
    value: str
    seeds: tuple[int, ...]
    scores: dict[str, dict[str, Score]]
    problems: tuple[str, ...]

    @property
    def mark(self) -> Literal["failed", "floor", ""]:
        """What sets the row apart in its table."""
        return "failed" if self.problems else ""


@dataclass(frozen=True)
class TransferTable:
    """The whole table.

    Args:
        name: name of the study.
        quick: whether all rows are from the smoke budget, which is no result.
        key: the key that differs.
        values: its values, one a column.
        patches: test patches of a seed.
        rows: a network for each value, then the adaptive one.
        notes: what the numbers are.
        kind: kind of study.
    """

    name: str
    quick: bool
    key: str
    values: tuple[str, ...]
    patches: int
    rows: tuple[TransferRow, ...]
    notes: tuple[str, ...]
    kind: Literal["transfer"] = "transfer"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""
        return ["trained at", "seeds", *(f"on {value}" for value in self.values)], [
            [row.value, str(len(row.seeds)), *(_cell(row.scores.get(value)) for value in self.values)]
            for row in self.rows
        ]

    def records(self) -> list[dict[str, Any]]:
        """Each network on each value, for programs."""
        return [
            {
                "network": row.name,
                "trained_at": row.value,
                "data": value,
                "seeds": len(row.seeds),
                "patches": self.patches,
                **_columns(row.scores.get(value, {})),
                "quick": self.quick,
                "problems": " | ".join(row.problems),
            }
            for row in self.rows
            for value in self.values
        ]

    def remarks(self) -> dict[str, Sequence[str]]:
        """What is said below the table: what its numbers are, whether the diagonal is best, what failed."""
        failed = [f"{row.name}, {problem}" for row in self.rows for problem in row.problems]
        return {"Notes": self.notes, "The diagonal": list(_diagonal(self)), FAILED: failed}


def tabulate_transfer(
    study: TransferStudy,
    quick: bool,
    found: Mapping[tuple[str, int], Mapping[str, Scores]],
    problems: Mapping[tuple[str, int], str],
) -> TransferTable:
    """The table of a study.

    Args:
        study: the study.
        quick: whether it was run at the smoke budget.
        found: name of a network and seed → value of the data → scores.
        problems: name of a network and seed → why it has none.
    """
    seeds, values = study.seeds_of(quick), tuple(map(str, study.values_of(quick)))
    networks = {network_name(value): value for value in values} | ({ADAPTIVE: "all"} if study.adaptive else {})
    rows = []
    for name, trained in networks.items():
        own = {seed: found[name, seed] for seed in seeds if (name, seed) in found}
        scores = {
            value: {metric: crossed_interval([across[value][metric] for across in own.values()]) for metric in METRICS}
            for value in values
            if own
        }
        failed = tuple(f"seed {seed}: {problems[name, seed]}" for seed in seeds if (name, seed) in problems)
        rows.append(TransferRow(name, trained, tuple(own), scores, failed))
    patches = max((len(scores["ssim"]) for across in found.values() for scores in across.values()), default=0)
    return TransferTable(
        study.name, quick, study.key, values, patches, tuple(rows), tuple(_notes(study.key, seeds, quick, patches))
    )


def _notes(key: str, seeds: Sequence[int], quick: bool, patches: int) -> Iterator[str]:
    if quick:
        yield "quick: smoke budget, no result"
    yield (
        f"a row is a network, trained at one {key} or at all; a column the same test patches seen at one; each cell: "
        f"{' · '.join(heading for heading, _ in SHOWN.values())}"
    )
    many = len(seeds) > 1
    yield f"means over {len(seeds)} seed{'s' * many} and {patches} test patches of each; intervals: .csv and .json"


def _diagonal(table: TransferTable) -> Iterator[str]:
    """Whether each network is best on its own data, and each data read best by its own network; the adaptive beside."""
    matched = {row.value: row for row in table.rows if row.scores and row.name != ADAPTIVE}
    for metric, (heading, digits) in SHOWN.items():
        means = {
            row: {value: score[metric].mean for value, score in one.scores.items()} for row, one in matched.items()
        }
        rows = {row: _best(means[row], metric) for row in means}
        columns = {value: _best({row: means[row][value] for row in means}, metric) for value in means}
        title = heading.partition(" /")[0]
        yield f"{title}: {_told(rows, 'networks are best on their own data', 'is best on')}"
        yield f"{title}: {_told(columns, 'data are read best by their own network', 'is read best by the network of')}"
        for row in table.rows:
            if row.name == ADAPTIVE and row.scores and matched:
                every = {value: score[metric].mean for value, score in row.scores.items()}
                worst = min(every, key=lambda value: every[value] * _sign(metric))
                own = sum(means[value][value] for value in means) / len(means)
                yield (
                    f"{title}: the adaptive network has {sum(every.values()) / len(every):.{digits}f} over all values, "
                    f"at worst {every[worst]:.{digits}f} (on {worst}); networks on their own data {own:.{digits}f}"
                )


def _told(best: Mapping[str, str], what: str, otherwise: str) -> str:
    """How many are their own best, and which are not."""
    others = [f"{name} {otherwise} {found}" for name, found in best.items() if found != name]
    return "; ".join([f"{len(best) - len(others)} of {len(best)} {what}", *others])


def _best(means: Mapping[str, float], metric: str) -> str:
    return max(means, key=lambda name: means[name] * _sign(metric))


def _sign(metric: str) -> float:
    return -1.0 if metric in SMALL_IS_GOOD else 1.0


def _columns(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {column: value for metric in METRICS for column, value in score_cells(metric, scores.get(metric)).items()}


def _cell(scores: Mapping[str, Score] | None) -> str:
    if scores is None:
        return "–"
    return " · ".join(f"{scores[metric].mean:.{digits}f}" for metric, (_, digits) in SHOWN.items())
