"""What a design promises physics and process: each check gives a number, its limit and a remedy."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch

from opticdesign.design import D2NNOptics, Design, FilterOptics
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.building import (
    build_layers,
    build_optics,
    build_process,
    filter_window,
    layers_of,
    light_samples,
    object_margin,
    window_paddings,
)
from opticdesign.instrument.geometry import LARGEST_HOP_ERROR, suitable_paddings, window_errors
from opticdesign.optics.hop import light_grid
from opticdesign.optics.materials import material
from opticdesign.optics.reach import coupling_gap_m, reach_of
from opticdesign.units import format_length

__all__ = ["Check", "blazed_efficiency", "check_design", "power_lost_per_hop"]

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One verdict: what was looked at, the number found, the limit, and what to do if it is not met."""

    name: str
    verdict: Verdict
    found: str
    limit: str
    remedy: str = ""


def _graded(
    name: str, value: float, warn_above: float, fail_above: float, found: str, limit: str, remedy: str
) -> Check:
    verdict: Verdict = "fail" if value > fail_above else "warn" if value > warn_above else "pass"
    return Check(name, verdict, found, limit, "" if verdict == "pass" else remedy)


def check_design(design: Design) -> list[Check]:
    """All checks of a design, in the order light meets them.

    Raises:
        UsageError: optics that cannot be built.
    """
    optics = design.optics
    if isinstance(optics, FilterOptics):
        parts = [_illumination(design), _filter_sampling(design, optics), _pupil(design, optics)]
    else:
        parts = [
            _illumination(design),
            _sampling(design, optics),
            _windows(design, optics),
            _coupling(design, optics),
            _power(design, optics),
        ]
    return [check for part in (*parts, _mask(design), _camera(design)) for check in part]


def _wavelength_in_medium(design: Design) -> float:
    return design.light.wavelength / material(design.fabrication.medium).index(design.light.wavelength)


def _illumination(design: Design) -> Iterator[Check]:
    """How far there is light, and what stands there."""
    optics, margin = design.optics, object_margin(design)
    pitch_m, (ny, nx) = optics.sample_pitch, optics.shape
    sides = " × ".join(format_length((n + 2 * m) * pitch_m) for n, m in zip((ny, nx), margin, strict=True))
    beyond = ", the object's mean beyond" if isinstance(optics, FilterOptics) else ", dark beyond"
    around = {
        "neighbours": f"the field of view, {format_length(max(margin) * pitch_m)} of neighbours on each side{beyond}",
        "field-stop": "a field stop of the size of the field of view in the plane of the object",
        "repeat": "a patch that repeats forever, as no object does",
    }[optics.surroundings]
    repeats = optics.surroundings == "repeat"
    yield Check(
        "illumination",
        "warn" if repeats else "pass",
        f"a coherent plane wave over {sides}: {around}",
        "what surrounds the field of view is a part of the device",
        'set optics.surroundings = "neighbours" or "field-stop"' if repeats else "",
    )


