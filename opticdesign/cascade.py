"""A field through masks and the free space between them, with an analytic adjoint instead of recorded operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from opticdesign.field import phasor

__all__ = ["PreparedTransfer", "cascade", "prepared"]

_TOGETHER = 8  # samples sent at once where launching a kernel costs as much as running it
_LINE = 64  # bytes of a cache line
_CACHE = 5 * 2**18  # bytes that a core's own cache holds, or nearly
_FEWEST = 32  # columns or rows of a block: with fewer, the transforms of one are too short a piece of work
_MAPPED = (
    2**25
)  # bytes from which on the C library returns memory to the system each time, to be cleared and mapped anew
Transform = Callable[..., Tensor]
_unscaled_ifft: Transform = partial(torch.fft.ifft, norm="forward")


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
    kind = _suitable(tuple(shape), tuple(transfer.shape), transfer)
    return PreparedTransfer(kind.ordered(transfer) * (1.0 / transfer.numel()))


def cascade(field: Tensor, masks: Tensor | Sequence[Tensor], transfers: Sequence[Tensor | PreparedTransfer]) -> Tensor:
    """Propagate, multiply by a mask, propagate, …, and end with a propagation.

    The same as the propagators and elements one after another, but the backward pass is the wave sent back through
    the transposed hops as far as something learns, and of each mask that does only one cropped field is kept.
    Samples go one by one on the CPU, where one window fits the cache and a batch of them does not.

    Args:
        field: complex (batch, y, x).
        masks: one (y, x) for each layer: a complex transmission or, of a phase mask, the phase in radians. Phases cost
            less than transmissions made of them outside: those would be read and written once more, either way.
        transfers: layers + 1 transfer functions (wy, wx) on the zero-padded window, in FFT order, constants; prepared
            or not.

    Returns:
        Complex field (batch, y, x) behind the last hop, with gradients to field and masks.
    """
    result: Tensor = _Cascade.apply(field, len(masks), *masks, *transfers)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


class _Windows:
    """Where hops of one size take their fields from: zero-padded windows of some samples at once.

    They are allocated and zeroed once: the transforms read them and write elsewhere, so that their margin stays zero
    and each hop only fills the aperture; a field as large as its window is read where it lies. The transforms are not
    told where to write: given `out`, torch computes them elsewhere and copies. They are unscaled, 1/(wy·wx) being part
    of the transfer function.

    Args:
        samples: most samples sent at once.
        shape: rows and columns (ny, nx) of the field.
        window: rows and columns (wy, wx) of the window.
        like: gives type and device.
    """

    def __init__(self, samples: int, shape: tuple[int, int], window: tuple[int, int], like: Tensor) -> None:
        self._rows, self._columns = shape
        self._margin = shape != window
        self._input = like.new_zeros((samples, *window))
        self._aperture = self._input[:, : self._rows, : self._columns]

    def aperture(self, samples: int) -> Tensor:
        """A place for the field to be sent, (samples, y, x), to be overwritten."""
        return self._aperture if samples == len(self._aperture) else self._aperture[:samples]

    def filled(self, field: Tensor) -> Tensor:
        """A field (samples, y, x) with the window's margin, as far as this kind of window has one."""
        if not self._margin:
            return field
        aperture = self.aperture(len(field))
        if not field.is_set_to(aperture):
            aperture.copy_(field)
        return self._input[: len(field)]

    @staticmethod
    def ordered(transfer: Tensor) -> Tensor:
        """A transfer function in the order of memory in which spectra come out."""
        return transfer.contiguous()

    def forth(self, transfer: Tensor, field: Tensor) -> Tensor:
        """A field (samples, y, x) propagated: F⁻¹ H F."""
        wave: Tensor = torch.fft.ifft2(torch.fft.fft2(self.filled(field)).mul_(transfer), norm="forward")
        return wave[:, : self._rows, : self._columns]

    def back(self, transfer: Tensor, field: Tensor) -> Tensor:
        """The transposed hop on a field (samples, y, x): F H F⁻¹, since F is symmetric."""
        wave: Tensor = torch.fft.fft2(torch.fft.ifft2(self.filled(field), norm="forward").mul_(transfer))
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
        self._place_rows(samples, window, like)
        blocks = _blocks(*window, like)
        self._tall = _spread(window[0], blocks[0].stop, like)
        self._wide = _spread(window[1], self._rows, like).mT
        self._tall[self._rows :].zero_()
        talls = [self._tall[:, : block.stop - block.start] for block in blocks]
        self._blocks = [
            (block, tall, tall[: self._rows], self._wide[:, block]) for block, tall in zip(blocks, talls, strict=True)
        ]

    @staticmethod
    def ordered(transfer: Tensor) -> Tensor:
        return transfer.mT.contiguous().mT

    def forth(self, transfer: Tensor, field: Tensor) -> Tensor:
        return self._send(field, transfer, torch.fft.fft, _unscaled_ifft)

    def back(self, transfer: Tensor, field: Tensor) -> Tensor:
        return self._send(field, transfer, _unscaled_ifft, torch.fft.fft)

    def _send(self, field: Tensor, transfer: Tensor, there: Transform, home: Transform) -> Tensor:
        rows = self._transformed_rows(field, there)
        for block, tall, aperture, wide in self._blocks:
            aperture.copy_(rows[:, block])
            spectrum = there(tall, dim=-2).mul_(transfer[:, block])
            wide.copy_(home(spectrum, dim=-2)[: self._rows])
        return self._cropped_rows(home)

    def _place_rows(self, samples: int, window: tuple[int, int], like: Tensor) -> None:
        self._margin = self._columns != window[1]
        self._input = like.new_empty((samples, self._rows, window[1]))
        self._aperture = self._input[..., : self._columns]
        self._input[..., self._columns :].zero_()

    def _transformed_rows(self, field: Tensor, there: Transform) -> Tensor:
        return there(self.filled(field)[0])  # of a single sample

    def _cropped_rows(self, home: Transform) -> Tensor:
        return home(self._wide)[None, :, : self._columns]


