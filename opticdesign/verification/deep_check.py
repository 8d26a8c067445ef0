"""Before training: whether a design's own model and an independent one read the same from the camera."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.check import Check
from opticdesign.instrument.family import as_learned
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.detectors import mean_bins
from opticdesign.randomness import torch_stream
from opticdesign.verification.second_opinion import masks_of_design, second_opinion

__all__ = ["check_deeply"]

_SMOOTH = 16  # samples between the knots of a smooth object
_SMOOTH_RAD = 2.0


def check_deeply(design: Design) -> Iterator[Check]:
    """A check for the starting masks and one for random ones, if any, with a smooth object and one of random phases.

    Raises:
        UsageError: optics that cannot be built.
    """
    optics, noise = build_microscope(design).optics, torch_stream(design.training.seed, "deep check")
    objects = _objects(optics.object_grid.shape, noise)
    yield _compared(design, optics, objects, "starting masks" if optics.mask_count else "no masks")
    if not optics.mask_count:
        return
    start = optics.detached_phases()
    random = optics.alike(torch.rand(start.shape, generator=noise) * (2.0 * math.pi))
    optics.set_phases_rad(random)
    yield _compared(design, optics, objects, "random masks")


def _compared(design: Design, optics: OpticalSystem, objects: Tensor, what: str) -> Check:
    limit, name = design.optics.accuracy, f"independent model, {what}"
    amplitudes = optics.amplitudes()
    masks = masks_of_design(
        design, optics.detached_phases().numpy(), None if amplitudes is None else amplitudes.double().numpy()
    )
    text = f"at most {limit:.2%} of the reading's rms (optics.accuracy)"
    try:
        opinion = second_opinion(as_learned(design, optics), masks, objects.numpy())
    except UsageError as error:
        return Check(name, "warn", f"not looked at: {error.message}", text, error.remedy)
    with torch.no_grad():
        intensities = optics.intensity(objects), torch.from_numpy(opinion.intensity)
    ours, theirs = (mean_bins(intensity.double(), design.detector.binning) for intensity in intensities)
    smooth, random = ((ours - theirs).square().sum((1, 2)) / theirs.square().sum((1, 2))).sqrt().tolist()
    found = f"readings differ by {smooth:.2%} for a smooth object, {random:.2%} for one of random phases; {opinion.how}"
    if max(smooth, random) <= limit:
        return Check(name, "pass", found, text)
    if design.optics.pointlike:
        found += "; the design is of points (optics.samples = 1), what is made are squares"
    remedy = "leave optics.samples and optics.padding to the program, or lower optics.accuracy"
    return Check(name, "warn", found, text, remedy)


def _objects(shape: tuple[int, int], noise: torch.Generator) -> Tensor:
    """A smooth field and one of random phases, complex64 (2, y, x)."""
    coarse = torch.rand((1, 1, *(max(2, side // _SMOOTH) for side in shape)), generator=noise)
    smooth = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)[0, 0] * _SMOOTH_RAD
    phases = torch.stack((smooth, torch.rand(shape, generator=noise) * (2.0 * math.pi)))
    return torch.polar(torch.ones_like(phases), phases)