def _sampling(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    """Samples of the image, and whether neurons are what the files draw."""
    wavelength_m, samples = _wavelength_in_medium(design), light_samples(design, optics)
    yield _image_sampling(design, optics.sample_pitch, "raise optics.image_samples, ")
    light_m = optics.pitch / samples * (1 if layers_of(design, optics).pointlike else 2)
    shape = "points, where the files draw squares" if optics.samples == 1 else "squares"
    chosen = "named in the design" if optics.samples else f"for an accuracy of {optics.accuracy:.2g}"
    yield Check(
        "neurons",
        "warn" if optics.samples == 1 else "pass",
        f"{shape}, {samples} × {samples} samples each ({chosen}); light of {format_length(light_m)} = "
        f"{light_m / wavelength_m:.3g} λ",
        "masks modelled as the files draw them",
        'set optics.samples = "auto"' if optics.samples == 1 else "",
    )


def _image_sampling(design: Design, pitch_m: float, remedy: str) -> Check:
    wavelength_m = _wavelength_in_medium(design)
    steepest = wavelength_m / (2.0 * pitch_m)
    angle = 90.0 if steepest >= 1.0 else math.degrees(math.asin(steepest))
    return _graded(
        "sampling",
        pitch_m / wavelength_m,
        0.75,
        math.inf,
        f"object and image sampled every {format_length(pitch_m)} = {pitch_m / wavelength_m:.3g} λ, up to {angle:.1f}°",
        "λ/2 carries every propagating wave; above 0.75 λ steep waves are missing",
        f"{remedy}choose a smaller pitch, or accept that steeper light is left out",
    )


def _filter_sampling(design: Design, optics: FilterOptics) -> Iterator[Check]:
    yield _image_sampling(design, optics.sample_pitch, "")
    repeats = optics.surroundings == "repeat"
    yield Check(
        "filter, its points",
        "warn" if repeats else "pass",
        "points" if repeats else f"squares; convolution is linear over {' × '.join(map(str, _lit(design)))} samples",
        "masks modelled as the files draw them",
        'set optics.surroundings = "neighbours" or "field-stop"' if repeats else "",
    )


def _lit(design: Design) -> tuple[int, int]:
    (ny, nx), (my, mx) = design.optics.shape, object_margin(design)
    return ny + 2 * my, nx + 2 * mx


def _windows(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    """Method and window of each gap, with the error of its field, and what all of them do to the camera's reading."""
    layers, samples, paddings = (
        layers_of(design, optics),
        light_samples(design, optics),
        window_paddings(design, optics),
    )
    passed = _passed(layers.distances_m, optics.crossed)
    errors = window_errors(layers, samples, paddings)
    hops = layers.hops(samples, paddings)
    given = [value for value in (optics.padding, None if optics.propagator == "auto" else optics.propagator) if value]
    remedy = _better(design, optics) if given else ""
    for name, index in passed.items():
        hop, first = hops[index], hops[index].propagator
        why = layers.kind(layers.distances_m[index], first.grid, light_grid(hop.target_grid, first.grid.pitch_m))[1]
        rows, columns = first.window.shape
        yield _graded(
            f"propagation, {name}",
            errors.hops[index],
            LARGEST_HOP_ERROR,
            LARGEST_HOP_ERROR,
            f"{first.name}: {why}; window {rows} × {columns} for {' × '.join(map(str, first.grid.shape))}, "
            f"error of the field {errors.hops[index]:.2%} at z = {format_length(layers.distances_m[index])}",
            f"≤ {LARGEST_HOP_ERROR:.0%} against linear convolution",
            remedy or "raise optics.padding",
        )
    yield _graded(
        "camera reading",
        errors.reading,
        optics.accuracy,
        optics.accuracy,
        f"error {errors.reading:.2%} by windows and methods, the larger one of a smooth and a random object",
        f"≤ {optics.accuracy:.2%} (optics.accuracy)",
        remedy or "raise optics.accuracy, or name optics.padding",
    )


def _passed(distances_m: tuple[float, ...], crossed: int) -> dict[str, int]:
    """Names of the gaps that light passes, and which hop stands for each."""
    gaps = {"input gap": 0, "layer gap": 1, "detector gap": len(distances_m) - 1}
    return gaps if crossed > 1 else {name: index for name, index in gaps.items() if name != "layer gap"}


def _better(design: Design, optics: D2NNOptics) -> str:
    """The window that would do, where one was named by hand."""
    free = optics.model_copy(update={"padding": None, "propagator": "auto"})
    layers, samples = layers_of(design, free), light_samples(design, free)
    widest = max(suitable_paddings(layers, samples, optics.accuracy))
    parts = [f'optics.padding = "auto" or {widest:g}'] if optics.padding else []
    parts += ['optics.propagator = "auto"'] if optics.propagator != "auto" else []
    return f"set {' and '.join(parts)}"


def _coupling(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    """How many neurons of the next mask one neuron reaches."""
    if optics.crossed == 1:
        return
    wavelength_m, neurons = _wavelength_in_medium(design), min(optics.neurons)
    reach = reach_of(optics.pitch, wavelength_m, optics.layer_gap, neurons)
    gap = format_length(coupling_gap_m(optics.pitch, wavelength_m))
    alone, left = reach.same > 0.5, reach.inside < 0.25
    far = format_length(0.5 * neurons * optics.pitch**2 / wavelength_m)
    yield Check(
        "coupling of layers",
        "warn" if alone or left else "pass",
        f"a neuron sends {reach.same:.3g} of its light into the same neuron of the next mask, nine tenths of it into "
        f"{reach.neurons} along each axis, {reach.inside:.3g} into that mask",
        "≤ 0.5 into the same neuron, or the layers act as one; ≥ 0.25 into the next mask",
        f"lengthen optics.layer_gap: at {gap} a quarter is left in the same neuron"
        if alone
        else f"shorten optics.layer_gap: at {far} a neuron reaches just over the mask"
        if left
        else "",
    )


def _pupil(design: Design, optics: FilterOptics) -> Iterator[Check]:
    """Whether lenses exist that could hold the pupil, and whether the filter can be exported."""
    wavelength_m = _wavelength_in_medium(design)
    extent_m = max(filter_window(optics).extent_m)  # of a radius in points the window is square
    sine = wavelength_m / (2.0 * optics.pitch) if optics.radius is None else optics.radius * wavelength_m / extent_m
    diameter = format_length(2.0 * sine * optics.focal)
    yield _graded(
        "pupil",
        sine,
        0.95,
        1.0 + 1e-9,
        f"NA {sine:.3g}, a filter {diameter} wide, its points {format_length(wavelength_m * optics.focal / extent_m)}",
        "NA ≤ 0.95 for a real objective in air; above 1 there is no light",
        "choose a larger pitch or a smaller radius, or accept that no lens is that strong",
    )
    yield _graded(
        "filter, what is learned",
        float("amplitude" in optics.mode),
        0.0,
        math.inf,
        f'optics.mode = "{optics.mode}"',
        "a phase alone, or nothing: the exported heights hold no amplitude",
        'set optics.mode = "phase" if the filter is to be exported',
    )


def power_lost_per_hop(design: Design, layers: D2NNOptics) -> list[float]:
    """Share of the power that leaves the aperture or the band in each hop, for a smooth random phase object.

    Only the field of view sends light here, so that no neighbour's stands in for what leaves.
    """
    optics = build_layers(design, layers)
    (ny, nx), (my, mx) = layers.shape, object_margin(design)
    generator = torch.Generator().manual_seed(design.training.seed)
    coarse = torch.rand((1, 1, max(2, ny // 16), max(2, nx // 16)), generator=generator)
    phase = 2.0 * torch.nn.functional.interpolate(coarse, (ny, nx), mode="bicubic", align_corners=True)[0, 0]
    field = torch.nn.functional.pad(torch.polar(torch.ones_like(phase), phase), (mx, mx, my, my))
    lost, area = [], math.prod(optics.object_grid.pitch_m)
    with torch.no_grad():
        for index, hop in enumerate(optics.taken(optics.crossed)):
            before = field.abs().square().sum() * area
            field, area = hop(field), math.prod(hop.target_grid.pitch_m)
            lost.append(float(1.0 - field.abs().square().sum() * area / before))
            if index < optics.crossed:
                field = optics.behind(index, field)
    return lost


def _power(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    for index, lost in enumerate(power_lost_per_hop(design, optics)):
        end = f"mask {index + 1}" if index < optics.crossed else "detector"
        gained = lost < -0.01  # no passive hop adds power: the sampling is wrong
        yield _graded(
            f"power lost before {end}",
            math.inf if gained else lost,
            0.05,
            0.5,
            f"{-lost:.2%} more power than before" if gained else f"{lost:.2%} of the power leaves the aperture",
            "0 to 5 % per hop (starting masks, smooth phase object)",
            "choose another propagator or more padding" if gained else "shorten the gap or enlarge the masks",
        )


def _mask(design: Design) -> Iterator[Check]:
    process, made = build_process(design), design.fabrication
    pitch_m = min(build_optics(design).mask_pitch_m)
    relief = process.highest_m
    ratio = relief / pitch_m
    in_pupil = isinstance(design.optics, FilterOptics)
    thin = isinstance(design.optics, FilterOptics) or design.optics.model == "thin"
    wider = "a longer optics.focal" if in_pupil else "a larger pitch"
    yield _graded(
        "thin element",
        ratio if thin else 0.0,
        made.max_aspect_ratio,
        math.inf,
        f"{ratio:.2f} : 1 (tallest step {format_length(relief)}, 2π is {format_length(process.full_height_m)}, "
        f"over a pitch of {format_length(pitch_m)}){'' if thin else ', modelled slice by slice'}",
        f"≤ {made.max_aspect_ratio:g} : 1, above it the thin-mask model of each layer is doubtful",
        f"use {wider} or a denser material"
        + ("" if in_pupil else ', or set optics.model = "bpm" to march light through the relief'),
    )
    weighed = any(stage.feature is not None for stage in design.training.stages.values())
    yield _graded(
        "smallest feature",
        made.min_feature / pitch_m,
        1.0,
        math.inf if weighed else 1.0,
        f"one {'point of the filter' if in_pupil else 'neuron'}, {format_length(pitch_m)}",
        f"≥ {format_length(made.min_feature)} (fabrication.min_feature)",
        "parts may still be too narrow after training with a weight on them: look at the exported layout"
        if weighed
        else f"use {wider}, a process that prints smaller features, or a weight on narrow parts (feature) in training",
    )
    efficiency = blazed_efficiency(process)
    yield _graded(
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


def _camera(design: Design) -> Iterator[Check]:
    camera = design.detector
    noise = math.sqrt(camera.max_photons + camera.read_noise**2)
    yield _graded(
        "camera signal",
        noise / camera.max_photons,
        0.1,
        1.0,
        f"signal to noise {camera.max_photons / noise:.3g} at full count, compression ×{camera.binning**2}",
        "≥ 10",
        "raise detector.max_photons or lower detector.read_noise",
    )
