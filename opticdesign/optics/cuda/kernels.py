"""The two Triton kernels of a fused cascade. Importing this needs Triton; only `fused` does, and late.

A window is q·m samples long, q 1 or 3 and m a power of two. It is held as q tensors (rows, m), and a complex number in
memory as one 64-bit word. Transforms are radix 3 once and then radix 2, decimated in frequency forth and in time back
(Gentleman & Sande, "Fast Fourier transforms: for fun and profit", doi:10.1145/1464291.1464352), so that spectra stay in
the order that `fused.spectral_order` tells and nothing is sorted. A program is one warp, so that both halves of a
butterfly lie in its registers or lanes.
"""

import triton
import triton.language as tl

__all__ = ["column_kernel", "row_kernel"]


@triton.jit
def _load(pointer, inside):
    """Complex numbers as (real, imaginary), 0 where not inside."""
    word = tl.load(pointer, inside, 0)
    return word.to(tl.int32).to(tl.float32, bitcast=True), (word >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def _store(pointer, x, inside):
    real = x[0].to(tl.uint32, bitcast=True).to(tl.int64)
    imaginary = x[1].to(tl.uint32, bitcast=True).to(tl.int64)
    tl.store(pointer, real | (imaginary << 32), inside)


@triton.jit
def _times(x, y, conjugate: tl.constexpr):
    """x·y, or x·y* for the conjugate."""
    imaginary = y[1]
    if conjugate:
        imaginary = -imaginary
    return x[0] * y[0] - x[1] * imaginary, x[0] * imaginary + x[1] * y[0]


@triton.jit
def _halves(x, roots, home: tl.constexpr, bit: tl.constexpr, count: tl.constexpr, q: tl.constexpr, m: tl.constexpr):
    """Radix 2 between samples 2^bit apart, of (count, m)."""
    half: tl.constexpr = 1 << bit
    step: tl.constexpr = q * m // (2 * half)
    real = tl.reshape(x[0], (count * m // (2 * half), 2, half))
    imaginary = tl.reshape(x[1], (count * m // (2 * half), 2, half))
    second = tl.arange(0, 2)[None, :, None] == 1
    index = tl.arange(0, half)[None, None, :]
    root = _load(roots + index * step, index < half)
    if home:
        turned = _times((real, imaginary), root, True)
        real, imaginary = tl.where(second, turned[0], real), tl.where(second, turned[1], imaginary)
    total = tl.sum(real, 1, keep_dims=True), tl.sum(imaginary, 1, keep_dims=True)
    # first − second, told to the second: what both hold is the sum, and their own
    apart = total[0] - 2.0 * real, total[1] - 2.0 * imaginary
    if not home:
        apart = _times(apart, root, False)
    real, imaginary = tl.where(second, apart[0], total[0]), tl.where(second, apart[1], total[1])
    return tl.reshape(real, (count, m)), tl.reshape(imaginary, (count, m))


@triton.jit
def _thirds(x, home: tl.constexpr):
    """Radix 3 between three tensors."""
    sine: tl.constexpr = -0.8660254037844386 if home else 0.8660254037844386
    total = x[1][0] + x[2][0], x[1][1] + x[2][1]
    apart = sine * (x[1][0] - x[2][0]), sine * (x[1][1] - x[2][1])
    real, imaginary = x[0][0] - 0.5 * total[0], x[0][1] - 0.5 * total[1]
    first = x[0][0] + total[0], x[0][1] + total[1]
    return first, (real + apart[1], imaginary - apart[0]), (real - apart[1], imaginary + apart[0])


@triton.jit
def _turned(x, roots, home: tl.constexpr, m: tl.constexpr):
    """The turns between radix 3 and radix 2."""
    index = tl.arange(0, m)[None, :]
    once, twice = _load(roots + index, index < m), _load(roots + 2 * index, index < m)
    return x[0], _times(x[1], once, home), _times(x[2], twice, home)


@triton.jit
def _transformed(
    x, roots, home: tl.constexpr, count: tl.constexpr, q: tl.constexpr, m: tl.constexpr, log: tl.constexpr
):
    """Fourier transform along rows, there in natural order and out in spectral order, or home again, unscaled."""
    if q == 3 and not home:
        x = _turned(_thirds(x, home), roots, home, m)
    done = ()
    for part in tl.static_range(q):
        each = x[part]
        for stage in tl.static_range(log):
            each = _halves(each, roots, home, stage if home else log - 1 - stage, count, q, m)
        done = done + (each,)
    if q == 3 and home:
        done = _thirds(_turned(done, roots, home, m), home)
    return done


@triton.jit
def row_kernel(
    spectra, fields, masks, kept, shares, roots, ny, nx,
    first: tl.constexpr, last: tl.constexpr, keeps: tl.constexpr, shared: tl.constexpr, conjugate: tl.constexpr,
    count: tl.constexpr, q: tl.constexpr, m: tl.constexpr, log: tl.constexpr,
):  # fmt: skip
    """Between two hops, `count` rows of one sample: inverse transform, crop, times the mask, pad, transform.

    Args:
        spectra: rows of spectra (samples, ny, q·m), replaced.
        fields: (samples, ny, nx); read instead of spectra if `first`, written instead of them if `last`; None else.
        masks: (ny, nx), conjugated if `conjugate`; not used if `first` or `last`.
        kept: (samples, ny, nx) the field in front of the mask; written if `keeps`, read if `shared`.
        shares: (samples, ny, nx) in which the wave times kept* is written if `shared`; with `last` it is all that is.
        roots: e^(−2πi·k/(q·m)), k = 0 … q·m − 1.
        ny: rows of a field.
        nx: its columns.
        first: there is no spectrum yet.
        last: no hop follows.
        keeps: write `kept`.
        shared: write `shares`.
        conjugate: use the conjugate mask.
        count: rows of a program, a power of two.
        q: see the module, as m.
        m: a power of two.
        log: its exponent.
    """
    row = (tl.program_id(0) * count + tl.arange(0, count))[:, None]
    column = tl.arange(0, m)[None, :]
    sample = tl.program_id(1).to(tl.int64)
    spectrum = spectra + sample * ny * q * m + row * (q * m) + column
    inside = (row < ny) & (column < m)
    within = sample * ny * nx + row * nx + column
    wave = ()
    if first:
        for part in tl.static_range(q):
            crop = inside & (column + part * m < nx)
            wave = wave + (_load(fields + within + part * m, crop),)
    else:
        for part in tl.static_range(q):
            wave = wave + (_load(spectrum + part * m, inside),)
        wave = _transformed(wave, roots, True, count, q, m, log)
    sent = ()
    for part in tl.static_range(q):
        each = wave[part]
        crop = inside & (column + part * m < nx)
        if keeps:
            _store(kept + within + part * m, each, crop)
        if shared:
            _store(shares + within + part * m, _times(each, _load(kept + within + part * m, crop), True), crop)
        if last and not shared:
            _store(fields + within + part * m, each, crop)
        if not (first or last):  # the mask read as 0 outside is crop and margin
            each = _times(each, _load(masks + row * nx + column + part * m, crop), conjugate)
        sent = sent + (each,)
    if not last:
        sent = _transformed(sent, roots, False, count, q, m, log)
        for part in tl.static_range(q):
            _store(spectrum + part * m, sent[part], inside)


@triton.jit
def column_kernel(
    spectra, transfer, roots, ny, wx,
    conjugate: tl.constexpr, count: tl.constexpr, q: tl.constexpr, m: tl.constexpr, log: tl.constexpr,
):  # fmt: skip
    """A hop, `count` columns of one sample: pad, transform, times the transfer function, inverse transform, crop.

    Args:
        spectra: rows of spectra (samples, ny, wx), replaced.
        transfer: transfer function over the number of its samples (q·m, wx), both axes in spectral order.
        roots: e^(−2πi·k/(q·m)), k = 0 … q·m − 1.
        ny: rows of a field.
        wx: columns of the window.
        conjugate: use the conjugate transfer function.
        count: columns of a program, a power of two.
        q: see the module, as m.
        m: a power of two.
        log: its exponent.
    """
    column = (tl.program_id(0) * count + tl.arange(0, count))[:, None]
    row = tl.arange(0, m)[None, :]
    inside = (column < wx) & (row < m)
    at = row * wx + column
    spectrum = spectra + tl.program_id(1).to(tl.int64) * ny * wx + at
    wave = ()
    for part in tl.static_range(q):
        wave = wave + (_load(spectrum + part * m * wx, inside & (row + part * m < ny)),)
    wave = _transformed(wave, roots, False, count, q, m, log)
    sent = ()
    for part in tl.static_range(q):
        sent = sent + (_times(wave[part], _load(transfer + at + part * m * wx, inside), conjugate),)
    sent = _transformed(sent, roots, True, count, q, m, log)
    for part in tl.static_range(q):
        _store(spectrum + part * m * wx, sent[part], inside & (row + part * m < ny))
