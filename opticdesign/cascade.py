"""A field through masks and the free space between them, with an analytic adjoint instead of recorded operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["cascade"]

_TOGETHER = 8  # samples sent at once where launching a kernel costs as much as running it


def cascade(field: Tensor, masks: Tensor, transfers: Sequence[Tensor]) -> Tensor:
    """Propagate, multiply by a mask, propagate, …, and end with a propagation.

    The same as the propagators and elements one after another, but the backward pass is the wave sent back through
    the transposed hops, and only the cropped field in front of each mask is kept. Samples go one by one on the CPU,
    where one window fits the cache and a batch of them does not.

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
    """Hops on zero-padded windows.

    The windows are allocated and zeroed once: the transforms read them and write elsewhere, so that their margin stays
    zero and each hop only fills the aperture. The transforms are not told where to write: given `out`, torch computes
    them elsewhere and copies.
    """

    def __init__(self, transfers: Sequence[Tensor], samples: int, shape: torch.Size, like: Tensor) -> None:
        self._transfers = transfers
        self._rows, self._columns = shape
        sizes = {transfer.shape for transfer in transfers}
        self._windows = {size: like.new_zeros((samples, *size)) for size in sizes}

    def aperture(self, index: int, samples: int) -> Tensor:
        """Where hop `index` takes its field from, (samples, y, x), to be overwritten."""
        return self._windows[self._transfers[index].shape][:samples, : self._rows, : self._columns]

    def forth(self, index: int, samples: int) -> Tensor:
        """The aperture of hop `index` propagated, (samples, y, x): F⁻¹ H F."""
        transfer = self._transfers[index]
        spectrum = torch.fft.fft2(self._windows[transfer.shape][:samples]).mul_(transfer)
        wave: Tensor = torch.fft.ifft2(spectrum)[:, : self._rows, : self._columns]
        return wave

    def back(self, index: int, samples: int) -> Tensor:
        """The transposed hop `index` on its aperture, (samples, y, x): F H F⁻¹, since F is symmetric."""
        transfer = self._transfers[index]
        spectrum = torch.fft.ifft2(self._windows[transfer.shape][:samples]).mul_(transfer)
        wave: Tensor = torch.fft.fft2(spectrum)[:, : self._rows, : self._columns]
        return wave


def _parts(batch: int, device: torch.device) -> list[tuple[slice, int]]:
    """Slices of a batch that are sent at once, and how many samples each holds."""
    most = 1 if device.type == "cpu" else _TOGETHER
    return [(slice(i, i + most), min(most, batch - i)) for i in range(0, batch, most)]


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, masks: Tensor, *transfers: Tensor) -> Tensor:
        dtype = torch.promote_types(field.dtype, masks.dtype)
        output = torch.empty(field.shape, dtype=dtype, device=field.device)
        before = output.new_empty((len(masks), *field.shape)) if ctx.needs_input_grad[1] else None
        parts = _parts(len(field), field.device)
        hops = _Hops(transfers, max((count for _, count in parts), default=0), field.shape[-2:], output)
        for part, count in parts:
            hops.aperture(0, count).copy_(field[part])
            for layer, mask in enumerate(masks):
                wave = hops.forth(layer, count)
                if before is not None:
                    wave = before[layer, part].copy_(wave)
                torch.mul(wave, mask, out=hops.aperture(layer + 1, count))
            output[part] = hops.forth(len(masks), count)
        ctx.save_for_backward(before, masks, *transfers)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # All waves here are conjugates of gradients. Then neither transfers nor masks nor the kept fields need
        # conjugating, only what comes in and goes out: conj(Aᴴ g) = Aᵀ conj(g).
        before, masks, *transfers = ctx.saved_tensors
        wants_field, wants_masks = ctx.needs_input_grad[:2]
        mask_gradient = torch.zeros_like(masks) if wants_masks else None
        field_gradient = torch.empty_like(gradient) if wants_field else None
        parts = _parts(len(gradient), gradient.device)
        hops = _Hops(transfers, max((count for _, count in parts), default=0), gradient.shape[-2:], gradient)
        for part, count in parts:
            torch.conj_physical(gradient[part], out=hops.aperture(len(masks), count))
            for layer in reversed(range(len(masks))):
                wave = hops.back(layer + 1, count)
                if mask_gradient is not None:
                    _add_product(mask_gradient[layer], before[layer, part], wave)
                if layer or wants_field:
                    torch.mul(wave, masks[layer], out=hops.aperture(layer, count))
            if field_gradient is not None:
                torch.conj_physical(hops.back(0, count), out=field_gradient[part])
        if mask_gradient is not None:
            mask_gradient = mask_gradient.conj_physical_()
        return (field_gradient, mask_gradient, *(None for _ in transfers))


def _add_product(total: Tensor, first: Tensor, second: Tensor) -> None:
    """Add Σ first·second over samples (samples, y, x) to the total (y, x), without temporaries for one sample."""
    if len(first) == 1:
        total.addcmul_(first[0], second[0])
    else:
        total.add_((first * second).sum(0))
