from __future__ import annotations

import pytest
import torch

from opticdesign.instrument.reconstruction import BATCH, reconstruct, reconstruct_batches
from opticdesign.optics.detectors import Detector
from tests.support.ideal_microscope import IdealMicroscope


class NoisyMicroscope(IdealMicroscope):
    """Counts the photons of a field, and knows no better image."""

    def __init__(self) -> None:
        super().__init__((4, 4))
        self.detector = Detector(binning=2, max_photons=100.0, read_noise=2.0)

    def read(self, field, process=None, noise=None, crossed=None):  # type: ignore[no-untyped-def]
        self.seen.append(field)
        return self.detector(field.abs() ** 2, noise)


@pytest.fixture
def fields() -> torch.Tensor:
    return torch.ones((2 * BATCH + 3, 4, 4), dtype=torch.complex64)


def test_reading_noise_repeats_with_the_seed_and_changes_with_it(fields: torch.Tensor) -> None:
    first, again, other = (reconstruct(NoisyMicroscope(), fields, None, seed)[0] for seed in (1, 1, 2))
    assert first.shape == (2 * BATCH + 3, 2, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_equal_fields_get_noise_of_their_own(fields: torch.Tensor) -> None:
    readings, _ = reconstruct(NoisyMicroscope(), fields, None, seed=1)
    assert len({tuple(reading.flatten().tolist()) for reading in readings}) == len(fields)


def test_batches_that_come_one_by_one_give_the_same_as_all_at_once(fields: torch.Tensor) -> None:
    microscope = NoisyMicroscope()
    parts = reconstruct_batches(microscope, (part for part in torch.split(fields, BATCH)), None, 1)
    first = next(parts)
    assert len(microscope.seen) == 1
    readings = torch.cat([first[0], *(reading for reading, _ in parts)])
    assert torch.equal(readings, reconstruct(NoisyMicroscope(), fields, None, 1)[0])


def test_images_carry_no_gradient_and_the_microscope_is_set_to_evaluation(fields: torch.Tensor) -> None:
    microscope = NoisyMicroscope()
    microscope.alter = lambda image, first: image * (1.0 + microscope.parameter)
    _, images = reconstruct(microscope.train(), fields, None, 1)
    assert not images.requires_grad
    assert not microscope.training
