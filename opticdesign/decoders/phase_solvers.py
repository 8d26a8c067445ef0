"""Phase from intensities in two planes or more, without learning: solvers of the transport-of-intensity equation.

k ∂I/∂z = −∇·(I ∇φ), M. R. Teague, Deterministic phase retrieval: a Green's function solution, J. Opt. Soc. Am. 73,
1434 (1983), doi:10.1364/JOSA.73.001434. z grows along the light and thicker is more phase: a cell gathers light, and is
brighter behind it than in front. No intensity shows the constant phase; it is chosen so that the mean over the light is
zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid

__all__ = ["DARKEST", "TieMethod", "axial_derivative", "equally_bright", "solve_tie"]

TieMethod: TypeAlias = Literal["fft", "dct", "universal"]

DARKEST = 0.1
"""Share of the usual intensity below which this share is taken: there an 8-bit camera rounds away the derivative."""

_CORRECTIONS = 20  # of the phase by its own residual; it stops earlier where they no longer help
_STEPS = 200
_SETTLED = 1e-4  # of the derivative, rms: no camera measures it so well
_STENCIL = 3  # pixels that a derivative of a derivative reaches


def equally_bright(frames: Tensor) -> Tensor:
    """Frames (…, planes, y, x) scaled to one mean, that of all: C = R·S̄/R̄.

    Free space keeps the power, so that frames of a sample in several planes differ in their means by the exposure
    alone, as long as no light leaves over the border.
    """
    means = frames.mean(dim=(-2, -1), keepdim=True)
    return frames * (means.mean(dim=-3, keepdim=True) / means)


def axial_derivative(frames: Tensor, z_m: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Intensity at z = 0 and its derivative along z, by the line of least squares through each pixel.

    Args:
        frames: intensities (…, planes, y, x).
        z_m: where the planes lie along the light, metres.

    Returns:
        intensity: (…, y, x).
        derivative: per metre, same shape.

    Raises:
        UsageError: fewer than two planes, not one for each frame, or all in one place.
    """
    planes = torch.tensor(list(z_m), dtype=torch.float64)
    if frames.ndim < 3 or frames.shape[-3] != len(planes) or len(planes) < 2 or not bool(planes.isfinite().all()):
        raise UsageError(
            f"frames of shape {tuple(frames.shape)} for {len(planes)} planes",
            expected="(…, planes, y, x), two planes or more, and where each lies",
        )
    offset = planes - planes.mean()
    if not float(offset.abs().max()) > 0.0:
        raise UsageError("all planes lie in one place", expected="planes apart", remedy="give their distances")
    weights = (offset / offset.square().sum()).to(frames)
    derivative = torch.einsum("p,...pyx->...yx", weights, frames)
    return frames.mean(dim=-3) - float(planes.mean()) * derivative, derivative


def solve_tie(
    intensity: Tensor,
    derivative: Tensor,
    grid: Grid,
    wavelength_m: float,
    method: TieMethod = "universal",
    *,
    darkest: float = DARKEST,
    longest_m: float = math.inf,
) -> Tensor:
    """Phase in radians (…, y, x) of intensities in focus and their axial derivative.

    - "fft": periodic borders; Teague's potential I ∇φ = ∇ψ, by two Poisson equations. D. Paganin, K. A. Nugent,
      Noninterferometric phase imaging with partially coherent light, Phys. Rev. Lett. 80, 2586 (1998),
      doi:10.1103/PhysRevLett.80.2586. Wrong where I ∇φ has vortices, and where the sample reaches the border.
    - "dct": reflecting borders, over which nothing flows, and again for what its own phase leaves unexplained.
      C. Zuo et al., Boundary-artifact-free phase retrieval with the transport of intensity equation, Opt. Express 22,
      9220 (2014), doi:10.1364/OE.22.009220; Phase discrepancy analysis and compensation for fast Fourier transform
      based solution of the transport of intensity equation, Opt. Express 22, 17172 (2014), doi:10.1364/OE.22.017172.
    - "universal": no division by the intensity, so that apertures may have any shape: Poisson's equation of an even
      intensity, again for what is left. J. Zhang et al., On a universal solution to the transport-of-intensity
      equation, Opt. Lett. 45, 3649 (2020), doi:10.1364/OL.391823. Borders are periodic, as there, where they are dark,
      and reflect where light reaches them. The steps are conjugate, which takes fewer to the same phase: M. R.
      Hestenes, E. Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. Natl. Bur. Stand. 49, 409
      (1952), doi:10.6028/jres.049.044.

    Args:
        intensity: in focus, (…, y, x), of any unit.
        derivative: along z, in that unit per metre, same shape.
        grid: the sampling, in the object.
        wavelength_m: in the medium in which z is measured, metres.
        method: one of these.
        darkest: share of the usual intensity, ΣI²/ΣI; what is darker counts as that, for noise in the dark is no flow.
        longest_m: period of which half is believed: waves of frequency q are multiplied by q⁴/(q⁴ + q₀⁴), with
            q₀ = 1/longest_m, since Poisson's equation amplifies their noise by 1/q². Without end by default: a sample
            may be as smooth as it likes, and nobody gets back what is damped here.

    Raises:
        UsageError: an unknown method, images that do not fit the grid, no light, or values that are not finite.
    """
    _check(intensity, derivative, grid, wavelength_m, method, darkest, longest_m)
    pairs = zip(intensity.reshape(-1, *grid.shape), derivative.reshape(-1, *grid.shape), strict=True)
    phases = [_solved(light, slope, grid, wavelength_m, method, darkest, longest_m) for light, slope in pairs]
    return torch.stack(phases).reshape(intensity.shape)


