"""Transfer functions of one hop at many distances and wavelengths, each right to rounding.

A transfer function is even in both frequencies, and so is the kernel behind it. So a quarter of it is computed and
unfolded, and the offsets that share a place in the window are taken from one kernel: the same numbers as building the
propagator anew, for a fraction of the time.
"""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics import transfer
from opticdesign.optics.propagation import (
    FEWEST_ZONES,
    AngularSpectrum,
    BandLimitedAngularSpectrum,
    Fresnel,
    FresnelImpulse,
    ImpulseResponse,
    Propagator,
    RayleighSommerfeld,
    fresnel_zones,
)

__all__ = [
    "can_carry",
    "kernel_folds",
    "quarter",
    "spherical_wave",
    "times",
    "transfers",
    "unfolded",
]


def transfers(hop: Propagator, distance_m: Tensor, wavelength_m: Tensor) -> Tensor:
    """What `hop.transfer` would be at other distances and wavelengths: complex (n, wy, wx), type of the hop's.

    Args:
        hop: says grid, window and method. A kernel that it cuts is cut there at any distance and wavelength.
        distance_m: float64 (n,), above zero.
        wavelength_m: in the medium, float64 (n,).

    Raises:
        UsageError: the method cannot go over one of the distances.
    """
    return unfolded(quarter(hop, distance_m, wavelength_m), hop.window.shape)


def unfolded(quarter: Tensor, window: tuple[int, int]) -> Tensor:
    """The whole window (n, wy, wx) in FFT order of a function even in both frequencies, stored column by column.

    Args:
        quarter: its values at frequencies that are not negative, (n, wy // 2 + 1, wx // 2 + 1).
        window: wy and wx.
    """
    rows, columns = quarter.shape[-2:]
    whole = quarter.new_empty((*quarter.shape[:-2], window[1], window[0])).mT
    left = whole[..., :columns]
    left[..., :rows, :] = quarter
    left[..., rows:, :] = quarter.narrow(-2, 1, window[0] - rows).flip(-2)
    whole[..., columns:] = left.narrow(-1, 1, window[1] - columns).flip(-1)
    return whole


def times(values: Tensor, factor: Tensor) -> Tensor:
    """Their product, in the place of the values where it fits: memory taken anew costs as much as the product."""
    return values.mul_(factor) if len(values) >= len(factor) else values * factor


def quarter(hop: Propagator, distance_m: Tensor, wavelength_m: Tensor) -> Tensor:
    """The quarter of `transfers` at frequencies that are not negative: (n, wy // 2 + 1, wx // 2 + 1), same type.

    Raises:
        UsageError: as `transfers`.
    """
    short = torch.argmin(distance_m)
    if distance_m[short] <= 0.0:
        raise UsageError(
            f"a gap of {float(distance_m[short]):.4g} m",
            expected="planes that do not touch",
            remedy="choose smaller errors of gaps in [tolerance]",
        )
    z, wavelength = distance_m[:, None, None], wavelength_m[:, None, None]
    if isinstance(hop, RayleighSommerfeld):
        return _sommerfeld(hop, distance_m, wavelength_m)
    if isinstance(hop, ImpulseResponse):
        return _impulse_response(hop, distance_m, wavelength_m)
    if isinstance(hop, FresnelImpulse):
        found = _fresnel_impulse(hop, z, wavelength)
    elif isinstance(hop, Fresnel):
        phase = -math.pi * wavelength * z * _squares(hop, z)
        found = transfer.wave(torch.ones_like(phase), phase)
    elif isinstance(hop, AngularSpectrum | BandLimitedAngularSpectrum):
        s = wavelength**2 * _squares(hop, z)
        found = transfer.wave(transfer.propagating(s), transfer.excess_phase(s, wavelength, z))
        if isinstance(hop, BandLimitedAngularSpectrum):
            found = found * _kept(hop, distance_m, wavelength_m).to(found.real.dtype)
    else:
        raise TypeError(f"{type(hop).__name__} at other distances")
    return found.to(hop.dtype)


def _squares(hop: Propagator, like: Tensor) -> Tensor:
    """f² at frequencies that are not negative, 1/m², (wy // 2 + 1, wx // 2 + 1)."""
    y, x = _frequencies(hop, like)
    return y[:, None] ** 2 + x**2


