"""A field through a transfer function that learns, as a filter in a pupil has one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from opticdesign.optics.band import Plane, from_band, to_band

__all__ = ["imaged"]


def imaged(field: Tensor, transfer: Tensor, source: Plane, target: Plane) -> Tensor:
    """The field in one plane of a field in another, its spectrum multiplied by a transfer function.

    On a CPU samples go one by one: a window of one stays in the cache, and its memory in the process. Of each sample
    the spectrum is kept where the transfer function learns, and nothing else.

    Args:
        field: complex (…, y, x) in the source.
        transfer: complex (…, cy, cx) in the band, from first sample to first sample, FFT order; its leading dimensions
            broadcast against the field's.
        source: the plane that light comes from.
        target: the plane that it goes to.

    Returns:
        Complex (…, y, x) in the target, with gradients to field and transfer function.
    """
    transfer = transfer.to(field.dtype)
    if field.device.type != "cpu":
        return from_band(to_band(field, source.window, _band(transfer)) * transfer, target) / math.prod(source.window)
    result: Tensor = _Imaged.apply(field, transfer, source, target)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


class _Imaged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, transfer: Tensor, source: Plane, target: Plane) -> Tensor:
        many = (field.real[..., 0, 0] + transfer.real[..., 0, 0]).shape
        places = list(zip(_numbers(field, many), _numbers(transfer, many), strict=True))
        fields, transfers = _flat(field), _flat(transfer) / math.prod(source.window)
        output = field.new_empty((len(places), *target.shape))
        kept: dict[int, Tensor] = {}
        for place, (sample, way) in enumerate(places):
            spectrum = kept.get(sample)
            if spectrum is None:
                spectrum = to_band(fields[sample], source.window, _band(transfer))
            if ctx.needs_input_grad[1]:
                kept[sample] = spectrum
            output[place] = from_band(spectrum * transfers[way], target)
        ctx.save_for_backward(transfers)
        ctx.kept, ctx.places, ctx.planes, ctx.shapes = kept, places, (source, target), (field.shape, transfer.shape)
        return output.reshape(*many, *target.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (transfers,), (source, target) = ctx.saved_tensors, ctx.planes
        wants_field, wants_transfer = ctx.needs_input_grad[:2]
        field_gradient = gradient.new_zeros((math.prod(ctx.shapes[0][:-2]), *source.shape)) if wants_field else None
        total = torch.zeros_like(transfers) if wants_transfer else None
        for (sample, way), each in zip(ctx.places, gradient.reshape(-1, *target.shape), strict=True):
            spectrum = to_band(each, target.window, _band(transfers))  # F is symmetric: (F⁻¹)ᴴ = F, and Fᴴ = F⁻¹
            if total is not None:
                total[way].addcmul_(spectrum, ctx.kept[sample].conj())
            if field_gradient is not None:
                field_gradient[sample] += from_band(spectrum * transfers[way].conj(), source)
        return (
            None if field_gradient is None else field_gradient.reshape(ctx.shapes[0]),
            None if total is None else (total / math.prod(source.window)).reshape(ctx.shapes[1]),
            None,
            None,
        )


def _band(transfer: Tensor) -> tuple[int, int]:
    return transfer.shape[-2], transfer.shape[-1]


def _flat(values: Tensor) -> Tensor:
    return values.reshape(-1, *values.shape[-2:])


def _numbers(values: Tensor, many: torch.Size) -> list[int]:
    """Which of the planes (…, y, x) stands at each place of the leading dimensions that they broadcast to."""
    lead = values.shape[:-2]
    numbers: list[int] = torch.arange(math.prod(lead)).reshape(lead).expand(many).flatten().tolist()
    return numbers