def _check(
    intensity: Tensor,
    derivative: Tensor,
    grid: Grid,
    wavelength_m: float,
    method: str,
    darkest: float,
    longest_m: float,
) -> None:
    if method not in get_args(TieMethod):
        raise UsageError(f"unknown method {method!r}", expected=", ".join(get_args(TieMethod)))
    if not (0.0 < wavelength_m < math.inf and longest_m > 0.0 and 0.0 < darkest < 1.0):
        raise UsageError(
            f"a wavelength of {wavelength_m} m, periods up to {longest_m} m, a darkest share of {darkest}",
            expected="lengths above 0, and a share between 0 and 1",
        )
    if intensity.shape != derivative.shape or intensity.shape[-2:] != grid.shape or min(grid.shape) < _STENCIL:
        raise UsageError(
            f"an intensity of shape {tuple(intensity.shape)} and a derivative of {tuple(derivative.shape)}",
            expected=f"(…, {grid.shape[0]}, {grid.shape[1]}) both, at least {_STENCIL} × {_STENCIL}",
        )
    if not bool(intensity.isfinite().all() and derivative.isfinite().all()):
        raise UsageError("an intensity or its derivative holds NaN or infinity", expected="finite values")
    if not bool((intensity.amax(dim=(-2, -1)) > 0.0).all()):
        raise UsageError("an intensity without light", expected="values above 0 somewhere in each image")


def _solved(
    intensity: Tensor,
    derivative: Tensor,
    grid: Grid,
    wavelength_m: float,
    method: str,
    darkest: float,
    longest_m: float,
) -> Tensor:
    """One phase (y, x); arguments as of `solve_tie`."""
    given = intensity.clamp(min=0.0)
    dark = float(darkest * given.square().sum() / given.sum())
    light = given.clamp(min=dark)
    reached = max(float(side.max()) for side in (given[0], given[-1], given[:, 0], given[:, -1])) > dark
    poisson = _Poisson(grid, intensity, reflecting=method == "dct" or (method == "universal" and reached))
    flow = poisson.smoothed(derivative * (-2.0 * math.pi / wavelength_m), longest_m)
    if method == "universal":
        phase = _by_even_intensity(poisson, light, flow)
    else:
        phase = _by_potential(poisson, light, flow, corrections=_CORRECTIONS if method == "dct" else 0)
    return phase - (given * phase).sum() / given.sum()


def _by_potential(poisson: _Poisson, light: Tensor, flow: Tensor, corrections: int) -> Tensor:
    """Phase (y, x) by ∇ψ = I ∇φ, so many times more for what is not explained, as long as that gets less."""
    inverse, phase, left = 1.0 / light, torch.zeros_like(light), flow
    for number in range(1 + corrections):
        found = phase + poisson.solved(poisson.divergence(inverse, poisson.solved(left)))
        rest = flow - poisson.divergence(light, found)
        if number > 0 and rest.norm() >= left.norm():
            break
        phase, left = found, rest
        if left.norm() <= _SETTLED * flow.norm():
            break
    return phase


