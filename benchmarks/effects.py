"""Are the effects of errors right? A tolerance study's optics against instruments that are built with the error.

    python -m benchmarks.effects

The effect of an error is the change of the camera's reading. Each is computed twice: by the optics that tolerance
studies use, at the accuracy that they take them at, and by two independent simulations, without the error and with it:
of layers by brute force (`benchmarks.linear_light`), of filters by `verification.second_opinion`. Masks are random,
objects smooth; the table is in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.linear_light import Stack, light_on_camera
from opticdesign.design import D2NNOptics, Design, Tolerance, load_design
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.optics.detectors import mean_bins
from opticdesign.optics.materials import material
from opticdesign.perturbed.deviations import deviations_of
from opticdesign.perturbed.optics import perturbed_optics
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import build_space
from opticdesign.runs.patches import object_window
from opticdesign.tolerance.running.worker import FINER
from opticdesign.verification.second_opinion import MaskInFile, mask_size_m, second_opinion

__all__ = ["GEOMETRIES", "Effect", "effect_of", "errors_of", "instrument"]

_DESIGNS = Path(__file__).parents[1] / "designs"
_LAMBDA = 632.8e-9  # metres
_MEMORY = 12_000_000_000  # bytes
_ERRORS = {"layer_shift": {"range": "100 um"}, "gap": {"range": "100 um"}, "wavelength": {"range": 0.05}}
Reals = NDArray[np.float64]
_GAPS = ("input_gap", "layer_gap", "detector_gap")
_LAYERS: dict[str, Any] = {"layers": 2, "cell": None, "start": "random"}
_FILTER: dict[str, Any] = {"mode": "phase", "radius": None, "rings": False, "start": "random"}

GEOMETRIES: dict[str, dict[str, Any]] = {
    "layers, λ/2, 40²": {**_LAYERS, "neurons": (40, 40)},
    "layers, λ/2, 32 × 48": {**_LAYERS, "neurons": (32, 48)},
    "layers, λ, 32²": {
        **_LAYERS,
        "neurons": (32, 32),
        "pitch": _LAMBDA,
        "image_samples": 2,
        "input_gap": 6e-6,
        "layer_gap": 8e-6,
        "detector_gap": 10e-6,
    },
    "layers, 10 λ, 32²": {
        **_LAYERS,
        "neurons": (32, 32),
        "pitch": 10.0 * _LAMBDA,
        "image_samples": 4,
        "input_gap": 300e-6,
        "layer_gap": 400e-6,
        "detector_gap": 500e-6,
    },
    "filter, 64²": {**_FILTER, "neurons": (64, 64)},
    "filter, 48 × 80": {**_FILTER, "neurons": (48, 80)},
}
"""What the optics of `designs/d2nn5.toml` or `designs/lff64.toml` have instead, SI."""


@dataclass(frozen=True)
class Effect:
    """One error.

    Args:
        parameter: its name.
        value: its value, SI.
        change: rms of the reading's change over that of the reading.
        off: rms of the difference of the two changes over that of the right one.
    """

    parameter: str
    value: float
    change: float
    off: float


def instrument(name: str, accuracy: float | None = None) -> Design:
    """A small design of one of the geometries, of an accuracy or that of studies, with the errors tried here."""
    file = "lff64.toml" if name.startswith("filter") else "d2nn5.toml"
    design = load_design(_DESIGNS / file, ["detector.binning=4"])
    optics = design.optics.model_copy(
        update={**GEOMETRIES[name], "accuracy": accuracy or FINER * design.optics.accuracy}
    )
    return design.model_copy(update={"optics": optics, "tolerance": Tolerance.model_validate(_ERRORS)})


def errors_of(name: str) -> Iterator[tuple[str, float]]:
    """Parameters and values that are tried: both signs, a small one and one of the size that a lab has to bear."""
    design = instrument(name)
    optics, shift = design.optics, "layer shift 1 x"
    if isinstance(optics, D2NNOptics):
        shift = "layer shift 2 x"
        for number, key in enumerate(_GAPS, start=1):
            for share in (-0.05, 0.01, 0.05):
                yield f"gap {number}", share * getattr(optics, key)
    for share in (-0.3, 0.05, 0.3):
        yield shift, share * mask_size_m(design)[1] / (optics.shape[1] // optics.neuron_samples)
    for change in (-0.02, -0.005, 0.005, 0.02):
        yield "wavelength", change


def effect_of(design: Design, parameter: str, value: float) -> Effect:
    """The effect of one error on a smooth object behind random masks, by both ways."""
    optics, process = build_optics(design), build_process(design)
    phases = torch.rand(optics.detached_phases().shape, generator=torch.Generator().manual_seed(2)) * (2.0 * np.pi)
    optics.set_phases_rad(process.phase(phases))
    sample, space = _sample(design), build_space(design)
    points = np.repeat(space.nominal[None], 2, axis=0)
    points[1, space.names.index(parameter)] = value
    perturbed = perturbed_optics(design, optics, process)
    with torch.no_grad():
        ours = [
            mean_bins(
                perturbed.intensity(sample, deviations_of(design, space, point[None], [NO_PATTERN], 0))[0],
                design.detector.binning,
            )
            .double()
            .numpy()[0]
            for point in points
        ]
    made = optics.detached_phases().double().numpy()
    theirs = [_built(design, made, sample, parameter, each) for each in (0.0, value)]
    right = theirs[1] - theirs[0]
    size = float(np.linalg.norm(right))
    off = float(np.linalg.norm(ours[1] - ours[0] - right))
    return Effect(parameter, value, size / float(np.linalg.norm(theirs[0])), off / size)


def _sample(design: Design) -> Sample:
    """A smooth phase of up to half a turn, with the margin that the optics take."""
    shape = object_window(design).shape
    y, x = (torch.linspace(-1.0, 1.0, count) for count in shape)
    phase = np.pi * torch.sin(4.0 * x + 1.0) * torch.cos(5.0 * y[:, None] + 2.0 * x)
    return Sample(torch.polar(torch.ones(1, *shape), phase[None]), phase[None])


def _built(design: Design, phases: Reals, sample: Sample, parameter: str, value: float) -> Reals:
    """The camera's reading of an instrument that is built with the error (pixels along y and x)."""
    optics, light, shift, turns = design.optics, design.light, [0.0] * len(phases), 1.0
    field = sample.fields.numpy()[0].astype(np.complex128)
    if parameter.startswith("gap"):
        key = _GAPS[int(parameter.split()[1]) - 1]
        optics = optics.model_copy(update={key: getattr(optics, key) + value})
    elif parameter.startswith("layer shift"):
        shift[int(parameter.split()[2]) - 1] = value
    else:
        light = light.model_copy(update={"wavelength": light.wavelength * (1.0 + value)})
        relief, medium = (material(name) for name in (design.fabrication.material, design.fabrication.medium))
        steps = [relief.index(each.wavelength) - medium.index(each.wavelength) for each in (design.light, light)]
        turns = steps[1] / steps[0] / (1.0 + value)
        field = np.exp(1j * sample.phase_rad.double().numpy()[0] / (1.0 + value))
    binning = design.detector.binning
    if isinstance(optics, D2NNOptics):
        stack = Stack(
            phases * turns,
            optics.pitch,
            [optics.input_gap, *[optics.layer_gap] * (optics.layers - 1), optics.detector_gap],
            light.wavelength,
            optics.sample_pitch,
            (optics.shape[0] // binning, optics.shape[1] // binning),
            optics.sample_pitch * binning,
            shift,
        )
        return light_on_camera(stack, field)
    changed, size = design.model_copy(update={"optics": optics, "light": light}), mask_size_m(design)
    masks = [MaskInFile(phase * turns, size, (0.0, by)) for phase, by in zip(phases, shift, strict=True)]
    intensity = second_opinion(changed, masks, field[None], None, _MEMORY).intensity
    return np.asarray(mean_bins(torch.from_numpy(intensity), binning)[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="geometries whose names begin so", default="")
    parser.add_argument("--accuracy", type=float, help="optics.accuracy, in the place of that of studies", default=None)
    arguments = parser.parse_args()
    print("| optics | error | change of the reading | off by, of the change |\n|---|---|---|---|")
    for name in GEOMETRIES:
        if name.startswith(arguments.only):
            design = instrument(name, arguments.accuracy)
            for parameter, value in errors_of(name):
                found = effect_of(design, parameter, value)
                size = f"{value:+.3g}" if parameter == "wavelength" else f"{value * 1e6:+.3g} µm"
                print(f"| {name} | {parameter} {size} | {found.change:.2%} | {found.off:.2%} |", flush=True)


if __name__ == "__main__":
    main()
