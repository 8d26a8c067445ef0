"""Small instruments for the tests of their errors: designs, and draws of single errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from opticdesign.data import PatchSet
from opticdesign.design import Design, Tolerance, load_design
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.instrument.microscope import Microscope
from opticdesign.perturbed.deviations import Deviations, deviations_of
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import Space, build_space
from opticdesign.runs.patches import object_window
from tests.support.design_texts import D2NN5, ROOT

ALL = {
    "etch_depth": {"sigma": 0.01, "per": "bit"},
    "blur": {"range": "100 nm"},
    "overlay_shift": {"sigma": "20 nm"},
    "overlay_rotation": {"sigma": "1 mrad"},
    "overlay_scale": {"sigma": 0.001},
    "cd_bias": {"range": "10 nm"},
    "layer_shift": {"range": "0.1 um"},
    "gap": {"range": "0.5 um"},
    "tilt": {"range": "2 mrad"},
    "rotation": {"range": "2 mrad"},
    "wavelength": {"range": 0.02},
    "index": {"range": 0.001},
    "lut": {"sigma": 0.02},
    "crosstalk": {"range": "100 nm"},
    "flicker": {"sigma": "0.1 rad"},
}
PATTERNS = {
    "height_noise": {"sigma": "6 nm", "correlation": "600 nm"},
    "edge_roughness": {"sigma": "3 nm", "correlation": "20 nm"},
    "flatness": {"sigma": "0.2 rad", "correlation": "2 um"},
}
BPM = (
    "optics.model=bpm",
    "optics.padding=2.0",
    "optics.layer_gap=5 um",
    "optics.detector_gap=6 um",
)


@dataclass(frozen=True)
class Fitted:
    """A microscope whose reader is fitted, test images, and others to calibrate with."""

    design: Design
    microscope: Microscope
    test: PatchSet
    calibration: PatchSet


def layered(*changes: str, layers: int = 3, **errors: object) -> Design:
    """Random layers of 64 × 64 neurons with all errors that thin or thick masks have, or with the given ones."""
    overrides = [f"optics.layers={layers}", "optics.neurons=64", "optics.start=random", "optics.cell=8"]
    overrides += ["decoder.reader=true"]
    overrides += ["detector.binning=4", "decoder.channels=8", "data.fields=6", "evaluation.overlap=16", *changes]
    design = load_design(D2NN5, overrides)
    every = {**ALL, **PATTERNS}
    panels = ("lut", "crosstalk", "flicker", "flatness")
    usual = {name: value for name, value in every.items() if name not in panels or "optics.model=bpm" not in changes}
    tolerance = Tolerance.model_validate(errors or usual)
    return design.model_copy(update={"tolerance": tolerance})


def filtered(*changes: str, **errors: object) -> Design:
    """A filter of 64 × 64 points."""
    overrides = ["optics.neurons=64", "optics.radius=32.0", "decoder.channels=8", "data.fields=6", "detector.binning=4"]
    design = load_design(ROOT / "designs" / "lff64.toml", [*overrides, "evaluation.overlap=16", *changes])
    usual = {name: value for name, value in {**ALL, **PATTERNS}.items() if name != "tilt"}
    return design.model_copy(update={"tolerance": Tolerance.model_validate(errors or usual)})


def bright(*changes: str, **errors: object) -> Design:
    """A bright-field microscope of 32 × 32 samples with a mask of 17 × 17 squares in its pupil."""
    overrides = ["optics.neurons=32", "optics.focal=9 mm", "optics.mask_points=17", "optics.rings=2", "data.fields=6"]
    overrides += ["optics.start=random", "decoder.channels=8", "evaluation.overlap=8", *changes]
    design = load_design(ROOT / "designs" / "dlsrqpi.toml", overrides)
    usual = {name: ALL[name] for name in ("etch_depth", "layer_shift", "gap", "wavelength")}
    more = {"aperture": {"range": 0.05}, "coherence": {"range": 0.1}}
    return design.model_copy(update={"tolerance": Tolerance.model_validate(errors or {**usual, **more})})


def sample_of(design: Design, images: int = 2, seed: int = 1) -> Sample:
    """Smooth phases of up to half a turn, with the margin that the optics take."""
    draw = torch.Generator().manual_seed(seed)
    shape = object_window(design).shape
    spectrum = torch.fft.fft2(torch.randn((images, *shape), generator=draw))
    fy, fx = (torch.fft.fftfreq(size) for size in shape)
    phase = torch.fft.ifft2(spectrum * torch.exp(-((fy[:, None] / 0.06) ** 2) - (fx / 0.06) ** 2)).real
    phase = phase / phase.abs().amax((-2, -1), keepdim=True) * math.pi
    return Sample(torch.polar(torch.ones_like(phase), phase), phase)


def patches_of(design: Design, images: int, seed: int = 1) -> PatchSet:
    """The same as patches, with what an image of them should be."""
    sample = sample_of(design, images, seed)
    return PatchSet.of(sample.fields, sample.phase_rad, design.optics.shape)


def errors(
    design: Design, values: Mapping[str, float], index: int = NO_PATTERN, settings: Mapping[str, float] | None = None
) -> Deviations:
    """One draw whose parameters of these names have these values; all others are nominal."""
    space = build_space(design)
    point = space.nominal[None].copy()
    for name, value in values.items():
        point[0, space.names.index(name)] = value
    if settings is not None:
        point = space.adjusted(point, settings)
    return deviations_of(design, space, point, [index], 0)


def groups_alone(space: Space, values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Points where only some groups are not nominal."""
    kept = np.array([group in groups for group in space.groups])
    return np.where(kept, values, space.nominal)


def layers_of(design: Design, seed: int = 2) -> PerturbedLayers:
    """Its layers with random masks."""
    optics, process = build_optics(design), build_process(design)
    draw = torch.Generator().manual_seed(seed)
    optics.set_phases_rad(torch.rand(optics.detached_phases().shape, generator=draw) * 2.0 * math.pi)
    return PerturbedLayers(design, optics, process, optics.detached_phases())  # type: ignore[arg-type]
