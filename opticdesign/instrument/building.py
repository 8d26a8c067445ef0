"""From a design to the instrument it describes, untrained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from opticdesign.decoders import LinearReader, WithReader
from opticdesign.design import D2NNOptics, Design, FilterOptics
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.diffractive_system import DiffractiveSystem, ThickMasks
from opticdesign.instrument.filter_system import FilterSystem
from opticdesign.instrument.geometry import Layers, Paddings, suitable_paddings, suitable_samples
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.detectors import Detector
from opticdesign.optics.elements import DiffractiveElement, FourierFilter, Square, ring_of_point, zernike_phase
from opticdesign.optics.field import Grid
from opticdesign.optics.materials import material
from opticdesign.optics.propagation import padded_grid
from opticdesign.optics.thick import ThickRelief
from opticdesign.randomness import stream_seed, torch_stream

__all__ = [
    "build_decoder",
    "build_layers",
    "build_microscope",
    "build_optics",
    "build_process",
    "camera_period",
    "filter_window",
    "layers_of",
    "light_samples",
    "object_margin",
    "window_paddings",
]

_SAMPLES_PER_WAVE = 4  # in vacuum, of light in a relief
_SLICES_PER_WAVE = 3  # least slices of a relief in one wavelength in vacuum
_CAMERA_SAMPLES = 2  # of light across one of the image behind a filter: an intensity has twice the field's band
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


def object_margin(design: Design) -> tuple[int, int]:
    """Samples by which light and object reach beyond the field of view on each side, along y and x.

    What lies there is said by `optics.surroundings`: neighbours, the same patch again, or nothing behind a field stop.
    Left to the program, it is as far as the object's steepest light crosses on its way to the first mask, at most half
    a field of view, and that before lenses.
    """
    optics = design.optics
    if optics.surroundings == "field-stop" or (isinstance(optics, FilterOptics) and optics.surroundings == "repeat"):
        return 0, 0
    pitch_m = optics.sample_pitch
    if optics.margin is not None:
        samples = math.ceil(optics.margin / pitch_m * (1.0 - 1e-9))
        return samples, samples
    half = math.ceil(optics.shape[0] / 2), math.ceil(optics.shape[1] / 2)
    if isinstance(optics, FilterOptics):
        return half
    samples = math.ceil(optics.input_gap * _steepest_tangent(design) / pitch_m)
    return min(samples, half[0]), min(samples, half[1])


def _steepest_tangent(design: Design) -> float:
    """Tangent of the steepest angle at which an object of this sampling sends light, at most 3."""
    sine = design.light.wavelength / _index(design) / (2.0 * design.optics.sample_pitch)
    return 3.0 if sine >= 3.0 / math.sqrt(10.0) else sine / math.sqrt(1.0 - sine * sine)


def build_optics(design: Design) -> OpticalSystem:
    """The optical system of a design with its starting masks."""
    optics = design.optics
    return _build_filter(design, optics) if isinstance(optics, FilterOptics) else build_layers(design, optics)


def layers_of(design: Design, optics: D2NNOptics) -> Layers:
    """How the layers of a design stand, and how what is between them is to be computed."""
    depth_m = build_process(design).full_height_m if optics.model == "bpm" else 0.0
    gaps = [optics.input_gap, *[optics.layer_gap - depth_m] * (optics.layers - 1), optics.detector_gap - depth_m]
    return Layers(
        neurons=optics.neurons,
        pitch_m=(optics.pitch, optics.pitch),
        image_samples=optics.image_samples,
        margin=object_margin(design),
        distances_m=tuple(gaps),
        wavelength_m=design.light.wavelength / _index(design),
        binning=design.detector.binning,
        method=optics.propagator,
        pointlike=optics.samples == 1,
    )


def light_samples(design: Design, optics: D2NNOptics) -> int:
    """Samples of light across a neuron: as the design names, or as its accuracy asks.

    Light in a relief is marched through at four samples a wave or more, whatever comes out of it.
    """
    if optics.samples is not None:
        return optics.samples
    step = math.lcm(2, optics.image_samples)
    marched = math.ceil(_SAMPLES_PER_WAVE * optics.pitch / design.light.wavelength * (1.0 - 1e-9))
    least = step * math.ceil(marched / step) if optics.model == "bpm" else 0
    return max(least, suitable_samples(layers_of(design, optics), optics.accuracy))


def window_paddings(design: Design, optics: D2NNOptics) -> Paddings:
    """Width of each hop's window over that of its planes: as the design names, or as its accuracy asks."""
    if optics.padding is not None:
        return optics.padding
    return suitable_paddings(layers_of(design, optics), light_samples(design, optics), optics.accuracy)


def build_layers(design: Design, optics: D2NNOptics) -> DiffractiveSystem:
    """Diffractive layers with their starting masks.

    Raises:
        UsageError: neurons that need more samples than a plane may have, or a method that cannot go over a gap.
    """
    layers, samples = layers_of(design, optics), light_samples(design, optics)
    phases = _starting_layers(optics, torch_stream(design.training.seed, "start"))
    square = None if layers.pointlike else Square(optics.fill_factor, optics.gaps == "clear")
    elements = [DiffractiveElement(layers.light(samples), phase, samples=samples, square=square) for phase in phases]
    hops = layers.hops(samples, window_paddings(design, optics))
    thick = _build_thick(design, layers.light(samples)) if optics.model == "bpm" else None
    return DiffractiveSystem(elements, hops, thick, image=layers.image, crossed=optics.crossed, cell=optics.cell)


def _image_grid(optics: D2NNOptics | FilterOptics) -> Grid:
    return Grid(optics.shape, (optics.sample_pitch, optics.sample_pitch))


def _build_thick(design: Design, grid: Grid) -> ThickMasks:
    """The march through reliefs of a design, in slices that are parts of a level, so that no neuron ends inside one."""
    process = build_process(design)
    parts = math.ceil(_SLICES_PER_WAVE * process.full_height_m / (process.levels * process.wavelength_m))
    relief = ThickRelief(
        grid,
        process.wavelength_m,
        process.index,
        process.medium_index,
        depth_m=process.full_height_m,
        slices=process.levels * parts,
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
    """The window that a filter has as many points as: the image's, or a wider one."""
    grid = _image_grid(optics)
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
    image = _image_grid(optics)
    element = FourierFilter(
        image,
        wavelength_m,
        optics.focal,
        mode=optics.mode,
        radius=optics.radius,
        # half the band along each axis, whatever the shape
        numerical_aperture=wavelength_m / (2.0 * optics.pitch) if optics.radius is None else None,
        padding=optics.padding,
        fill_factor=optics.fill_factor,
        clear_gaps=optics.gaps == "clear",
        phase_rad=phase,
    )
    (ny, nx), (my, mx) = image.shape, object_margin(design)
    lit = None if optics.surroundings == "repeat" else image.with_shape((ny + 2 * my, nx + 2 * mx))
    return FilterSystem(
        element,
        lit,
        endless=optics.surroundings == "neighbours",
        samples=optics.samples or _CAMERA_SAMPLES,
        rings=optics.rings,
    )


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
    )
    precision = torch.bfloat16 if design.training.precision == "bfloat16" else torch.float32
    return Microscope(build_optics(design), detector, build_decoder(design), build_process(design), precision)
