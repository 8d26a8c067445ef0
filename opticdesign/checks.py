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
from opticdesign.fabrication import FabricationProcess
from opticdesign.materials import material
from opticdesign.propagation import (
    AngularSpectrum,
    BandLimitedAngularSpectrum,
    FresnelImpulse,
    Propagator,
    RayleighSommerfeld,
)
from opticdesign.system import build_hop, build_layers, build_optics, build_process, filter_window
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
    """All checks of a design, in the order light meets them."""
    optics = design.optics
    if isinstance(optics, FilterOptics):
        return [*_sampling(design), *_pupil(design, optics), *_mask(design), *_camera(design)]
    return [*_sampling(design), *_hops(design, optics), *_power(design, optics), *_mask(design), *_camera(design)]


def _wavelength_in_medium(design: Design) -> float:
    return design.light.wavelength / material(design.fabrication.medium).index(design.light.wavelength)


def _sampling(design: Design) -> Iterator[Check]:
    wavelength_m, optics = _wavelength_in_medium(design), design.optics
    steepest = wavelength_m / (2.0 * optics.sample_pitch)
    angle = 90.0 if steepest >= 1.0 else math.degrees(math.asin(steepest))
    yield _graded(
        "sampling",
        optics.sample_pitch / wavelength_m,
        0.75,
        math.inf,
        f"field sampled every {format_length(optics.sample_pitch)} = {optics.sample_pitch / wavelength_m:.3g} λ, "
        f"up to {angle:.1f}°",
        "λ/2 carries every propagating wave; above 0.75 λ steep waves are missing",
        ("" if isinstance(optics, FilterOptics) else "raise optics.samples, ")
        + "choose a smaller pitch, or accept that steeper light is left out",
    )


def _hops(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    steepest = min(_wavelength_in_medium(design) / (2.0 * optics.sample_pitch), 1.0)
    for name, distance_m in _gaps(optics):
        hop, reason = build_hop(design, optics, distance_m)
        yield _propagator(name, hop, distance_m, steepest, f"{hop.name}: {reason}")


def _gaps(optics: D2NNOptics) -> list[tuple[str, float]]:
    gaps = [("input gap", optics.input_gap), ("layer gap", optics.layer_gap), ("detector gap", optics.detector_gap)]
    return gaps if optics.crossed > 1 else [gaps[0], gaps[2]]


def _propagator(name: str, hop: Propagator, distance_m: float, steepest: float, choice: str) -> Check:
    """Whether a propagator is right over its distance, by what limits that kind of it."""
    distance, pitch_m = format_length(distance_m), max(hop.grid.pitch_m)
    ratio = distance_m * hop.wavelength_m / (min(hop.window.shape) * pitch_m**2)
    named = f"propagation, {name}"
    if isinstance(hop, RayleighSommerfeld):
        # below 4 zones the propagator refuses to be built
        kept = "all" if math.isinf(hop.zones()) else f"{hop.zones():.3g} Fresnel zones"
        found = f"{choice}; {kept} of the kernel at z = {distance}"
        limit = "≥ 32, with fewer the inner half of the band is off by more than 1 %"
        return _graded(named, 32.0 / hop.zones(), 1.0, math.inf, found, limit, 'set optics.propagator = "auto"')
    if isinstance(hop, BandLimitedAngularSpectrum):
        share = hop.kept_share()
        found = f"{choice}; {share:.1%} of the band kept at z = {distance}"
        remedy = "raise optics.padding or shorten the gap"
        return _graded(named, 1.0 - share, 0.1, 0.9, found, "at least 90 %", remedy)
    if isinstance(hop, AngularSpectrum):
        found = f"{choice}; z = {distance}, z·λ/(N·pitch²) = {ratio:.3g}"
        limit = "≤ 1, or the plain angular spectrum aliases"
        return _graded(named, ratio, 1.0, math.inf, found, limit, 'set optics.propagator = "auto"')
    # paraxial: the next term of the square root's expansion, at the steepest angle the pitch or the window lets through
    sine = steepest
    if isinstance(hop, FresnelImpulse):
        sine = min(steepest, max(hop.window.extent_m) / (2.0 * distance_m))
    error = math.pi * distance_m / (4.0 * hop.wavelength_m) * sine**4
    found = f"{choice}; paraxial phase wrong by up to {error:.3g} rad at z = {distance}"
    return _graded(named, error, 0.1, math.inf, found, "≤ 0.1 rad", 'set optics.propagator = "auto"')


def _pupil(design: Design, optics: FilterOptics) -> Iterator[Check]:
    """Whether lenses exist that could hold the pupil, and whether the filter can be exported."""
    wavelength_m = _wavelength_in_medium(design)
    extent_m = max(filter_window(optics).extent_m)
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
    """Share of the power that leaves the aperture or the band in each hop, for a smooth random phase object."""
    optics = build_layers(design, layers)
    ny, nx = layers.shape
    generator = torch.Generator().manual_seed(design.training.seed)
    coarse = torch.rand((1, 1, max(2, ny // 16), max(2, nx // 16)), generator=generator)
    phase = 2.0 * torch.nn.functional.interpolate(coarse, (ny, nx), mode="bicubic", align_corners=True)[0, 0]
    field = torch.polar(torch.ones_like(phase), phase)
    lost = []
    with torch.no_grad():
        for index, hop in enumerate(optics.taken(optics.crossed)):
            before = field.abs().square().sum()
            field = hop(field)
            lost.append(float(1.0 - field.abs().square().sum() / before))
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
    pitch_m = build_optics(design).mask_pitch_m
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
