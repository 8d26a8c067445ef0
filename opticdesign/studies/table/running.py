"""Running a table study: one run folder for each row and seed, in the order in which rows start from each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from opticdesign.design import Design
from opticdesign.instrument.building import build_optics
from opticdesign.runs.floors import floor_design
from opticdesign.runs.planning import quick_design
from opticdesign.runs.start import check_start
from opticdesign.studies.cells import Cell, Outcome, cell_folder, outcome_of
from opticdesign.studies.files import refuse_other_files
from opticdesign.studies.scheduling import StudyOptions, run_cells, study_folder
from opticdesign.studies.table.schema import StudyRow, TableStudy

__all__ = ["run_study"]


def run_study(
    study: TableStudy, options: StudyOptions, on_news: Callable[[str], None], stop_asked: Callable[[], bool]
) -> list[Outcome]:
    """Train and score every row with every seed; what is there already is kept, what was stopped is resumed.

    A row that fails does not end the others.

    Args:
        study: the study.
        options: where and how.
        on_news: hears a line when a row begins or ends.
        stop_asked: whether the user asked to stop; the rows being trained then write a checkpoint.

    Returns:
        One outcome for each row and seed, in the study's order.

    Raises:
        StudyStopped: `stop_asked` became true.
        DesignError: a design has problems.
        UsageError: a row starts from one whose optics do not fit it; nothing is trained.
        RunError: the folder holds runs of other designs, or files of another study.
    """
    refuse_other_files(study_folder(study.name, options), study.kind, study.name, options.quick)
    cells = list(_cells(study, options))
    _refuse_other_optics(cells)
    return run_cells(cells, outcome_of, options.workers, on_news, stop_asked)


def _cells(study: TableStudy, options: StudyOptions) -> Iterator[Cell]:
    folder = study_folder(study.name, options)
    for row in study.rows:
        for seed in study.seeds_of(options.quick):
            yield Cell(
                row=row.name,
                seed=seed,
                design=_trained_design(study, row, seed, options),
                folder=cell_folder(folder, row.name, seed),
                start=row.start,
                constant=row.floor == "constant",
                device=options.device,
                quick=options.quick,
            )


def _refuse_other_optics(cells: Sequence[Cell]) -> None:
    """Refuse rows that would start from a row whose optics do not fit; those of one seed tell for all."""
    first = {cell.row: cell.design for cell in reversed(cells)}
    starts = {cell.row: cell.start for cell in cells if cell.start is not None}
    for row, start in starts.items():
        ours, theirs = first[row], first[start]
        if (ours.light, ours.optics) != (theirs.light, theirs.optics):
            check_start(build_optics(ours), ours, build_optics(theirs), theirs, f"row {row} is from {start}")


def _trained_design(study: TableStudy, row: StudyRow, seed: int, options: StudyOptions) -> Design:
    design = study.design(row, seed, options.quick, options.changes)
    if row.floor is not None and row.floor != "constant":
        design = floor_design(design, row.floor, seed)
    return quick_design(design) if options.quick else design
