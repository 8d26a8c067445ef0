"""New phase objects from the ones at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.patches import PatchSampler

__all__ = ["draw_superposed"]

_DARK = np.float32(1e-12)  # amplitude that stands for none


def draw_superposed(
    sampler: PatchSampler,
    count: int,
    share: float,
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Patches of which a share is a weighted sum of two, as thin samples behind one another are.

    The phase of such a patch is s·(w·φ₁ + (1 − w)·φ₂), its amplitude A₁^w·A₂^(1−w), with w uniform in 0 … 1 and s
    uniform in `scale`, and so is that of its margin. A small set of fields so teaches a decoder more than its own few
    cells.

    Args:
        sampler: source of the patches.
        count: number of patches.
        share: probability of a sum, 0 … 1.
        scale: smallest and largest factor s.
        rng: source of all draws.

    Returns:
        amplitude: A with the sampler's margin (my, mx), float32 (count, y + 2·my, x + 2·mx).
        phase: φ in radians, float32, same shape.
    """
    amplitudes, phases = sampler.draw(2 * count, rng)
    summed = rng.random((count, 1, 1)) < share
    weight = np.where(summed, rng.random((count, 1, 1)), 1.0).astype(np.float32)
    factor = np.where(summed, rng.uniform(*scale, (count, 1, 1)), 1.0).astype(np.float32)
    phase = factor * (weight * phases[:count] + (1.0 - weight) * phases[count:])
    logarithms = np.log(np.maximum(amplitudes, _DARK))  # log and exp are several times as fast as powers
    amplitude = np.exp(weight * logarithms[:count] + (1.0 - weight) * logarithms[count:])
    return amplitude, phase
