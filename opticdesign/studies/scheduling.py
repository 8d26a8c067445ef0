"""The cells of a study in the order in which rows start from each other, in several processes at a time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from opticdesign.design import Design
from opticdesign.errors import StudyStopped
from opticdesign.processes import open_processes
from opticdesign.runs.planning import quick_design
from opticdesign.storage import try_folder
from opticdesign.studies.cells import Cell, Outcome, cell_folder, refuse_changed
from opticdesign.studies.files import study_stem

__all__ = ["StudyOptions", "run_cells", "study_folder", "unstarted_cell"]

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class StudyOptions:
    """Where and how a study is run.

    Args:
        device: where to compute.
        output: the study's folder; left out, runs/studies/<name>, or <name>-quick.
        quick: what the study's [quick] says, at the smoke budget of `optimize --quick`, marked in every result.
        workers: processes that run rows at the same time and share the threads of this one.
        changes: key=value texts for all designs.
    """

    device: torch.device
    output: Path | None = None
    quick: bool = False
    workers: int = 1
    changes: tuple[str, ...] = ()


def study_folder(name: str, options: StudyOptions) -> Path:
    """The folder of a study's runs and tables."""
    return options.output or Path("runs") / "studies" / study_stem(name, options.quick)


def unstarted_cell(
    row: str, seed: int, design: Design, folder: Path, options: StudyOptions, constant: bool = False
) -> Cell:
    """The cell of a row that starts from no other one, at the budget of the options, in its place in the folder."""
    return Cell(
        row=row,
        seed=seed,
        design=quick_design(design) if options.quick else design,
        folder=cell_folder(folder, row, seed),
        start=None,
        constant=constant,
        device=options.device,
        quick=options.quick,
    )


def run_cells(
    cells: Sequence[Cell],
    work: Callable[[Cell, Callable[[], bool]], Outcome],
    workers: int,
    on_news: Callable[[str], None],
    stop_asked: Callable[[], bool],
) -> list[Outcome]:
    """The outcomes of cells, in their order.

    Args:
        cells: rows with seeds, each after the one it starts from.
        work: makes the outcome of a cell, given what tells whether to stop; other processes import it by its name.
        workers: processes that work at the same time and share the threads of this one.
        on_news: hears a line when a cell begins or ends.
        stop_asked: whether the user asked to stop.

    Raises:
        StudyStopped: `stop_asked` became true.
        RunError: a folder holds the run of another design.
        StorageError: their folder cannot be written.
    """
    for cell in cells:
        refuse_changed(cell)
    try_folder(cells[0].folder.parent)
    threads = max(1, torch.get_num_threads() // workers)
    with tempfile.TemporaryDirectory(prefix="opticdesign-") as place, open_processes(workers, threads) as executor:
        sign = Path(place) / "stop"  # what other processes see of a request to stop

        def stopping() -> bool:
            if asked := stop_asked():
                sign.touch()
            return asked

        def submit(cell: Cell) -> Future[Outcome]:
            on_news(f"{cell.row} seed {cell.seed}: {cell.folder}")
            return executor.submit(work, cell, stop_asked if workers == 1 else sign.exists)

        outcomes = _scheduled(cells, workers, submit, on_news, stopping)
    if any(outcome.stopped for outcome in outcomes):
        raise StudyStopped(f"stopped safely in {cells[0].folder.parent}")
    return outcomes


def _scheduled(
    cells: Sequence[Cell],
    most: int,
    submit: Callable[[Cell], Future[Outcome]],
    on_news: Callable[[str], None],
    stopping: Callable[[], bool],
) -> list[Outcome]:
    """The outcomes of cells, at most so many at a time, each after the one it starts from.

    Cells that were not begun when the user asked to stop are stopped, without a word on each. A process that dies takes
    the others with it. Whatever ran then is tried once more, alone, which shows who it was.
    """
    waiting, done = list(cells), dict[tuple[str, int], Outcome]()
    running: dict[Future[Outcome], Cell] = {}
    suspects: set[tuple[str, int]] = set()
    begun = time.monotonic()
    while waiting or running:
        if stopping():
            waiting.clear()
        for cell in [cell for cell in waiting if cell.start is None or (cell.start, cell.seed) in done]:
            alone = any((one.row, one.seed) in suspects for one in (cell, *running.values()))
            if len(running) >= (1 if alone else most):
                break
            waiting.remove(cell)
            running[_begun(cell, done.get((cell.start or "", cell.seed)), submit)] = cell
        finished, _ = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
        for future in finished:
            cell = running.pop(future)
            key = (cell.row, cell.seed)
            if isinstance(future.exception(), BrokenProcessPool) and key not in suspects:
                suspects.add(key)
                waiting.insert(0, cell)
                continue
            done[key] = outcome = _result(future, cell)
            ended = sum(not one.stopped for one in done.values())
            on_news(_news(outcome, ended, len(cells), time.monotonic() - begun))
    return [done.get((cell.row, cell.seed), Outcome(cell.row, cell.seed, stopped=True)) for cell in cells]


def _begun(cell: Cell, before: Outcome | None, submit: Callable[[Cell], Future[Outcome]]) -> Future[Outcome]:
    """The future of a cell; one that cannot begin is over at once."""
    if before is None or before.scores is not None:
        return submit(cell)
    future: Future[Outcome] = Future()
    problem = f"it starts from {before.row}, which failed"
    future.set_result(Outcome(cell.row, cell.seed, problem="" if before.stopped else problem, stopped=before.stopped))
    return future


def _result(future: Future[Outcome], cell: Cell) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        problem = "its process died twice, for want of memory perhaps; the same command tries it again"
        return Outcome(cell.row, cell.seed, problem=problem)


def _news(outcome: Outcome, done: int, total: int, seconds: float) -> str:
    text = f"[{done}/{total}, {seconds / 60:.1f} min] {outcome.row} seed {outcome.seed}: "
    if outcome.scores is None:
        return text + ("stopped" if outcome.stopped else f"failed: {outcome.problem}")
    means = {metric: sum(values) / len(values) for metric, values in outcome.scores.patches.items()}
    return text + f"PSNR {means['psnr_db']:.2f} dB, SSIM {means['ssim']:.3f} on patches"
