"""A value in the forward pass, another one's gradient in the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["straight_through"]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, smooth: Tensor, shown: Tensor) -> Tensor:  # noqa: ARG004 (torch passes ctx)
        return shown.to(smooth.dtype, copy=True)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004 (torch passes ctx)
        return grads[0], None


def straight_through(smooth: Tensor, shown: Tensor) -> Tensor:
    """The values of `shown`, bit for bit, with the gradient of `smooth`; same shape, type of `smooth`.

    Y. Bengio, N. Léonard, A. Courville, Estimating or propagating gradients through stochastic neurons for conditional
    computation (2013), doi:10.48550/arXiv.1308.3432.
    """
    result: Tensor = _StraightThrough.apply(smooth, shown)  # type: ignore[no-untyped-call]  # torch leaves apply untyped
    return result
