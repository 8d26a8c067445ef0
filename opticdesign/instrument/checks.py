"""What a design promises physics and process: each check gives a number, its limit and a remedy.

The family of a design's optics says which checks there are; here are those that any kind may want.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from itertools import pairwise

import torch

from opticdesign.design import Design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.building import build_process, medium_wavelength_m, object_margin
from opticdesign.instrument.check import Check, graded
from opticdesign.instrument.family import family_of
from opticdesign.units import format_length

__all__ = [
    "blazed_efficiency",
    "camera_check",
    "check_design",
    "illumination_check",
    "image_sampling_check",
    "mask_checks",
]


def check_design(design: Design) -> list[Check]:
    """All checks of a design, in the order light meets them.

    Raises:
        UsageError: optics that cannot be built.
    """
    return list(family_of(design.optics).checks(design, design.optics))


def illumination_check(design: Design, beyond: str = "dark beyond", light: str = "a coherent plane wave") -> Check:
    """How far there is light, and what stands there, `beyond` the margin."""
    optics, margin = design.optics, object_margin(design)
    pitch_m, (ny, nx) = optics.sample_pitch, optics.shape
    sides = " × ".join(format_length((n + 2 * m) * pitch_m) for n, m in zip((ny, nx), margin, strict=True))
    around = {
        "neighbours": f"the field of view, {format_length(max(margin) * pitch_m)} of neighbours on each side, {beyond}",
        "field-stop": "a field stop of the size of the field of view in the plane of the object",
        "repeat": "a patch that repeats forever, as no object does",
    }[optics.surroundings]
    repeats = optics.surroundings == "repeat"
    return Check(
        "illumination",
        "warn" if repeats else "pass",
        f"{light} over {sides}: {around}",
        "what surrounds the field of view is a part of the device",
        'set optics.surroundings = "neighbours" or "field-stop"' if repeats else "",
    )


def image_sampling_check(design: Design, remedy: str = "") -> Check:
    """Which waves the samples of object and image carry; a remedy ends in a comma."""
    pitch_m, wavelength_m = design.optics.sample_pitch, medium_wavelength_m(design)
    steepest = wavelength_m / (2.0 * pitch_m)
    angle = 90.0 if steepest >= 1.0 else math.degrees(math.asin(steepest))
    return graded(
        "sampling",
        pitch_m / wavelength_m,
        0.75,
        math.inf,
        f"object and image sampled every {format_length(pitch_m)} = {pitch_m / wavelength_m:.3g} λ, up to {angle:.1f}°",
        "λ/2 carries every propagating wave; above 0.75 λ steep waves are missing",
        f"{remedy}choose a smaller pitch, or accept that steeper light is left out",
    )


def mask_checks(
    design: Design, pitch_m: float, *, part: str, wider: str, marched: bool = False, instead: str = ""
) -> Iterator[Check]:
    """Whether the process can make the masks, and whether light meets them as their model has it.

    Args:
        design: says the process.
        pitch_m: side of the smallest part of a mask.
        part: what that is called.
        wider: what makes it wider.
        marched: whether light is marched through the relief, so that it may be deep.
        instead: what else to do about deep reliefs, behind a comma.
    """
    process, made = build_process(design), design.fabrication
    relief = process.highest_m
    ratio = relief / pitch_m
    yield graded(
        "thin element",
        0.0 if marched else ratio,
        made.max_aspect_ratio,
        math.inf,
        f"{ratio:.2f} : 1 (tallest step {format_length(relief)}, 2π is {format_length(process.full_height_m)}, "
        f"over a pitch of {format_length(pitch_m)}){', modelled slice by slice' if marched else ''}",
        f"≤ {made.max_aspect_ratio:g} : 1, above it the thin-mask model of each layer is doubtful",
        f"use {wider} or a denser material{instead}",
    )
    weighed = any(stage.feature is not None for stage in design.training.stages.values())
    yield graded(
        "smallest feature",
        made.min_feature / pitch_m,
        1.0,
        math.inf if weighed else 1.0,
        f"one {part}, {format_length(pitch_m)}",
        f"≥ {format_length(made.min_feature)} (fabrication.min_feature)",
        "parts may still be too narrow after training with a weight on them: look at the exported layout"
        if weighed
        else f"use {wider}, a process that prints smaller features, or a weight on narrow parts (feature) in training",
    )
    efficiency = blazed_efficiency(process)
    yield graded(
        "height levels",
        1.0 - efficiency,
        0.1,
        0.7,
        f"{process.levels} levels {_steps(process)}; a blazed grating reaches {efficiency:.1%}",
        "≥ 90 % (at least 6 levels)",
        "raise fabrication.levels" + ("" if made.heights is None else ", or spread fabrication.heights evenly over 2π"),
    )


def blazed_efficiency(process: FabricationProcess) -> float:
    """Share of the light that a blazed grating of nearest levels sends into its first order, its phase rising by 2π.

    |∫ e^{i(p(θ) − θ)} dθ / 2π|² with the phase p(θ) of the level nearest to θ, which ends half way to the next; for
    equal levels sinc²(1/L). J. W. Goodman, Introduction to Fourier Optics, 3rd ed., chapter 7.3.
    """
    heights_m = process.height_of_level(torch.arange(process.levels)).tolist()
    phases = [2.0 * math.pi * height_m / process.full_height_m for height_m in heights_m]
    ends = [0.5 * (below + above) for below, above in pairwise((*phases, 2.0 * math.pi))]
    order = sum(
        1j * cmath.exp(1j * phase) * (cmath.exp(-1j * end) - cmath.exp(-1j * start))
        for phase, (start, end) in zip(phases, pairwise((ends[-1] - 2.0 * math.pi, *ends)), strict=True)
    )
    return abs(order / (2.0 * math.pi)) ** 2


def _steps(process: FabricationProcess) -> str:
    """The steps between neighbouring levels in words."""
    if process.heights_m is None:
        return f"of {format_length(process.step_height_m)}"
    steps_m = [above - below for below, above in pairwise((*process.heights_m, process.full_height_m))]
    return f"{format_length(min(steps_m))} to {format_length(max(steps_m))} apart"


def camera_check(design: Design) -> Check:
    """The camera's signal over its noise."""
    camera = design.detector
    noise = math.sqrt(camera.max_photons * camera.shot_noise + camera.read_noise**2)
    ratio = camera.max_photons / noise if noise else math.inf
    return graded(
        "camera signal",
        noise / camera.max_photons,
        0.1,
        1.0,
        f"signal to noise {ratio:.3g} at full count, compression ×{camera.binning**2}",
        "≥ 10",
        "raise detector.max_photons or lower detector.read_noise",
    )
