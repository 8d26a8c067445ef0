"""Free space between planes that are not parallel.

A plane of slopes b lies at z + b·x. From x in one of them to x′ in the next the way along z is

    z + b·(x′ − x) + (b′ − b)·x′.

The first tilt depends on x′ − x alone: it belongs to the transfer function, exactly for the Rayleigh–Sommerfeld kernel,
in whose r the z becomes z + b·(x′ − x), while along the normal of the planes it stays z, and to first order for the
others, as the phase zλ(f·b)W/cos θ with W = k_z − k − c. The second is a refocus that grows along x′,

    u(x′) = Σ_p (i(b′ − b)·x′)^p/p!·F⁻¹[W^p H F u],

one transform more for each order. It is the turn of the spectrum f → f + bW/2π of K. Matsushima, H. Schimmel,
F. Wyrowski, Fast calculation method for optical diffraction on tilted planes by use of the angular spectrum of plane
waves, J. Opt. Soc. Am. A 20, 1755 (2003), doi:10.1364/JOSAA.20.001755, Eq. 11, for small slopes.

The carrier e^{i(k + c)b·x} that is left out behind one hop is left out in front of the next one too, where the mask is
between them. A c near the mean of k_z − k makes W small.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.band import band_frequencies
from opticdesign.optics.field import phasor
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import Propagator, RayleighSommerfeld
from opticdesign.perturbed.transfers import kernel_folds, spherical_wave, transfers

__all__ = ["defocus_per_m", "tilt_orders", "tilted_transfers"]

_MIDDLE = 1.0 / 6.0  # c over the smallest k_z − k: most light goes at small angles
_USUAL = 1.0 / 5.0  # |W| of most light over the same
_ERROR = 3e-3  # of what the refocus does, of that light
_STEEP = 0.9  # sin² of waves from which on W follows its tangent
_MOST_ORDERS = 8


def _span(hop: Propagator) -> float:
    """Largest k − k_z of the waves that the grid carries, over k."""
    s = sum((hop.wavelength_m / (2.0 * pitch_m)) ** 2 for pitch_m in hop.grid.pitch_m)
    return 1.0 - math.sqrt(max(0.0, 1.0 - s))


def tilt_orders(hop: Hop, slopes: tuple[Tensor, Tensor]) -> Tensor:
    """Orders p that the refocus between two planes needs in each draw, int64 (n,); 0 where both lie straight.

    Args:
        hop: the way between them as designed.
        slopes: of the first plane and of the second along y and x, float64 (n, 2) each.

    Raises:
        UsageError: tilts too large for it.
    """
    difference = (slopes[1] - slopes[0]).abs()
    height, width = hop.target_grid.extent_m
    k = 2.0 * math.pi / hop.propagator.wavelength_m
    usual = 0.5 * k * (difference[:, 0] * height + difference[:, 1] * width) * _USUAL * _span(hop.propagator)
    limits = [(_ERROR * math.factorial(p + 1)) ** (1.0 / p) for p in range(1, _MOST_ORDERS + 1)]
    if bool((usual > limits[-1]).any()):
        raise UsageError(
            f"tilts of masks by {float(difference.max()):.3g} rad against each other",
            expected=f"at most {limits[-1] / float(usual.max()) * float(difference.max()):.2g} rad for masks so wide",
            remedy="choose a smaller error of tilt in [tolerance]",
        )
    orders = 1 + torch.bucketize(usual, torch.tensor(limits, dtype=torch.float64))
    tilted = (slopes[0] != 0.0).any(1) | (slopes[1] != 0.0).any(1)
    return torch.where(tilted, orders, torch.zeros_like(orders))


def defocus_per_m(hop: Hop, wavelength_m: Tensor) -> Tensor:
    """W = k_z − k − c in the band, rad/m, float64 (n, cy, cx).

    Of grazing waves it is less: where its slope has no end it would mix places far apart, and so what a kernel has
    beyond the offsets that are right.
    """
    wavelength = wavelength_m[:, None, None]
    fy, fx = _frequencies(hop, wavelength)
    s = wavelength**2 * (fy**2 + fx**2)
    beyond = (s - _STEEP).clamp(min=0.0) / (2.0 * math.sqrt(1.0 - _STEEP))
    root = (torch.sqrt(1.0 - s.clamp(max=_STEEP)) - beyond).clamp(min=0.0)
    return 2.0 * math.pi / wavelength * (root - 1.0 + _MIDDLE * _span(hop.propagator))


def _frequencies(hop: Hop, like: Tensor) -> tuple[Tensor, Tensor]:
    fy, fx = band_frequencies(hop.band, hop.propagator.window.extent_m)
    return fy.to(like.device), fx.to(like.device)


def tilted_transfers(hop: Hop, distance_m: Tensor, wavelength_m: Tensor, slope: Tensor) -> Tensor:
    """Transfer functions between planes of one slope in the band, complex (n, cy, cx), type of the propagator's.

    Args:
        hop: says planes, window and method.
        distance_m: between their middles, float64 (n,), on the device where to compute.
        wavelength_m: in the medium, float64 (n,).
        slope: along y and x, float64 (n, 2).

    Raises:
        UsageError: the method cannot go over one of the distances.
    """
    propagator = hop.propagator
    if isinstance(propagator, RayleighSommerfeld):
        return hop.placed(_sommerfeld(propagator, distance_m, wavelength_m, slope))
    fy, fx = _frequencies(hop, slope)
    wavelength, z = wavelength_m[:, None, None], distance_m[:, None, None]
    cosine = torch.sqrt((1.0 - wavelength**2 * (fy**2 + fx**2)).clamp(min=0.0))
    # the steepest rays that the window holds
    cosine = torch.maximum(cosine, z / torch.hypot(z, torch.full_like(z, max(propagator.window.extent_m))))
    along = fy * slope[:, 0, None, None] + fx * slope[:, 1, None, None]
    phase = z * wavelength * along * defocus_per_m(hop, wavelength_m) / cosine
    return hop.placed(transfers(propagator, distance_m, wavelength_m)) * phasor(phase).to(propagator.dtype)


def _sommerfeld(hop: RayleighSommerfeld, distance_m: Tensor, wavelength_m: Tensor, slope: Tensor) -> Tensor:
    """The transform of the folded kernel with a distance that changes across it."""
    (dy, dx), wavelength = hop.grid.pitch_m, wavelength_m[:, None, None]
    middle = _MIDDLE * _span(hop) / wavelength
    kernel = torch.zeros((len(slope), *hop.window.shape), dtype=hop.dtype, device=distance_m.device)
    folds = kernel_folds(hop, distance_m, wavelength_m)
    for (rows, y, weight_y), (columns, x, weight_x) in itertools.product(*folds):
        down, right = y[:, None] * dy, x * dx
        rise = slope[:, 0, None, None] * down + slope[:, 1, None, None] * right
        # far offsets of large tilts, whose weights are small, must not come to lie behind the plane
        z = (distance_m[:, None, None] + rise).clamp(min=0.1 * float(distance_m.min()))
        part = spherical_wave(down**2 + right**2, z, wavelength, hop.dtype, middle * rise)
        # along the planes' own normal they are as far apart as ever
        part *= (weight_y[:, None] * (weight_x * (dy * dx)) * (distance_m[:, None, None] / z)).to(part.real.dtype)
        # places rise by one
        kernel[:, int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1] += part
    result: Tensor = torch.fft.fft2(kernel)
    return result
