"""Random streams without global state: a draw depends on the seed, the step and its purpose only."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np

__all__ = ["numpy_stream", "stream_seed", "torch_stream"]


def stream_seed(seed: int, purpose: str, step: int = 0) -> int:
    """A 63-bit seed for one purpose at one step."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def torch_stream(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU generator for torch draws of one purpose at one step."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, step))


def numpy_stream(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """A generator for numpy draws of one purpose at one step."""
    import numpy as np

    return np.random.default_rng(stream_seed(seed, purpose, step))
