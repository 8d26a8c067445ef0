"""Are the effects of errors right? A tolerance study's optics against instruments that are built with the error.

    python -m benchmarks.effects

The effect of an error is the change of the camera's reading. Each is computed twice: by the optics that tolerance
studies use, at the accuracy that they take them at, and by two independent simulations, without the error and with it:
of layers by brute force (`benchmarks.linear_light`), of filters by `verification.second_opinion`. Masks are random,
objects smooth, and fade at the end of their margin: light of an edge there grazes the planes, where samples half a wave
apart do not say what it is. Turns and tilts, whose sums take long, have layers of their own. The table is in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.linear_light import STRAIGHT, Mounting, Stack, light_on_camera
from opticdesign.design import D2NNOptics, Design, Tolerance, load_design, material_of
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.optics.detectors import mean_bins
from opticdesign.perturbed.deviations import deviations_of
from opticdesign.perturbed.optics import perturbed_optics
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import build_space
from opticdesign.runs.patches import object_window
from opticdesign.tolerance.running.worker import study_accuracy
from opticdesign.verification.second_opinion import MaskInFile, mask_size_m, second_opinion

__all__ = ["GEOMETRIES", "Effect", "effects_of", "errors_of", "instrument"]

_DESIGNS = Path(__file__).parents[1] / "designs"
_LAMBDA = 632.8e-9  # metres
_MEMORY = 12_000_000_000  # bytes
_FADING = 16  # samples of the object, in its margin
_ERRORS: dict[str, Any] = {"layer_shift": {"range": "100 um"}, "wavelength": {"range": 0.05}}
_OF_LAYERS: dict[str, Any] = {
    "gap": {"range": "100 um"},
    "overlay_shift": {"range": "10 um"},
    "etch_depth": {"range": 0.5, "per": "bit"},
    "tilt": {"range": "1 rad"},
    "rotation": {"range": "1 rad"},
}
Reals = NDArray[np.float64]
_GAPS = ("input_gap", "layer_gap", "detector_gap")
_LAYERS: dict[str, Any] = {"layers": 2, "cell": None, "start": "random"}
_WIDE: dict[str, Any] = {
    "pitch": _LAMBDA,
    "image_samples": 2,
    "input_gap": 6e-6,
    "layer_gap": 8e-6,
    "detector_gap": 10e-6,
}
_FILTER: dict[str, Any] = {"mode": "phase", "radius": None, "rings": False, "start": "random"}

GEOMETRIES: dict[str, dict[str, Any]] = {
    "layers, λ/2, 40²": {**_LAYERS, "neurons": (40, 40)},
    "layers, λ/2, 32 × 48": {**_LAYERS, "neurons": (32, 48)},
    "layers, λ, 32²": {**_LAYERS, **_WIDE, "neurons": (32, 32)},
    "layers, 10 λ, 16²": {
        **_LAYERS,
        "neurons": (16, 16),
        "pitch": 10.0 * _LAMBDA,
        "image_samples": 4,
        "input_gap": 150e-6,
        "layer_gap": 200e-6,
        "detector_gap": 250e-6,
    },
    "turned and tilted, λ/2, 24 × 32": {**_LAYERS, "neurons": (24, 32)},
    "turned and tilted, λ, 16²": {**_LAYERS, **_WIDE, "neurons": (16, 16)},
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
    layers = not name.startswith("filter")
    file, errors = ("d2nn5.toml", {**_ERRORS, **_OF_LAYERS}) if layers else ("lff64.toml", _ERRORS)
    design = load_design(_DESIGNS / file, ["detector.binning=4"])
    optics = design.optics.model_copy(update={**GEOMETRIES[name], "accuracy": accuracy or study_accuracy(design)})
    return design.model_copy(update={"optics": optics, "tolerance": Tolerance.model_validate(errors)})


def errors_of(name: str) -> Iterator[tuple[str, float]]:
    """Parameters and values that are tried: both signs, a small one and one of the size that a lab has to bear."""
    design = instrument(name)
    if name.startswith("turned"):
        yield from (("tilt 2 x", angle) for angle in (-1e-3, 1e-3, 1e-2, 5e-2))
        yield from (("rotation 2", angle) for angle in (-2e-3, 2e-3, 5e-2))
        return
    shift = "layer shift 1 x"
    if isinstance(design.optics, D2NNOptics):
        shift = "layer shift 2 x"
        for number, key in enumerate(_GAPS, start=1):
            yield from ((f"gap {number}", share * getattr(design.optics, key)) for share in (-0.05, 0.01, 0.05))
        yield from (("overlay shift 1 bit 2 x", share * _neuron_m(design)) for share in (-0.1, 0.1))
        yield from (("etch depth bit 1", change) for change in (-0.02, 0.02))
    yield from ((shift, share * _neuron_m(design)) for share in (-0.3, 0.05, 0.3))
    yield from (("wavelength", change) for change in (-0.02, -0.005, 0.005, 0.02))


def _neuron_m(design: Design) -> float:
    """Width of a neuron, or of a point of a filter, metres."""
    return mask_size_m(design)[1] / (design.optics.shape[1] // design.optics.neuron_samples)


def effects_of(design: Design, errors: Iterable[tuple[str, float]]) -> Iterator[Effect]:
    """The effects of errors, each by itself, on a smooth object behind random masks, by both ways."""
    optics, process = build_optics(design), build_process(design)
    phases = torch.rand(optics.detached_phases().shape, generator=torch.Generator().manual_seed(2)) * (2.0 * np.pi)
    optics.set_phases_rad(process.phase(phases))
    sample, space = _sample(design), build_space(design)
    perturbed, made = perturbed_optics(design, optics, process), optics.detached_phases().double().numpy()

    def ours(parameter: str, value: float) -> Reals:
        point = space.nominal.copy()
        point[space.names.index(parameter)] = value
        with torch.no_grad():
            seen = perturbed.intensity(sample, deviations_of(design, space, point[None], [NO_PATTERN], 0))[0]
            return np.asarray(mean_bins(seen, design.detector.binning).double().numpy()[0])

    nominal = ours("wavelength", 0.0), _built(design, made, sample, "wavelength", 0.0)
    for parameter, value in errors:
        right = _built(design, made, sample, parameter, value) - nominal[1]
        size = float(np.linalg.norm(right))
        off = float(np.linalg.norm(ours(parameter, value) - nominal[0] - right))
        yield Effect(parameter, value, size / float(np.linalg.norm(nominal[1])), off / size)


def _sample(design: Design) -> Sample:
    """A smooth phase of up to half a turn, with the margin that the optics take, which it fades in."""
    shape = object_window(design).shape
    y, x = (torch.linspace(-1.0, 1.0, count) for count in shape)
    phase = np.pi * torch.sin(4.0 * x + 1.0) * torch.cos(5.0 * y[:, None] + 2.0 * x)
    fading = [torch.arange(count) + 0.5 for count in shape]
    down, right = (
        torch.sin(0.5 * np.pi * (torch.minimum(place, count - place) / _FADING).clamp(max=1.0)) ** 2
        for place, count in zip(fading, shape, strict=True)
    )
    return Sample(torch.polar(down[:, None] * right, phase)[None], phase[None])


def _built(design: Design, phases: Reals, sample: Sample, parameter: str, value: float) -> Reals:
    """The camera's reading of an instrument that is built with the error (pixels along y and x)."""
    optics, light, turns = design.optics, design.light, 1.0
    field = sample.fields.numpy()[0].astype(np.complex128)
    if parameter.startswith("gap"):
        key = _GAPS[int(parameter.split()[1]) - 1]
        optics = optics.model_copy(update={key: getattr(optics, key) + value})
    if parameter == "wavelength":
        light = light.model_copy(update={"wavelength": light.wavelength * (1.0 + value)})
        relief, medium = (material_of(name) for name in (design.fabrication.material, design.fabrication.medium))
        steps = [relief.index(each.wavelength) - medium.index(each.wavelength) for each in (design.light, light)]
        turns = steps[1] / steps[0] / (1.0 + value)
        field = np.abs(field) * np.exp(1j * sample.phase_rad.double().numpy()[0] / (1.0 + value))
    binning, shift = design.detector.binning, [0.0] * len(phases)
    if parameter.startswith("layer shift"):
        shift[int(parameter.split()[2]) - 1] = value
    if not isinstance(optics, D2NNOptics):
        changed, size = design.model_copy(update={"optics": optics, "light": light}), mask_size_m(design)
        masks = [MaskInFile(phase * turns, size, (0.0, by)) for phase, by in zip(phases, shift, strict=True)]
        intensity = second_opinion(changed, masks, field[None], None, _MEMORY).intensity
        return np.asarray(mean_bins(torch.from_numpy(intensity), binning)[0])
    etched = [_etched(design, phase, number, parameter, value) for number, phase in enumerate(phases, start=1)]
    mountings = [STRAIGHT] * len(phases)
    if parameter.startswith(("tilt", "rotation")):
        moved = Mounting(slope=value) if parameter.startswith("tilt") else Mounting(turn_rad=value)
        mountings[int(parameter.split()[1]) - 1] = moved
    stack = Stack(
        [phase * turns for phase, _ in etched],
        [edges + by for (_, edges), by in zip(etched, shift, strict=True)],
        optics.pitch,
        [optics.input_gap, *[optics.layer_gap] * (optics.layers - 1), optics.detector_gap],
        light.wavelength,
        optics.sample_pitch,
        (optics.shape[0] // binning, optics.shape[1] // binning),
        optics.sample_pitch * binning,
        mountings,
    )
    return light_on_camera(stack, field)


def _etched(design: Design, phase: Reals, number: int, parameter: str, value: float) -> tuple[Reals, Reals]:
    """Phases (y, x) that steps through bit masks leave, and the edges of their columns, of the mask of a number."""
    pitch, columns = _neuron_m(design), phase.shape[1]
    edges, words = (np.arange(columns + 1) - columns / 2.0) * pitch, parameter.split()
    levels, moved, deeper = np.rint(phase / (2.0 * np.pi) * design.fabrication.levels).astype(int), {}, {}
    if parameter.startswith(f"overlay shift {number} "):
        moved = {int(words[4]): value}
    if parameter.startswith("etch depth"):
        deeper = {int(words[3]): value}
    cells = np.unique(np.concatenate([edges, *[(edges + by).clip(edges[0], edges[-1]) for by in moved.values()]]))
    middles, made, steps = (cells[:-1] + cells[1:]) / 2.0, 0.0, int(np.log2(design.fabrication.levels))
    for bit in range(1, steps + 1):
        column = np.floor((middles - moved.get(bit, 0.0) - edges[0]) / pitch).astype(int).clip(0, columns - 1)
        spared = (levels[:, column] >> (steps - bit)) & 1
        made = made + spared * (2.0 * np.pi / 2**bit) * (1.0 + deeper.get(bit, 0.0))
    return np.asarray(made), cells


def _text(parameter: str, value: float) -> str:
    if parameter.startswith(("tilt", "rotation")):
        return f"{value * 1e3:+.3g} mrad"
    return f"{value:+.3g}" if parameter.startswith(("wavelength", "etch")) else f"{value * 1e6:+.3g} µm"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="geometries whose names begin so", default="")
    parser.add_argument("--accuracy", type=float, help="optics.accuracy, in the place of that of studies", default=None)
    arguments = parser.parse_args()
    print("| optics | error | change of the reading | off by, of the change |\n|---|---|---|---|")
    for name in GEOMETRIES:
        if name.startswith(arguments.only):
            for found in effects_of(instrument(name, arguments.accuracy), errors_of(name)):
                error = f"{found.parameter} {_text(found.parameter, found.value)}"
                print(f"| {name} | {error} | {found.change:.2%} | {found.off:.2%} |", flush=True)


if __name__ == "__main__":
    main()
