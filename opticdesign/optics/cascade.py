"""A field through masks and the free space between them, with an analytic adjoint instead of recorded operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from opticdesign.errors import UsageError
from opticdesign.optics.band import Plane, from_band, to_band
from opticdesign.optics.field import phasor

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
    """A transfer function as a cascade multiplies spectra with it, and the planes that it leads from and to.

    Args:
        values: over the number of samples of the first plane's window, complex (cy, cx) in FFT order. Right in any
            order of memory, and fast in the one that `prepared` gives it, column by column.
        source: the plane it leads from.
        target: the plane it leads to.
    """

    values: Tensor
    source: Plane
    target: Plane

    @property
    def band(self) -> tuple[int, int]:
        """Frequencies carried along y and x."""
        return self.values.shape[0], self.values.shape[1]


def prepared(transfer: Tensor, source: Plane | tuple[int, int], target: Plane | None = None) -> PreparedTransfer:
    """A constant transfer function (cy, cx) in FFT order, made ready.

    Args:
        transfer: as many frequencies as the hop carries.
        source: the plane it leads from; or rows and columns of an aperture in a window of as many samples.
        target: the plane it leads to; the same where it is left out.
    """
    if not isinstance(source, Plane):
        source = Plane(source, (transfer.shape[0], transfer.shape[1]))
    scaled = transfer * (1.0 / (source.window[0] * source.window[1]))
    ordered = scaled.mT.contiguous().mT if _alone(transfer.device) else scaled.contiguous()
    return PreparedTransfer(ordered, source, target or source)


def cascade(field: Tensor, masks: Tensor | Sequence[Tensor], transfers: Sequence[Tensor | PreparedTransfer]) -> Tensor:
    """Propagate, multiply by a mask, propagate, …, and end with a propagation.

    The same as the hops and elements one after another, but the backward pass is the wave sent back through the
    transposed hops as far as something learns, and of each mask that does only one cropped field is kept. Samples go
    one by one on the CPU, where one window fits the cache and a batch of them does not.

    Args:
        field: complex (batch, y, x).
        masks: one (y, x) for each layer, of the samples of the plane that it stands in: a complex transmission or, of a
            phase mask, the phase in radians. Phases cost less than transmissions made of them outside: those would be
            read and written once more, either way.
        transfers: layers + 1 transfer functions, constants: prepared, or (wy, wx) in FFT order on the zero-padded
            window of a plane like the field's.

    Returns:
        Complex field (batch, y, x) behind the last hop, in its plane, with gradients to field and masks.

    Raises:
        UsageError: not one transfer function more than masks, or planes that do not follow one another.
    """
    if len(transfers) != len(masks) + 1:
        raise UsageError(
            f"{len(transfers)} hops around {len(masks)} masks",
            expected=f"{len(masks) + 1} hops: one before each mask and one behind the last",
            remedy="give as many hops as light takes, or leave masks out",
        )
    made: dict[int, PreparedTransfer] = {}
    for each in transfers:
        if isinstance(each, Tensor) and id(each) not in made:
            made[id(each)] = prepared(each, _shape(field))
    hops = [each if isinstance(each, PreparedTransfer) else made[id(each)] for each in transfers]
    _check_planes(_shape(field), [_shape(mask) for mask in masks], hops)
    result: Tensor = _Cascade.apply(field, len(masks), *masks, *hops)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


def _check_planes(field: tuple[int, int], masks: Sequence[tuple[int, int]], hops: Sequence[PreparedTransfer]) -> None:
    """Refuse hops that do not start where light and mask are."""
    here = field
    for index, (hop, mask) in enumerate(zip(hops, [field, *masks], strict=True), start=1):
        if not here == mask == hop.source.shape:
            raise UsageError(
                f"hop {index} starts from a plane of {hop.source.shape} samples, where light has {here} and what "
                f"stands there {mask}",
                expected="planes, masks and hops of one sampling",
                remedy="build the hops for the grids of the field and the masks",
            )
        here = hop.target.shape


def _shape(values: Tensor) -> tuple[int, int]:
    return values.shape[-2], values.shape[-1]


class _Sender:
    """Sends fields from one plane to another: a transform, the transfer function, the inverse transform.

    Args:
        source: the plane that fields come from.
        target: the plane that they go to.
        band: frequencies carried along y and x.
        samples: most samples sent at once.
        like: gives type and device.
    """

    def __init__(self, source: Plane, target: Plane, band: tuple[int, int], samples: int, like: Tensor) -> None:
        self._source, self._target, self._band = source, target, band
        self._aperture = like.new_empty((samples, *source.shape))

    def aperture(self, samples: int) -> Tensor:
        """A place for the field to be sent, (samples, y, x), to be overwritten."""
        return self._aperture if samples == len(self._aperture) else self._aperture[:samples]

    def forth(self, transfer: Tensor, field: Tensor) -> Tensor:
        """A field (samples, y, x) propagated: F⁻¹ H F."""
        return from_band(to_band(field, self._source.window, self._band).mul_(transfer), self._target)

    def back(self, transfer: Tensor, field: Tensor) -> Tensor:
        """The transposed hop that ends in this one's target: F H F⁻¹, since F is symmetric."""
        # an inverse transform is the conjugate of the transform of the conjugate
        spectrum = to_band(field.conj(), self._source.window, self._band).conj() * transfer
        return from_band(spectrum.conj(), self._target).conj().resolve_conj()