class _LargeWindows(_CachedWindows):
    """The same with rows in blocks too, into memory that stays: a result of a whole window would be mapped each time.

    The wave that comes out lies in the aperture, until the next hop.
    """

    def _place_rows(self, samples: int, window: tuple[int, int], like: Tensor) -> None:
        self._parts = _blocks(window[1], self._rows, like)
        self._input = like.new_zeros((self._parts[0].stop, window[1]))
        self._spectra = like.new_empty((self._rows, window[1]))
        self._aperture = like.new_empty((samples, self._rows, self._columns))

    def _transformed_rows(self, field: Tensor, there: Transform) -> Tensor:
        for part in self._parts:
            rows = self._input[: part.stop - part.start]
            rows[:, : self._columns] = field[0, part]
            self._spectra[part] = there(rows)
        return self._spectra

    def _cropped_rows(self, home: Transform) -> Tensor:
        for part in self._parts:
            self._aperture[0, part] = home(self._wide[part])[:, : self._columns]
        return self._aperture


def _blocks(length: int, count: int, like: Tensor) -> list[slice]:
    """Of so many columns (or rows) of a length, which go through the cache together: blocks of about one size."""
    fit = max(_CACHE // (length * like.element_size()), _FEWEST)
    if fit >= count:
        return [slice(0, count)]
    blocks = -(-count // (fit // _FEWEST * _FEWEST))
    size = -(-count // (blocks * _FEWEST)) * _FEWEST
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def _spread(rows: int, columns: int, like: Tensor) -> Tensor:
    """Memory (rows, columns), each row beginning an odd number of cache lines after the one before."""
    held = _LINE // like.element_size()
    lines = -(-columns // held) | 1
    return like.new_empty((rows, lines * held))[:, :columns]


def _alone(device: torch.device) -> bool:
    """Whether samples are sent one by one."""
    return device.type == "cpu"


def _suitable(shape: tuple[int, ...], window: tuple[int, ...], like: Tensor) -> type[_Windows]:
    """Kind of windows for fields of a shape (ny, nx), of the type and on the device of a tensor.

    Axis by axis is faster where a window has rows to leave out, and on a single thread; several threads wait for one
    another after every pass.
    """
    if not _alone(like.device) or (shape == window and torch.get_num_threads() > 1):
        return _Windows
    return _LargeWindows if shape[0] * window[1] * like.element_size() >= _MAPPED else _CachedWindows


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
                kind = _suitable((rows, columns), tuple(size), field)
                windows[size] = kind(min(most, batch), (rows, columns), (size[0], size[1]), field)
        self._hops = [(windows[ready[id(each)].shape], ready[id(each)]) for each in transfers]

    def aperture(self, index: int, samples: int) -> Tensor:
        """A place for the field that hop `index` takes, (samples, y, x), to be overwritten."""
        return self._hops[index][0].aperture(samples)

    def forth(self, index: int, field: Tensor) -> Tensor:
        """A field (samples, y, x) propagated over hop `index`."""
        windows, transfer = self._hops[index]
        return windows.forth(transfer, field)

    def back(self, index: int, field: Tensor) -> Tensor:
        """The transposed hop `index` on a field (samples, y, x)."""
        windows, transfer = self._hops[index]
        return windows.back(transfer, field)


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, layers: int, *masks_and_transfers: Tensor) -> Tensor:
        masks, transfers = masks_and_transfers[:layers], masks_and_transfers[layers:]
        of_phase = [not mask.is_complex() for mask in masks]
        types = [each.dtype.to_complex() for each in (field, *masks)]
        field = field.to(reduce(torch.promote_types, types))
        output, hops = torch.empty_like(field), _Hops(transfers, field)
        learn = [layer for layer in range(layers) if ctx.needs_input_grad[2 + layer]]
        # of a phase the field behind it is kept, of a transmission the one in front; in one block: a view would keep
        # what is cropped away, and single waves leave the heap full of holes
        kept = dict(zip(learn, field.new_empty((len(learn), *field.shape)), strict=True))
        transmissions: list[Tensor] = []
        for part, count in hops.parts:
            wave = field[part]
            for layer, mask in enumerate(masks):
                if layer == len(transmissions):  # made where it is used, so that the cache still holds it
                    transmissions.append(phasor(mask) if of_phase[layer] else mask)
                wave = hops.forth(layer, wave)
                place = hops.aperture(layer + 1, count)
                if layer in kept and of_phase[layer]:
                    place = kept[layer][part]
                elif layer in kept:
                    kept[layer][part] = wave
                wave = torch.mul(wave, transmissions[layer], out=place)
            output[part] = hops.forth(layers, wave)
        ctx.save_for_backward(*transmissions)
        ctx.hops, ctx.kept, ctx.of_phase = hops, kept, of_phase
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # All waves here are conjugates of gradients. Then neither transfers nor masks nor the kept fields need
        # conjugating, only what comes in and goes out: conj(Aᴴ g) = Aᵀ conj(g).
        hops: _Hops = ctx.hops
        kept: dict[int, Tensor] = ctx.kept
        transmissions: tuple[Tensor, ...] = ctx.saved_tensors
        layers, wants_field = len(ctx.of_phase), ctx.needs_input_grad[0]
        first = 0 if wants_field else min(kept)
        totals: dict[int, Tensor] = {}
        field_gradient = torch.empty_like(gradient) if wants_field else None
        for part, count in hops.parts:
            wave = torch.conj_physical(gradient[part], out=hops.aperture(layers, count))
            for layer in reversed(range(first, layers)):
                wave = hops.back(layer + 1, wave)
                if layer in kept:
                    totals[layer] = _product_added(totals.get(layer), kept[layer][part], wave)
                if layer > first or wants_field:
                    wave = torch.mul(wave, transmissions[layer], out=hops.aperture(layer, count))
            if field_gradient is not None:
                torch.conj_physical(hops.back(0, wave), out=field_gradient[part])
        # of a phase: a real loss changes by Re(i·total·dφ)
        gradients = {
            layer: total.imag.neg() if ctx.of_phase[layer] else total.conj_physical_()
            for layer, total in totals.items()
        }
        return (field_gradient, None, *(gradients.get(layer) for layer in range(layers)), *[None] * (layers + 1))


def _product_added(total: Tensor | None, first: Tensor, second: Tensor) -> Tensor:
    """The total (y, x) so far, if any, and Σ first·second over samples (samples, y, x)."""
    if len(first) > 1:
        product = (first * second).sum(0)
        return product if total is None else total.add_(product)
    return first[0] * second[0] if total is None else total.addcmul_(first[0], second[0])