def _frequencies(hop: Propagator, like: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies along y and x that are not negative, 1/m."""
    counts = zip(hop.window.shape, hop.window.pitch_m, strict=True)
    found = (torch.fft.fftfreq(size, dtype=like.dtype, device=like.device) / pitch_m for size, pitch_m in counts)
    # the middle of an even window is its lowest frequency
    y, x = (frequencies[: len(frequencies) // 2 + 1].abs() for frequencies in found)
    return y, x


def _kept(hop: Propagator, distance_m: Tensor, wavelength_m: Tensor) -> Tensor:
    """Where the band-limited angular spectrum lets waves pass, bool (n, wy // 2 + 1, wx // 2 + 1)."""
    window = hop.window
    pairs = zip(wavelength_m.tolist(), distance_m.tolist(), strict=True)
    limits = [transfer.band_limits_per_m(window.shape, window.pitch_m, wavelength, z) for wavelength, z in pairs]
    limit = torch.tensor(limits, dtype=distance_m.dtype, device=distance_m.device)[:, :, None]
    y, x = _frequencies(hop, distance_m)
    kept: Tensor = (y <= limit[:, 0])[:, :, None] & (x <= limit[:, 1])[:, None, :]
    return kept


def _fresnel_impulse(hop: Propagator, z: Tensor, wavelength: Tensor) -> Tensor:
    """The kernel e^{iπr²/(λz)} is a product of one along y and one along x."""
    lines = []
    for size, pitch_m in zip(hop.window.shape, hop.window.pitch_m, strict=True):
        offset = torch.fft.fftfreq(size, 1.0 / size, dtype=z.dtype, device=z.device) * pitch_m
        phase = (math.pi / (wavelength * z))[:, :, 0] * offset**2 - 0.25 * math.pi
        line = torch.fft.fft(transfer.wave(torch.ones_like(phase) * pitch_m, phase))
        lines.append(line[:, : size // 2 + 1])
    product: Tensor = lines[0][:, :, None] * lines[1][:, None, :]
    return product / (wavelength * z)


def _sommerfeld(hop: RayleighSommerfeld, distance_m: Tensor, wavelength_m: Tensor) -> Tensor:
    """The transform of the folded kernel; distances and wavelengths (n,)."""
    window, (dy, dx) = hop.window.shape, hop.grid.pitch_m
    folds = kernel_folds(hop, distance_m, wavelength_m)
    shape = (len(distance_m), *(size // 2 + 1 for size in window))
    kernel = torch.zeros(shape, dtype=hop.dtype, device=distance_m.device)
    for (place_y, y, weight_y), (place_x, x, weight_x) in itertools.product(*folds):
        # offsets of one sign are enough, and what else shares their places stands at their far end
        rows, columns = (int((place < size).sum()) for place, size in zip((place_y, place_x), shape[1:], strict=True))
        across = (y[:rows, None] * dy) ** 2 + (x[:columns] * dx) ** 2
        part = spherical_wave(across, distance_m[:, None, None], wavelength_m[:, None, None], hop.dtype)
        weight = weight_y[:rows, None] * (weight_x[:columns] * (dy * dx))
        part *= weight.to(part.real.dtype)
        kernel[:, shape[1] - rows :, shape[2] - columns :] += part
    return _even_transform(kernel, window)


def _impulse_response(hop: ImpulseResponse, distance_m: Tensor, wavelength_m: Tensor) -> Tensor:
    """The transform of the folded impulse response; distances and wavelengths (n,)."""
    shape = hop.window.shape[0] // 2 + 1, hop.window.shape[1] // 2 + 1
    kernel = torch.zeros((len(distance_m), *shape), dtype=torch.complex128, device=distance_m.device)
    folds = kernel_folds(hop, distance_m, wavelength_m)
    for draw, way in enumerate(zip(wavelength_m.tolist(), distance_m.tolist(), strict=True)):
        response = hop.quarter(*way).to(kernel.device)
        for (place_y, y, weight_y), (place_x, x, weight_x) in itertools.product(*folds):
            rows, columns = (int((place < size).sum()) for place, size in zip((place_y, place_x), shape, strict=True))
            offset_y, offset_x = (
                offset.abs().long().clamp(max=size - 1)
                for offset, size in zip((y[:rows], x[:columns]), response.shape, strict=True)
            )
            part = response[offset_y][:, offset_x] * (weight_y[:rows, None] * weight_x[:columns])
            kernel[draw, shape[0] - rows :, shape[1] - columns :] += part
    return _even_transform(kernel, hop.window.shape).to(hop.dtype)


def can_carry(hop: Propagator, wavelength_m: float, distance_m: float) -> bool:
    """Whether a kernel in a hop's window can carry light of a wavelength in the medium over a distance."""
    if not isinstance(hop, RayleighSommerfeld):
        return distance_m > 0.0
    zones = fresnel_zones(hop.grid, hop.window, wavelength_m, distance_m) if distance_m > 0.0 else 0.0
    return distance_m >= wavelength_m / 2.0 and zones >= FEWEST_ZONES


Folds: TypeAlias = list[tuple[Tensor, Tensor, Tensor]]


def kernel_folds(
    hop: RayleighSommerfeld | ImpulseResponse, distance_m: Tensor, wavelength_m: Tensor
) -> tuple[Folds, Folds]:
    """What offsets share the places of a window along y and along x, as in the propagator itself.

    A kernel that is cut stays cut where the propagator cuts it: at an edge that moved with distance and wavelength,
    what lies there would come and go.

    Returns:
        For each axis and each time an offset occurs: its places (m,), rising by one, offsets in samples (m,), weights
        (m,).

    Raises:
        UsageError: the sampled kernel cannot carry light over one of the distances.
    """
    device, pairs = distance_m.device, list(zip(wavelength_m.tolist(), distance_m.tolist(), strict=True))
    for wavelength, z in pairs:
        if not can_carry(hop, wavelength, z):
            raise UsageError(
                f"the sampled Rayleigh–Sommerfeld kernel cannot carry light over a gap of {z:.4g} m",
                expected="gaps of half a wave and more, in a window that holds the kernel",
                remedy="choose smaller errors of gaps in [tolerance], or another optics.propagator",
            )
    along_y, along_x = (
        [(place.to(device), offset.to(device), share.to(device)) for place, offset, share in _shared_places(hop, axis)]
        for axis in (0, 1)
    )
    return along_y, along_x


def _shared_places(hop: Propagator, axis: int) -> Folds:
    """Places, offsets and weights (m,); of what shares places with nearer offsets only those with a weight."""
    (near, share), *others = hop.fold(axis)
    found = [(torch.arange(len(near)), near, share)]
    for far, of_far in others:
        place = of_far.nonzero()[:, 0]
        if len(place):
            place = torch.arange(int(place[0]), int(place[-1]) + 1)
            found.append((place, far[place], of_far[place]))
    return found


def spherical_wave(
    across_m2: Tensor, z: Tensor, wavelength: Tensor, dtype: torch.dtype, more_turns: Tensor | float = 0.0
) -> Tensor:
    """The kernel of `transfer.rayleigh_sommerfeld`, z/(2πr²)·(1/r − ik)·e^{ik(r−z)}, times e^{2πi·more_turns}.

    Only the turns of the phase need double precision, and not those that are whole. Arguments broadcast.
    """
    real = torch.empty((), dtype=dtype).real.dtype
    r = torch.sqrt(across_m2 + z * z)
    turns = across_m2 / ((r + z) * wavelength) + more_turns
    phase = (turns - torch.round(turns)).to(real) * (2.0 * math.pi)
    inverse, k = (1.0 / r).to(real), (2.0 * math.pi / wavelength).to(real)
    amplitude = (z / (2.0 * math.pi)).to(real) * inverse**2
    cosine, sine = torch.cos(phase) * amplitude, torch.sin(phase) * amplitude
    return torch.complex(cosine * inverse + sine * k, sine * inverse - cosine * k)


def _even_transform(kernel: Tensor, window: tuple[int, int]) -> Tensor:
    """The quarter of the Fourier transform of an even function (n, wy, wx), of its quarter."""
    for dim, size in ((-1, window[1]), (-2, window[0])):
        whole = torch.cat([kernel, kernel.narrow(dim, 1, (size - 1) // 2).flip(dim)], dim)
        kernel = torch.fft.fft(whole, dim=dim).narrow(dim, 0, size // 2 + 1)
    return kernel