def _by_even_intensity(poisson: _Poisson, light: Tensor, flow: Tensor) -> Tensor:
    """Phase (y, x) of ∇·(I ∇φ) = flow by conjugate gradients, each step from Poisson's equation of what is left."""
    phase, left = torch.zeros_like(light), flow
    along = guess = poisson.solved(left)
    power = (left * guess).sum()
    for _ in range(_STEPS):
        if left.norm() <= _SETTLED * flow.norm():
            break
        change = poisson.divergence(light, along)
        step = power / (along * change).sum()
        phase, left = phase + step * along, left - step * change
        guess = poisson.solved(left)
        before, power = power, (left * guess).sum()
        along = guess + power / before * along
    return phase


class _Poisson:
    """Divergence and Poisson's equation on a grid, by differences that the Fourier or the cosine series solves exactly.

    Slopes stand between pixels, from the four nearest ones in a row, right to the fourth order; so a hard edge stays
    within two pixels, where a series' own derivative would ring over the image.

    Args:
        grid: sampling of the images.
        like: an image, for its number type and device.
        reflecting: whether the image goes on as its mirror image beyond its border, or else as itself.
    """

    def __init__(self, grid: Grid, like: Tensor, *, reflecting: bool) -> None:
        self.grid, self.reflecting = grid, reflecting
        self.period = (2 * grid.shape[0], 2 * grid.shape[1]) if reflecting else grid.shape
        fy, fx = grid.with_shape(self.period).frequencies_per_m()
        fx = fx[:, : self.period[1] // 2 + 1].abs()
        self.frequency4 = ((fy**2 + fx**2) ** 2).to(like)
        slope2 = _slope(fy, grid.pitch_m[0]) ** 2 + _slope(fx, grid.pitch_m[1]) ** 2
        self.inverse = torch.where(slope2 > 0.0, -1.0 / slope2, torch.zeros_like(slope2)).to(like)

    def solved(self, image: Tensor) -> Tensor:
        """The solution u (y, x) of ∇²u = image, without its mean."""
        return self._filtered(image, self.inverse)

    def smoothed(self, image: Tensor, longest_m: float) -> Tensor:
        """The image (y, x) without its mean, and with its longest waves damped."""
        kept = self.frequency4 / (self.frequency4 + longest_m**-4)
        kept[0, 0] = 0.0
        return self._filtered(image, kept)

    def divergence(self, weight: Tensor, image: Tensor) -> Tensor:
        """∇·(weight ∇image), (y, x)."""
        down = _flow_along(self._continued(weight), self._continued(image), self.grid.pitch_m[0])
        return down + _flow_along(self._continued(weight.mT), self._continued(image.mT), self.grid.pitch_m[1]).mT

    def _continued(self, image: Tensor) -> Tensor:
        """The image with what lies before its first row and behind its last one."""
        first, last = image[:_STENCIL], image[-_STENCIL:]
        ends = (first.flip(0), last.flip(0)) if self.reflecting else (last, first)
        return torch.cat([ends[0], image, ends[1]])

    def _filtered(self, image: Tensor, factor: Tensor) -> Tensor:
        rows, columns = self.grid.shape
        if self.reflecting:
            image = torch.cat([image, image.flip(1)], dim=1)
            image = torch.cat([image, image.flip(0)])
        whole: Tensor = torch.fft.irfft2(torch.fft.rfft2(image) * factor, self.period)
        return whole[:rows, :columns]


def _slope(frequency: Tensor, pitch_m: float) -> Tensor:
    """What the slope between pixels of a wave is times, per metre; 2πf where it is long."""
    turn = math.pi * pitch_m * frequency
    return (27.0 * torch.sin(turn) - torch.sin(3.0 * turn)) / (12.0 * pitch_m)


def _differences(image: Tensor, pitch_m: float) -> Tensor:
    """Slopes between rows, (y − 3, x), per metre.

    B. Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comput. 51, 699 (1988),
    Table 2, doi:10.1090/S0025-5718-1988-0935077-0.
    """
    near, far = image[2:-1] - image[1:-2], image[3:] - image[:-3]
    return (27.0 * near - far) / (24.0 * pitch_m)


def _flow_along(weight: Tensor, image: Tensor, pitch_m: float) -> Tensor:
    """The change along rows of weight times slope; of continued images, without what they were continued by."""
    between = 0.5 * (weight[2:-1] + weight[1:-2])
    return _differences(between * _differences(image, pitch_m), pitch_m)
