"""Patches of a design's data as its optics take them: with the margin and the surroundings that the design names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from opticdesign.data import PatchSampler, PatchSet, PhaseField, Split, Window, grid_patches
from opticdesign.data.augmentation import draw_superposed
from opticdesign.design import Design
from opticdesign.instrument.building import object_margin
from opticdesign.learning.training import DrawBatch
from opticdesign.randomness import numpy_stream

__all__ = ["TEST_PATCHES", "VALIDATION_PATCHES", "batch_source", "object_window", "patch_set"]

VALIDATION_PATCHES = 8

TEST_PATCHES = 64

_EDGE_RAD_PER_M = 0.25e6  # a phase that rises by more is an edge: the rim of a cell, its nucleus, what is in it


def object_window(design: Design) -> Window:
    """The part of a field that is under a design's optics at once."""
    optics = design.optics
    return Window(
        optics.shape,
        object_margin(design),
        repeated=optics.surroundings == "repeat",
        least_edges=design.data.least_edges,
        edge_rad=_EDGE_RAD_PER_M * optics.sample_pitch,
    )


def batch_source(design: Design, split: Split) -> DrawBatch:
    """Training batches of a split, as a function of the step number only.

    Raises:
        DataError: no training field holds a patch.
    """
    sampler, augmentation = PatchSampler(split.train, object_window(design)), design.training.augmentation

    def draw(step: int) -> tuple[Tensor, Tensor]:
        rng = numpy_stream(design.training.seed, "batch", step)
        patches = draw_superposed(sampler, design.training.batch, augmentation.superpose, augmentation.scale, rng)
        amplitude, phase_rad = map(torch.from_numpy, patches)
        return torch.polar(amplitude, phase_rad), phase_rad

    return draw


def patch_set(fields: Sequence[PhaseField], design: Design, most: int) -> PatchSet:
    """At most so many patches spread evenly over fields, with the surroundings that a design's optics see.

    Neighbouring patches overlap, since one field of view seldom holds many apart from each other. Their places depend
    on `optics.shape` alone, so that designs of one shape are compared on the same ones.

    Raises:
        DataError: no field holds a patch.
    """
    window = object_window(design)
    rows, columns = window.patch
    found = grid_patches(fields, window, (max(1, rows // 8), max(1, columns // 8)))
    every = math.ceil(len(found[0]) / most)
    amplitude, phase_rad = (torch.from_numpy(part[::every]) for part in found)
    return PatchSet.of(torch.polar(amplitude, phase_rad), phase_rad, window.patch)
