"""A tolerance study before its first draw: its options, its design, what is judged and how much of everything."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from opticdesign.design import Tolerance
from opticdesign.errors import UsageError
from opticdesign.perturbed.defaults import tolerance_of
from opticdesign.runs.run_data import DATA_CHANGED, check_data, data_facts
from opticdesign.runs.run_folder import Run, changed_run
from opticdesign.storage import json_sha256
from opticdesign.tolerance.running.worker import Request, Subject, load_subject
from opticdesign.tolerance.sensitivity import widths
from opticdesign.tolerance.study import StudyPlan, plan_of

__all__ = ["Prepared", "ToleranceOptions", "prepare"]

_MOST_WORKERS = 16


@dataclass(frozen=True)
class ToleranceOptions:
    """Where and how a study is made.

    Args:
        device: where to compute.
        samples: draws; left out, as many as the design says.
        seed: seed of all draws; left out, the design's.
        workers: processes; left out, one a thread on a CPU, and one on a GPU.
        quick: fewer of everything, marked in the result.
        sobol: base points of Sobol indices, 0 for none.
        memory_gib: memory for judging, in all; left out, what is free.
        scheduler: address of a dask scheduler whose workers compute.
        output: folder of all studies; left out, RUN/tolerance.
        changes: key=value texts that change [tolerance].
        data_changed: whether other data files are taken than the run was trained on.
    """

    device: torch.device
    samples: int | None = None
    seed: int | None = None
    workers: int | None = None
    quick: bool = False
    sobol: int = 0
    memory_gib: float | None = None
    scheduler: str | None = None
    output: Path | None = None
    changes: tuple[str, ...] = ()
    data_changed: bool = False

    @property
    def processes(self) -> int:
        """Processes that compute here; none but this one where a scheduler's do."""
        if self.scheduler is not None:
            return 1
        return self.workers or (1 if self.device.type == "cuda" else min(torch.get_num_threads(), _MOST_WORKERS))


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study before its first draw.

    Args:
        run: the run.
        options: where and how.
        tolerance: its errors, and the judged metric with its limit.
        request: what workers need to know.
        subject: the instrument.
        plan: how much of everything.
        notes: what is to be said about the data files.
        data_changed: whether they are others than the run was trained on.
    """

    run: Run
    options: ToleranceOptions
    tolerance: Tolerance
    request: Request
    subject: Subject
    plan: StudyPlan
    notes: tuple[str, ...] = ()
    data_changed: bool = False

    @property
    def folder(self) -> Path:
        """The study's folder, named by everything that it depends on."""
        facts = {"study": self.subject.key, "plan": asdict(self.plan), "tolerance": json.loads(self.request.tolerance)}
        return (self.options.output or self.run.folder / "tolerance") / json_sha256(facts)[:12]

    @property
    def reaches(self) -> dict[str, float]:
        """How far compensators move at most, metres: twice what a tolerance displaces, and enough to see them work."""
        design, space = self.subject.design, self.subject.space
        widest = {"gap": 0.0, "layer_shift": 0.0}
        for parameter, width in zip(space.parameters, widths(space).tolist(), strict=True):
            if parameter.group in widest:
                widest[parameter.group] = max(widest[parameter.group], width)
        refocus = max(2.0 * widest["gap"], 2.0 * design.light.wavelength)
        # the camera stays behind the last mask
        refocus = min(refocus, 0.9 * max(design.optics.camera_room - widest["gap"], 0.0))
        pixel_m = design.optics.sample_pitch * design.detector.binning
        return {"refocus": refocus, "re-register": max(2.0 * widest["layer_shift"], pixel_m)}

    @property
    def command(self) -> str:
        """The command line of this study."""
        options, output = self.options, self.options.output
        parts = ["opticdesign tolerance", shlex.quote(str(self.run.folder)), f"--samples {self.plan.samples}"]
        parts += [f"--seed {self.plan.seed}", f"--device {self.request.device}"]
        parts += [f"--sobol {self.plan.sobol}"] * bool(self.plan.sobol) + ["--quick"] * options.quick
        parts += [DATA_CHANGED] * options.data_changed
        parts += [f"--set {shlex.quote(change)}" for change in options.changes]
        return " ".join(parts + ([] if output is None else [f"--output {shlex.quote(str(output))}"]))


def prepare(run: Run, options: ToleranceOptions) -> Prepared:
    """Everything before the first draw.

    Raises:
        UsageError: an unfinished run, or options that do not fit.
        DesignError: a change that is wrong.
        RunError: other data files than the run was trained on.
    """
    if options.sobol and (options.sobol < 2 or options.sobol & (options.sobol - 1)):
        raise UsageError(
            f"--sobol {options.sobol}", expected="a power of two, such as 64", remedy="the next larger or smaller one"
        )
    design = changed_run(run, options.changes, "tolerance").design
    tolerance = tolerance_of(design)
    seed = design.training.seed if options.seed is None else options.seed
    memory_gib = None if options.memory_gib is None else options.memory_gib / options.processes
    notes, changed = check_data(run, options.data_changed)
    request = Request(
        str(run.folder.resolve()),
        tolerance.model_dump_json(),
        seed,
        options.device.type,
        memory_gib,
        data=json_sha256(files) if (files := data_facts(run.design)) else "",
        data_changed=options.data_changed,
    )
    plan = plan_of(tolerance, seed, options.samples, options.sobol, options.quick)
    return Prepared(
        run=run,
        options=options,
        tolerance=tolerance,
        request=request,
        subject=load_subject(request),
        plan=plan,
        notes=notes,
        data_changed=changed,
    )
