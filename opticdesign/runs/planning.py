"""What an optimisation will take, and designs at a smaller budget."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from opticdesign.data.source import load_split
from opticdesign.design import Design
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.learning.schedule import legs_of
from opticdesign.learning.training import Trainer
from opticdesign.runs.patches import VALIDATION_PATCHES, batch_source, patch_set
from opticdesign.runs.start import take_over_run

__all__ = ["VALIDATIONS_PER_STAGE", "Plan", "plan_optimisation", "quick_design"]

VALIDATIONS_PER_STAGE = 4


@dataclass(frozen=True)
class Plan:
    """What an optimisation will take, from two timed steps of each stage.

    Args:
        seconds: expected time of training and validation.
        peak_bytes: most memory held while the steps were timed.
        disk_bytes: expected size of the run folder.
        files: what the run folder will hold.
        parameters: trainable numbers by part.
    """

    seconds: float
    peak_bytes: int
    disk_bytes: int
    files: tuple[str, ...]
    parameters: dict[str, int]


def quick_design(design: Design) -> Design:
    """The same design at a smoke budget: few steps of two patches, to see the path work, not to get results."""
    return _with_budget(design, steps=12, batch=2)


def _with_budget(design: Design, steps: int, batch: int) -> Design:
    """The design with at most that many steps a leg of each stage and patches a step."""
    training = design.training
    stages = {}
    for name, stage in training.stages.items():
        joint = None if stage.joint_steps is None else min(stage.joint_steps, steps)
        stages[name] = stage.model_copy(update={"steps": min(stage.steps, steps), "joint_steps": joint})
    update = {"stages": stages, "batch": min(training.batch, batch)}
    return design.model_copy(update={"training": training.model_copy(update=update)})


def plan_optimisation(design: Design, device: torch.device, start_from: Path | None = None) -> Plan:
    """Time two steps of each stage and add up; writes nothing.

    Args:
        design: what would be trained.
        device: where to compute.
        start_from: folder of the run that it would start with.

    Raises:
        UsageError: that run is not complete, or its optics do not fit.
    """
    import resource

    split = load_split(design)
    microscope = build_microscope(design)
    if start_from is not None:
        take_over_run(start_from, design, microscope)
    short = _with_budget(design, steps=2, batch=design.training.batch)
    took: dict[str, float] = {}
    start = time.perf_counter()
    for report in Trainer(short, microscope, batch_source(design, split), device).steps():
        took[report.stage] = time.perf_counter() - start  # the second step overwrites the first, which warms up
        start = time.perf_counter()
    legs = legs_of(design)
    fields = patch_set(split.val, design, VALIDATION_PATCHES).fields
    start = time.perf_counter()
    reconstruct(microscope, fields, microscope.process, design.training.seed)
    validation = (time.perf_counter() - start) * VALIDATIONS_PER_STAGE * len(took)
    parts: dict[str, torch.nn.Module | None] = {"optics": microscope.optics, "decoder": microscope.decoder}
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items() if part is not None}
    on_gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Plan(
        seconds=validation + sum(took[leg.name] * leg.stage.steps for leg in legs),
        peak_bytes=peak,
        # two checkpoints of float32 weights and two moments each, and some figures
        disk_bytes=2 * 3 * 4 * sum(parameters.values()) + 2_000_000,
        files=("design.toml", "run.json", "metrics.jsonl", "metrics.csv", "checkpoints/", "figures/"),
        parameters=parameters,
    )
