"""A field through masks and the free space between them, with an analytic adjoint instead of recorded operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from opticdesign.propagation import convolve

__all__ = ["cascade"]


def cascade(field: Tensor, masks: Tensor, transfers: Sequence[Tensor]) -> Tensor:
    """Propagate, multiply by a mask, propagate, …, and end with a propagation.

    The same as the propagators and elements one after another, but the backward pass is the wave sent back through
    conjugate transfer functions, and only the cropped field in front of each mask is kept. Samples go one by one on
    the CPU, where one window fits the cache and a batch of them does not.

    Args:
        field: complex (batch, y, x).
        masks: complex transmissions (layers, y, x).
        transfers: layers + 1 transfer functions (wy, wx) on the zero-padded window, in FFT order; constants.

    Returns:
        Complex field (batch, y, x) behind the last hop, with gradients to field and masks.
    """
    result: Tensor = _Cascade.apply(field, masks, *transfers)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


def _hop(field: Tensor, transfer: Tensor) -> Tensor:
    rows, columns = field.shape[-2:]
    return convolve(field, transfer)[..., :rows, :columns]


def _chunks(batch: int, device: torch.device) -> list[slice]:
    return [slice(i, i + 1) for i in range(batch)] if device.type == "cpu" else [slice(None)]


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, masks: Tensor, *transfers: Tensor) -> Tensor:
        dtype = torch.promote_types(field.dtype, masks.dtype)
        before = torch.empty((len(masks), *field.shape), dtype=dtype, device=field.device)
        output = torch.empty(field.shape, dtype=dtype, device=field.device)
        for part in _chunks(len(field), field.device):
            wave = field[part]
            for layer, mask in enumerate(masks):
                before[layer, part] = _hop(wave, transfers[layer])
                wave = before[layer, part] * mask
            output[part] = _hop(wave, transfers[-1])
        ctx.save_for_backward(before, masks, *transfers)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        before, masks, *transfers = ctx.saved_tensors
        wants_field, wants_masks = ctx.needs_input_grad[:2]
        adjoint = {id(transfer): transfer.conj().resolve_conj() for transfer in transfers}
        mask_gradient = torch.zeros_like(masks)
        field_gradient = torch.empty_like(gradient) if wants_field else None
        for part in _chunks(len(gradient), gradient.device):
            wave = _hop(gradient[part], adjoint[id(transfers[-1])])
            for layer in reversed(range(len(masks))):
                mask_gradient[layer] += (before[layer, part].conj() * wave).sum(0)
                if layer or wants_field:
                    wave = _hop(wave * masks[layer].conj(), adjoint[id(transfers[layer])])
            if field_gradient is not None:
                field_gradient[part] = wave
        return (field_gradient, mask_gradient if wants_masks else None, *(None for _ in transfers))
