"""Scores of one microscope on test data: each patch and each whole field by every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.data import PhaseField, Split
from opticdesign.decoders.waves import in_waves
from opticdesign.design import Design
from opticdesign.instrument.full_field import FullField, reconstruct_field
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.learning.evaluation import image_scores
from opticdesign.runs.patches import TEST_PATCHES, object_window, patch_set
from opticdesign.runs.run_data import run_data
from opticdesign.runs.run_folder import Run
from opticdesign.runs.start import load_trained

__all__ = [
    "ImageScores",
    "Judged",
    "judge",
    "mean_phase",
    "patch_images",
    "patch_scores",
    "score_constant",
    "score_run",
]


@dataclass(frozen=True)
class ImageScores:
    """Metric → its value for each test patch, and for each whole field."""

    patches: dict[str, list[float]]
    fields: dict[str, list[float]]


@dataclass(frozen=True)
class Judged:
    """Scores of a microscope, and what it made of the data.

    Args:
        scores: of all test data.
        images: reconstructions of the patches, phase over 2π (n, y, x).
        whole: reconstructions of the whole fields.
    """

    scores: ImageScores
    images: Tensor
    whole: Sequence[FullField]


def score_run(run: Run, device: torch.device) -> ImageScores:
    """Scores of a complete run.

    Raises:
        UsageError: the run is not complete.
        RunError: its data files are not those that it was trained on.
    """
    microscope, _ = load_trained(run, device)
    return judge(microscope, run_data(run).split.test, run.design).scores


def judge(microscope: Microscope, fields: Sequence[PhaseField], design: Design) -> Judged:
    """What a microscope makes of test fields, its masks as the design's process makes them.

    The patches lie at the same places for all designs of one shape; what surrounds them is cut for this one.
    """
    process, seed, judged = microscope.process, design.training.seed, design.evaluation
    images, targets = patch_images(microscope, fields, design)
    window = object_window(design)
    whole = [
        reconstruct_field(microscope, field, window, process, overlap=judged.overlap, seed=seed, tiling=judged.tiling)
        for field in fields
    ]
    return Judged(_scores(images, targets, whole), images, whole)


def patch_images(microscope: Microscope, fields: Sequence[PhaseField], design: Design) -> tuple[Tensor, Tensor]:
    """What a microscope makes of the patches of test fields, and what they are, phase over 2π (n, y, x)."""
    patches = patch_set(fields, design, TEST_PATCHES)
    return reconstruct(microscope, patches.fields, microscope.process, design.training.seed)[1], patches.targets


def patch_scores(images: Tensor, targets: Tensor) -> dict[str, list[float]]:
    """Metric → its value for each of some images against its target, phase over 2π (n, y, x)."""
    return {name: values.tolist() for name, values in image_scores(images, targets).items()}


def score_constant(split: Split, design: Design) -> ImageScores:
    """Scores on a design's test data of the image that is everywhere the mean phase of the training fields."""
    mean = mean_phase(split)
    whole = []
    for field in split.test:
        target = in_waves(torch.from_numpy(field.phase_rad))
        whole.append(FullField(field.name, torch.full_like(target, mean), target, torch.from_numpy(field.valid)))
    targets = patch_set(split.test, design, TEST_PATCHES).targets
    return _scores(torch.full_like(targets, mean), targets, whole)


def mean_phase(split: Split) -> float:
    """Mean phase over 2π of the training fields where they are valid."""
    total = sum(float(field.phase_rad[field.valid].sum(dtype="float64")) for field in split.train)
    return in_waves(total / sum(int(field.valid.sum()) for field in split.train))


def _scores(images: Tensor, targets: Tensor, whole: Sequence[FullField]) -> ImageScores:
    patches = patch_scores(images, targets)
    fields: dict[str, list[float]] = {name: [] for name in patches}
    for field in whole:
        weight = field.valid[None].to(field.image)
        for name, value in image_scores(field.image[None], field.target[None], weight).items():
            fields[name].append(float(value))
    return ImageScores(patches, fields)
