"""Running a study of transfer: each network once with each seed, then its decoder on the data of every value.

OUTPUT/<network>-seed<seed>/  a run folder, with the scores on every value in transfer.json
OUTPUT/<study>.*              json, csv, md, png
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial

import torch

from opticdesign.data.source import load_split
from opticdesign.design import Design
from opticdesign.errors import StorageError
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.microscope import Microscope
from opticdesign.runs.run_folder import Run, environment
from opticdesign.runs.score import ImageScores, patch_images, patch_scores
from opticdesign.runs.start import load_trained
from opticdesign.storage import read_record, write_record
from opticdesign.studies.cells import Cell, Outcome, attempt, trained_run
from opticdesign.studies.files import refuse_other_files, study_stem, write_study
from opticdesign.studies.scheduling import StudyOptions, run_cells, study_folder, unstarted_cell
from opticdesign.studies.transfer.figure import draw_transfer
from opticdesign.studies.transfer.schema import ADAPTIVE, TransferStudy, network_name
from opticdesign.studies.transfer.table import Scores, TransferTable, tabulate_transfer

__all__ = ["TransferOutcome", "run_transfer_study"]

_SCORES = "transfer.json"


@dataclass(frozen=True)
class TransferOutcome(Outcome):
    """What became of a network with one seed, on the data of every value.

    Args:
        across: value → metric → its value for each test patch.
    """

    across: dict[str, Scores] = field(default_factory=dict)


def run_transfer_study(
    study: TransferStudy, options: StudyOptions, on_news: Callable[[str], None], stop_asked: Callable[[], bool]
) -> TransferTable:
    """Train and score what is not there yet; write the table and the figure.

    A network that fails does not end the others.

    Args:
        study: the study.
        options: where and how.
        on_news: hears a line when a network begins or ends.
        stop_asked: whether the user asked to stop; what is being trained then writes a checkpoint.

    Raises:
        StudyStopped: `stop_asked` became true.
        DesignError: the design has problems.
        RunError: the folder holds runs of other designs, or files of another study.
        StorageError: the disk refused.
    """
    folder = study_folder(study.name, options)
    refuse_other_files(folder, study.kind, study.name, options.quick)
    work = partial(_outcome, study, options.changes)
    outcomes = run_cells(list(_cells(study, options)), work, options.workers, on_news, stop_asked)
    found = {(one.row, one.seed): one.across for one in outcomes if isinstance(one, TransferOutcome)}
    problems = {(outcome.row, outcome.seed): outcome.problem for outcome in outcomes if outcome.problem}
    table = tabulate_transfer(study, options.quick, found, problems)
    facts = environment(str(options.device), torch.get_num_threads())
    write_study(folder, table, {**asdict(table), "environment": facts})
    draw_transfer(folder / f"{study_stem(study.name, options.quick)}.png", table)
    return table


def _cells(study: TransferStudy, options: StudyOptions) -> Iterator[Cell]:
    folder = study_folder(study.name, options)
    rows: list[tuple[str, int | float | str | None]] = [
        (network_name(value), value) for value in study.values_of(options.quick)
    ]
    if study.adaptive:
        rows.append((ADAPTIVE, None))
    for name, value in rows:
        for seed in study.seeds_of(options.quick):
            design = study.design_at(value, seed, options.quick, options.changes)
            yield unstarted_cell(name, seed, design, folder, options)


def _outcome(study: TransferStudy, changes: tuple[str, ...], cell: Cell, stop_asked: Callable[[], bool]) -> Outcome:
    """The outcome of a network: its scores on the data of every value, stored ones or new ones."""

    def work() -> Outcome:
        values = study.values_of(cell.quick)
        data = {str(value): study.design_at(value, cell.seed, cell.quick, changes) for value in values}
        across = _across(trained_run(cell, None, stop_asked), data, cell.device)
        own = [scores for value, scores in across.items() if network_name(value) == cell.row] or [*across.values()]
        patches = {metric: [one for scores in own for one in scores[metric]] for metric in own[0]}
        return TransferOutcome(cell.row, cell.seed, ImageScores(patches, {}), across=across)

    return attempt(cell, work)


def _across(run: Run, data: Mapping[str, Design], device: torch.device) -> dict[str, Scores]:
    """Scores of a run's decoder on the data of designs by their value, each filed as soon as it is there."""
    checkpoint = run.final().sha256
    known = _filed(run, checkpoint)
    for design in data.values():
        if design.digest() not in known:
            known[design.digest()] = _transferred(run, design, device)
            filed = {"format": 1, "quick": run.quick, "checkpoint_sha256": checkpoint, "designs": known}
            write_record(run.folder / _SCORES, filed)
    return {value: known[design.digest()] for value, design in data.items()}


def _filed(run: Run, checkpoint: str) -> dict[str, Scores]:
    """The scores in a run folder by the hash of a design; none where they are of other weights, or damaged."""
    try:
        record = read_record(run.folder / _SCORES)
        return dict(record["designs"]) if record["checkpoint_sha256"] == checkpoint else {}
    except (OSError, StorageError):
        return {}


def _transferred(run: Run, design: Design, device: torch.device) -> Scores:
    """Scores of a run's decoder behind the optics and the camera of a design, on that one's test patches."""
    decoder, other = load_trained(run, device)[0].decoder, build_microscope(design)
    microscope = Microscope(other.optics, other.detector, decoder, other.process, other.precision).to(device)
    return patch_scores(*patch_images(microscope, load_split(design).test, design))
