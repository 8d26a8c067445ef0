"""A height map as a thick mask: light marched through its slices, instead of one phase in one plane.

Model
    Light meets the mask at its base plane z = 0 and leaves at z = depth, so the relief faces along the light. It fills
    0 … h with the mask's index n; the medium n₀ is everywhere else. In a slice of thickness d that holds the share
    m(x, y) of material, light goes half the way at the slice's mean index, meets a screen, and goes the other half:

        u(z + d) = A·e^{imφ}·A·u(z),  φ = 2π(n − n₀)d/λ,

    with A the angular spectrum of d/2 at the index n₀ + (n − n₀)·⟨m⟩ without its carrier. Where a slice is all medium
    or all material this is exact at every angle, and a slab of any height has the phase 2π(n − n₀)h/λ exactly. The
    split step conserves energy, and what it loses at wide angles and high contrast is told by `benchmarks.thick_masks`.
    M. D. Feit, J. A. Fleck, Light propagation in graded-index optical fibers, Appl. Opt. 17, 3990 (1978),
    doi:10.1364/AO.17.003990.

Planes and carriers
    The carrier e^{ikz} of the medium is left out over the depth, as it is over a hop of free space. So a shallow mask
    is the thin element in the middle of free space of length depth, and the hop behind a thick mask is shorter by its
    depth than the one behind a thin mask at the same base plane.

Limits
    Scalar, forward only: no reflection, no polarisation. A flat face's constant loss is left out with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from opticdesign.errors import UsageError
from opticdesign.optics.elements import relief_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import fast_length

__all__ = ["ThickRelief"]


class ThickRelief(nn.Module):
    """The way of light through reliefs of one material in one medium.

    Args:
        grid: sampling of the field and of the shares.
        wavelength_m: vacuum wavelength in metres.
        index: refractive index of the mask.
        medium_index: refractive index of the medium around it.
        depth_m: distance from the base plane to the plane behind the mask; material above it is cut off.
        slices: slices the depth is marched in; as many as the process has levels, or a multiple, cuts no level.
        beyond_m: width of the window beyond that of the grid, along each axis, so that what leaves at one edge does not
            come in at the other; 0 makes the mask periodic. Left out, it is twice the depth.

    Attributes:
        loss: absorption κ of the material for each radian of phase; screens are e^{imφ − κmφ}.

    Raises:
        UsageError: a value out of range.
    """

    _sine: Tensor

    def __init__(
        self,
        grid: Grid,
        wavelength_m: float,
        index: float,
        medium_index: float = 1.0,
        *,
        depth_m: float,
        slices: int,
        beyond_m: float | None = None,
    ) -> None:
        super().__init__()
        lengths = wavelength_m > 0.0 and math.isfinite(depth_m) and depth_m > 0.0
        if not (lengths and min(index, medium_index) >= 1.0 and slices >= 1 and (beyond_m or 0.0) >= 0.0):
            raise UsageError(
                f"a thick mask with λ = {wavelength_m} m, depth = {depth_m} m, indices {index} and {medium_index}, "
                f"slices = {slices}, a window wider by {beyond_m} m",
                expected="λ > 0, a finite depth > 0, indices ≥ 1, slices ≥ 1, no window narrower than the mask",
                remedy="correct the value out of range",
            )
        self.grid, self.wavelength_m, self.index, self.medium_index = grid, wavelength_m, index, medium_index
        self.depth_m, self.slices, self.loss = depth_m, slices, 0.0
        self.beyond_m = 2.0 * depth_m if beyond_m is None else beyond_m
        rows, columns = (
            fast_length(size + math.ceil(self.beyond_m / pitch)) if self.beyond_m else size
            for size, pitch in zip(grid.shape, grid.pitch_m, strict=True)
        )
        self.window = grid.with_shape((rows, columns))
        fy, fx = self.window.frequencies_per_m()
        self.register_buffer("_sine", wavelength_m**2 * (fy**2 + fx**2), persistent=False)

    @property
    def slice_phase_rad(self) -> float:
        """Phase φ of a full slice over one of medium."""
        return 2.0 * math.pi * (self.index - self.medium_index) * self.depth_m / (self.slices * self.wavelength_m)

    def shares(self, height_m: Tensor) -> Tensor:
        """Share of material in each slice, real (slices, y, x), below heights above the base plane in metres (y, x).

        Its gradient is zero but in the slice that the surface is in: on the border of two, in the upper one.
        """
        filling = height_m * (self.slices / self.depth_m)
        below = torch.arange(self.slices, device=height_m.device, dtype=height_m.dtype)[:, None, None]
        inside = (filling >= below) & (filling < below + 1.0)
        return torch.where(inside, filling - below, (filling >= below + 1.0).to(filling.dtype))

    def mean_indices(self, shares: Tensor) -> list[float]:
        """Index of each slice, the mean over the mask, of its shares (slices, y, x)."""
        means = shares.detach().mean((-2, -1), dtype=torch.float64)
        return (self.medium_index + (self.index - self.medium_index) * means).tolist()

    def behind(self, field: Tensor, height_m: Tensor, drawn: Callable[[Tensor], Tensor]) -> Tensor:
        """The field behind a relief, complex (…, y, x).

        Args:
            field: complex field on the base plane (…, y, x), through the mask's outlines.
            height_m: heights above the base plane in metres, one a neuron or one a sample (rows, columns).
            drawn: gives what shares (slices, rows, columns) are at the samples of the field (slices, y, x).
        """
        shares = self.shares(height_m)
        result: Tensor = self(field, drawn(shares), self.mean_indices(shares))
        return result

    def forward(self, field: Tensor, shares: Tensor, indices: list[float]) -> Tensor:
        """The field behind the mask, at z = depth.

        Args:
            field: complex field on the base plane (…, y, x).
            shares: share of material in each slice (slices, y, x) at the samples of the field, common to all fields;
                of squares, without what the samples cannot carry.
            indices: at which light goes through each slice, see `mean_indices`; no gradient goes to them.

        Returns:
            Complex field (…, y, x), with gradients to field and shares.
        """
        (ny, nx), (wy, wx) = self.grid.shape, self.window.shape
        pad = (0, wx - nx, 0, wy - ny)
        wave = nn.functional.pad(field.reshape(-1, ny, nx), pad)
        filled = nn.functional.pad(shares * self.slice_phase_rad, pad)
        screens = relief_transmission(filled, self.loss).to(wave.dtype)
        transfers = self._transfers(indices, wave)
        result: Tensor = _March.apply(wave, screens, transfers)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return result[..., :ny, :nx].reshape(field.shape)

    def _transfers(self, indices: list[float], like: Tensor) -> Tensor:
        """Transfer functions around the screens: half a slice, halves of two …, half a slice (slices + 1, y, x).

        exp(i(k_z − nk)d) at each index, in FFT order; evanescent waves decay, as in the gaps of a relief.
        """
        half = math.pi * self.depth_m / (self.slices * self.wavelength_m)
        sine = self._sine.to(like.real.dtype)
        logs = {n: _log_transfer(sine, n) for n in set(indices)}
        pairs = [(None, indices[0]), *pairwise(indices), (indices[-1], None)]
        ways = []
        for pair in pairs:
            parts = [logs[n] for n in pair if n is not None]
            phase, decay = (sum(each[part] for each in parts[1:]) + parts[0][part] for part in (0, 1))
            ways.append(torch.polar(torch.exp(-half * decay), half * phase))
        return torch.stack(ways).to(like.dtype)


def _log_transfer(sine: Tensor, index: float) -> tuple[Tensor, Tensor]:
    """√(n² − s) − n as its real and imaginary part, of s = (λf)² and an index n.

    The difference is −s/(n + √(n² − s)) where waves travel.
    """
    root = torch.sqrt((index**2 - sine).abs())
    travels = sine <= index**2
    return torch.where(travels, -sine / (index + root), -index), torch.where(travels, 0.0, root)


class _March(torch.autograd.Function):
    """Windows (batch, y, x) behind all screens (slices, y, x), between transfer functions (slices + 1, y, x).

    Only the input is kept for the backward pass, which marches each sample again and then sends its gradient back
    through the slices: twice the transforms of the forward pass, and the memory of one sample's slices.
    """

    @staticmethod
    def forward(ctx: Any, wave: Tensor, screens: Tensor, transfers: Tensor) -> Tensor:
        ctx.save_for_backward(wave, screens, transfers)
        output = torch.empty_like(wave)
        for part in _chunks(wave):
            spectrum = torch.fft.fft2(wave[part]).mul_(transfers[0])
            for screen, transfer in zip(screens, transfers[1:], strict=True):
                spectrum = torch.fft.fft2(torch.fft.ifft2(spectrum).mul_(screen)).mul_(transfer)
            output[part] = torch.fft.ifft2(spectrum)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        wave, screens, transfers = ctx.saved_tensors
        wants_wave, wants_screens = ctx.needs_input_grad[:2]
        wave_gradient = torch.empty_like(gradient) if wants_wave else None
        screens_gradient = torch.zeros_like(screens) if wants_screens else None
        for part in _chunks(wave):
            before = _in_front_of_screens(wave[part], screens, transfers) if wants_screens else []
            g = gradient[part]
            for index in reversed(range(len(screens))):
                g = torch.fft.ifft2(torch.fft.fft2(g).mul_(transfers[index + 1].conj()))
                if screens_gradient is not None:
                    screens_gradient[index] += (before[index].conj_physical_().mul_(g)).sum(0)
                g = g.mul_(screens[index].conj())
            if wave_gradient is not None:
                wave_gradient[part] = torch.fft.ifft2(torch.fft.fft2(g).mul_(transfers[0].conj()))
        return wave_gradient, screens_gradient, None


def _in_front_of_screens(wave: Tensor, screens: Tensor, transfers: Tensor) -> list[Tensor]:
    """The wave in front of each screen."""
    found: list[Tensor] = []
    for index in range(len(screens)):
        behind = found[-1] * screens[index - 1] if index else wave
        found.append(torch.fft.ifft2(torch.fft.fft2(behind).mul_(transfers[index])))
    return found


def _chunks(wave: Tensor) -> list[slice]:
    # on the CPU one window at a time fits the cache, and a batch of them does not
    return [slice(i, i + 1) for i in range(len(wave))] if wave.device.type == "cpu" else [slice(0, len(wave))]
