"""Scores of one microscope on the test data of a design: each patch and each whole field by every metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.data import PhaseField, Split
from opticdesign.data.source import load_split
from opticdesign.design import Design
from opticdesign.evaluation import image_scores
from opticdesign.full_field import FullField, reconstruct_field
from opticdesign.microscope import Microscope
from opticdesign.reconstruction import reconstruct
from opticdesign.run import Run
from opticdesign.system import build_process
from opticdesign.workflow.optimise import TEST_PATCHES, load_trained, patch_set

__all__ = ["ImageScores", "Judged", "TestSet", "judge", "score_constant", "score_run", "test_set"]


@dataclass(frozen=True)
class TestSet:
    """Test patches, complex fields and phase over 2π (n, y, x), and the whole fields they are from."""

    __test__ = False  # for pytest, which takes it for a test by its name

    fields: Tensor
    targets: Tensor
    whole: Sequence[PhaseField]


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


def test_set(design: Design, split: Split) -> TestSet:
    """The test data of a design."""
    return TestSet(*patch_set(split.test, design.optics.shape, TEST_PATCHES), split.test)


test_set.__test__ = False  # type: ignore[attr-defined]  # as above


def score_run(run: Run, device: torch.device) -> ImageScores:
    """Scores of a complete run.

    Raises:
        UsageError: the run is not complete.
    """
    microscope, _ = load_trained(run, device)
    return judge(microscope, test_set(run.design, load_split(run.design)), run.design).scores


def judge(microscope: Microscope, test: TestSet, design: Design) -> Judged:
    """What a microscope makes of the test data, its masks as the design's process makes them."""
    process, seed = build_process(design), design.training.seed
    _, images = reconstruct(microscope, test.fields, process, seed)
    judged = design.evaluation
    whole = [reconstruct_field(microscope, field, process, judged.overlap, seed, judged.tiling) for field in test.whole]
    return Judged(_scores(images, test, whole), images, whole)


def score_constant(split: Split, test: TestSet) -> ImageScores:
    """Scores of the image that is everywhere the mean phase of the training fields."""
    total = sum(float(field.phase_rad[field.valid].sum(dtype="float64")) for field in split.train)
    mean = total / sum(int(field.valid.sum()) for field in split.train) / (2.0 * math.pi)
    whole = []
    for field in test.whole:
        target = torch.from_numpy(field.phase_rad) / (2.0 * math.pi)
        whole.append(FullField(field.name, torch.full_like(target, mean), target, torch.from_numpy(field.valid)))
    return _scores(torch.full_like(test.targets, mean), test, whole)


def _scores(images: Tensor, test: TestSet, whole: Sequence[FullField]) -> ImageScores:
    patches = {name: values.tolist() for name, values in image_scores(images, test.targets).items()}
    fields: dict[str, list[float]] = {name: [] for name in patches}
    for field in whole:
        weight = field.valid[None].to(field.image)
        for name, value in image_scores(field.image[None], field.target[None], weight).items():
            fields[name].append(float(value))
    return ImageScores(patches, fields)
