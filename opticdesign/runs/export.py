"""From a trained run to fabrication files, and back from the files to the phase maps they would give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from opticdesign.data import PatchSet
from opticdesign.design import Design
from opticdesign.errors import RunError, StorageError, UsageError
from opticdesign.handover.export import ExporterCheck, ExportJob, export_design, exporters, verify_files
from opticdesign.handover.manifest import Manifest, load_manifest
from opticdesign.handover.panel import Mounting, Panel, load_panel
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.learning.evaluation import image_scores
from opticdesign.runs.patches import TEST_PATCHES, patch_set
from opticdesign.runs.run_data import run_data
from opticdesign.runs.run_folder import Run
from opticdesign.runs.start import load_trained
from opticdesign.verification.agreement import IndependentModel, independent_models, size_problems, unscaled
from opticdesign.verification.panel import MaskOnPanel, masks_on_panel

__all__ = [
    "AGREE_DB",
    "INDEPENDENT_PATCHES",
    "MaskScores",
    "Verification",
    "check_masks",
    "export",
    "export_job",
    "exports_folder",
    "made_stages",
    "verify",
]

AGREE_DB = 0.2  # between the trained and the independent model
INDEPENDENT_PATCHES = 4

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class MaskScores:
    """The test metrics, name → value for each patch, of the masks at one point of the way from design to file."""

    name: str
    patches: dict[str, list[float]]

    @property
    def metrics(self) -> dict[str, float]:
        """The means over patches."""
        return {metric: fmean(values) for metric, values in self.patches.items()}


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What reading the files back showed.

    Args:
        checks: one for each exporter.
        stages: float → quantised → read back, one for each exporter that could be read.
        problems: what is wrong beside single files, and masks of another size than the optics'.
        quick: whether the run used the smoke budget.
        independent: what an independent model says of the masks that were read.
        panels: how well a panel shows each mask, where whole frames of one were read.
        notes: what was taken for granted.
        data_changed: whether the data files are others than the run was trained on, as was asked for.
    """

    checks: tuple[ExporterCheck, ...]
    stages: tuple[MaskScores, ...]
    problems: tuple[str, ...]
    quick: bool
    independent: tuple[IndependentModel, ...] = ()
    panels: tuple[MaskOnPanel, ...] = ()
    notes: tuple[str, ...] = ()
    data_changed: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything read back is what was designed."""
        return not self.problems and all(check.ok for check in self.checks)


def exports_folder(run: Run, to: Path | None) -> Path:
    """Where the exports of a run are: `to`, or RUN/exports."""
    return to or run.folder / "exports"


def _levels(microscope: Microscope) -> Tensor:
    return microscope.process.level_of_phase(microscope.optics.detached_phases().cpu())


def _openings(microscope: Microscope, halftone: int) -> Tensor | None:
    """Open cells of each pixel of masks that absorb, int64 (layers, y, x)."""
    amplitudes = microscope.optics.amplitudes()
    return None if amplitudes is None else torch.round(amplitudes.cpu().double() * halftone**2).to(torch.int64)


def check_masks(design: Design) -> None:
    """Refuse a design whose optics have no mask.

    Raises:
        UsageError: it has none.
    """
    if design.optics.masks == 0:
        raise UsageError(
            f"{design.name}: there is no mask to make",
            expected="optics with a mask",
            remedy=design.optics.way_to_masks,
        )


def export_job(run: Run, panel: Panel | None = None, mounting: Mounting | None = None) -> tuple[ExportJob, str]:
    """The trained masks of a run as they are to be made, and the SHA-256 of the checkpoint they are from.

    Args:
        run: a complete run.
        panel: for which whole frames are made.
        mounting: how masks lie on it.

    Raises:
        UsageError: an unfinished run, no masks, or masks that no format can hold.
    """
    check_masks(run.design)
    microscope, digest = load_trained(run, _CPU)
    process, spec = microscope.process, run.design.export
    openings = _openings(microscope, spec.layout.halftone)
    job = ExportJob(
        name=run.design.name,
        levels=_levels(microscope).numpy().astype(np.uint8),
        process=process,
        pitch_m=microscope.optics.mask_pitch_m,
        two_pi_grey=run.design.slm.two_pi_grey,
        openings=None if openings is None else openings.numpy().astype(np.uint16),
        spec=spec,
        panel=panel,
        mounting=mounting or Mounting(),
    )
    return job, digest


def export(
    run: Run,
    names: tuple[str, ...],
    to: Path | None,
    panel: str | None = None,
    mounting: Mounting | None = None,
) -> Manifest:
    """Write the trained masks in the named formats, or in the usual ones when none is named.

    Args:
        run: a complete run.
        names: of formats.
        to: the export folder; RUN/exports when left out.
        panel: the profile of a panel, a file or a shipped name, for which `slm` writes whole frames.
        mounting: how masks lie on it.

    Raises:
        UsageError: an unfinished run, no masks, an unknown format, or one that cannot hold these masks.
        DesignError: a profile that cannot be used.
        RunError: another process works in the run folder, or a file of the user would be lost.
    """
    chosen = names or tuple(name for name, exporter in exporters().items() if exporter.usual)
    shown_on = None if panel is None else load_panel(panel, run.design.light.wavelength)
    with ExitStack() as held:
        try:
            held.enter_context(run.locked())
        except StorageError:
            if to is None:
                raise
            # a run that cannot be written is only read, and no one changes it
        job, digest = export_job(run, shown_on, mounting)
        provenance: dict[str, JsonValue] = {
            "run": run.folder.name,
            "checkpoint_sha256": digest,
            "design_sha256": run.info["design_sha256"],
            "quick": run.quick,
        }
        return export_design(job, chosen, exports_folder(run, to), provenance)


def made_stages(
    run: Run,
    device: torch.device,
    patches: int = TEST_PATCHES,
    data_changed: bool = False,
    accuracy: float | None = None,
) -> tuple[MaskScores, MaskScores]:
    """The trained masks as they are, and as they are to be made, on at most so many test patches.

    Arguments are those of `verify`.

    Raises:
        UsageError: an unfinished run.
        RunError: other data files than it was trained on, unless `data_changed` says so.
    """
    microscope, _ = load_trained(run, device, accuracy)
    phases, amplitudes = microscope.optics.detached_phases(), microscope.optics.amplitudes()
    halftone = run.design.export.layout.halftone
    openings = _openings(microscope, halftone)
    fields = run_data(run, data_changed).split.test
    measure = _measurement(run, microscope, patch_set(fields, run.design, patches))
    made = None if openings is None else (openings / halftone**2).float()
    quantised = microscope.process.phase_of_level(_levels(microscope))
    return measure("float", phases, amplitudes), measure("quantised", quantised, made)


def _measurement(
    run: Run, microscope: Microscope, shown: PatchSet
) -> Callable[[str, Tensor, Tensor | None], MaskScores]:
    """What makes a stage of its name, phases and amplitudes on test patches of a run."""

    def measure(name: str, masks_rad: Tensor, amplitudes: Tensor | None) -> MaskScores:
        microscope.optics.set_phases_rad(masks_rad)
        if amplitudes is not None:
            microscope.optics.set_amplitudes(amplitudes)
        _, images = reconstruct(microscope, shown.fields, None, run.design.training.seed)
        return MaskScores(name, {key: value.tolist() for key, value in image_scores(images, shown.targets).items()})

    return measure


def verify(
    run: Run,
    device: torch.device,
    to: Path | None,
    patches: int = TEST_PATCHES,
    *,
    independent: int = INDEPENDENT_PATCHES,
    agree_db: float = AGREE_DB,
    data_changed: bool = False,
    accuracy: float | None = None,
) -> Verification:
    """Read every exported file back, compare it with the trained masks, and re-simulate through the decoder.

    What was read is also simulated by an instrument that shares nothing with the one that was trained.

    Args:
        run: a complete run.
        device: where to simulate.
        to: the export folder; RUN/exports when left out.
        patches: most test patches to simulate.
        independent: most of them that the independent model looks at; none leaves it out.
        agree_db: by how much its mean PSNR may differ.
        data_changed: whether other data files are taken than the run was trained on.
        accuracy: of the optics' reading; left out, the design's.

    Raises:
        UsageError: an unfinished run, or no masks.
        RunError: there is no export, or the data files are others.
        VerificationError: the manifest is damaged or is of another shape or process.
    """
    check_masks(run.design)
    folder = exports_folder(run, to)
    microscope, digest = load_trained(run, device, accuracy)
    process, phases, levels = microscope.process, microscope.optics.detached_phases(), _levels(microscope)
    manifest = load_manifest(folder)
    halftone = manifest.halftone or run.design.export.layout.halftone
    amplitudes, openings = microscope.optics.amplitudes(), _openings(microscope, halftone)
    problems = []
    if manifest.provenance.get("checkpoint_sha256") != digest:
        problems.append("manifest.json: these files were exported from another checkpoint than the run's newest")
    if not manifest.exports:
        raise RunError(f"{folder}: the manifest lists no file", expected="exported files", remedy="run export first")
    checks = verify_files(folder, levels.numpy(), process, None if openings is None else openings.numpy())
    if openings is not None and all(check.readback is None or check.readback.openings is None for check in checks):
        problems.append("manifest.json: no exported file holds the learned amplitude; export a layout (--gds) as well")
    if all(check.one_way for check in checks):
        problems.append("manifest.json: no exported format is ever read back; export one that is as well (--gds)")
    data = run_data(run, data_changed)
    measure = _measurement(run, microscope, patch_set(data.split.test, run.design, patches))
    made = None if openings is None else (openings / halftone**2).float()
    stages = [measure("float", phases, amplitudes), measure("quantised", process.phase_of_level(levels), made)]
    for check in checks:
        if (found := check.readback) is not None:
            # a format of heights alone goes with the chrome as designed
            read = made if found.openings is None else torch.from_numpy(found.openings / halftone**2).float()
            stages.append(measure(f"read back, {check.exporter}", torch.from_numpy(found.phase_rad), read))
    shares = torch.ones(levels.shape) if made is None else made
    transmissions = torch.polar(shares, process.phase_of_level(levels)).numpy()
    panels = [
        shown
        for check in checks
        if check.readback is not None and check.readback.frames is not None
        for shown in masks_on_panel(check.readback.frames, transmissions)
    ]
    problems += size_problems(run.design, checks)
    one_way = [check for check in checks if check.one_way]
    notes = [
        *data.notes,
        *(f"{check.exporter}: a format that is never read back; only its hashes were compared" for check in one_way),
        *(f"{name}: no size was read, the design's is taken" for name in unscaled(checks)),
    ]
    opinions: list[IndependentModel] = []
    if independent > 0:
        shown = patch_set(data.split.test, run.design, independent)
        try:
            opinions += independent_models(run.design, microscope, checks, made, halftone, shown)
        except UsageError as error:
            notes.append(f"no independent model: {error.message}")
    problems += filter(None, (opinion.problem(agree_db) for opinion in opinions))
    return Verification(
        checks=tuple(checks),
        stages=tuple(stages),
        problems=tuple(problems),
        quick=run.quick,
        independent=tuple(opinions),
        panels=tuple(panels),
        notes=tuple(notes),
        data_changed=data.changed,
    )
