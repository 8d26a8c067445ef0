"""A field through masks and the free space between them, with an analytic adjoint instead of recorded operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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


class _Hops:
    """Windows to propagate in, allocated once: fresh ones for every hop cost more than the transforms in them."""

    def __init__(self, transfers: Sequence[Tensor], samples: int, shape: torch.Size, like: Tensor) -> None:
        self._transfers = transfers
        self._rows, self._columns = shape
        windows = {tuple(transfer.shape) for transfer in transfers}
        self._spaces = {
            window: [torch.empty((samples, *window), dtype=like.dtype, device=like.device) for _ in range(2)]
            for window in windows
        }

    def start(self, index: int) -> Tensor:
        """Where hop `index` expects its field, (samples, y, x) in a window that is zero elsewhere."""
        window = self._spaces[tuple(self._transfers[index].shape)][0]
        return window.zero_()[:, : self._rows, : self._columns]

    def go(self, index: int) -> Tensor:
        """Propagate what was put into `start`: (samples, y, x), valid until the next start in this window."""
        transfer = self._transfers[index]
        window, spectrum = self._spaces[tuple(transfer.shape)]
        torch.fft.fft2(window, out=spectrum)
        spectrum.mul_(transfer)
        torch.fft.ifft2(spectrum, out=window)
        return window[:, : self._rows, : self._columns]


def _chunks(batch: int, device: torch.device) -> list[slice]:
    return [slice(i, i + 1) for i in range(batch)] if device.type == "cpu" else [slice(0, batch)]


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, masks: Tensor, *transfers: Tensor) -> Tensor:
        dtype = torch.promote_types(field.dtype, masks.dtype)
        output = torch.empty(field.shape, dtype=dtype, device=field.device)
        keep = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        before = output.new_empty((len(masks), *field.shape)) if keep else None
        chunks = _chunks(len(field), field.device)
        hops = _Hops(transfers, chunks[0].stop if chunks else 0, field.shape[-2:], output)
        for part in chunks:
            hops.start(0).copy_(field[part])
            for layer, mask in enumerate(masks):
                wave = hops.go(layer)
                if before is not None:
                    wave = before[layer, part].copy_(wave)
                product = wave * mask
                hops.start(layer + 1).copy_(product)
            output[part] = hops.go(len(masks))
        ctx.save_for_backward(before, masks, *transfers)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        before, masks, *transfers = ctx.saved_tensors
        wants_field, wants_masks = ctx.needs_input_grad[:2]
        adjoint = {id(transfer): transfer.conj().resolve_conj() for transfer in transfers}
        conjugates = masks.conj().resolve_conj()
        mask_gradient = torch.zeros_like(masks)
        field_gradient = torch.empty_like(gradient) if wants_field else None
        chunks = _chunks(len(gradient), gradient.device)
        hops = _Hops(
            [adjoint[id(transfer)] for transfer in transfers],
            chunks[0].stop if chunks else 0,
            gradient.shape[-2:],
            gradient,
        )
        for part in chunks:
            hops.start(len(masks)).copy_(gradient[part])
            for layer in reversed(range(len(masks))):
                wave = hops.go(layer + 1)
                mask_gradient[layer] += (before[layer, part].conj() * wave).sum(0)
                if layer or wants_field:
                    product = wave * conjugates[layer]
                    hops.start(layer).copy_(product)
            if field_gradient is not None:
                field_gradient[part] = hops.go(0)
        return (field_gradient, mask_gradient if wants_masks else None, *(None for _ in transfers))
