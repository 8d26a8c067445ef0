"""Phase plates: one learned mask, one way."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import Module

from opticdesign.design import Design
from opticdesign.instrument.axial_plane import AxialPlane, planes_of
from opticdesign.instrument.building import medium_wavelength_m, starting_phases
from opticdesign.instrument.check import Check
from opticdesign.instrument.checks import camera_check, illumination_check, image_sampling_check, mask_checks
from opticdesign.instrument.family import Family
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.elements import DiffractiveElement
from opticdesign.optics.field import Grid
from opticdesign.optics.free_space import free_space
from opticdesign.randomness import torch_stream
from opticdesign_test_plugins.spec import PlateOptics


class PlateSystem(OpticalSystem):
    """A plate and the way behind it."""

    def __init__(self, plate: DiffractiveElement, way: Module) -> None:
        super().__init__(plate.grid, plate.grid, plate.grid, plate.pitch_m, 1)
        self.plate, self.way = plate, way

    @property
    def crossed(self) -> int:
        return 1

    def forward(self, field: Tensor, quantiser: object = None, crossed: int | None = None) -> Tensor:
        self.check_field(field)
        return self.way(self.plate(field, quantiser))

    def phases(self, quantiser: object = None) -> Tensor:
        return self.plate.phase(quantiser)[None]

    def set_phases_rad(self, phases_rad: Tensor) -> None:
        self.plate.set_phase(phases_rad[0])

    def planes(self) -> Iterator[AxialPlane]:
        return planes_of([self.plate, self.way])


class PhasePlates(Family[PlateOptics, PlateSystem]):
    """Phase plates."""

    def build(self, design: Design, optics: PlateOptics) -> PlateSystem:
        grid = Grid(optics.neurons, (optics.pitch, optics.pitch))
        noise: torch.Generator = torch_stream(design.training.seed, "start")
        plate = DiffractiveElement(grid, starting_phases(optics.start, grid.shape, noise))
        return PlateSystem(plate, free_space(grid, medium_wavelength_m(design), optics.distance))

    def checks(self, design: Design, optics: PlateOptics) -> Iterator[Check]:
        yield illumination_check(design)
        yield image_sampling_check(design)
        yield from mask_checks(design, optics.pitch, part="neuron", wider="a larger pitch")
        yield camera_check(design)
