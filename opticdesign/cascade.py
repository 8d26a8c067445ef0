"""A field through masks and the free space between them, with an analytic adjoint instead of recorded operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["PreparedTransfer", "cascade", "prepared"]

_TOGETHER = 8  # samples sent at once where launching a kernel costs as much as running it
_LINE = 64  # bytes of a cache line
_CACHE = 5 * 2**18  # bytes that a core's own cache holds, or nearly
_FEWEST = 32  # columns of a block: with fewer, the transforms of one are too short a piece of work
Transform = Callable[..., Tensor]


@dataclass(frozen=True)
class PreparedTransfer:
    """A transfer function as a cascade multiplies spectra with it.

    Args:
        values: over the number of its samples, complex (wy, wx) in FFT order. Right in any order of memory, and fast
            in the one that `prepared` gives it, which is column by column where the window is larger than the field.
    """

    values: Tensor


def prepared(transfer: Tensor, shape: tuple[int, int]) -> PreparedTransfer:
    """A transfer function (wy, wx), constant and in FFT order, made ready for fields of a shape (ny, nx)."""
    kind = _suitable(transfer.device, tuple(transfer.shape) != tuple(shape))
    return PreparedTransfer(kind.ordered(transfer) * (1.0 / transfer.numel()))


def cascade(field: Tensor, masks: Tensor, transfers: Sequence[Tensor | PreparedTransfer]) -> Tensor:
    """Propagate, multiply by a mask, propagate, …, and end with a propagation.

    The same as the propagators and elements one after another, but the backward pass is the wave sent back through
    the transposed hops, and only the cropped field in front of each mask is kept. Samples go one by one on the CPU,
    where one window fits the cache and a batch of them does not.

    Args:
        field: complex (batch, y, x).
        masks: complex transmissions (layers, y, x).
        transfers: layers + 1 transfer functions (wy, wx) on the zero-padded window, in FFT order, constants; prepared
            or not.

    Returns:
        Complex field (batch, y, x) behind the last hop, with gradients to field and masks.
    """
    result: Tensor = _Cascade.apply(field, masks, *transfers)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


class _Windows:
    """Where hops of one size take their fields from: zero-padded windows of some samples at once.

    They are allocated and zeroed once: the transforms read them and write elsewhere, so that their margin stays zero
    and each hop only fills the aperture. The transforms are not told where to write: given `out`, torch computes them
    elsewhere and copies. They are unscaled, 1/(wy·wx) being part of the transfer function.

    Args:
        samples: most samples sent at once.
        shape: rows and columns (ny, nx) of the field.
        window: rows and columns (wy, wx) of the window.
        like: gives type and device.
    """

    def __init__(self, samples: int, shape: tuple[int, int], window: tuple[int, int], like: Tensor) -> None:
        self._rows, self._columns = shape
        self._input = like.new_zeros((samples, *window))

    def aperture(self, samples: int) -> Tensor:
        """The field to be sent, (samples, y, x), to be overwritten."""
        return self._input[:samples, : self._rows, : self._columns]

    @staticmethod
    def ordered(transfer: Tensor) -> Tensor:
        """A transfer function in the order of memory in which spectra come out."""
        return transfer.contiguous()

    def forth(self, transfer: Tensor, samples: int) -> Tensor:
        """The aperture propagated, (samples, y, x): F⁻¹ H F."""
        wave: Tensor = torch.fft.ifft2(torch.fft.fft2(self._input[:samples]).mul_(transfer), norm="forward")
        return wave[:, : self._rows, : self._columns]

    def back(self, transfer: Tensor, samples: int) -> Tensor:
        """The transposed hop on the aperture, (samples, y, x): F H F⁻¹, since F is symmetric."""
        wave: Tensor = torch.fft.fft2(torch.fft.ifft2(self._input[:samples], norm="forward").mul_(transfer))
        return wave[:, : self._rows, : self._columns]


class _CachedWindows(_Windows):
    """The same for single samples on a CPU, axis by axis.

    Rows that hold no field are not transformed, nor those that are cropped away. Columns go in blocks that fit the
    cache there, through the transfer function and back: larger pieces cost their memory's way three times, and where
    the allocator gives it back in between, as much again. A block lies in memory whose rows are an odd number of cache
    lines long: of a power of two all samples of a column would compete for a few places of the cache. The transfer
    function is stored column by column, as the spectrum comes out.
    """

    def __init__(self, samples: int, shape: tuple[int, int], window: tuple[int, int], like: Tensor) -> None:
        self._rows, self._columns = shape
        self._input = like.new_empty((samples, self._rows, window[1]))
        self._tall = _spread(window[0], _block(window, like), like)
        self._wide = _spread(window[1], self._rows, like).mT
        for margin in (self._input[..., self._columns :], self._tall[self._rows :]):
            margin.zero_()

    @staticmethod
    def ordered(transfer: Tensor) -> Tensor:
        return transfer.mT.contiguous().mT

    def forth(self, transfer: Tensor, samples: int) -> Tensor:  # noqa: ARG002 (always one)
        return self._send(transfer, torch.fft.fft, partial(torch.fft.ifft, norm="forward"))

    def back(self, transfer: Tensor, samples: int) -> Tensor:  # noqa: ARG002 (always one)
        return self._send(transfer, partial(torch.fft.ifft, norm="forward"), torch.fft.fft)

    def _send(self, transfer: Tensor, there: Transform, home: Transform) -> Tensor:
        rows, width = there(self._input[0]), self._tall.shape[1]
        for first in range(0, rows.shape[1], width):
            block = slice(first, first + width)
            tall = self._tall[:, : rows.shape[1] - first]
            tall[: self._rows].copy_(rows[:, block])
            spectrum = there(tall, dim=-2).mul_(transfer[:, block])
            self._wide[:, block].copy_(home(spectrum, dim=-2)[: self._rows])
        return home(self._wide)[None, :, : self._columns]


def _block(window: tuple[int, int], like: Tensor) -> int:
    """Columns of a window (wy, wx) that go through the cache together."""
    fit = _CACHE // (window[0] * like.element_size())
    return window[1] if fit >= window[1] else max(fit // _FEWEST * _FEWEST, _FEWEST)


def _spread(rows: int, columns: int, like: Tensor) -> Tensor:
    """Memory (rows, columns), each row beginning an odd number of cache lines after the one before."""
    held = _LINE // like.element_size()
    lines = -(-columns // held) | 1
    return like.new_empty((rows, lines * held))[:, :columns]


def _alone(device: torch.device) -> bool:
    """Whether samples are sent one by one."""
    return device.type == "cpu"


def _suitable(device: torch.device, padded: bool) -> type[_Windows]:
    """Kind of windows for a device.

    Axis by axis is faster where a window has rows to leave out, and on a single thread; several threads wait for one
    another after every pass.
    """
    passes = _alone(device) and (padded or torch.get_num_threads() == 1)
    return _CachedWindows if passes else _Windows


class _Hops:
    """The hops of a cascade, and the parts of a batch that they take at once."""

    def __init__(self, transfers: Sequence[Tensor | PreparedTransfer], field: Tensor) -> None:
        batch, rows, columns = field.shape
        most = 1 if _alone(field.device) else _TOGETHER
        self.parts = [(slice(i, i + most), min(most, batch - i)) for i in range(0, batch, most)]
        windows: dict[torch.Size, _Windows] = {}
        ready: dict[int, Tensor] = {}
        for transfer in transfers:
            if id(transfer) not in ready:
                made = transfer if isinstance(transfer, PreparedTransfer) else prepared(transfer, (rows, columns))
                ready[id(transfer)] = made.values
            size = ready[id(transfer)].shape
            if size not in windows:
                kind = _suitable(field.device, size != field.shape[1:])
                windows[size] = kind(min(most, batch), (rows, columns), (size[0], size[1]), field)
        self._hops = [(windows[ready[id(each)].shape], ready[id(each)]) for each in transfers]

    def aperture(self, index: int, samples: int) -> Tensor:
        """Where hop `index` takes its field from, (samples, y, x), to be overwritten."""
        return self._hops[index][0].aperture(samples)

    def forth(self, index: int, samples: int) -> Tensor:
        """The aperture of hop `index` propagated, (samples, y, x)."""
        windows, transfer = self._hops[index]
        return windows.forth(transfer, samples)

    def back(self, index: int, samples: int) -> Tensor:
        """The transposed hop `index` on its aperture, (samples, y, x)."""
        windows, transfer = self._hops[index]
        return windows.back(transfer, samples)


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, masks: Tensor, *transfers: Tensor) -> Tensor:
        output = torch.empty_like(field, dtype=torch.promote_types(field.dtype, masks.dtype))
        hops = _Hops(transfers, output)
        # copied into one block: a view would keep what is cropped away, and single waves leave the heap full of holes
        before = output.new_empty((len(masks), *field.shape)) if ctx.needs_input_grad[1] else None
        for part, count in hops.parts:
            hops.aperture(0, count).copy_(field[part])
            for layer, mask in enumerate(masks):
                wave = hops.forth(layer, count)
                if before is not None:
                    wave = before[layer, part].copy_(wave)
                torch.mul(wave, mask, out=hops.aperture(layer + 1, count))
            output[part] = hops.forth(len(masks), count)
        ctx.save_for_backward(before, masks)
        ctx.hops = hops
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # All waves here are conjugates of gradients. Then neither transfers nor masks nor the kept fields need
        # conjugating, only what comes in and goes out: conj(Aᴴ g) = Aᵀ conj(g).
        hops: _Hops = ctx.hops
        before, masks = ctx.saved_tensors
        wants_field, wants_masks = ctx.needs_input_grad[:2]
        mask_gradient = torch.zeros_like(masks) if wants_masks else None
        field_gradient = torch.empty_like(gradient) if wants_field else None
        for part, count in hops.parts:
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
        return (field_gradient, mask_gradient, *(None for _ in range(len(masks) + 1)))


def _add_product(total: Tensor, first: Tensor, second: Tensor) -> None:
    """Add Σ first·second over samples (samples, y, x) to the total (y, x), without temporaries for one sample."""
    if len(first) == 1:
        total.addcmul_(first[0], second[0])
    else:
        total.add_((first * second).sum(0))
