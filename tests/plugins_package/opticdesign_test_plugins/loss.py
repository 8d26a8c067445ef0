"""A loss."""

from torch import Tensor


def mean_square(image: Tensor, target: Tensor) -> Tensor:
    """Mean square error of phase over 2π (batch, y, x)."""
    return ((image - target) ** 2).mean()