class _CachedSender(_Sender):
    """The same for single samples on a CPU, axis by axis.

    Rows that hold no field are not transformed, nor those that are cropped away, nor columns beyond the band. Columns
    go in blocks that fit the cache there, through the transfer function and back: larger pieces cost their memory's way
    three times, and where the allocator gives it back in between, as much again. So do rows that are many. What the
    transforms read lies in memory that stays, its margins zeroed once; they write elsewhere, so that these stay zero.
    They are not told where to write: given `out`, torch computes them elsewhere and copies. A block of columns lies in
    memory whose rows are an odd number of cache lines long: of a power of two all samples of a column would compete for
    a few places of the cache. Transfer functions are stored column by column, as spectra come out.
    """

    def __init__(self, source: Plane, target: Plane, band: tuple[int, int], samples: int, like: Tensor) -> None:
        self._source, self._target = source, target
        (rows, columns), (rows_out, _) = source.shape, target.shape
        self._row_blocks = _row_blocks(rows, source.window[1], like)
        self._home_blocks = _row_blocks(rows_out, target.window[1], like)
        self._input = like.new_zeros((self._row_blocks[0].stop, source.window[1]))
        whole = len(self._row_blocks) == 1
        self._aperture = self._input[None, :, :columns] if whole else like.new_empty((samples, rows, columns))
        self._spectra = None if whole else like.new_empty((rows, source.window[1]))
        self._output = None if len(self._home_blocks) == 1 else like.new_empty((samples, *target.shape))
        self._lines = _pieces(band[0], source.window[0], target.window[0])
        blocks = [
            tuple(slice(place.start + part.start, place.start + part.stop) for place in piece)
            for piece in _pieces(band[1], source.window[1], target.window[1])
            for part in _blocks(max(source.window[0], target.window[0]), piece[0].stop - piece[0].start, like)
        ]
        widest = max(block[0].stop - block[0].start for block in blocks)
        tall = _spread(source.window[0], widest, like)
        tall[rows:].zero_()
        # of a band as wide as both windows the spectrum is changed where it is
        self._gapped = len(self._lines) > 1 or self._lines[0][0] != slice(0, target.window[0])
        tall_out = _spread(widest, target.window[0], like).mT.zero_() if self._gapped else None
        self._wide = _spread(target.window[1], rows_out, like).mT.zero_()
        self._blocks = []
        for part, here, there in blocks:
            width = part.stop - part.start
            out = None if tall_out is None else tall_out[:, :width]
            self._blocks.append((part, here, tall[:, :width], tall[:rows, :width], out, self._wide[:, there]))

    def forth(self, transfer: Tensor, field: Tensor) -> Tensor:
        return self._send(field, transfer, torch.fft.fft, _unscaled_ifft)

    def back(self, transfer: Tensor, field: Tensor) -> Tensor:
        return self._send(field, transfer, _unscaled_ifft, torch.fft.fft)

    def _send(self, field: Tensor, transfer: Tensor, there: Transform, home: Transform) -> Tensor:
        rows = self._transformed_rows(field[0], there)
        for part, here, tall, aperture, tall_out, wide in self._blocks:
            aperture.copy_(rows[:, here])
            spectrum = there(tall, dim=-2)
            if tall_out is None:
                spectrum.mul_(transfer[:, part])
            else:
                for line, line_in, line_out in self._lines:
                    torch.mul(spectrum[line_in], transfer[line, part], out=tall_out[line_out])
                spectrum = tall_out
            wide.copy_(home(spectrum, dim=-2)[: self._target.shape[0]])
        return self._cropped_rows(home)

    def _transformed_rows(self, field: Tensor, there: Transform) -> Tensor:
        columns = self._source.shape[1]
        if self._spectra is None:
            place = self._input[:, :columns]
            if not field.is_set_to(place):
                place.copy_(field)
            return there(self._input)
        for part in self._row_blocks:
            rows = self._input[: part.stop - part.start]
            rows[:, :columns] = field[part]
            self._spectra[part] = there(rows)
        return self._spectra

    def _cropped_rows(self, home: Transform) -> Tensor:
        columns = self._target.shape[1]
        if self._output is None:
            return home(self._wide)[None, :, :columns]
        for part in self._home_blocks:
            self._output[0, part] = home(self._wide[part])[:, :columns]
        return self._output


