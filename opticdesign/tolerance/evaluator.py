"""What judges perturbed instruments, as the analyses of a tolerance study see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bench", "Evaluator"]


class Evaluator(Protocol):
    """Judges points of a `space.Space` on fixed test images."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""

    @property
    def images(self) -> int:
        """Number of test images."""

    def evaluate(self, values: NDArray[np.float64], indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """Every metric of each image at each point: name → (n, images).

        Nominal values with the number `NO_PATTERN` give the nominal result bit for bit. A row depends on its values
        and its number only, whatever stands beside it.

        Args:
            values: parameters in SI units (n, d), or (n, d + 3) with compensators behind (`space.COMPENSATORS`).
            indices: number of each draw, which seeds its per-pixel patterns; `NO_PATTERN` for none.
        """


class Bench(Evaluator, Protocol):
    """An evaluator that also shows images, and adjusts its decoder to a perturbed instrument."""

    @property
    def targets(self) -> NDArray[np.float32]:
        """What the images should be, phase over 2π (images, y, x)."""

    def pictures(self, values: NDArray[np.float64], indices: Sequence[int]) -> NDArray[np.float32]:
        """Reconstructed phase over 2π at each point: (n, images, y, x); arguments as in `evaluate`."""

    def retuned(self, values: NDArray[np.float64], indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """As `evaluate`, each point with the decoder tuned again to that very instrument."""
