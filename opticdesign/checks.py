"""What a design promises physics and process: each check gives a number, its limit and a remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from opticdesign.design import Design
from opticdesign.field import Grid
from opticdesign.materials import material
from opticdesign.propagation import BandLimitedAngularSpectrum
from opticdesign.system import build_optics, build_process
from opticdesign.units import format_length

__all__ = ["Check", "check_design", "power_lost_per_hop"]

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
    return [*_sampling(design), *_power(design), *_mask(design), *_camera(design)]


def _wavelength_in_medium(design: Design) -> float:
    return design.light.wavelength / material(design.fabrication.medium).index(design.light.wavelength)


def _sampling(design: Design) -> Iterator[Check]:
    wavelength_m, optics = _wavelength_in_medium(design), design.optics
    steepest = wavelength_m / (2.0 * optics.pitch)
    angle = 90.0 if steepest >= 1.0 else math.degrees(math.asin(steepest))
    yield _graded(
        "sampling",
        optics.pitch / wavelength_m,
        0.75,
        math.inf,
        f"pitch {format_length(optics.pitch)} = {optics.pitch / wavelength_m:.3g} λ; diffracts up to {angle:.1f}°",
        "λ/2 carries every propagating wave; above 0.75 λ steep waves are missing",
        "choose a smaller pitch, or accept that the masks steer light only so far",
    )
    ny, nx = optics.neurons
    for name, distance_m in _gaps(design):
        # Fresnel number of one neuron: below it the transfer function turns faster than the window samples it
        reach = min(ny, nx) * optics.padding * optics.pitch**2 / wavelength_m
        if optics.propagator == "angular-spectrum":
            yield _graded(
                f"band limit, {name}",
                distance_m / reach,
                1.0,
                math.inf,
                f"z = {format_length(distance_m)}, z/(N·pitch²/λ) = {distance_m / reach:.3g}",
                "≤ 1, or the plain angular spectrum aliases",
                'set optics.propagator to "rayleigh-sommerfeld" or "band-limited", or raise optics.padding',
            )
        if optics.propagator == "fresnel":
            # next term of the square-root expansion at the band edge
            error = math.pi * distance_m / (4.0 * wavelength_m) * min(steepest, 1.0) ** 4
            yield _graded(
                f"paraxial phase, {name}",
                error,
                0.1,
                math.inf,
                f"{error:.3g} rad at the band edge",
                "≤ 0.1 rad",
                'set optics.propagator to "rayleigh-sommerfeld"',
            )
        if optics.propagator == "band-limited":
            yield _kept_band(design, name, distance_m)


def _gaps(design: Design) -> list[tuple[str, float]]:
    optics = design.optics
    gaps = [("input gap", optics.input_gap), ("layer gap", optics.layer_gap), ("detector gap", optics.detector_gap)]
    return gaps if optics.layers > 1 else [gaps[0], gaps[2]]


def _kept_band(design: Design, name: str, distance_m: float) -> Check:
    grid = Grid(design.optics.neurons, (design.optics.pitch, design.optics.pitch))
    hop = BandLimitedAngularSpectrum(grid, _wavelength_in_medium(design), distance_m, padding=design.optics.padding)
    full = min(1.0 / (2.0 * design.optics.pitch), 1.0 / hop.wavelength_m)
    kept = math.prod(min(limit / full, 1.0) for limit in hop.limits_per_m())
    return _graded(
        f"band limit, {name}",
        1.0 - kept,
        0.1,
        0.9,
        f"{kept:.1%} of the band kept at z = {format_length(distance_m)}",
        "at least 90 %",
        "raise optics.padding or shorten the gap",
    )


def power_lost_per_hop(design: Design) -> list[float]:
    """Share of the power that leaves the aperture or the band in each hop, for a smooth random phase object."""
    optics = build_optics(design)
    ny, nx = design.optics.neurons
    generator = torch.Generator().manual_seed(design.training.seed)
    coarse = torch.rand((1, 1, max(2, ny // 16), max(2, nx // 16)), generator=generator)
    phase = 2.0 * torch.nn.functional.interpolate(coarse, (ny, nx), mode="bicubic", align_corners=True)[0, 0]
    field = torch.polar(torch.ones_like(phase), phase)
    lost = []
    with torch.no_grad():
        for index, hop in enumerate(optics.hops):
            before = field.abs().square().sum()
            field = hop(field)
            lost.append(float(1.0 - field.abs().square().sum() / before))
            if index < len(optics.elements):
                field = optics.elements[index](field)
    return lost


def _power(design: Design) -> Iterator[Check]:
    for index, lost in enumerate(power_lost_per_hop(design)):
        end = f"mask {index + 1}" if index < design.optics.layers else "detector"
        yield _graded(
            f"power lost before {end}",
            lost,
            0.05,
            0.5,
            f"{lost:.2%} of the power leaves the aperture",
            "≤ 5 % per hop (starting masks, smooth phase object)",
            "shorten the gap, enlarge the masks, or start from gentler masks",
        )


def _mask(design: Design) -> Iterator[Check]:
    process, made = build_process(design), design.fabrication
    pitch_m = design.optics.pitch
    relief = process.full_height_m * (process.levels - 1) / process.levels
    ratio = relief / pitch_m
    yield _graded(
        "thin element",
        ratio,
        made.max_aspect_ratio,
        math.inf,
        f"{ratio:.2f} : 1 (tallest step {format_length(relief)}, 2π is {format_length(process.full_height_m)}, "
        f"over a pitch of {format_length(pitch_m)})",
        f"≤ {made.max_aspect_ratio:g} : 1, above it the thin-mask model of each layer is doubtful",
        "use a larger pitch or a denser material; confirm with a thick-mask model before fabrication",
    )
    yield _graded(
        "smallest feature",
        made.min_feature / pitch_m,
        1.0,
        1.0,
        f"one neuron, {format_length(pitch_m)}",
        f"≥ {format_length(made.min_feature)} (fabrication.min_feature)",
        "use a larger pitch, or a process that prints smaller features",
    )
    efficiency = (math.sin(math.pi / process.levels) / (math.pi / process.levels)) ** 2
    yield _graded(
        "height levels",
        1.0 - efficiency,
        0.1,
        0.7,
        f"{process.levels} levels of {format_length(process.step_height_m)}; a blazed grating reaches {efficiency:.1%}",
        "≥ 90 % (at least 6 levels)",
        "raise fabrication.levels",
    )


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
