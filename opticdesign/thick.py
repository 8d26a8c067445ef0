"""A height map as a thick mask: light marched through its slices, instead of one phase in one plane.

Model
    Light meets the mask at its base plane z = 0 and leaves at z = depth, so the relief faces along the light. It fills
    0 … h with the mask's index n; the medium n₀ is everywhere else. In a slice of thickness d, each pixel takes the
    exact angular spectrum of its own index, and a pixel that the surface cuts takes both in proportion to its filling:

        u(z + d) = e^{imφ}·[(1 − m)·A₀u(z) + m·A₁u(z)],  φ = 2π(n − n₀)d/λ,

    with A₀ and A₁ the spectra of n₀ and n without their carriers. That is the wave propagation method for two indices:
    right at wide angles and at high contrast, and exact at every angle where the slice is uniform.
    K.-H. Brenner, W. Singer, Light propagation through microlenses: a new simulation method, Appl. Opt. 32, 4984
    (1993), doi:10.1364/AO.32.004984. The factor e^{imφ} of a cut pixel is an addition to it: with it, a slab of any
    height has the phase 2π(n − n₀)h/λ exactly.

Planes and carriers
    The carrier e^{ikz} of the medium is left out over the depth, as it is over a hop of free space. So a shallow mask
    is the thin element at the base plane followed by free space of length depth, and the hop behind a thick mask is
    shorter by its depth than the one behind a thin mask at the same base plane.

Limits
    Scalar, forward only: no reflection, no polarisation. A flat face's constant loss is left out with them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from opticdesign.errors import UsageError
from opticdesign.field import Grid
from opticdesign.propagation import padded_grid

__all__ = ["ThickRelief", "thick_transmission"]


class ThickRelief(nn.Module):
    """Transmission through a relief of one material in one medium, with its transfer functions built once.

    Args:
        grid: sampling of the field and of the height map.
        wavelength_m: vacuum wavelength in metres.
        index: refractive index of the mask.
        medium_index: refractive index of the medium around it.
        depth_m: distance from the base plane to the plane behind the mask; material above it is cut off.
        slices: slices the depth is marched in; one per height level of the process makes no pixel fractional.
        padding: width of the zero-padded window over the width of the field; 1 makes the mask periodic.
        subdivide: samples per pixel along each axis inside the mask. Steep waves in the material need a pitch below
            λ/(2n) there; waves that the grid cannot carry are dropped behind the mask.
        dtype: complex64 or complex128, the type the transfer functions are kept in.

    Raises:
        UsageError: a value out of range.
    """

    in_medium: Tensor
    in_mask: Tensor

    def __init__(
        self,
        grid: Grid,
        wavelength_m: float,
        index: float,
        medium_index: float = 1.0,
        *,
        depth_m: float,
        slices: int,
        padding: float = 1.25,
        subdivide: int = 1,
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        super().__init__()
        lengths = wavelength_m > 0.0 and math.isfinite(depth_m) and depth_m > 0.0
        if not (lengths and min(index, medium_index, padding) >= 1.0 and min(slices, subdivide) >= 1):
            raise UsageError(
                f"a thick mask with λ = {wavelength_m} m, depth = {depth_m} m, indices {index} and {medium_index}, "
                f"slices = {slices}, padding = {padding}, subdivide = {subdivide}",
                expected="λ > 0, a finite depth > 0, indices and padding ≥ 1, slices and subdivide ≥ 1",
                remedy="correct the value out of range",
            )
        self.grid, self.window = grid, padded_grid(grid, padding)
        self.depth_m, self.slices, self.subdivide = depth_m, slices, subdivide
        thickness_m = depth_m / slices
        self.slice_phase_rad = 2.0 * math.pi * (index - medium_index) * thickness_m / wavelength_m
        inner = _subdivided(self.window, subdivide)
        for name, n in (("in_medium", medium_index), ("in_mask", index)):
            self.register_buffer(
                name, _slice_transfer(inner, wavelength_m / n, thickness_m).to(dtype), persistent=False
            )

    def forward(self, field: Tensor, height_m: Tensor) -> Tensor:
        """The field behind the mask, at z = depth.

        Args:
            field: complex field on the base plane (…, y, x).
            height_m: height above the base plane in metres (y, x), shared by all fields; cut to 0 … depth.

        Returns:
            Complex field (…, y, x), with gradients to field and height. The gradient to a height on the border of two
            slices is the one for growing.
        """
        (ny, nx), (wy, wx) = self.grid.shape, self.window.shape
        wave = nn.functional.pad(field.reshape(-1, ny, nx), (0, wx - nx, 0, wy - ny))
        filling = height_m.to(wave.real.dtype) * (self.slices / self.depth_m)
        filling = nn.functional.pad(filling, (0, wx - nx, 0, wy - ny))
        if self.subdivide > 1:
            wave = _refine(wave, self.subdivide)
            filling = filling.repeat_interleave(self.subdivide, 0).repeat_interleave(self.subdivide, 1)
        wave = _march(wave, filling, self.in_medium, self.in_mask, self.slice_phase_rad, self.slices)
        if self.subdivide > 1:
            wave = _coarsen(wave, self.subdivide)
        return wave[..., :ny, :nx].reshape(field.shape)


def thick_transmission(
    field: Tensor,
    height_m: Tensor,
    grid: Grid,
    wavelength_m: float,
    index: float,
    medium_index: float = 1.0,
    *,
    depth_m: float,
    slices: int,
    padding: float = 1.25,
    subdivide: int = 1,
) -> Tensor:
    """`ThickRelief` as one call, in the precision of the field; build the module where one mask is used repeatedly."""
    relief = ThickRelief(
        grid,
        wavelength_m,
        index,
        medium_index,
        depth_m=depth_m,
        slices=slices,
        padding=padding,
        subdivide=subdivide,
        dtype=field.dtype,
    )
    result: Tensor = relief.to(field.device)(field, height_m)
    return result


def _subdivided(grid: Grid, factor: int) -> Grid:
    (ny, nx), (dy, dx) = grid.shape, grid.pitch_m
    return Grid((ny * factor, nx * factor), (dy / factor, dx / factor))


def _slice_transfer(grid: Grid, wavelength_m: float, thickness_m: float) -> Tensor:
    """exp(i(k_z − k)d) in a medium, complex128 in FFT order; evanescent waves decay, as in the gaps of a relief.

    k_z − k = −k·s/(1 + √(1 − s)) with s = (λf)² holds for complex roots too.
    """
    fy, fx = grid.frequencies_per_m()
    s = wavelength_m**2 * (fy**2 + fx**2)
    root = torch.sqrt(torch.complex(1.0 - s, torch.zeros_like(s)))
    return torch.exp((-2.0j * math.pi / wavelength_m * thickness_m) * s / (1.0 + root))


def _half_pixel_ramp(count: int, factor: int, like: Tensor) -> Tensor:
    """e^{2πi f·shift} that moves samples from pixel centres to the first of `factor` centres inside each pixel."""
    frequency = torch.fft.fftfreq(count, dtype=torch.float64, device=like.device)
    phase = frequency * (-math.pi * (factor - 1) / factor)
    return torch.polar(torch.ones_like(phase), phase).to(like.dtype)


def _refine(window: Tensor, factor: int) -> Tensor:
    """Band-limited interpolation of periodic windows (…, y, x) to `factor` times as many samples along each axis."""
    for axis in (-2, -1):
        count = window.shape[axis]
        spectrum = torch.fft.fft(window, dim=axis).movedim(axis, -1) * _half_pixel_ramp(count, factor, window)
        positive = (count + 1) // 2
        gap = spectrum.new_zeros((*spectrum.shape[:-1], count * (factor - 1)))
        spectrum = torch.cat([spectrum[..., :positive], gap, spectrum[..., positive:]], -1) * factor
        window = torch.fft.ifft(spectrum).movedim(-1, axis)
    return window


def _coarsen(window: Tensor, factor: int) -> Tensor:
    """The inverse of `_refine`: what the coarse sampling carries of each window, on its pixel centres."""
    for axis in (-2, -1):
        count = window.shape[axis] // factor
        spectrum = torch.fft.fft(window, dim=axis).movedim(axis, -1)
        positive = (count + 1) // 2
        spectrum = torch.cat([spectrum[..., :positive], spectrum[..., spectrum.shape[-1] - count + positive :]], -1)
        spectrum = spectrum * (_half_pixel_ramp(count, factor, window).conj() / factor)
        window = torch.fft.ifft(spectrum).movedim(-1, axis)
    return window


def _march(
    wave: Tensor, filling: Tensor, in_medium: Tensor, in_mask: Tensor, slice_phase_rad: float, slices: int
) -> Tensor:
    """Windows (batch, y, x) behind all slices; `filling` (y, x) is the height in slices.

    Only the input is kept for the backward pass, which marches each sample again and then sends its wave back through
    the adjoint slices: twice the transforms of the forward pass, and the memory of one sample's slices.
    """
    result: Tensor = _March.apply(wave, filling, in_medium, in_mask, slice_phase_rad, slices)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


class _Slices:
    """The slices of one mask: in slice j, pixels hold clamp(filling − j, 0, 1) of the material.

    Args:
        filling: height in slices, real (y, x).
        in_medium: transfer function of a slice of medium (y, x).
        in_mask: transfer function of a slice of material, same shape.
        slice_phase_rad: phase φ of a full slice over one of medium.
    """

    def __init__(self, filling: Tensor, in_medium: Tensor, in_mask: Tensor, slice_phase_rad: float) -> None:
        self._filling, self._phase_rad = filling, slice_phase_rad
        self._transfers = in_medium, in_mask - in_medium

    def share(self, index: int) -> tuple[Tensor, Tensor]:
        """Filling m of slice `index` and its screen e^{imφ}, both (y, x)."""
        m = torch.clamp(self._filling - index, 0.0, 1.0)
        return m, torch.polar(torch.ones_like(m), m * self._phase_rad)

    def go(self, wave: Tensor, share: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The wave behind a slice, and A₁u − A₀u in it."""
        spectrum = torch.fft.fft2(wave)
        base, difference = (torch.fft.ifft2(spectrum * transfer) for transfer in self._transfers)
        m, screen = share
        return base.addcmul_(difference, m.to(base.dtype)).mul_(screen), difference

    def back(self, gradient: Tensor, share: tuple[Tensor, Tensor]) -> Tensor:
        """The adjoint of `go` at fixed filling."""
        m, screen = share
        gradient = gradient * screen.conj()
        base, difference = (transfer.conj() for transfer in self._transfers)
        spectrum = torch.fft.fft2(gradient).mul_(base)
        spectrum.addcmul_(torch.fft.fft2(gradient.mul_(m)), difference)
        result: Tensor = torch.fft.ifft2(spectrum)
        return result

    def slope(self, index: int, share: tuple[Tensor, Tensor], behind: Tensor, difference: Tensor) -> Tensor:
        """Derivative of the wave behind slice `index` with the filling, zero where the surface is not in it."""
        inside = (self._filling >= index) & (self._filling < index + 1)
        return (1j * self._phase_rad * behind).addcmul_(difference, share[1]).mul_(inside)


