"""The design-rule check of a run's masks as they are exported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.design import Layout
from opticdesign.fabrication.design_rules import RULES, Finding, Limits, Rule, ShapeClass, check_rules
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob
from opticdesign.runs.export import export_job
from opticdesign.runs.run_folder import Run
from opticdesign.units import format_length

__all__ = ["PLACED", "RuleCheck", "RuleRow", "check_design_rules", "shape_classes"]

PLACED = 500  # violations that are placed, of each rule on each class of shapes of a mask: random masks have millions

_NARROW = (
    "larger neurons (optics.pitch), a stage with `feature`, or fabrication.min_feature as the process really has it"
)
_REMEDIES: dict[Rule, str] = {
    "width": _NARROW,
    "gap": _NARROW,
    "area": _NARROW,
    "corner": "a stage with `variation` leaves fewer of them; ask the fab what becomes of corners that touch",
    "aspect": "larger neurons (optics.pitch), or fabrication.max_aspect_ratio as the process really has it",
}


@dataclass(frozen=True)
class RuleRow:
    """One rule on one mask layer, whatever the class of shapes.

    Args:
        rule: which rule.
        layer: number of the mask layer, from 1.
        limit: what is allowed.
        total: number of violations.
        worst: the worst value that was met, and None where there was nothing to measure.
        first: row and column of the first violation in reading order, and its class of shapes.
    """

    rule: Rule
    layer: int
    limit: float
    total: int
    worst: float | None
    first: tuple[int, int, str] | None


@dataclass(frozen=True)
class RuleCheck:
    """What the check found.

    Args:
        job: what was checked.
        limits: what the process can make.
        findings: number of a mask layer, from 1, and what one rule found on one class of its shapes.
        quick: whether the run used the smoke budget.
        notes: what was left out.
    """

    job: ExportJob
    limits: Limits
    findings: tuple[tuple[int, Finding], ...]
    quick: bool
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not any(finding.total for _, finding in self.findings)

    def remedies(self) -> Iterator[str]:
        """What can be done about each rule that is broken, a line for all that share it."""
        broken = {finding.rule for _, finding in self.findings if finding.total}
        for remedy in dict.fromkeys(_REMEDIES.values()):
            if rules := [rule for rule in RULES if rule in broken and _REMEDIES[rule] == remedy]:
                yield f"{', '.join(rules)}: {remedy}"

    def rows(self) -> Iterator[RuleRow]:
        """Every rule on every mask layer."""
        for rule in RULES:
            for layer in range(1, len(self.job.levels) + 1):
                yield _row(rule, layer, [found for at, found in self.findings if (at, found.rule) == (layer, rule)])


def _row(rule: Rule, layer: int, findings: list[Finding]) -> RuleRow:
    worst = [finding.worst for finding in findings if finding.worst is not None]
    places = [(*finding.boxes[0, [0, 2]].tolist(), finding.shapes) for finding in findings if finding.total]
    pick = max if rule == "aspect" else min
    total = sum(finding.total for finding in findings)
    return RuleRow(rule, layer, findings[0].limit, total, pick(worst, default=None), min(places, default=None))


def check_design_rules(run: Run, min_feature_m: float | None = None) -> RuleCheck:
    """Check the masks of a complete run against what its process can make.

    Args:
        run: a complete run.
        min_feature_m: smallest width and gap in metres, instead of the design's.

    Raises:
        UsageError: an unfinished run, no masks, or masks that the layout cannot hold.
    """
    made = run.design.fabrication
    limits = Limits(made.min_feature if min_feature_m is None else min_feature_m, made.max_aspect_ratio)
    job, _ = export_job(run)
    findings = [
        (layer, finding)
        for layer, levels in enumerate(job.levels, start=1)
        for shapes in shape_classes(levels, job.process, job.spec.layout)
        for finding in check_rules(shapes, job.pitch_m, limits, PLACED)
    ]
    return RuleCheck(job, limits, tuple(findings), run.quick, tuple(_notes(job)))


def shape_classes(levels: npt.NDArray[np.uint8], process: FabricationProcess, layout: Layout) -> Iterator[ShapeClass]:
    """The classes of shapes that a layout draws of one mask (rows, columns), and last what it leaves free.

    Raises:
        UsageError: bits of levels that are not equally spaced.
    """
    keep = layout.tone == "keep"
    if layout.kind == "levels":
        heights_m = process.height_of_level(torch.arange(process.levels)).numpy()
        free = 0 if keep else process.levels - 1
        order = sorted(range(process.levels), key=lambda level: level == free)
        for level in order:
            yield ShapeClass(f"level_{level}", levels, level, heights_m, ground=free, drawn=level != free)
        return
    bits = (process.levels - 1).bit_length()
    for bit in range(bits):  # the deepest etch first, as exported
        place = bits - 1 - bit
        plane, heights_m = (levels >> place) & 1, np.array([0.0, process.step_height_m * 2**place])
        for drawn in (True, False):
            own = int(drawn == keep)
            name = f"bit_{bit}" if drawn else f"bit_{bit}_free"
            yield ShapeClass(name, plane, own, heights_m, ground=int(not keep), drawn=drawn)


def _notes(job: ExportJob) -> Iterator[str]:
    yield f"all violations are counted; the files say where the first {PLACED} are, of each rule on each level or bit"
    yield "marks, labels and frame are not checked"
    if job.openings is not None:
        cell = format_length(min(job.pitch_m) / job.spec.layout.halftone)
        yield f"the chrome layers are not checked: their cells are {cell} wide"