def _pieces(band: int, source: int, target: int) -> list[tuple[slice, slice, slice]]:
    """Runs of a band in FFT order, and where they lie in the spectra of two windows: the low part, and the high one."""
    if band == source == target:
        return [(slice(0, band), slice(0, band), slice(0, band))]
    low, high = band // 2 + band % 2, band // 2
    first = slice(0, low)
    ends = [slice(size - high, size) for size in (band, source, target)]
    return [(first, first, first), (ends[0], ends[1], ends[2])] if high else [(first, first, first)]


def _row_blocks(rows: int, length: int, like: Tensor) -> list[slice]:
    """Rows of a length that are transformed together: all, unless the C library would map their memory each time."""
    return _blocks(length, rows, like) if rows * length * like.element_size() >= _MAPPED else [slice(0, rows)]


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


def _suitable(way: tuple[Plane, Plane, tuple[int, int]], like: Tensor) -> type[_Sender]:
    """Kind of sender from a plane to another in a band, for fields of the type and on the device of a tensor.

    Axis by axis is faster where a window has rows to leave out, and on a single thread; several threads wait for one
    another after every pass.
    """
    source, target, band = way
    full = source == target and source.shape == source.window == band
    both_sides = any(count > size for count, size in zip(band, target.window, strict=True))
    together = not _alone(like.device) or both_sides or (full and torch.get_num_threads() > 1)
    return _Sender if together else _CachedSender


class _Hops:
    """The hops of a cascade, and the parts of a batch that they take at once."""

    def __init__(self, hops: Sequence[PreparedTransfer], field: Tensor) -> None:
        batch = len(field)
        most = 1 if _alone(field.device) else _TOGETHER
        self.parts = [(slice(i, i + most), min(most, batch - i)) for i in range(0, batch, most)]
        self._samples, self._like, self._hops = min(most, batch), field.new_empty(0), hops
        self._senders: dict[tuple[Plane, Plane, tuple[int, int]], _Sender] = {}

    def aperture(self, index: int, samples: int) -> Tensor:
        """A place for the field that hop `index` takes, (samples, y, x), to be overwritten."""
        return self._sender(index).aperture(samples)

    def forth(self, index: int, field: Tensor) -> Tensor:
        """A field (samples, y, x) propagated over hop `index`."""
        return self._sender(index).forth(self._hops[index].values, field)

    def end(self, index: int, samples: int) -> Tensor:
        """A place for the field that goes back over hop `index`, (samples, y, x), to be overwritten."""
        return self._sender(index, back=True).aperture(samples)

    def back(self, index: int, field: Tensor) -> Tensor:
        """The transposed hop `index` on a field (samples, y, x)."""
        return self._sender(index, back=True).back(self._hops[index].values, field)

    def start(self, index: int) -> tuple[int, int]:
        """Rows and columns of the plane that hop `index` starts from."""
        return self._hops[index].source.shape

    def _sender(self, index: int, *, back: bool = False) -> _Sender:
        """What sends fields over a hop, or back; made once for all hops between planes of one kind."""
        hop = self._hops[index]
        way = (hop.target, hop.source, hop.band) if back else (hop.source, hop.target, hop.band)
        if way not in self._senders:
            self._senders[way] = _suitable(way, self._like)(*way, self._samples, self._like)
        return self._senders[way]


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, layers: int, *masks_and_hops: Any) -> Tensor:
        masks: tuple[Tensor, ...] = masks_and_hops[:layers]
        last: Plane = masks_and_hops[-1].target
        of_phase = [not mask.is_complex() for mask in masks]
        types = [each.dtype.to_complex() for each in (field, *masks)]
        field = field.to(reduce(torch.promote_types, types))
        output, hops = field.new_empty((len(field), *last.shape)), _Hops(masks_and_hops[layers:], field)
        learn = [layer for layer in range(layers) if ctx.needs_input_grad[2 + layer]]
        # of a phase the field behind it is kept, of a transmission the one in front; each in one block: a view would
        # keep what is cropped away, and single waves leave the heap full of holes
        kept = {layer: field.new_empty((len(field), *hops.start(layer + 1))) for layer in learn}
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
        field_gradient = gradient.new_empty((len(gradient), *hops.start(0))) if wants_field else None
        for part, count in hops.parts:
            wave = torch.conj_physical(gradient[part], out=hops.end(layers, count))
            for layer in reversed(range(first, layers)):
                wave = hops.back(layer + 1, wave)
                if layer in kept:
                    totals[layer] = _product_added(totals.get(layer), kept[layer][part], wave)
                if layer > first or wants_field:
                    wave = torch.mul(wave, transmissions[layer], out=hops.end(layer, count))
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
