"""The table of a study of methods: how well each finds the phase, and which networks beat what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from opticdesign.learning.evaluation import METRICS, Score, crossed_interval, verdict
from opticdesign.runs.score import ImageScores
from opticdesign.studies.files import FAILED, score_cells
from opticdesign.studies.methods.schema import MethodsStudy
from opticdesign.studies.methods.unlearned import unlearned_methods

__all__ = ["COLUMNS", "MethodRow", "MethodsTable", "Profile", "tabulate_methods"]

COLUMNS = {
    "ssim": "SSIM",
    "psnr_db": "PSNR / dB",
    "mae_rad": "MAE / rad",
    "mae_free_rad": "MAE, offset removed / rad",
}
"""The metrics that are shown, and their headings."""


@dataclass(frozen=True)
class Profile:
    """Phase along a row of an image.

    Args:
        place_m: place of each sample from the left edge, metres.
        true_rad: the true phase there, radians.
        phase_rad: the phase that was found.
    """

    place_m: tuple[float, ...]
    true_rad: tuple[float, ...]
    phase_rad: tuple[float, ...]


Found: TypeAlias = Mapping[tuple[str, int], tuple[ImageScores | None, Profile | None]]
"""Method and seed → its scores, and a profile."""


@dataclass(frozen=True)
class MethodRow:
    """One method.

    Args:
        name: its name, also of its folders.
        title: what it is.
        learned: whether it is a network.
        seeds: the seeds in the means.
        scores: metric → mean over seeds and patches with its 95 % interval; empty where every seed failed.
        profile: of its first seed; None where that failed.
        problems: what failed, a line for each seed.
    """

    name: str
    title: str
    learned: bool
    seeds: tuple[int, ...]
    scores: dict[str, Score]
    profile: Profile | None
    problems: tuple[str, ...]

    @property
    def mark(self) -> Literal["failed", "floor", ""]:
        """What sets the row apart in its table."""
        return "failed" if self.problems else "" if self.learned else "floor"


@dataclass(frozen=True)
class MethodsTable:
    """The whole table.

    Args:
        name: name of the study.
        quick: whether all rows are from the smoke budget, which is no result.
        patches: test patches of a seed.
        rows: what is not learned before the networks.
        notes: what the numbers are.
        kind: kind of study.
    """

    name: str
    quick: bool
    patches: int
    rows: tuple[MethodRow, ...]
    notes: tuple[str, ...]
    kind: Literal["methods"] = "methods"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the cells of each row, as text."""
        return ["method", "what", "seeds", *COLUMNS.values()], [_cells(row) for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows for programs."""
        return [_record(row, self.patches, self.quick) for row in self.rows]

    def remarks(self) -> dict[str, Sequence[str]]:
        """What is said below the table: what its numbers are, which networks beat what, what failed."""
        failed = [f"{row.name}, {problem}" for row in self.rows for problem in row.problems]
        return {"Notes": self.notes, "Networks beside the others": list(_claims(self.rows)), FAILED: failed}


def tabulate_methods(
    study: MethodsStudy, quick: bool, found: Found, problems: Mapping[tuple[str, int], str]
) -> MethodsTable:
    """The table of a study.

    Args:
        study: the study.
        quick: whether it was run at the smoke budget.
        found: what became of each method with each seed.
        problems: method and seed → why it has no scores.
    """
    seeds, networks = study.seeds_of(quick), {one.name: one.title or one.name for one in study.networks}
    rows = []
    for name, title in {**unlearned_methods(study.solvers), **networks}.items():
        judged = [(seed, found.get((name, seed), (None, None))[0]) for seed in seeds]
        own = {seed: images.patches for seed, images in judged if images is not None}
        scores = {metric: crossed_interval([one[metric] for one in own.values()]) for metric in METRICS if own}
        failed = tuple(f"seed {seed}: {problems[name, seed]}" for seed in seeds if (name, seed) in problems)
        profile = found.get((name, seeds[0]), (None, None))[1]
        rows.append(MethodRow(name, title, name in networks, tuple(own), scores, profile, failed))
    patches = max((len(scores.patches["ssim"]) for scores, _ in found.values() if scores), default=0)
    return MethodsTable(study.name, quick, patches, tuple(rows), tuple(_notes(seeds, quick, patches)))


def _notes(seeds: Sequence[int], quick: bool, patches: int) -> Iterator[str]:
    if quick:
        yield "quick: smoke budget, no result"
    many = len(seeds) > 1
    yield (
        f"means over {len(seeds)} seed{'s' * many} and {patches} test patches of each "
        f"[95 % interval over {'both' if many else 'patches only: it says nothing of other seeds'}]"
    )
    yield "TIE: frames as far before focus as behind, each patch by itself; it is given the true mean of each image"
    yield "full resolution: a pixel for each sample of the phase, with its share of the light and the noise"


def _claims(rows: Sequence[MethodRow]) -> Iterator[str]:
    """How the interval of each network lies beside those of all other methods, a line for each network and metric."""
    for row in rows:
        if not (row.learned and row.scores):
            continue
        for metric, heading in COLUMNS.items():
            said: dict[str, list[str]] = {}
            for other in rows:
                if other is not row and other.scores:
                    said.setdefault(verdict(row.scores[metric], other.scores[metric], metric), []).append(other.name)
            text = "; ".join(f"{word} {', '.join(names)}" for word, names in said.items())
            yield f"{row.name}, {heading.partition(' /')[0]}: {text}"


def _record(row: MethodRow, patches: int, quick: bool) -> dict[str, Any]:
    """What a row has by column."""
    record: dict[str, Any] = {"method": row.name, "title": row.title, "learned": row.learned}
    record |= {"seeds": len(row.seeds), "patches": patches}
    for metric in METRICS:
        record |= score_cells(metric, row.scores.get(metric))
    return record | {"quick": quick, "problems": " | ".join(row.problems)}


def _cells(row: MethodRow) -> list[str]:
    """What stands in the columns of a row."""
    texts = [row.scores[metric].text(2 if metric == "psnr_db" else 3) if row.scores else "–" for metric in COLUMNS]
    return [row.name, row.title, str(len(row.seeds)), *texts]
