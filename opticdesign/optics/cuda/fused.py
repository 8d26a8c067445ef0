"""A field through masks and free space by two fused Triton kernels a gap, for CUDA. Not yet run on a GPU.

The eager cascade reads and writes each window some six times a gap, here it is twice: a row kernel does inverse
transform, crop, mask, margin and transform, a column kernel transform, transfer function and inverse transform. Rows
of zeros and rows that are cropped away are neither transformed nor stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from opticdesign.errors import UsageError

__all__ = ["FusedCascade", "fused_cascade", "spectral_order"]

_TOGETHER = 8  # samples whose windows the second-level cache of a large GPU holds from kernel to kernel
_ROW = 512  # samples of rows in a program: 16 a thread
_HELD = 48 * 32  # and of columns, as many as the registers of a warp hold: neighbours are read from memory together
_COLUMNS = 8  # most columns in a program: 64 bytes
_LONGEST = 2048  # samples along a window; one row of more does not fit the registers of a warp


def fused_cascade(field: Tensor, masks: Tensor, transfers: Sequence[Tensor]) -> Tensor:
    """As `cascade.cascade`, by fused kernels; `FusedCascade` prepares the transfer functions once for many fields.

    Args:
        field: complex64 (batch, y, x) on a CUDA device.
        masks: complex64 transmissions (layers, y, x).
        transfers: layers + 1 transfer functions (wy, wx) on one zero-padded window, in FFT order; constants.

    Returns:
        Complex field (batch, y, x) behind the last hop, with gradients to field and masks.

    Raises:
        UsageError: as `FusedCascade`.
    """
    return FusedCascade(transfers)(field, masks)


class FusedCascade:
    """The hops of a cascade, prepared for fused kernels: call it with a field and masks.

    Args:
        transfers: one transfer function (wy, wx) more than masks, in FFT order, all on one window whose sides are
            2^a or 3·2^a samples, 4 … 2048; constants.

    Raises:
        UsageError: Triton is missing, or a window that the kernels cannot take.
    """

    def __init__(self, transfers: Sequence[Tensor]) -> None:
        self._kernels = _kernels()
        windows = {tuple(transfer.shape) for transfer in transfers}
        if len(windows) != 1:
            raise UsageError(f"hops on {len(windows)} windows", expected="one window", remedy="use the eager cascade")
        (window,) = windows
        self._sides = [_parts(length) for length in window]
        device = transfers[0].device
        self._roots = [_roots(length, device) for length in window]
        order = [spectral_order(length, device) for length in window]
        ready: dict[int, Tensor] = {}
        for each in transfers:
            if id(each) not in ready:
                scaled = each.detach() * (1.0 / each.numel())
                ready[id(each)] = scaled[order[0][:, None], order[1]].to(torch.complex64)
        self._transfers = [ready[id(each)] for each in transfers]
        self.window = (window[0], window[1])

    def __call__(self, field: Tensor, masks: Tensor) -> Tensor:
        """The field (batch, y, x) behind the last hop, of a field through masks (layers, y, x).

        Raises:
            UsageError: fields or masks of another type, size, number or device.
        """
        self._check(field, masks)
        result: Tensor = _Fused.apply(field, masks, self)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return result

    def spectra(self, field: Tensor) -> Tensor:
        """Memory for the rows of spectra (samples, y, wx) of as many samples as are sent at once."""
        return field.new_empty((min(_TOGETHER, len(field)), field.shape[1], self.window[1]))

    def row(self, spectra: Tensor, shape: torch.Size, *, conjugate: bool = False, **more: Any) -> None:
        """Run the row kernel on fields of a shape (samples, y, x).

        Args:
            spectra: replaced, (samples, y, wx).
            shape: of the fields.
            conjugate: use the conjugate mask.
            more: the kernel's tensors `fields`, `masks`, `kept` and `shares`, and its flags; left out: None, False.
        """
        samples, ny, nx = shape
        words = {name: _words(more.get(name)) for name in ("fields", "masks", "kept", "shares")}
        flags = {name: more.get(name, False) for name in ("first", "last", "keeps", "shared")}
        sides = _sides(self._sides[1], _ROW // self.window[1])
        grid = (-(-ny // sides["count"]), samples)
        with _on(spectra.device):
            self._kernels.row_kernel[grid](
                _words(spectra), roots=_words(self._roots[1]), ny=ny, nx=nx, conjugate=conjugate,
                num_warps=1, **words, **flags, **sides,
            )  # fmt: skip

    def column(self, spectra: Tensor, samples: int, hop: int, *, conjugate: bool = False) -> None:
        """Run the column kernel on the first samples of spectra (samples, y, wx): hop number `hop`."""
        wx = self.window[1]
        sides = _sides(self._sides[0], min(_COLUMNS, _HELD // self.window[0]))
        grid = (-(-wx // sides["count"]), samples)
        with _on(spectra.device):
            self._kernels.column_kernel[grid](
                _words(spectra), _words(self._transfers[hop]), _words(self._roots[0]), ny=spectra.shape[1], wx=wx,
                conjugate=conjugate, num_warps=1, **sides,
            )  # fmt: skip

    def _check(self, field: Tensor, masks: Tensor) -> None:
        found = f"{field.dtype} fields {tuple(field.shape)}, {masks.dtype} masks {tuple(masks.shape)}"
        layers = len(self._transfers) - 1
        if field.dtype != torch.complex64 or masks.dtype != torch.complex64 or field.ndim != 3:
            raise UsageError(found, expected="complex64 fields (batch, y, x) and masks (layers, y, x)")
        if masks.shape != (layers, *field.shape[1:]):
            raise UsageError(
                found, expected=f"{layers} masks as large as the fields, one fewer than transfer functions"
            )
        if any(side > whole for side, whole in zip(field.shape[1:], self.window, strict=True)):
            raise UsageError(found, expected=f"fields no larger than the window {self.window}")
        devices = {field.device, masks.device, self._roots[0].device}
        if len(devices) != 1 or not (field.is_cuda or _interpreted()):
            names = ", ".join(sorted(str(device) for device in devices))
            raise UsageError(
                f"tensors on {names}", expected="one CUDA device", remedy="use the eager cascade elsewhere"
            )


def spectral_order(length: int, device: torch.device | None = None) -> Tensor:
    """Index of the frequency that the kernels put in each place of a spectrum, (length,).

    Radix 3 puts every third frequency together, radix 2 reverses the bits of the rest.
    """
    q, m, log = _parts(length)
    place = torch.arange(m, device=device)
    reverse = torch.zeros_like(place)
    for bit in range(log):
        reverse += ((place >> bit) & 1) << (log - 1 - bit)
    return torch.cat([q * reverse + part for part in range(q)])


def _parts(length: int) -> tuple[int, int, int]:
    """A length as q·m and the exponent of m = 2^log."""
    q = 3 if length % 3 == 0 else 1
    m = length // q
    if not 4 <= length <= _LONGEST or m < 4 or m & (m - 1):
        raise UsageError(
            f"a window of {length} samples",
            expected=f"2^a or 3·2^a of them, 4 … {_LONGEST}",
            remedy="choose another padding, or the eager cascade",
        )
    return q, m, m.bit_length() - 1


def _sides(parts: tuple[int, int, int], count: int) -> dict[str, int]:
    """Sizes of a kernel: at most `count` transforms of one length, a power of two of them."""
    return {"count": 1 << max(0, count.bit_length() - 1), **dict(zip(("q", "m", "log"), parts, strict=True))}


def _roots(length: int, device: torch.device) -> Tensor:
    """e^(−2πi·k/length), complex64 (length,), made on the device: a graph can be captured around it."""
    angle = torch.arange(length, device=device, dtype=torch.float64) * (-2.0 * math.pi / length)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def _words(values: Tensor | None) -> Tensor | None:
    """Complex numbers as the 64-bit words that kernels read."""
    return None if values is None else values.view(torch.int64)


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Makes a CUDA device the current one, on which Triton runs kernels."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _kernels() -> ModuleType:
    try:
        from opticdesign.optics.cuda import kernels
    except ImportError as error:
        remedy = 'pip install "opticdesign[gpu]" (Linux), or use the eager cascade'
        raise UsageError("Triton is not installed", expected="it, for fused kernels", remedy=remedy) from error
    return kernels


def _interpreted() -> bool:
    """Whether Triton interprets kernels on the CPU, as tests let it."""
    import triton

    return bool(triton.knobs.runtime.interpret)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, field: Tensor, masks: Tensor, hops: FusedCascade) -> Tensor:
        field, masks = (each.resolve_conj().contiguous() for each in (field, masks))
        output, spectra = torch.empty_like(field), hops.spectra(field)
        keeps = ctx.needs_input_grad[1]
        before = field.new_empty((len(masks), *field.shape)) if keeps else None
        for start in range(0, len(field), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            shape = field[part].shape
            hops.row(spectra, shape, fields=field[part], first=True)
            for layer, mask in enumerate(masks):
                hops.column(spectra, shape[0], layer)
                kept = None if before is None else before[layer, part]
                hops.row(spectra, shape, masks=mask, kept=kept, keeps=keeps)
            hops.column(spectra, shape[0], len(masks))
            hops.row(spectra, shape, fields=output[part], last=True)
        ctx.save_for_backward(before, masks)
        ctx.hops = hops
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # Hops back are F⁻¹ H* F, the adjoint of F⁻¹ H F: the same kernels with conjugate transfer functions and masks.
        gradient = gradient.resolve_conj().contiguous()
        hops: FusedCascade = ctx.hops
        before, masks = ctx.saved_tensors
        wants_field, wants_masks = ctx.needs_input_grad[:2]
        spectra = hops.spectra(gradient)
        shares = gradient.new_empty((len(spectra), *gradient.shape[1:])) if wants_masks else None
        mask_gradient = torch.zeros_like(masks) if wants_masks else None
        field_gradient = torch.empty_like(gradient) if wants_field else None
        for start in range(0, len(gradient), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            shape = gradient[part].shape
            hops.row(spectra, shape, fields=gradient[part], first=True)
            for layer in reversed(range(len(masks))):
                hops.column(spectra, shape[0], layer + 1, conjugate=True)
                kept = None if before is None else before[layer, part]
                ends = layer == 0 and not wants_field
                hops.row(
                    spectra,
                    shape,
                    masks=masks[layer],
                    kept=kept,
                    shares=shares,
                    shared=wants_masks,
                    last=ends,
                    conjugate=True,
                )
                if mask_gradient is not None and shares is not None:
                    mask_gradient[layer] += shares[: shape[0]].sum(0)
            if field_gradient is not None:
                hops.column(spectra, shape[0], 0, conjugate=True)
                hops.row(spectra, shape, fields=field_gradient[part], last=True)
        return field_gradient, mask_gradient, None
