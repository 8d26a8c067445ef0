"""The floors any design has to beat: what optics that learned nothing reach with an equal decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from opticdesign.design import Design, FilterOptics, OpticsSpec, Stage
from opticdesign.plugins import Plugins, instance_of

__all__ = ["CONSTANT", "Floor", "decoder_stages", "floor_design", "floors", "floors_of"]

CONSTANT = "constant"
"""Name of the floor that has no optics: one image for all objects."""
_DECODER_ALONE = MappingProxyType(
    {
        "train": ("decoder",),
        "optics_rate": None,
        "rounding": "straight-through",
        "temperature": None,
        "variation": None,
        "feature": None,
    }
)


class Floor(ABC):
    """Optics that learned nothing, in the place of a design's.

    Attributes:
        drawn: whether they are random, and stand there once for each of `evaluation.random_masks`.
    """

    drawn: bool = False

    @property
    @abstractmethod
    def title(self) -> str:
        """What they are called in tables."""

    @abstractmethod
    def optics(self, design: Design) -> OpticsSpec:
        """The optics, which see the object with the surroundings that the design names, in as many samples."""

    def stands_beside(self, design: Design) -> bool:  # noqa: ARG002 (most do)
        """Whether an evaluation of a design shows this floor."""
        return True


class ClearAperture(Floor):
    """A clear aperture at the same distances, without gaps."""

    title = "clear aperture"

    def optics(self, design: Design) -> OpticsSpec:
        return design.optics.clear()

    def stands_beside(self, design: Design) -> bool:
        return design.optics.learns


class ZernikeFilter(Floor):
    """A 4-f system with Zernike's phase-contrast filter."""

    title = "Zernike filter"

    def optics(self, design: Design) -> OpticsSpec:
        return FilterOptics.zernike(design.optics, design.light.wavelength)

    def stands_beside(self, design: Design) -> bool:
        return not design.optics.measured


class RandomMasks(Floor):
    """Masks, or a filter, of random phase."""

    title = "random masks"
    drawn = True

    def optics(self, design: Design) -> OpticsSpec:
        return design.optics.random()

    def stands_beside(self, design: Design) -> bool:
        return design.optics.masks > 0


class RandomCells(Floor):
    """Random masks that repeat as the design's do."""

    title = "random cells"
    drawn = True

    def optics(self, design: Design) -> OpticsSpec:
        return design.optics.random_cells()

    def stands_beside(self, design: Design) -> bool:
        return design.optics.period > 1


_FLOORS = {"clear": ClearAperture(), "zernike": ZernikeFilter(), "random": RandomMasks(), "cells": RandomCells()}
_MORE_FLOORS = Plugins(
    "opticdesign.floors",
    "floor",
    instance_of(Floor),  # type: ignore[type-abstract]  # none of those that are found is
    [CONSTANT, *_FLOORS],
)


@cache
def floors() -> Mapping[str, Floor]:
    """Our own floors by name, and behind them those of other packages, from the entry-point group `opticdesign.floors`.

    Raises:
        UsageError: one cannot be loaded, or has the name of one of ours.
    """
    return _FLOORS | _MORE_FLOORS.all()


def floor_design(design: Design, floor: str, seed: int) -> Design:
    """A design with the same camera and decoder, trained as long, behind optics that are not learned.

    Args:
        design: what the floor is for.
        floor: its name.
        seed: of all draws.
    """
    training = design.training.model_copy(update={"seed": seed, "stages": decoder_stages(design)})
    return design.model_copy(update={"optics": floors()[floor].optics(design), "training": training})


def decoder_stages(design: Design) -> dict[str, Stage]:
    """The stages that train a design's decoder, behind optics that stay as they are."""
    return {
        name: stage.model_copy(update=_DECODER_ALONE)
        for name, stage in design.training.stages.items()
        if "decoder" in stage.train
    }


def floors_of(design: Design) -> Iterator[tuple[str, Design]]:
    """Title and design of every floor of a design, those that are drawn at last."""
    seed = design.training.seed
    behind = "" if design.decoder.kind == "none" else " + decoder"
    beside = {name: floor for name, floor in floors().items() if floor.stands_beside(design)}
    for name, floor in beside.items():
        if not floor.drawn:
            yield f"{floor.title}{behind}", floor_design(design, name, seed)
    for index in range(design.evaluation.random_masks):
        for name, floor in beside.items():
            if floor.drawn:
                yield f"{floor.title} {index + 1}{behind}", floor_design(design, name, seed + index)
