"""Light that meets the sample: plane waves, and sums over what does not interfere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from opticdesign.errors import UsageError
from opticdesign.optics.detectors import intensity_of
from opticdesign.optics.field import Grid, Spectrum, phasor

__all__ = [
    "SourcePoints",
    "condenser",
    "lamps",
    "mutual_coherence",
    "partially_coherent_intensity",
    "plane_wave",
    "polychromatic_intensity",
    "ringed_condenser",
]

System = Callable[[Tensor], Tensor]

_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))


def plane_wave(grid: Grid, wavelength_m: float, sine: Tensor | tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Unit plane waves e^{ik(s_y·y + s_x·x)}, travelling towards +y and +x for positive sines.

    Args:
        grid: sampling; the phase is zero at its middle.
        wavelength_m: wavelength in the medium, metres.
        sine: direction sines (…, 2) along y and x, a tensor or one pair.

    Returns:
        Complex128 (…, y, x).
    """
    y, x = grid.coordinates_m()
    sines = torch.as_tensor(sine, dtype=torch.float64)[..., None, None]
    phase = (2.0 * math.pi / wavelength_m) * (sines[..., 0, :, :] * y + sines[..., 1, :, :] * x)
    return phasor(phase)


@dataclass(frozen=True)
class SourcePoints:
    """Points of a source in the back focal plane of a condenser: each lights the sample with one plane wave.

    Args:
        sines: direction sines along y and x, float64 (points, 2).
        weights: share of the power of each, float64 (points,), of sum 1.
    """

    sines: Tensor
    weights: Tensor


