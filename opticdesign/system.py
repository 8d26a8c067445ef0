"""The instrument: masks and free space, a camera, and the decoder behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from opticdesign.cascade import cascade
from opticdesign.decoders import UNet
from opticdesign.design import Design
from opticdesign.detectors import Detector
from opticdesign.elements import DiffractiveElement
from opticdesign.fabrication import FabricationProcess
from opticdesign.field import Grid
from opticdesign.materials import material
from opticdesign.propagation import PROPAGATORS, Propagator, suitable_propagator
from opticdesign.randomness import stream_seed, torch_stream
from opticdesign.thick import ThickRelief

__all__ = [
    "Microscope",
    "OpticalSystem",
    "ThickMasks",
    "build_hop",
    "build_microscope",
    "build_optics",
    "build_process",
]

_THICK_PADDING = 1.125  # of the window in a mask, which is only some wavelengths deep
_RIPPLE_RAD = 0.1  # enough to break the symmetry of flat masks, too little to scatter


class OpticalSystem(nn.Module):
    """Diffractive elements with free space before, between and after them.

    Args:
        elements: the masks in the order light meets them, one or more, on one grid.
        hops: one propagator more than elements, the last one ending on the detector; behind a thick mask a hop starts
            at the top of its relief.
        thick: makes the masks reliefs that light is marched through; left out, they are thin.
    """

    def __init__(
        self, elements: Sequence[DiffractiveElement], hops: Sequence[Propagator], thick: ThickMasks | None = None
    ) -> None:
        super().__init__()
        self.thick = thick
        self.grid = elements[0].grid
        self.elements: nn.ModuleList = nn.ModuleList(elements)
        self.hops: nn.ModuleList = nn.ModuleList(hops)
        # scale of the all-optical image against phase over 2π; it belongs to that objective, not to the hardware
        self.power = nn.Parameter(torch.ones(()))

    def forward(self, field: Tensor, process: FabricationProcess | None = None) -> Tensor:
        """Complex field on the detector plane of a complex input field, both (…, y, x).

        Args:
            field: field in the sample plane.
            process: given, the masks act as this process makes them.
        """
        transfers = [hop.transfer for hop in self.hops if isinstance(hop, Propagator)]
        if self.thick is not None or any(transfer.requires_grad for transfer in transfers):
            return self._one_by_one(field, process)
        masks = torch.stack([element.transmission(process) for element in self._elements()])
        return cascade(field.reshape(-1, *self.grid.shape), masks, transfers).reshape(field.shape)

    def _one_by_one(self, field: Tensor, process: FabricationProcess | None) -> Tensor:
        """As `forward`, hop by hop: for thick masks and for distances that are learned."""
        wave: Tensor = self.hops[0](field)
        for layer, hop in enumerate(self.hops[1:]):
            wave = hop(self.behind(layer, wave, process))
        return wave

    def behind(self, layer: int, field: Tensor, process: FabricationProcess | None = None) -> Tensor:
        """The field (…, y, x) behind one mask, counted from 0, of the field in front of it."""
        element = self._elements()[layer]
        result: Tensor = element(field, process) if self.thick is None else self.thick(field, element, process)
        return result

    def intensity(self, field: Tensor, process: FabricationProcess | None = None) -> Tensor:
        """|A_out|² on the detector plane, real (…, y, x)."""
        output: Tensor = self(field, process)
        return output.real**2 + output.imag**2

    def phases_rad(self) -> Tensor:
        """The learned phases of all masks, (layers, y, x), radians, not wrapped, detached."""
        return torch.stack([element.phase_rad.detach() for element in self._elements()])

    def set_phases_rad(self, phases_rad: Tensor) -> None:
        """Replace the phases of all masks by (layers, y, x) in radians."""
        with torch.no_grad():
            for element, phase in zip(self._elements(), phases_rad, strict=True):
                element.phase_rad.copy_(phase)

    def average_gradients(self, cell: int) -> None:
        """Replace each mask's gradient by its mean over all square cells of that many neurons."""
        for element in self._elements():
            gradient = element.phase_rad.grad
            if gradient is not None:
                rows, columns = (side // cell for side in gradient.shape)
                mean = gradient.reshape(rows, cell, columns, cell).mean((0, 2))
                gradient.copy_(mean.repeat(rows, columns))

    def _elements(self) -> list[DiffractiveElement]:
        return [element for element in self.elements if isinstance(element, DiffractiveElement)]


class ThickMasks(nn.Module):
    """Masks as reliefs: their phases become heights of a process, and light is marched through the slices.

    Args:
        relief: the march, as deep as a phase of 2π is high.
        process: gives the heights of phases.
    """

    def __init__(self, relief: ThickRelief, process: FabricationProcess) -> None:
        super().__init__()
        self.relief, self.process = relief, process

    def forward(self, field: Tensor, element: DiffractiveElement, process: FabricationProcess | None) -> Tensor:
        """The field (…, y, x) at the top of an element's relief, of the field on its base plane.

        Args:
            field: complex field on the base plane.
            element: gives the phases.
            process: given, the relief is as this process makes it.
        """
        height_m = self.process.height_of_phase(element.sampled(element.phase(process)))
        result: Tensor = self.relief(field, height_m)
        return result


class Microscope(nn.Module):
    """Optics, camera and decoder: a complex field in, a phase map in waves out.

    Args:
        optics: the optical system.
        detector: the camera.
        decoder: network from camera readings to phase over 2π.
    """

    def __init__(self, optics: OpticalSystem, detector: Detector, decoder: nn.Module) -> None:
        super().__init__()
        self.optics, self.detector, self.decoder = optics, detector, decoder

    def read(
        self, field: Tensor, process: FabricationProcess | None = None, noise: torch.Generator | None = None
    ) -> Tensor:
        """Camera reading (batch, y/b, x/b) of complex fields (batch, y, x); noiseless without a generator."""
        reading: Tensor = self.detector(self.optics.intensity(field, process), noise)
        return reading

    def forward(
        self, field: Tensor, process: FabricationProcess | None = None, noise: torch.Generator | None = None
    ) -> Tensor:
        """Reconstructed phase over 2π, (batch, y, x), of complex fields (batch, y, x)."""
        image: Tensor = self.decoder(self.read(field, process, noise))
        return image


def build_process(design: Design) -> FabricationProcess:
    """The fabrication process that a design names, at its wavelength."""
    wavelength_m, made = design.light.wavelength, design.fabrication
    return FabricationProcess(
        levels=made.levels,
        wavelength_m=wavelength_m,
        index=material(made.material).index(wavelength_m),
        medium_index=material(made.medium).index(wavelength_m),
    )


def build_hop(design: Design, distance_m: float) -> tuple[Propagator, str]:
    """The propagator of a design over a distance in metres, and why it is of that kind."""
    optics, made = design.optics, design.fabrication
    grid = _field_grid(design)
    index = material(made.medium).index(design.light.wavelength)
    if optics.propagator == "auto":
        kind, reason = suitable_propagator(
            grid, design.light.wavelength, distance_m, padding=optics.padding, index=index
        )
    else:
        kind, reason = PROPAGATORS[optics.propagator], "named in the design"
    return kind(grid, design.light.wavelength, distance_m, padding=optics.padding, index=index), reason


def build_optics(design: Design) -> OpticalSystem:
    """The optical system of a design with its starting masks."""
    optics = design.optics
    thick = _build_thick(design) if optics.model == "bpm" else None
    depth_m = 0.0 if thick is None else thick.relief.depth_m
    # equal distances share one propagator, and so one transfer function in memory
    distances = [optics.input_gap, *[optics.layer_gap - depth_m] * (optics.layers - 1), optics.detector_gap - depth_m]
    made = {distance_m: build_hop(design, distance_m)[0] for distance_m in dict.fromkeys(distances)}
    grid = _field_grid(design)
    elements = [DiffractiveElement(grid, phase, samples=optics.samples) for phase in _starting_phases(design)]
    return OpticalSystem(elements, [made[distance_m] for distance_m in distances], thick)


def _field_grid(design: Design) -> Grid:
    return Grid(design.optics.shape, (design.optics.sample_pitch, design.optics.sample_pitch))


def _build_thick(design: Design) -> ThickMasks:
    """The march through reliefs of a design: one slice for each level, so that no neuron ends inside a slice."""
    process = build_process(design)
    relief = ThickRelief(
        _field_grid(design),
        process.wavelength_m,
        process.index,
        process.medium_index,
        depth_m=process.full_height_m,
        slices=process.levels,
        padding=_THICK_PADDING,
        subdivide=design.optics.subdivide,
    )
    return ThickMasks(relief, process)


def _starting_phases(design: Design) -> Tensor:
    """Phases before training, repeated from cell to cell where the design has cells, one a neuron (layers, y, x)."""
    optics = design.optics
    if optics.start == "clear":
        return torch.zeros((optics.layers, *optics.neurons))
    cell = (optics.cell, optics.cell) if optics.cell else optics.neurons
    noise = torch_stream(design.training.seed, "start")
    if optics.start == "random":
        phases = torch.rand((optics.layers, *cell), generator=noise) * (2.0 * math.pi)
    else:
        phases = torch.randn((optics.layers, *cell), generator=noise) * _RIPPLE_RAD
    return phases.repeat(1, optics.neurons[0] // cell[0], optics.neurons[1] // cell[1])


def build_microscope(design: Design) -> Microscope:
    """The whole instrument of a design, with starting masks and a decoder initialised from the design's seed."""
    detector = Detector(design.detector.binning, design.detector.max_photons, design.detector.read_noise)
    with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator only
        torch.manual_seed(stream_seed(design.training.seed, "decoder"))
        decoder = UNet(design.detector.binning, design.decoder.channels)
    return Microscope(build_optics(design), detector, decoder)
