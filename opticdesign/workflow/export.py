"""From a trained run to fabrication files, and back from the files to the phase maps they would give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from opticdesign.data.source import load_split
from opticdesign.design import Design, FilterOptics
from opticdesign.errors import RunError, UsageError
from opticdesign.evaluation import image_scores
from opticdesign.export import ExporterCheck, ExportJob, export_design, exporters, verify_files
from opticdesign.fabrication import FabricationProcess
from opticdesign.manifest import Manifest, load_manifest
from opticdesign.microscope import Microscope
from opticdesign.reconstruction import reconstruct
from opticdesign.run import Run
from opticdesign.system import build_process
from opticdesign.workflow.optimise import TEST_PATCHES, load_trained, patch_set

__all__ = ["Stage", "Verification", "export", "exports_folder", "verify"]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Stage:
    """The test metrics, name → mean over patches, of the masks at one point of the way from design to file."""

    name: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Verification:
    """What reading the files back showed.

    Args:
        checks: one for each exporter.
        stages: float → quantised → read back, one for each exporter that could be read.
        problems: what is wrong beside single files.
        quick: whether the run used the smoke budget.
    """

    checks: tuple[ExporterCheck, ...]
    stages: tuple[Stage, ...]
    problems: tuple[str, ...]
    quick: bool

    @property
    def ok(self) -> bool:
        """Whether everything read back is what was designed."""
        return not self.problems and all(check.ok for check in self.checks)


def exports_folder(run: Run, to: Path | None) -> Path:
    """Where the exports of a run are: `to`, or RUN/exports."""
    return to or run.folder / "exports"


def _levels(microscope: Microscope, process: FabricationProcess) -> Tensor:
    return process.level_of_phase(microscope.optics.phases_rad().cpu())


def _refuse_amplitude(design: Design) -> None:
    """Refuse masks of which a relief, which delays light and absorbs none, would be a part only."""
    if isinstance(design.optics, FilterOptics) and "amplitude" in design.optics.mode:
        raise UsageError(
            f'{design.name}: its filter has a learned amplitude (optics.mode = "{design.optics.mode}"), which height '
            "maps and phase panels do not hold",
            expected='optics.mode = "phase" or "none"',
            remedy="optimise the design with --set optics.mode=phase instead",
        )


def export(run: Run, names: tuple[str, ...], to: Path | None) -> Manifest:
    """Write the trained masks in the named formats, or in all when none is named.

    Raises:
        UsageError: an unfinished run, an unknown format, or a filter with a learned amplitude, which no height holds.
        RunError: a file of the user would be lost.
    """
    _refuse_amplitude(run.design)
    process = build_process(run.design)
    microscope, digest = load_trained(run, _CPU)
    job = ExportJob(
        name=run.design.name,
        levels=_levels(microscope, process).numpy().astype(np.uint8),
        process=process,
        pitch_m=microscope.optics.mask_pitch_m,
        two_pi_grey=run.design.slm.two_pi_grey,
    )
    provenance: dict[str, JsonValue] = {
        "run": run.folder.name,
        "checkpoint_sha256": digest,
        "design_sha256": run.design.digest(),
        "quick": run.quick,
    }
    return export_design(job, names or tuple(exporters()), exports_folder(run, to), provenance)


def verify(run: Run, device: torch.device, to: Path | None) -> Verification:
    """Read every exported file back, compare it with the trained masks, and re-simulate through the decoder.

    Raises:
        UsageError: an unfinished run, or a filter with a learned amplitude, which no file holds.
        RunError: there is no export.
        VerificationError: the manifest is damaged or is of another shape or process.
    """
    _refuse_amplitude(run.design)
    folder = exports_folder(run, to)
    process = build_process(run.design)
    microscope, digest = load_trained(run, device)
    phases = microscope.optics.phases_rad()
    levels = _levels(microscope, process)
    manifest = load_manifest(folder)
    problems = []
    if manifest.provenance.get("checkpoint_sha256") != digest:
        problems.append("manifest.json: these files were exported from another checkpoint than the run's newest")
    if not manifest.exports:
        raise RunError(f"{folder}: the manifest lists no file", expected="exported files", remedy="run export first")
    checks = verify_files(folder, levels.numpy(), process)
    fields, targets = patch_set(load_split(run.design).test, run.design.optics.shape, TEST_PATCHES)

    def measure(name: str, masks_rad: Tensor) -> Stage:
        microscope.optics.set_phases_rad(masks_rad)
        _, images = reconstruct(microscope, fields, None, run.design.training.seed)
        return Stage(name, {key: float(value.double().mean()) for key, value in image_scores(images, targets).items()})

    stages = [measure("float", phases), measure("quantised", process.phase_of_level(levels))]
    for check in checks:
        if check.readback is not None:
            stages.append(measure(f"read back, {check.exporter}", torch.from_numpy(check.readback.phase_rad)))
    return Verification(tuple(checks), tuple(stages), tuple(problems), run.quick)
