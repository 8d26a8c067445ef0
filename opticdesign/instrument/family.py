"""What a kind of optics has to answer, and where the one of a design is found.

Families are found through the entry-point group `opticdesign.families` by the `kind` of their spec. A wing further up
that asks more has a subclass of `Family` for those that can answer: `perturbed.optics`, `verification.second_opinion`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from typing import Any, Generic, TypeVar

from opticdesign.design import Design, OpticsSpec
from opticdesign.errors import UsageError
from opticdesign.instrument.check import Check
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.plugins import Plugins, instance_of

__all__ = ["Family", "Spec", "System", "as_learned", "family_of"]

Spec = TypeVar("Spec", bound=OpticsSpec)
System = TypeVar("System", bound=OpticalSystem)


class Family(ABC, Generic[Spec, System]):
    """A kind of optics: what its spec builds. Beside a design, methods get its `optics` as the spec that they are."""

    @abstractmethod
    def build(self, design: Design, optics: Spec) -> System:
        """The optics with their starting masks.

        Raises:
            UsageError: optics that cannot be built.
        """

    def as_learned(self, optics: Spec, system: System) -> Spec:  # noqa: ARG002 (most learn masks alone)
        """The spec with the numbers, masks apart, that a trained system of this kind has learned."""
        return optics

    @abstractmethod
    def checks(self, design: Design, optics: Spec) -> Iterator[Check]:
        """What a design promises physics and process, in the order light meets it; `checks` has those of any kind.

        Raises:
            UsageError: optics that cannot be built.
        """


def as_learned(design: Design, system: OpticalSystem) -> Design:
    """A design with the numbers of its optics, masks apart, that its trained system has learned."""
    optics = family_of(design.optics).as_learned(design.optics, system)
    return design.model_copy(update={"optics": optics})


def family_of(optics: OpticsSpec) -> Family[Any, Any]:
    """The family of a spec.

    Raises:
        UsageError: no package has one, or a package's cannot be loaded.
    """
    known = _families()
    if optics.kind not in known:
        raise UsageError(
            f"no family of optics of the kind {optics.kind!r} is installed",
            expected="one of " + ", ".join(known),
            remedy="install the package that it is from again; from a checkout, with pip install -e .",
        )
    return known[optics.kind]


# abstract here, and none of those that are found is
_FAMILIES = Plugins("opticdesign.families", "family of optics", instance_of(Family))  # type: ignore[type-abstract]
_families = cache(_FAMILIES.installed)