def condenser(coherence: float, objective_na: float, count: int) -> SourcePoints:
    """An evenly lit disc of radius NA_cond = S·NA_obj, as a spiral of points of equal area.

    H. Vogel, A better way to construct the sunflower head, Math. Biosci. 44, 179 (1979),
    doi:10.1016/0025-5564(79)90080-4.

    Args:
        coherence: S = NA_cond/NA_obj, 0 or more; 0 is coherent light along the axis, a single point.
        objective_na: numerical aperture of the objective.
        count: number of points.

    Raises:
        UsageError: S below 0, no point, or a condenser beyond a sine of 1.
    """
    radius = coherence * objective_na
    if not (0.0 <= radius <= 1.0 and coherence >= 0.0 and count >= 1):
        raise UsageError(
            f"a condenser of S = {coherence}, NA_obj = {objective_na} and {count} points",
            expected="S ≥ 0, S·NA_obj ≤ 1 and one point or more",
            remedy="correct the value out of range",
        )
    if radius == 0.0:
        return SourcePoints(torch.zeros((1, 2), dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    index = torch.arange(count, dtype=torch.float64)
    r, angle = radius * torch.sqrt((index + 0.5) / count), _GOLDEN_ANGLE * index
    sines = torch.stack([r * torch.sin(angle), r * torch.cos(angle)], -1)
    return SourcePoints(sines - sines.mean(0), torch.full((count,), 1.0 / count, dtype=torch.float64))


def ringed_condenser(coherence: float, objective_na: float, rings: int, inner: float = 0.0) -> SourcePoints:
    """An evenly lit disc of radius S·NA_obj, or an annulus, as points on rings: fewer than `condenser` for one error.

    Gauss's nodes and weights in r², and on each ring an even number of equal points, about as far apart as the rings:
    what is opposite to a point is one too. P. J. Davis, P. Rabinowitz, Methods of Numerical Integration, 2nd ed.,
    section 5.6.

    Args:
        coherence: S = NA_cond/NA_obj, 0 or more; 0 is coherent light along the axis, a single point.
        objective_na: numerical aperture of the objective.
        rings: number of rings.
        inner: radius of the dark middle of an annulus over that of the disc.

    Raises:
        UsageError: S below 0, no ring, a condenser beyond a sine of 1, or nothing around a dark middle.
    """
    radius = coherence * objective_na
    if not (0.0 <= radius <= 1.0 and coherence >= 0.0 and rings >= 1 and 0.0 <= inner < 1.0):
        raise UsageError(
            f"a condenser of S = {coherence}, NA_obj = {objective_na}, {rings} rings and a dark middle of {inner}",
            expected="S ≥ 0, S·NA_obj ≤ 1, one ring or more, and a middle from 0 to less than 1",
            remedy="correct the value out of range",
        )
    if radius == 0.0:
        return condenser(0.0, objective_na, 1)
    nodes, shares = np.polynomial.legendre.leggauss(rings)
    places, weights = [], []
    for ring, (node, share) in enumerate(zip(nodes, shares, strict=True)):
        r = math.sqrt(inner**2 + (1.0 - inner**2) * (node + 1.0) / 2.0)
        count = 2 * max(2, round(math.pi * r * rings / (1.0 - inner) + 1.0))
        angle = (torch.arange(count, dtype=torch.float64) + 0.5 * ring) * (2.0 * math.pi / count)
        places.append(radius * r * torch.stack([torch.sin(angle), torch.cos(angle)], -1))
        weights.append(torch.full((count,), share / (2.0 * count), dtype=torch.float64))
    return SourcePoints(torch.cat(places), torch.cat(weights))


def lamps(places: Tensor, powers: Tensor, condenser_na: float) -> SourcePoints:
    """Points of given power at given places of a condenser's aperture, such as the diodes of an array.

    Args:
        places: along y and x in units of the aperture's radius (points, 2).
        powers: of any unit, 0 or more and not all 0 (points,); those of no power are left out.
        condenser_na: numerical aperture of the condenser, n·sin θ.

    Raises:
        UsageError: powers that make no source, or a place beyond a sine of 1.
    """
    sines, powers = condenser_na * places.to(torch.float64), powers.to(torch.float64)
    lit = powers > 0.0
    if bool((powers < 0.0).any()) or not bool(lit.any()) or float(torch.linalg.vector_norm(sines, dim=1).max()) > 1.0:
        raise UsageError(
            f"a source of {int(lit.sum())} lit points of {len(powers)} on a condenser of NA {condenser_na:g}",
            expected="powers of 0 or more, one of them above, at sines of 1 or less",
            remedy="correct the powers or the places",
        )
    return SourcePoints(sines[lit], powers[lit] / powers.sum())


def mutual_coherence(source: SourcePoints, dy_m: Tensor, dx_m: Tensor, wavelength_m: float) -> Tensor:
    """Degree of coherence of the light at two points of the sample, complex128, of the shape of their distances.

    Σ w·e^{2πi(s·d)/λ}: the Fourier transform of the source. P. H. van Cittert, Physica 1, 201 (1934),
    doi:10.1016/S0031-8914(34)90026-4; F. Zernike, Physica 5, 785 (1938), doi:10.1016/S0031-8914(38)80203-2.

    Args:
        source: the points.
        dy_m: distance along y, metres.
        dx_m: along x, metres, same shape.
        wavelength_m: wavelength that the sines are of, metres.
    """
    turns = source.sines[:, 0] * dy_m[..., None] + source.sines[:, 1] * dx_m[..., None]
    return (source.weights * phasor(2.0 * math.pi / wavelength_m * turns)).sum(-1)


def partially_coherent_intensity(
    field: Tensor, system: System, source: SourcePoints, grid: Grid, wavelength_m: float, *, together: int = 8
) -> Tensor:
    """Intensity behind a system for a sample lit by an extended source: Σ w·|system(tilted field)|² over its points.

    E. Abbe's way of imaging; J. W. Goodman, Statistical Optics, 2nd ed., section 7.2. With gradients, each part is
    computed again on the way back, so that memory holds one part at a time.

    Args:
        field: complex (…, y, x) behind the sample under a plane wave along the axis.
        system: maps complex fields (points, …, y, x) to fields of any grid.
        source: the points.
        grid: sampling of the field.
        wavelength_m: wavelength in the medium, metres.
        together: points that go through the system at once.

    Returns:
        Real (…, y, x) on the system's output grid.
    """

    def part(field: Tensor, sines: Tensor, weights: Tensor) -> Tensor:
        tilts = plane_wave(grid, wavelength_m, sines).to(field)
        tilts = tilts.reshape(len(sines), *(1,) * (field.ndim - 2), *grid.shape)
        return torch.einsum("p...,p->...", intensity_of(system(field * tilts)), weights.to(field.real))

    parts = zip(torch.split(source.sines, together), torch.split(source.weights, together), strict=True)
    return _summed([_recomputed(part, field, *each) for each in parts])


def polychromatic_intensity(field: Tensor, spectrum: Spectrum, system_at: Callable[[float], System]) -> Tensor:
    """Intensity behind a system for light of several wavelengths: Σ w·|system_λ(field_λ)|².

    Args:
        field: complex (…, wavelength, y, x); a wavelength axis of 1 holds the same field for all of them.
        spectrum: the wavelengths and their shares of the power.
        system_at: the system for a vacuum wavelength in metres.

    Returns:
        Real (…, y, x) on the systems' common output grid.
    """
    fields = field.expand(*field.shape[:-3], len(spectrum.weights), *field.shape[-2:]).unbind(-3)
    lines = zip(fields, spectrum.wavelengths_m, spectrum.weights, strict=True)
    return _summed([weight * intensity_of(system_at(wavelength)(part)) for part, wavelength, weight in lines])


def _recomputed(part: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """The part's result, its intermediate values not kept for the backward pass."""
    result: Tensor = checkpoint(part, *arguments, use_reentrant=False) if torch.is_grad_enabled() else part(*arguments)
    return result


def _summed(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
