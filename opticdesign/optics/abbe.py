"""Images by partially coherent light, after Abbe: every point of the source makes one, and their intensities add up.

A point of the source lights the sample with a plane wave, which moves the object's spectrum across the pupil. Here the
pupil is moved the other way instead, so that the spectrum is made once for all points, and a tilted wave, for which the
samples of the object may be too coarse, is not sampled at all.

E. Abbe's way of imaging; M. Born, E. Wolf, Principles of Optics, 7th ed., section 10.6.2; J. W. Goodman, Statistical
Optics, 2nd ed., section 7.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from opticdesign.errors import UsageError
from opticdesign.optics.detectors import intensity_of
from opticdesign.optics.field import phasor
from opticdesign.optics.transfer import Scalar, excess_phase, wave

__all__ = ["added_intensities", "depth_of_field_m", "pupil_function", "squares_met", "squares_response", "zernike"]


def added_intensities(weights: Tensor, image_of: Callable[[int], Tensor]) -> Tensor:
    """Σ w·|A|² over the points of a source, real (…, y, x).

    With gradients each image is computed again on the way back, so that memory holds one at a time however many points
    there are.

    Args:
        weights: share of the power of each point (points,).
        image_of: complex image (…, y, x) by the light of a point, by its number.

    Raises:
        UsageError: a source without points.
    """

    def of_point(number: int) -> Tensor:
        return weights[number] * intensity_of(image_of(number))

    learns = torch.is_grad_enabled()
    total: Tensor | None = None
    for number in range(len(weights)):
        part = (
            checkpoint(of_point, number, use_reentrant=False, preserve_rng_state=False) if learns else of_point(number)
        )
        total = part if total is None else total + part
    if total is None:
        raise UsageError("a source of no points", expected="one or more", remedy="give it one")
    return total


def depth_of_field_m(wavelength_m: float, index: float, numerical_aperture: float) -> float:
    """Defocus at which a wave through the rim of the pupil is half a wave behind one on the axis, nλ/NA², metres.

    M. Born, E. Wolf, Principles of Optics, 7th ed., section 8.8.2, whose tolerance of a quarter wave is half as much to
    either side.
    """
    return index * wavelength_m / numerical_aperture**2


def pupil_function(
    fy: Tensor,
    fx: Tensor,
    *,
    wavelength_m: Scalar,
    index: float,
    numerical_aperture: Scalar,
    defocus_m: Scalar = 0.0,
    rim_per_m: float = 0.0,
    aberrations: Mapping[int, float] | None = None,
) -> Tensor:
    """What an objective makes of waves of frequencies (fy, fx) behind the sample: complex128 (cy, cx).

    Those beyond NA/λ are stopped. The camera sees the plane at a distance behind the sample, as e^{i(k_z − k)z} has it.

    Args:
        fy: frequencies along y (cy, 1), 1/m, float64.
        fx: along x (1, cx).
        wavelength_m: vacuum wavelength, metres.
        index: refractive index around the sample.
        numerical_aperture: n·sin θ of the objective, at most the index.
        defocus_m: distance of the plane that is in focus behind the sample; negative in front of it.
        rim_per_m: width over which the rim fades, 1/m: the distance of two frequencies of a window, so that one on
            the rim counts for the share of it that lies inside; 0 for a hard edge.
        aberrations: phase of the objective in radians rms, by the number of Zernike's polynomial as `zernike` has it.
    """
    squared = fy**2 + fx**2
    cutoff = numerical_aperture / wavelength_m
    if rim_per_m == 0.0:
        passed = (squared <= cutoff**2).to(torch.float64)
    else:
        passed = (0.5 + (cutoff - torch.sqrt(squared)) / rim_per_m).clamp(0.0, 1.0)
    medium_m = wavelength_m / index
    phase = excess_phase(medium_m**2 * squared, medium_m, defocus_m)
    for term, rms_rad in (aberrations or {}).items():
        phase = phase + rms_rad * zernike(term, fy / cutoff, fx / cutoff)
    return wave(passed, phase)


def zernike(term: int, y: Tensor, x: Tensor) -> Tensor:
    """Zernike's polynomial of a number from 1 at y (cy, 1) and x (1, cx) over the pupil's radius, of rms 1: (cy, cx).

    R. J. Noll, Zernike polynomials and atmospheric turbulence, J. Opt. Soc. Am. 66, 207 (1976), Eq. 1 and 2,
    doi:10.1364/JOSA.66.000207. Beyond the rim the polynomial goes on.

    Raises:
        UsageError: a number below 1.
    """
    if term < 1:
        raise UsageError(f"Zernike's polynomial {term}", expected="1 or more, counted as Noll does")
    order = (math.isqrt(8 * term - 7) - 1) // 2
    place = term - order * (order + 1) // 2  # 1 … order + 1
    turns = 2 * ((place + order % 2) // 2) - order % 2
    r2 = y**2 + x**2
    radial = torch.zeros_like(r2)
    for k in range((order - turns) // 2 + 1):
        above, below = (order + turns) // 2 - k, (order - turns) // 2 - k
        factor = math.factorial(order - k) / (math.factorial(k) * math.factorial(above) * math.factorial(below))
        radial = radial + (-1) ** k * factor * r2**below
    # r^m·cos(mθ) and r^m·sin(mθ) as powers of x + iy
    turned = torch.complex(x + torch.zeros_like(r2), y + torch.zeros_like(r2)) ** turns
    if turns == 0:
        return math.sqrt(order + 1.0) * radial
    return math.sqrt(2.0 * (order + 1.0)) * radial * (turned.real if term % 2 == 0 else turned.imag)


def squares_met(values: Tensor, place_y: Tensor, place_x: Tensor) -> Tensor:
    """What waves without end, points in the pupil, meet of a mask of squares: complex (cy, cx), opaque around.

    Args:
        values: transmission of the squares (rows, columns), complex; row 0 and column 0 lie lowest.
        place_y: where waves cross the mask along y (cy,), in squares from its middle.
        place_x: along x (cx,).
    """
    met = values
    for dim, place in enumerate((place_y, place_x)):
        count = values.shape[dim]
        number = torch.floor(place + count / 2.0).long()
        inside = ((number >= 0) & (number < count)).to(values)
        met = met.index_select(dim, number.clamp(0, count - 1)) * (inside[:, None] if dim == 0 else inside)
    return met


def squares_response(values: Tensor, y_m: Tensor, x_m: Tensor, side_per_m: float) -> Tensor:
    """The impulse response of a mask of squares in a pupil, ∫ t(ν)·e^{2πi r·ν} dν, complex (wy, wx), 1/m².

    Each square gives p²·sinc(p·y)·sinc(p·x) and the turn of its middle. J. W. Goodman, Introduction to Fourier Optics,
    3rd ed., chapter 2.3.

    Args:
        values: transmission of the squares (rows, columns), complex; row 0 and column 0 lie lowest.
        y_m: offsets along y (wy,), metres, float64.
        x_m: along x (wx,).
        side_per_m: side p of a square as frequencies cross it, 1/m.
    """
    sides = []
    for offset, count in zip((y_m, x_m), values.shape, strict=True):
        middles = torch.arange(count, dtype=torch.float64, device=offset.device) - (count - 1) / 2.0
        turns = phasor(2.0 * math.pi * side_per_m * offset[:, None] * middles)
        sides.append((turns * (side_per_m * torch.sinc(side_per_m * offset))[:, None]).to(values))
    response: Tensor = sides[0] @ values @ sides[1].mT
    return response
