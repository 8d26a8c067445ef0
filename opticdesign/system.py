"""From a design to the instrument it describes, untrained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from opticdesign.decoders import LinearReader, SwinIR, UNet, WithReader
from opticdesign.design import D2NNOptics, Design, FilterOptics, NoDecoder, UNetSpec
from opticdesign.detectors import Detector
from opticdesign.elements import DiffractiveElement, FourierFilter, ring_of_point, zernike_phase
from opticdesign.fabrication import FabricationProcess
from opticdesign.field import Grid
from opticdesign.materials import material
from opticdesign.microscope import Microscope
from opticdesign.optical_system import DiffractiveSystem, FilterSystem, OpticalSystem, ThickMasks
from opticdesign.propagation import PROPAGATORS, Propagator, padded_grid, suitable_propagator
from opticdesign.randomness import stream_seed, torch_stream
from opticdesign.thick import ThickRelief

__all__ = [
    "build_decoder",
    "build_hop",
    "build_layers",
    "build_microscope",
    "build_optics",
    "build_process",
    "camera_period",
    "filter_window",
]

_THICK_PADDING = 1.125  # of the window in a mask, which is only some wavelengths deep
_RIPPLE_RAD = 0.1  # enough to break the symmetry of flat masks, too little to scatter


def build_process(design: Design) -> FabricationProcess:
    """The fabrication process that a design names, at its wavelength."""
    wavelength_m, made = design.light.wavelength, design.fabrication
    return FabricationProcess(
        levels=made.levels,
        wavelength_m=wavelength_m,
        index=material(made.material).index(wavelength_m),
        medium_index=material(made.medium).index(wavelength_m),
        heights_m=made.heights,
    )


def _index(design: Design) -> float:
    return material(design.fabrication.medium).index(design.light.wavelength)


def build_hop(design: Design, optics: D2NNOptics, distance_m: float) -> tuple[Propagator, str]:
    """The propagator of a design over a distance in metres, and why it is of that kind."""
    grid, wavelength_m, index = _field_grid(optics), design.light.wavelength, _index(design)
    if optics.propagator == "auto":
        kind, reason = suitable_propagator(grid, wavelength_m, distance_m, padding=optics.padding, index=index)
    else:
        kind, reason = PROPAGATORS[optics.propagator], "named in the design"
    return kind(grid, wavelength_m, distance_m, padding=optics.padding, index=index), reason


def build_optics(design: Design) -> OpticalSystem:
    """The optical system of a design with its starting masks."""
    optics = design.optics
    return _build_filter(design, optics) if isinstance(optics, FilterOptics) else build_layers(design, optics)


def build_layers(design: Design, optics: D2NNOptics) -> DiffractiveSystem:
    """Diffractive layers with their starting masks."""
    thick = _build_thick(design, optics) if optics.model == "bpm" else None
    depth_m = 0.0 if thick is None else thick.relief.depth_m
    # equal distances share one propagator, and so one transfer function in memory
    distances = [optics.input_gap, *[optics.layer_gap - depth_m] * (optics.layers - 1), optics.detector_gap - depth_m]
    made = {distance_m: build_hop(design, optics, distance_m)[0] for distance_m in dict.fromkeys(distances)}
    phases = _starting_layers(optics, torch_stream(design.training.seed, "start"))
    elements = [DiffractiveElement(_field_grid(optics), phase, samples=optics.samples) for phase in phases]
    hops = [made[distance_m] for distance_m in distances]
    return DiffractiveSystem(elements, hops, thick, crossed=optics.crossed, cell=optics.cell)


def _field_grid(optics: D2NNOptics | FilterOptics) -> Grid:
    return Grid(optics.shape, (optics.sample_pitch, optics.sample_pitch))


def _build_thick(design: Design, optics: D2NNOptics) -> ThickMasks:
    """The march through reliefs of a design: one slice for each level, so that no neuron ends inside a slice."""
    process = build_process(design)
    relief = ThickRelief(
        _field_grid(optics),
        process.wavelength_m,
        process.index,
        process.medium_index,
        depth_m=process.full_height_m,
        slices=process.levels,
        padding=_THICK_PADDING,
        subdivide=optics.subdivide,
    )
    return ThickMasks(relief, process)


def _starting_layers(optics: D2NNOptics, noise: torch.Generator) -> Tensor:
    """Phases before training, repeated from cell to cell where the design has cells, one a neuron (layers, y, x)."""
    cell = (optics.cell, optics.cell) if optics.cell else optics.neurons
    phases = _starting_phases(optics.start, (optics.layers, *cell), noise)
    return phases.repeat(1, optics.neurons[0] // cell[0], optics.neurons[1] // cell[1])


def _starting_phases(start: str, shape: tuple[int, ...], noise: torch.Generator) -> Tensor:
    """Phases in radians: flat, uniformly random over a turn, or a ripple."""
    if start == "random":
        return torch.rand(shape, generator=noise) * (2.0 * math.pi)
    return torch.randn(shape, generator=noise) * _RIPPLE_RAD if start == "rippled" else torch.zeros(shape)


def filter_window(optics: FilterOptics) -> Grid:
    """The window in which a filter's image is computed, as many samples as the filter has points."""
    grid = _field_grid(optics)
    return grid if optics.padding == 1.0 else padded_grid(grid, optics.padding)


def _build_filter(design: Design, optics: FilterOptics) -> FilterSystem:
    """A 4-f system with its starting filter."""
    window = filter_window(optics)
    if optics.start == "zernike":
        phase = zernike_phase(window.shape)
    else:
        phase = _starting_phases(optics.start, window.shape, torch_stream(design.training.seed, "start"))
        if optics.rings:  # one of the random phases for each ring
            phase = phase.flatten()[ring_of_point(window)]
    wavelength_m = design.light.wavelength / _index(design)
    element = FourierFilter(
        _field_grid(optics),
        wavelength_m,
        optics.focal,
        mode=optics.mode,
        radius=optics.radius,
        # half the band along each axis, whatever the shape
        numerical_aperture=wavelength_m / (2.0 * optics.pitch) if optics.radius is None else None,
        padding=optics.padding,
        phase_rad=phase,
    )
    return FilterSystem(element, rings=optics.rings)


def build_decoder(design: Design) -> nn.Module | None:
    """The decoder of a design, its weights drawn from the design's seed; None where there is none."""
    spec, binning = design.decoder, design.detector.binning
    if isinstance(spec, NoDecoder):
        return None
    with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator only
        torch.manual_seed(stream_seed(design.training.seed, "decoder"))
        network: nn.Module
        network = UNet(binning, spec.channels) if isinstance(spec, UNetSpec) else SwinIR(binning, spec.preset)
    return WithReader(LinearReader(binning, camera_period(design)), network) if spec.reader else network


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
    )
    precision = torch.bfloat16 if design.training.precision == "bfloat16" else torch.float32
    return Microscope(build_optics(design), detector, build_decoder(design), precision)
