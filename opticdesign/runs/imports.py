"""Masks from elsewhere as a run: they stay as they are, and the design's decoder is trained for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from opticdesign.data.source import load_split
from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.handover.importing import ImportJob, read_masks
from opticdesign.handover.said import Said
from opticdesign.handover.source_file import SourceFile
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.microscope import Microscope
from opticdesign.learning.distributed import ALONE
from opticdesign.learning.training import Trainer
from opticdesign.runs.evaluate import fit_power
from opticdesign.runs.export import check_masks
from opticdesign.runs.floors import decoder_stages
from opticdesign.runs.optimise import Progress, finish_run, train_run
from opticdesign.runs.own_files import own_masks
from opticdesign.runs.patches import batch_source
from opticdesign.runs.planning import quick_design
from opticdesign.runs.run_data import data_facts
from opticdesign.runs.run_folder import Run, create_run, environment

__all__ = ["ImportRequest", "import_run"]

Decoder = Literal["trained", "untrained", "none"]


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and how.

    Args:
        files: files of one format, in the order in which light meets their masks.
        design: the design they are masks of.
        device: where to compute.
        output: the run folder exactly; left out, runs/<name>/<time>-<hash>.
        parent: folder of all runs.
        quick: a smoke budget, marked in every result.
        train: whether the decoder is trained.
        said: what the files do not say themselves.
    """

    files: Sequence[Path]
    design: Design
    device: torch.device
    output: Path | None = None
    parent: Path = Path("runs")
    quick: bool = False
    train: bool = True
    said: Said = field(default_factory=Said)


def import_run(request: ImportRequest, on_progress: Callable[[Progress], None], stop_asked: Callable[[], bool]) -> Run:
    """Make a complete run of masks in files; nothing is written before the files have been read and fit.

    Raises:
        DataError: a file cannot be read, or does not fit the design.
        UsageError: the design holds no such masks.
        Stopped: `stop_asked` became true; a checkpoint was written first.
        DivergenceError, RunError, StorageError: as their names say.
    """
    design = quick_design(request.design) if request.quick else request.design
    microscope = build_microscope(design)
    origin = _place_masks(microscope, design, request)
    stages = decoder_stages(design)
    if stages:  # without any, the stages of the design stay there, though nothing runs them
        design = design.model_copy(update={"training": design.training.model_copy(update={"stages": stages})})
    train = request.train and bool(stages)
    decoder: Decoder = "none" if microscope.decoder is None else "trained" if train else "untrained"
    split = load_split(design)
    trainer = Trainer(design, microscope, batch_source(design, split), request.device)
    if microscope.decoder is None:
        fit_power(microscope, design, split)
    facts = environment(str(request.device), torch.get_num_threads())
    info: dict[str, Any] = {"environment": facts, "imported": origin, "decoder": decoder, "data": data_facts(design)}
    info |= {"quick": request.quick, "status": "running"}

    def start(run: Run) -> None:  # so that a run that is stopped early, or killed, is resumed with these masks
        run.save(trainer.state(), vars(trainer.position))

    run = create_run(design, request.output, request.parent, start, **info)
    with run.locked():
        if train:
            train_run(run, trainer, split, ALONE, on_progress, stop_asked)
        finish_run(run, trainer.averaged(), split)
    return run


def _place_masks(microscope: Microscope, design: Design, request: ImportRequest) -> dict[str, Any]:
    """Give a microscope the masks of files; says what they are from."""
    optics = microscope.optics
    check_masks(design)
    if not design.optics.keeps_phase:
        raise UsageError(
            "the phase of these masks is not kept in a run, as it is not learned",
            expected="masks that learn their phase",
            remedy="add --set optics.mode=phase",
        )
    masks, rows, columns = optics.detached_phases().shape
    job = ImportJob(
        files=tuple(SourceFile.read(path) for path in request.files),
        shape=(masks, rows, columns),
        pitch_m=optics.mask_pitch_m,
        process=microscope.process,
        layout=design.export.layout,
        halftone=None if optics.amplitudes() is None else design.export.layout.halftone,
        said=request.said,
    )
    found, importer = own_masks(job) or read_masks(job)
    phases = torch.from_numpy(found.phase_rad)
    optics.check_regular(phases)
    optics.set_phases_rad(phases)
    notes = list(found.notes)
    if found.amplitudes is not None:
        optics.set_amplitudes(torch.from_numpy(found.amplitudes))
    elif job.halftone is not None:
        notes.append("the files hold no amplitude: it is as the design starts")
    tables = [job.said.layers] if job.said.layers else []
    files = [{"name": file.path.name, "sha256": file.sha256} for file in (*job.files, *tables)]
    return {"importer": importer, "files": files, "said": request.said.record(), "notes": notes}
