"""Light that meets the sample: plane waves, and sums over what does not interfere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from opticdesign.errors import UsageError
from opticdesign.optics.detectors import intensity_of
from opticdesign.optics.field import Grid, Spectrum, phasor

__all__ = ["SourcePoints", "condenser", "partially_coherent_intensity", "plane_wave", "polychromatic_intensity"]

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
