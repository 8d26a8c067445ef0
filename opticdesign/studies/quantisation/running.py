"""Running a study of quantisation: each training once with each seed, scored float, quantised and read back from files.

OUTPUT/<training>-seed<seed>/  a run folder, with exports-<levels>/ and the scores in quantisation.json
OUTPUT/<study>.*               json, csv, md, png
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import torch

from opticdesign.errors import StorageError, UsageError, VerificationError
from opticdesign.handover.export import TwoWayExporter, exporters
from opticdesign.runs.export import export, verify
from opticdesign.runs.run_folder import Run, environment
from opticdesign.runs.score import ImageScores
from opticdesign.storage import read_record, write_record
from opticdesign.studies.cells import Cell, Outcome, attempt, trained_run
from opticdesign.studies.files import refuse_other_files, study_stem, write_study
from opticdesign.studies.quantisation.figure import draw_quantisation
from opticdesign.studies.quantisation.schema import FLOAT, QuantisationStudy
from opticdesign.studies.quantisation.table import STAGES, QuantisationTable, Stages, tabulate_quantisation
from opticdesign.studies.scheduling import StudyOptions, run_cells, study_folder, unstarted_cell

__all__ = ["QuantisedOutcome", "run_quantisation_study"]

_SCORES = "quantisation.json"
Levels: TypeAlias = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class QuantisedOutcome(Outcome):
    """What became of a training with one seed, at each number of levels it is judged at.

    Args:
        stages: number of levels → stage → metric → value for each test patch.
    """

    stages: dict[int, Stages] = field(default_factory=dict)


def run_quantisation_study(
    study: QuantisationStudy,
    options: StudyOptions,
    on_news: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> QuantisationTable:
    """Train, export and score what is not there yet; write the table and the figure.

    A training that fails does not end the others.

    Args:
        study: the study.
        options: where and how.
        on_news: hears a line when a training begins or ends.
        stop_asked: whether the user asked to stop; what is being trained then writes a checkpoint.

    Raises:
        StudyStopped: `stop_asked` became true.
        DesignError: the design has problems.
        UsageError: the exporter is unknown.
        RunError: the folder holds runs of other designs, or files of another study.
        StorageError: the disk refused.
    """
    known = [name for name, exporter in exporters().items() if isinstance(exporter, TwoWayExporter)]
    if study.format not in known:
        raise UsageError(f"no exporter {study.format!r} that is read back", expected="one of " + ", ".join(known))
    folder = study_folder(study.name, options)
    refuse_other_files(folder, study.kind, study.name, options.quick)
    levels = {name: counts for name, _, counts in study.trainings(options.quick)}
    cells = list(_cells(study, options))
    outcomes = run_cells(cells, partial(_outcome, levels, study.format), options.workers, on_news, stop_asked)
    found = {(outcome.row, outcome.seed): outcome for outcome in outcomes}
    stages = {key: outcome.stages for key, outcome in found.items() if isinstance(outcome, QuantisedOutcome)}
    problems = {key: outcome.problem for key, outcome in found.items() if outcome.problem}
    table = tabulate_quantisation(study, options.quick, stages, problems)
    facts = environment(str(options.device), torch.get_num_threads())
    write_study(folder, table, {**asdict(table), "environment": facts})
    draw_quantisation(folder / f"{study_stem(study.name, options.quick)}.png", table)
    return table


def _cells(study: QuantisationStudy, options: StudyOptions) -> Iterator[Cell]:
    folder = study_folder(study.name, options)
    for name, rounding, counts in study.trainings(options.quick):
        for seed in study.seeds_of(options.quick):
            levels = None if rounding == FLOAT else counts[0]
            design = study.trained_design(rounding, levels, seed, options.quick, options.changes)
            yield unstarted_cell(name, seed, design, folder, options)


def _outcome(levels: Levels, exporter: str, cell: Cell, stop_asked: Callable[[], bool]) -> Outcome:
    """The outcome of a training: its scores at each number of levels, stored ones or new ones."""

    def work() -> Outcome:
        run = trained_run(cell, None, stop_asked)
        stages = _stages(run, levels[cell.row], exporter, cell.device)
        last = stages[levels[cell.row][-1]][STAGES[-1]]
        return QuantisedOutcome(cell.row, cell.seed, ImageScores(last, {}), stages=stages)

    return attempt(cell, work)


def _stages(run: Run, levels: tuple[int, ...], exporter: str, device: torch.device) -> dict[int, Stages]:
    """The scores of a run at numbers of levels, each filed as soon as it is there."""
    checkpoint = run.final().sha256
    stages = _filed(run, checkpoint, exporter)
    for count in levels:
        if count not in stages:
            stages[count] = _measured(run, count, exporter, device)
            filed = {"format": 1, "quick": run.quick, "checkpoint_sha256": checkpoint, "exporter": exporter}
            write_record(run.folder / _SCORES, {**filed, "levels": {str(key): value for key, value in stages.items()}})
    return {count: stages[count] for count in levels}


def _filed(run: Run, checkpoint: str, exporter: str) -> dict[int, Stages]:
    """The scores in a run folder; none where they are of other weights or files, or damaged."""
    try:
        record = read_record(run.folder / _SCORES)
        if (record["checkpoint_sha256"], record["exporter"]) != (checkpoint, exporter):
            return {}
        return {int(count): {stage: values[stage] for stage in STAGES} for count, values in record["levels"].items()}
    except (OSError, StorageError):
        return {}


def _measured(run: Run, levels: int, exporter: str, device: torch.device) -> Stages:
    """Test metrics of each patch: the masks as designed, at so many levels, and read back from their files.

    Raises:
        VerificationError: what is read back is not what was designed.
    """
    made = run.design.fabrication.model_copy(update={"levels": levels})
    at_levels = replace(run, design=run.design.model_copy(update={"fabrication": made}))
    folder: Path = run.folder / f"exports-{levels}"
    export(at_levels, (exporter,), folder)
    result = verify(at_levels, device, folder)
    if not result.ok:
        problems = [*result.problems, *(line for check in result.checks for line in check.problems)]
        raise VerificationError(f"{folder}: {'; '.join(problems)}", remedy="remove this folder to export again")
    return dict(zip(STAGES, (stage.patches for stage in result.stages), strict=True))
