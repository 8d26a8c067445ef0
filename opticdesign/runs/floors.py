"""The floors any design has to beat: what optics that learned nothing reach with an equal decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType
from typing import Literal, get_args

from opticdesign.design import D2NNOptics, Design, FilterOptics, Stage

__all__ = ["FLOORS", "Floor", "decoder_stages", "floor_design", "floors_of"]

Floor = Literal["clear", "random", "cells", "zernike"]
FLOORS: tuple[Floor, ...] = get_args(Floor)
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
_FOCAL = "10 mm"  # of the 4-f system that holds Zernike's filter; the image does not depend on it


def floor_design(design: Design, floor: Floor, seed: int) -> Design:
    """A design with the same camera and decoder, trained as long, behind optics that are not learned.

    "clear" is a clear aperture at the same distances, without gaps, "random" are masks (or a filter) of random phase,
    "cells" are random masks that repeat as the design's do, "zernike" is a 4-f system with Zernike's phase-contrast
    filter. All see the object with the surroundings that the design names.

    Args:
        design: what the floor is for; its optics may be layers or a filter.
        floor: which optics.
        seed: of all draws.
    """
    optics = design.optics
    new: D2NNOptics | FilterOptics
    start: dict[str, object] = {"start": "clear", "fill_factor": 1.0} if floor == "clear" else {"start": "random"}
    if isinstance(optics, FilterOptics):
        changes = {"start": "zernike", "rings": False} if floor == "zernike" else start
        new = optics.model_copy(update={**changes, "mode": "none"})
    elif floor == "zernike":
        new = _zernike_filter(optics)
    else:
        new = optics.model_copy(update={**start, "cell": optics.cell if floor == "cells" else None})
    training = design.training.model_copy(update={"seed": seed, "stages": decoder_stages(design)})
    return design.model_copy(update={"optics": new, "training": training})


def _zernike_filter(optics: D2NNOptics) -> FilterOptics:
    """Zernike's filter for the object, the camera and the surroundings of layers, as accurate.

    Its margin is its own, since light spreads in it otherwise than between layers.
    """
    return FilterOptics.model_validate(
        {
            "kind": "fourier-filter",
            "neurons": optics.shape,
            "pitch": f"{optics.sample_pitch!r} m",
            "focal": _FOCAL,
            "mode": "none",
            "start": "zernike",
            "samples": None if optics.samples is None else math.ceil(optics.samples / optics.image_samples),
            "surroundings": optics.surroundings,
            "accuracy": optics.accuracy,
        }
    )


def decoder_stages(design: Design) -> dict[str, Stage]:
    """The stages that train a design's decoder, behind optics that stay as they are."""
    return {
        name: stage.model_copy(update=_DECODER_ALONE)
        for name, stage in design.training.stages.items()
        if "decoder" in stage.train
    }


def floors_of(design: Design) -> Iterator[tuple[str, Design]]:
    """Name and design of every floor of a design."""
    seed = design.training.seed
    behind = "" if design.decoder.kind == "none" else " + decoder"
    yield f"clear aperture{behind}", floor_design(design, "clear", seed)
    yield f"Zernike filter{behind}", floor_design(design, "zernike", seed)
    for index in range(design.evaluation.random_masks):
        yield f"random masks {index + 1}{behind}", floor_design(design, "random", seed + index)
        if isinstance(design.optics, D2NNOptics) and design.optics.cell is not None:
            yield f"random cells {index + 1}{behind}", floor_design(design, "cells", seed + index)
