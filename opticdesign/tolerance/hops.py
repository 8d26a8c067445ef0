"""The ways between planes that are shifted, turned, tilted, farther apart, or crossed by light of another wavelength.

Planes are numbered from 0, the object, over the masks to the camera; hop j goes from plane j to plane j + 1. Fields are
sampled in the frame of their plane: a mask that is moved acts as ever on the field in its own frame, and free space is
the same in every frame, so that what is between two frames belongs to the hop. A shift, u(x + s_{j+1} − s_j), is the
Fourier ramp e^{2πi f·(s_{j+1} − s_j)} in the transfer function; for turns see `turns`, for tilts `tilts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from opticdesign.field import Grid
from opticdesign.propagation import Propagator
from opticdesign.tolerance.nearby import NearbyTransfers
from opticdesign.tolerance.tilts import defocus_per_m, tilted_transfers
from opticdesign.tolerance.transfers import transfers
from opticdesign.tolerance.turns import Turn, turn_of

__all__ = ["PerturbedHop", "Tilt", "perturbed_hop"]


@dataclass(frozen=True)
class Tilt:
    """The refocus across the second of two planes that are tilted against each other.

    Args:
        lever_m: (b′ − b)·x′ in metres, (n, 1, y, x).
        defocus: W in rad/m, (n, 1, wy, wx).
        order: the highest power of their product.
    """

    lever_m: Tensor
    defocus: Tensor
    order: int


@dataclass(frozen=True)
class PerturbedHop:
    """A hop of some draws.

    Args:
        transfer: complex (wy, wx) of all draws, or (n, 1, wy, wx).
        grid: sampling of fields.
        tilt: where there is one.
        turn: where there is one.
    """

    transfer: Tensor
    grid: Grid
    tilt: Tilt | None = None
    turn: Turn | None = None

    @property
    def plain(self) -> bool:
        """Whether it is a transfer function and nothing else."""
        return self.tilt is None and self.turn is None

    def of_draw(self, draw: int) -> PerturbedHop:
        """The hop of one of the draws."""
        part = slice(draw, draw + 1)
        transfer = self.transfer if self.transfer.ndim == 2 else self.transfer[part]
        tilt = self.tilt and Tilt(self.tilt.lever_m[part], self.tilt.defocus[part], self.tilt.order)
        return PerturbedHop(transfer, self.grid, tilt, self.turn and self.turn.of_draw(draw))

    def __call__(self, wave: Tensor) -> Tensor:
        """Fields in the next plane, (n, images, y, x), of fields in this one, (n or 1, images, y, x)."""
        # on a CPU one field at a time stays in the cache
        parts = torch.split(wave, 1, 1) if wave.device.type == "cpu" else [wave]
        return torch.cat([self._sent(part) for part in parts], 1)

    def _sent(self, wave: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(wave, s=self.transfer.shape[-2:]) * self.transfer
        if self.turn is not None:
            spectrum = self.turn.begun(spectrum)
        result = self._home(spectrum)
        if self.tilt is not None:
            factor = torch.ones_like(self.tilt.lever_m)
            for power in range(1, self.tilt.order + 1):
                spectrum = spectrum * self.tilt.defocus
                factor = factor * self.tilt.lever_m * (1j / power)
                result = result + factor * self._home(spectrum)
        return result

    def _home(self, spectrum: Tensor) -> Tensor:
        ny, nx = self.grid.shape
        if self.turn is not None:
            return self.turn.ended(spectrum, (ny, nx))
        wave: Tensor = torch.fft.ifft2(spectrum)[..., :ny, :nx]
        return wave


def perturbed_hop(
    hop: Propagator,
    gap_m: Tensor,
    wavelength_m: Tensor,
    shift_m: Tensor,
    turn_rad: Tensor,
    slopes: tuple[Tensor, Tensor],
    order: int,
    nearby: NearbyTransfers | None = None,
) -> PerturbedHop:
    """A hop with the errors of n draws.

    Args:
        hop: as designed, on the device where to compute.
        gap_m: errors of the distance in metres, float64 (n,).
        wavelength_m: in the medium, float64 (n,).
        shift_m: how much farther along y and x the next plane is shifted than this one, float64 (n, 2).
        turn_rad: how much farther it is turned, +x towards +y, float64 (n,).
        slopes: of this plane and of the next one along y and x, float64 (n, 2) each.
        order: of the refocus between tilted planes; 0 where there is no tilt.
        nearby: transfer functions of the hop at its own wavelength, where they are kept.

    Raises:
        UsageError: the method cannot go over one of the distances.
    """
    kept = hop.transfer
    distance_m, wavelength_m, slope = (
        values.to(kept.device) for values in (gap_m + float(hop.distance_m), wavelength_m, slopes[0])
    )
    coloured = bool((wavelength_m != hop.wavelength_m).any())
    if order > 0:
        transfer = tilted_transfers(hop, distance_m, wavelength_m, slope)[:, None]
    elif nearby is not None and not coloured and bool((gap_m != 0.0).any()):
        # one by one, for each has its own neighbours
        transfer = torch.stack([nearby.transfer(gap) for gap in gap_m.tolist()])[:, None]
    elif coloured or bool((gap_m != 0.0).any()):
        transfer = transfers(hop, distance_m, wavelength_m)[:, None]
    else:
        transfer = kept
    if bool((shift_m != 0.0).any()):
        for axis, frequency in enumerate(hop.window.frequencies_per_m()):
            phase = 2.0 * math.pi * frequency * shift_m[:, axis, None, None, None]
            transfer = transfer * torch.complex(torch.cos(phase), torch.sin(phase)).to(kept)
    turn = turn_of(turn_rad, hop.grid, hop.window, kept) if bool((turn_rad != 0.0).any()) else None
    if order == 0:
        return PerturbedHop(transfer, hop.grid, None, turn)
    y, x = hop.grid.coordinates_m()
    difference = (slopes[1] - slopes[0])[:, :, None, None, None]
    lever, defocus = difference[:, 0] * y + difference[:, 1] * x, defocus_per_m(hop, wavelength_m)[:, None]
    real = kept.real.dtype
    return PerturbedHop(transfer, hop.grid, Tilt(lever.to(kept.device, real), defocus.to(real), order), turn)
