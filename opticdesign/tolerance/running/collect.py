"""The result of a tolerance study put together: what was found, the way to it, and where it is from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from opticdesign.design import Design
from opticdesign.errors import RunError, VerificationError
from opticdesign.formatting import quantity_text
from opticdesign.handover.manifest import MANIFEST_NAME
from opticdesign.perturbed.space import Pattern, Space
from opticdesign.runs.export import MaskScores, exports_folder, made_stages, verify
from opticdesign.runs.run_folder import environment
from opticdesign.tolerance.result import Findings, ParameterFacts, StageMetrics, ToleranceResult
from opticdesign.tolerance.runner import SHARD_POINTS
from opticdesign.tolerance.running.plan import Prepared
from opticdesign.tolerance.running.worker import study_accuracy
from opticdesign.tolerance.summary import worst_end

__all__ = ["result_of", "stages_of"]


def stages_of(prepared: Prepared) -> tuple[StageMetrics, ...]:
    """Float, quantised and, where there are exports, read back, on the images of the study by its instrument."""
    run, device, images = prepared.run, prepared.options.device, prepared.tolerance.images
    changed, accuracy = prepared.options.data_changed, study_accuracy(run.design)
    note = "not exported"
    if (exports_folder(run, None) / MANIFEST_NAME).is_file():
        try:
            found = verify(run, device, None, images, data_changed=changed, accuracy=accuracy)
        except (RunError, VerificationError) as error:
            note = error.message
        else:
            problems = "; ".join((*found.problems, *(line for check in found.checks for line in check.problems)))
            if any(check.readback for check in found.checks):
                named = ((stage, problems if stage.name.startswith("read back") else "") for stage in found.stages)
                return tuple(_stage(*one) for one in named)
            note = problems
    return (*map(_stage, made_stages(run, device, images, changed, accuracy)), StageMetrics("read back", {}, note))


def _stage(stage: MaskScores, note: str = "") -> StageMetrics:
    return StageMetrics(stage.name, stage.metrics, note)


def result_of(
    prepared: Prepared, stages: Sequence[StageMetrics], findings: Findings, seconds: float
) -> ToleranceResult:
    """The whole result.

    Args:
        prepared: the study.
        stages: of the way from design to files.
        findings: from the draws.
        seconds: that it took.
    """
    subject, plan, run = prepared.subject, prepared.plan, prepared.run
    found = vars(findings) | {"notes": (*prepared.notes, *findings.notes, *_start_note(subject.design))}
    return ToleranceResult(
        name=subject.design.name,
        metric=prepared.tolerance.metric,
        samples=plan.samples,
        images=subject.bench.images,
        seed=plan.seed,
        sampler=plan.sampler,
        quick=run.quick or prepared.options.quick,
        parameters=_facts(subject.space),
        fields={pattern.name: _pattern_text(pattern) for pattern in subject.space.patterns},
        stages=(*stages, *_spread_stages(findings)),
        provenance=_provenance(prepared, seconds),
        **found,
    )


def _start_note(design: Design) -> Iterator[str]:
    if design.optics.absorbs:
        yield (
            "Draws are around masks whose amplitude is as learned; quantised and read back masks have it in the cells "
            "of export.layout.halftone."
        )


def _facts(space: Space) -> tuple[ParameterFacts, ...]:
    low, high = space.values(np.repeat([[0.025], [0.975]], len(space.names), axis=1))
    return tuple(
        ParameterFacts(
            name=one.name,
            group=one.group,
            unit=one.unit,
            nominal=one.nominal,
            low=float(low[at]),
            high=float(high[at]),
            distribution=one.distribution,
        )
        for at, one in enumerate(space.parameters)
    )


def _pattern_text(pattern: Pattern) -> str:
    text = f"σ = {quantity_text(pattern.sigma, pattern.unit)}"
    return f"{text}, correlated over {quantity_text(pattern.correlation, 'm')}" if pattern.correlation else text


def _spread_stages(findings: Findings) -> Iterator[StageMetrics]:
    summaries = findings.summaries
    yield StageMetrics("Monte Carlo, mean", {name: found.mean.value for name, found in summaries.items()})
    worse = {name: found.percentiles[str(worst_end(name))].value for name, found in summaries.items()}
    yield StageMetrics("Monte Carlo, worst 5 %", worse)


def _provenance(prepared: Prepared, seconds: float) -> dict[str, Any]:
    options = prepared.options
    return {
        "command": prepared.command,
        "run": prepared.run.folder.name,
        "design_sha256": prepared.run.design.digest(),
        "checkpoint_sha256": prepared.subject.checkpoint,
        "study_sha256": prepared.subject.key,
        "plan": asdict(prepared.plan),
        "tolerance": json.loads(prepared.request.tolerance),
        "points_in_a_shard": SHARD_POINTS,
        "scheduler": options.scheduler is not None,
        "data_changed": prepared.data_changed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        **environment(str(options.device), 1, options.processes),
    }
