"""Phase of aliased frames without a network: what any network has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from opticdesign.data import PatchSet, Split
from opticdesign.decoders import LinearReader
from opticdesign.decoders.interpolation import upsampled
from opticdesign.decoders.phase_solvers import TieMethod, axial_derivative, solve_tie
from opticdesign.decoders.waves import in_waves
from opticdesign.design import Design, NoDecoder
from opticdesign.instrument.building import build_microscope, camera_period, medium_wavelength_m
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.optics.field import Grid
from opticdesign.randomness import stream_seed
from opticdesign.runs.patches import TEST_PATCHES, patch_set
from opticdesign.runs.score import mean_phase

__all__ = ["FITTED", "defocus_of", "read_finely", "tie_images", "unlearned_images", "unlearned_methods"]

FITTED = {
    "constant": "constant image, the mean of the training data",
    "bicubic": "interpolated reading, brightness and offset fitted",
    "linear": "best linear map from each pixel's surroundings",
}
"""Methods that training data alone decide, by name."""

_PAIRS = {"tie": "two aliased frames", "fine": "two frames of full resolution"}


def unlearned_methods(solvers: Sequence[TieMethod]) -> dict[str, str]:
    """Name of each method → what it is; `tie-…` solves the camera's frames, `fine-…` those without aliasing."""
    pairs = {f"{name}-{solver}": f"{solver} TIE, {what}" for name, what in _PAIRS.items() for solver in solvers}
    return {**FITTED, **pairs}


def defocus_of(design: Design) -> float:
    """Distance of the plane in focus behind the sample, metres; 0 for optics that have none."""
    return float(getattr(design.optics, "defocus", 0.0))


def read_finely(design: Design) -> Design:
    """The design with a pixel for each sample, which share the light and the noise of the pixels that there were."""
    camera = design.detector
    share = camera.binning**2
    update = {
        "binning": 1,
        "max_photons": camera.max_photons / share,
        "read_noise": camera.read_noise / camera.binning,
        "full_well": None if camera.full_well is None else camera.full_well / share,
    }
    return design.model_copy(update={"detector": camera.model_copy(update=update)})


def unlearned_images(method: str, design: Design, split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """What a method makes of the test patches, and what they are, phase over 2π (n, y, x).

    Args:
        method: one of `unlearned_methods`.
        design: says the camera, and the seed of its noise.
        split: what is fitted to, and the test data.
        device: where light is computed.
    """
    test = patch_set(split.test, design, TEST_PATCHES)
    if method not in FITTED:
        pair, solver = method.split("-")
        seen = design if pair == "tie" else read_finely(design)
        return tie_images(seen, test, solver, device), test.targets  # type: ignore[arg-type]  # a name made of solvers
    if method == "constant":
        return torch.full_like(test.targets, mean_phase(split)), test.targets
    known = patch_set(split.train, design, TEST_PATCHES)
    first, second = (_read(design, patches, device, design.training.seed) for patches in (known, test))
    fitted = _by_surroundings if method == "linear" else _by_brightness
    return fitted(design, first, known.targets, second), test.targets


def tie_images(design: Design, patches: PatchSet, solver: TieMethod, device: torch.device) -> Tensor:
    """Phase over 2π (n, y, x) of patches by the transport of intensity, from frames as far before focus as behind.

    The frame behind is the one that decoders read. Exposures are equal, so light that flows over the border is left as
    it is. No intensity shows the mean, so each image is given that of its target.
    """
    z_m, seed, binning = defocus_of(design), design.training.seed, design.detector.binning
    before = design.model_copy(update={"optics": design.optics.model_copy(update={"defocus": -z_m})})
    frames = [
        _read(design, patches, device, seed),
        _read(before, patches, device, stream_seed(seed, "second frame")),
    ]
    intensity, derivative = axial_derivative(torch.stack(frames, dim=1), (z_m, -z_m))
    pixel_m, (rows, columns) = binning * design.optics.sample_pitch, intensity.shape[-2:]
    grid = Grid((rows, columns), (pixel_m, pixel_m))
    phase_rad = solve_tie(intensity, derivative, grid, medium_wavelength_m(design), solver)
    images = upsampled(in_waves(phase_rad), binning)
    return images + (patches.targets - images).mean(dim=(-2, -1), keepdim=True)


def _by_brightness(design: Design, known: Tensor, targets: Tensor, readings: Tensor) -> Tensor:
    """Interpolated readings as a phase, by the line of least squares through known ones and their targets."""
    binning = design.detector.binning
    values = upsampled(known, binning)
    less = values - values.mean()
    slope = float((less * targets).mean() / less.square().mean().clamp(min=1e-20))
    return slope * (upsampled(readings, binning) - float(values.mean())) + float(targets.mean())


def _by_surroundings(design: Design, known: Tensor, targets: Tensor, readings: Tensor) -> Tensor:
    """The linear reader's phase of readings, fitted to known ones and their targets."""
    reader = LinearReader(design.detector.binning, camera_period(design))
    reader.fit(*reader.seen(known, targets))
    return reader(readings)  # type: ignore[no-any-return]  # torch leaves calls of modules untyped


def _read(design: Design, patches: PatchSet, device: torch.device, seed: int) -> Tensor:
    """Readings (n, y/b, x/b) of patches by a design's camera, on the CPU."""
    microscope = build_microscope(design.model_copy(update={"decoder": NoDecoder(kind="none")})).to(device)
    return reconstruct(microscope, patches.fields, microscope.process, seed)[0]