class _March(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        wave: Tensor,
        filling: Tensor,
        in_medium: Tensor,
        in_mask: Tensor,
        slice_phase_rad: float,
        slices: int,
    ) -> Tensor:
        ctx.save_for_backward(wave, filling, in_medium, in_mask)
        ctx.slice_phase_rad, ctx.slices = slice_phase_rad, slices
        steps = _Slices(filling, in_medium, in_mask, slice_phase_rad)
        shares = [steps.share(index) for index in range(slices)]
        output = torch.empty_like(wave)
        for part in _chunks(wave):
            u = wave[part]
            for share in shares:
                u, _ = steps.go(u, share)
            output[part] = u
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        wave, filling, in_medium, in_mask = ctx.saved_tensors
        wants_wave, wants_filling = ctx.needs_input_grad[:2]
        steps = _Slices(filling, in_medium, in_mask, ctx.slice_phase_rad)
        shares = [steps.share(index) for index in range(ctx.slices)]
        wave_gradient = torch.empty_like(gradient) if wants_wave else None
        filling_gradient = torch.zeros_like(filling) if wants_filling else None
        for part in _chunks(wave):
            slopes = _slopes(steps, shares, wave[part]) if wants_filling else []
            g = gradient[part]
            for index in reversed(range(ctx.slices)):
                if filling_gradient is not None:
                    filling_gradient += (slopes[index].conj() * g).real.sum(0)
                if index or wants_wave:
                    g = steps.back(g, shares[index])
            if wave_gradient is not None:
                wave_gradient[part] = g
        return wave_gradient, filling_gradient, None, None, None, None


def _slopes(steps: _Slices, shares: list[tuple[Tensor, Tensor]], u: Tensor) -> list[Tensor]:
    """Derivative of the wave behind each slice with the filling in it."""
    slopes = []
    for index, share in enumerate(shares):
        u, difference = steps.go(u, share)
        slopes.append(steps.slope(index, share, u, difference))
    return slopes


def _chunks(wave: Tensor) -> list[slice]:
    # on the CPU one window at a time fits the cache, and a batch of them does not
    return [slice(i, i + 1) for i in range(len(wave))] if wave.device.type == "cpu" else [slice(0, len(wave))]
