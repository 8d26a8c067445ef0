"""Optics with the errors of draws, made of a design's optics."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

from torch import Tensor

from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.family import Family, Spec, System, family_of
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.hop import Hop
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.hops import Way
from opticdesign.perturbed.sample import Sample

__all__ = ["PerturbedFamily", "PerturbedOptics", "perturbed_family", "perturbed_optics"]


class PerturbedOptics(Protocol):
    """Optics with the errors of draws."""

    def plans(self, dev: Deviations) -> list[tuple[int, int]]:
        """What draws must have alike to go together."""

    def intensity(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Intensities in the image, (n, images, y, x), of draws of one plan.

        Args:
            sample: what light comes from.
            dev: the draws.
            learned: phases of the masks (layers, y, x) that take the gradient of the ones that are made of them.
        """

    def bytes_per_draw(self, images: int) -> int:
        """Memory that one draw takes with so many images at once."""


class PerturbedFamily(Family[Spec, System]):
    """A kind of optics whose errors of making and aligning can be computed."""

    @abstractmethod
    def perturbed(
        self,
        design: Design,
        system: System,
        process: FabricationProcess,
        phases_rad: Tensor,
        crossed: int | None,
        ways: dict[Hop, Way] | None,
    ) -> PerturbedOptics:
        """A system of this kind with errors; arguments as of `perturbed_optics`."""


def perturbed_family(design: Design) -> PerturbedFamily[Any, Any]:
    """The family of a design's optics, which computes errors.

    Raises:
        UsageError: it does not.
    """
    family = family_of(design.optics)
    if isinstance(family, PerturbedFamily):
        return family
    raise UsageError(
        f"optics of the kind {design.optics.kind!r} have no model of their errors",
        expected="a kind whose family says what errors do",
        remedy="train without vaccinated = true, and leave tolerancing out",
    )


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

    Raises:
        UsageError: no errors are known of this kind of optics.
    """
    phases_rad = optics.detached_phases() if phases_rad is None else phases_rad
    perturbed: PerturbedOptics = perturbed_family(design).perturbed(design, optics, process, phases_rad, crossed, ways)
    return perturbed
