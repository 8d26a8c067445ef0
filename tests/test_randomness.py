from __future__ import annotations

import hashlib
import random

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.randomness import numpy_stream, stream_seed, torch_stream

SEEDS = st.integers(0, 2**63 - 1)


@given(seed=SEEDS, step=st.integers(0, 10**9), purpose=st.text(max_size=20))
@settings(deadline=None, max_examples=50)
def test_stream_seed_fits_63_bits_and_repeats(seed: int, step: int, purpose: str) -> None:
    value = stream_seed(seed, purpose, step)
    assert 0 <= value < 2**63
    assert value == stream_seed(seed, purpose, step)


def test_stream_seed_is_the_same_on_every_machine_and_in_every_version() -> None:
    expected = int(hashlib.sha256(b"7/noise/3").hexdigest()[:16], 16) // 2
    assert stream_seed(7, "noise", 3) == expected


@given(seed=SEEDS, step=st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_streams_of_another_seed_step_or_purpose_are_other_streams(seed: int, step: int) -> None:
    seeds = {
        stream_seed(seed, "noise", step),
        stream_seed(seed, "noise", step + 1),
        stream_seed(seed ^ 1, "noise", step),
        stream_seed(seed, "batch", step),
    }
    assert len(seeds) == 4


def test_torch_stream_repeats_and_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    first = torch.rand(5, generator=torch_stream(1, "noise", 2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(first, torch.rand(5, generator=torch_stream(1, "noise", 2)))
    assert not torch.equal(first, torch.rand(5, generator=torch_stream(1, "noise", 3)))


def test_numpy_stream_repeats_and_leaves_the_global_streams_alone() -> None:
    before, python = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 (the global stream is meant)
    first = numpy_stream(1, "batch", 2).random(5)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert random.getstate() == python
    assert np.array_equal(first, numpy_stream(1, "batch", 2).random(5))
    assert not np.array_equal(first, numpy_stream(1, "batch", 3).random(5))


def test_streams_of_neighbouring_steps_are_not_correlated() -> None:
    draws = torch.stack([torch.randn(2000, generator=torch_stream(0, "noise", step)) for step in range(8)])
    off_diagonal = torch.corrcoef(draws) - torch.eye(8)
    assert off_diagonal.abs().max().item() < 0.12  # five standard deviations
