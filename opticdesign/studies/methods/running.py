"""Running a study of methods: each network once with each seed, and everything that is not learned with the same data.

OUTPUT/<method>-seed<seed>/  scores and a profile in score.json, beside them the run of a network
OUTPUT/<study>.*             json, csv, md, png
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from opticdesign.data.source import load_split
from opticdesign.decoders.waves import in_radians
from opticdesign.figures.profiles import structured_row
from opticdesign.runs.run_folder import environment
from opticdesign.runs.score import ImageScores, patch_images, patch_scores
from opticdesign.runs.start import load_trained
from opticdesign.studies.cells import Cell, Outcome, attempt, stored, trained_run
from opticdesign.studies.files import refuse_other_files, study_stem, write_study
from opticdesign.studies.methods.figure import draw_methods
from opticdesign.studies.methods.schema import MethodsStudy
from opticdesign.studies.methods.table import MethodsTable, Profile, tabulate_methods
from opticdesign.studies.methods.unlearned import unlearned_images, unlearned_methods
from opticdesign.studies.scheduling import StudyOptions, run_cells, study_folder, unstarted_cell

__all__ = ["MethodOutcome", "run_methods_study"]


@dataclass(frozen=True)
class MethodOutcome(Outcome):
    """What became of a method with one seed.

    Args:
        profile: along a line of the first test patch.
    """

    profile: Profile | None = None


def run_methods_study(
    study: MethodsStudy, options: StudyOptions, on_news: Callable[[str], None], stop_asked: Callable[[], bool]
) -> MethodsTable:
    """Train and score what is not there yet; write the table and the figure.

    A method that fails does not end the others.

    Args:
        study: the study.
        options: where and how.
        on_news: hears a line when a method begins or ends.
        stop_asked: whether the user asked to stop; what is being trained then writes a checkpoint.

    Raises:
        StudyStopped: `stop_asked` became true.
        DesignError: the design has problems.
        RunError: the folder holds runs of other designs, or files of another study.
        StorageError: the disk refused.
    """
    folder = study_folder(study.name, options)
    refuse_other_files(folder, study.kind, study.name, options.quick)
    outcomes = run_cells(list(_cells(study, options)), _outcome, options.workers, on_news, stop_asked)
    found = {(one.row, one.seed): (one.scores, one.profile) for one in outcomes if isinstance(one, MethodOutcome)}
    problems = {(outcome.row, outcome.seed): outcome.problem for outcome in outcomes if outcome.problem}
    table = tabulate_methods(study, options.quick, found, problems)
    facts = environment(str(options.device), torch.get_num_threads())
    write_study(folder, table, {**asdict(table), "environment": facts})
    draw_methods(folder / f"{study_stem(study.name, options.quick)}.png", table)
    return table


def _cells(study: MethodsStudy, options: StudyOptions) -> Iterator[Cell]:
    folder = study_folder(study.name, options)
    rows = [*((name, None) for name in unlearned_methods(study.solvers)), *((one.name, one) for one in study.networks)]
    for name, network in rows:
        for seed in study.seeds_of(options.quick):
            design = study.design_of(network, seed, options.quick, options.changes)
            yield unstarted_cell(name, seed, design, folder, options, network is None)


def _outcome(cell: Cell, stop_asked: Callable[[], bool]) -> Outcome:
    """The outcome of a method: stored scores or new ones."""

    def work() -> Outcome:
        record = stored(cell, None, lambda: _judged(cell, stop_asked))
        profile = Profile(**{name: tuple(values) for name, values in record["profile"].items()})
        return MethodOutcome(cell.row, cell.seed, ImageScores(record["patches"], {}), profile=profile)

    return attempt(cell, work)


def _judged(cell: Cell, stop_asked: Callable[[], bool]) -> dict[str, Any]:
    """Scores of a method on the test patches, and its phase along the most structured row of the first one."""
    checkpoint = None
    if cell.constant:
        images, targets = unlearned_images(cell.row, cell.design, load_split(cell.design), cell.device)
    else:
        microscope, checkpoint = load_trained(trained_run(cell, None, stop_asked), cell.device)
        images, targets = patch_images(microscope, load_split(cell.design).test, cell.design)
    return {
        "checkpoint_sha256": checkpoint,
        "patches": patch_scores(images, targets),
        "profile": asdict(_profile(images[0], targets[0], cell.design.optics.sample_pitch)),
    }


def _profile(image: Tensor, target: Tensor, pitch_m: float) -> Profile:
    row = structured_row(target)
    places = [(column + 0.5) * pitch_m for column in range(target.shape[1])]
    phase, truth = (in_radians(values[row]).tolist() for values in (image, target))
    return Profile(tuple(places), tuple(truth), tuple(phase))
