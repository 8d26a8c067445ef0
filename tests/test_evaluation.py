from __future__ import annotations

import numpy as np
import pytest
import torch

from opticdesign.data import PhaseField
from opticdesign.design import Design
from opticdesign.evaluation import interval, reconstruct, reconstruct_field
from opticdesign.system import Microscope, build_microscope, build_process


class _TruePhase(torch.nn.Module):
    """A decoder that knows: it returns the phase that the optics put into the reading."""

    def forward(self, reading: torch.Tensor) -> torch.Tensor:
        return reading


def transparent_microscope(design: Design) -> Microscope:
    """A microscope whose reading is the phase of its field over 2π, at full resolution."""
    microscope = build_microscope(design)
    microscope.decoder = _TruePhase()
    microscope.read = lambda field, process=None, noise=None: field.angle() / (2.0 * torch.pi)  # type: ignore[method-assign]
    return microscope


@pytest.mark.parametrize(("shape", "overlap"), [((64, 64), 16), ((65, 130), 16), ((100, 200), 0), ((147, 96), 48)])
def test_tiles_put_a_whole_field_together_exactly(tiny_design: Design, shape: tuple[int, int], overlap: int) -> None:
    rng = np.random.default_rng(3)
    phase = rng.uniform(0.0, 3.0, shape).astype(np.float32)
    field = PhaseField("noise", phase, np.ones(shape, np.float32), np.ones(shape, np.bool_))
    result = reconstruct_field(transparent_microscope(tiny_design), field, None, overlap, seed=0)
    torch.testing.assert_close(result.image, torch.from_numpy(phase) / (2.0 * torch.pi), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(result.target, torch.from_numpy(phase) / (2.0 * torch.pi))


def test_tiles_that_guess_different_offsets_are_made_to_agree(tiny_design: Design) -> None:
    """Each tile is off by a constant of its own; the whole field is off by one constant, their mean."""
    rng = np.random.default_rng(5)
    phase = rng.uniform(0.0, 3.0, (140, 110)).astype(np.float32)
    field = PhaseField("noise", phase, np.ones(phase.shape, np.float32), np.ones(phase.shape, np.bool_))
    microscope = transparent_microscope(tiny_design)
    guesses: list[torch.Tensor] = []

    def guessing(reading: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(len(guesses))
        guesses.append(torch.rand((len(reading), 1, 1), generator=generator))
        return reading + guesses[-1]

    microscope.decoder.forward = guessing  # type: ignore[method-assign]
    result = reconstruct_field(microscope, field, None, 16, seed=0)
    error = result.image - result.target
    assert torch.cat(guesses).std() > 0.2
    torch.testing.assert_close(error, torch.full_like(error, float(torch.cat(guesses).mean())), atol=1e-4, rtol=0.0)


def test_reading_noise_repeats_with_the_seed_and_changes_with_it(tiny_design: Design) -> None:
    microscope, process = build_microscope(tiny_design), build_process(tiny_design)
    fields = torch.ones((2, 64, 64), dtype=torch.complex64)
    first, again, other = (reconstruct(microscope, fields, process, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_interval_covers_the_mean_at_its_rate() -> None:
    rng = np.random.default_rng(0)
    scores = [interval(rng.normal(5.0, 2.0, 60).tolist(), seed) for seed in range(200)]
    hits = sum(score.low <= 5.0 <= score.high for score in scores)
    assert 180 <= hits <= 199
