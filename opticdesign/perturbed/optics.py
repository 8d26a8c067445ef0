"""Optics with the errors of draws, made of a design's optics."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from opticdesign.design import Design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.instrument.filter_system import FilterSystem
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.hop import Hop
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.filters import PerturbedFilter
from opticdesign.perturbed.hops import Way
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.sample import Sample

__all__ = ["PerturbedOptics", "perturbed_optics"]


class PerturbedOptics(Protocol):
    """Optics with the errors of draws."""

    def plans(self, dev: Deviations) -> list[tuple[int, int]]:
        """What draws must have alike to go together."""

    def field(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Complex fields on the camera, (n, images, y, x), of draws of one plan."""

    def bytes_per_draw(self, images: int) -> int:
        """Memory that one draw takes with so many images at once."""


def perturbed_optics(
    design: Design,
    optics: OpticalSystem,
    process: FabricationProcess,
    phases_rad: Tensor | None = None,
    crossed: int | None = None,
    ways: dict[Hop, Way] | None = None,
) -> PerturbedOptics:
    """A design's optics with errors.

    Args:
        design: says what they are made of.
        optics: the optics as designed, on the device where to compute.
        process: makes the masks.
        phases_rad: of the masks that it makes, (layers, y, x); those of the optics when left out.
        crossed: masks that light passes; left out, as many as the design says.
        ways: what is known of the hops, as `PerturbedLayers` takes it.
    """
    phases_rad = optics.detached_phases() if phases_rad is None else phases_rad
    if isinstance(optics, DiffractiveSystem):
        return PerturbedLayers(design, optics, process, phases_rad, crossed, ways)
    if isinstance(optics, FilterSystem):
        return PerturbedFilter(design, optics, process, phases_rad)
    raise TypeError(f"{type(optics).__name__} has no errors")
