"""From a design to the instrument it describes, untrained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from opticdesign.decoders import LinearReader, WithReader
from opticdesign.design import Design, material_of
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.family import family_of
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.detectors import Detector
from opticdesign.randomness import stream_seed

__all__ = [
    "build_decoder",
    "build_microscope",
    "build_optics",
    "build_process",
    "camera_period",
    "medium_wavelength_m",
    "object_margin",
    "starting_phases",
]

_RIPPLE_RAD = 0.1  # enough to break the symmetry of flat masks, too little to scatter


def build_process(design: Design) -> FabricationProcess:
    """The fabrication process that a design names, at its wavelength."""
    wavelength_m, made = design.light.wavelength, design.fabrication
    return FabricationProcess(
        levels=made.levels,
        wavelength_m=wavelength_m,
        index=material_of(made.material).index(wavelength_m),
        medium_index=material_of(made.medium).index(wavelength_m),
        heights_m=made.heights,
        extinction=material_of(made.material).extinction(wavelength_m),
    )


def medium_wavelength_m(design: Design) -> float:
    """Wavelength in the medium, metres."""
    return design.light.wavelength / material_of(design.fabrication.medium).index(design.light.wavelength)


def object_margin(design: Design) -> tuple[int, int]:
    """Samples by which light and object reach beyond the field of view on each side, along y and x.

    What lies there is said by `optics.surroundings`: neighbours, the same patch again, or nothing behind a field stop.
    """
    return design.optics.margin_samples(medium_wavelength_m(design))


def build_optics(design: Design) -> OpticalSystem:
    """The optical system of a design with its starting masks, of what absorbs if their material does.

    Raises:
        UsageError: optics that cannot be built.
    """
    system: OpticalSystem = family_of(design.optics).build(design, design.optics)
    if (loss := build_process(design).loss) > 0.0:
        system.absorb(loss)
    return system


def starting_phases(start: str, shape: tuple[int, ...], noise: torch.Generator) -> Tensor:
    """Phases in radians: flat, uniformly random over a turn, or a ripple."""
    if start == "random":
        return torch.rand(shape, generator=noise) * (2.0 * math.pi)
    return torch.randn(shape, generator=noise) * _RIPPLE_RAD if start == "rippled" else torch.zeros(shape)


def build_decoder(design: Design) -> nn.Module | None:
    """The decoder of a design, its weights drawn from the design's seed; None where there is none."""
    spec, binning = design.decoder, design.detector.binning
    with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator only
        torch.manual_seed(stream_seed(design.training.seed, "decoder"))
        network = spec.build(binning)
    if network is None or not spec.with_reader:
        return network
    return WithReader(LinearReader(binning, camera_period(design)), network)


def camera_period(design: Design) -> int:
    """Camera pixels after which the optics repeat; 1 where they do not."""
    return max(1, design.optics.period // design.detector.binning)


def build_microscope(design: Design) -> Microscope:
    """The whole instrument of a design, with starting masks and a decoder initialised from the design's seed."""
    camera = design.detector
    detector = Detector(
        camera.binning,
        camera.max_photons,
        camera.read_noise,
        quantum_efficiency=camera.quantum_efficiency,
        full_well=math.inf if camera.full_well is None else camera.full_well,
        bits=camera.bits,
        shot_noise=camera.shot_noise,
    )
    precision = torch.bfloat16 if design.training.precision == "bfloat16" else torch.float32
    return Microscope(build_optics(design), detector, build_decoder(design), build_process(design), precision)
