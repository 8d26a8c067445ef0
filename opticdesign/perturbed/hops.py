"""The ways between planes that are shifted, turned, tilted, farther apart, or crossed by light of another wavelength.

Planes are numbered from 0, the object, over the masks to the camera; hop j goes from plane j to plane j + 1. Fields are
sampled in the frame of their plane: a mask that is moved acts as ever on the field in its own frame, and free space is
the same in every frame, so that what is between two frames belongs to the hop. A shift, u(x + s_{j+1} − s_j), is the
Fourier ramp e^{2πi f·(s_{j+1} − s_j)} in the band that the hop carries; for turns see `turns`, for tilts `tilts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from opticdesign.optics.band import Plane, band_frequencies, from_band, to_band
from opticdesign.optics.cascade import PreparedTransfer, prepared
from opticdesign.optics.field import phasor
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import ImpulseResponse, RayleighSommerfeld
from opticdesign.perturbed.nearby import NearbyTransfers
from opticdesign.perturbed.tilts import defocus_per_m, tilted_transfers
from opticdesign.perturbed.transfers import times, transfers, unfolded
from opticdesign.perturbed.turns import Turn, turn_of

__all__ = ["Moves", "PerturbedHop", "Tilt", "Way"]


@dataclass(frozen=True)
class Moves:
    """How the planes of a hop are turned against one another in n draws.

    Args:
        turn_rad: how much farther the second plane is turned than the first, +x towards +y, float64 (n,).
        slopes: of the first plane and of the second along y and x, float64 (n, 2) each.
        order: of the refocus between tilted planes; 0 where there is no tilt.
    """

    turn_rad: Tensor
    slopes: tuple[Tensor, Tensor]
    order: int


@dataclass(frozen=True)
class Tilt:
    """The refocus across the second of two planes that are tilted against each other.

    Args:
        lever: k(b′ − b)·x′ in radians, (n, 1, y, x).
        defocus: W over k, (n or 1, 1, cy, cx); in rad/m high powers of it would be no numbers.
        order: the highest power of their product.
    """

    lever: Tensor
    defocus: Tensor
    order: int

    def of_draw(self, draw: int) -> Tilt:
        """The tilt of one of the draws."""
        part = slice(draw, draw + 1)
        return Tilt(self.lever[part], self.defocus[part] if len(self.defocus) > 1 else self.defocus, self.order)


@dataclass(frozen=True)
class PerturbedHop:
    """A hop of some draws.

    Args:
        transfer: transfer function in the band, scaled as `cascade.prepared` does it, complex (cy, cx) of all draws, or
            (n, 1, cy, cx).
        source: the plane it leads from.
        target: the plane it leads to.
        tilt: where there is one.
        turn: where there is one.
    """

    transfer: Tensor
    source: Plane
    target: Plane
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
        tilt, turn = self.tilt and self.tilt.of_draw(draw), self.turn and self.turn.of_draw(draw)
        return PerturbedHop(transfer, self.source, self.target, tilt, turn)

    def prepared(self, draw: int) -> PreparedTransfer:
        """The transfer function of one of the draws as a cascade takes it."""
        transfer = self.transfer if self.transfer.ndim == 2 else self.transfer[draw, 0]
        return PreparedTransfer(transfer, self.source, self.target)

    def __call__(self, wave: Tensor) -> Tensor:
        """Fields in the next plane, (n, images, y, x), of fields in this one, (n or 1, images, y, x)."""
        band = self.transfer.shape[-2], self.transfer.shape[-1]
        spectrum = times(to_band(wave, self.source.window, band), self.transfer)
        result = self._home(spectrum)
        if self.tilt is not None:
            factor = torch.ones_like(self.tilt.lever)
            for power in range(1, self.tilt.order + 1):
                spectrum = times(spectrum, self.tilt.defocus)
                factor = factor * self.tilt.lever * (1j / power)
                result = result + times(self._home(spectrum), factor)
        return result

    def _home(self, spectrum: Tensor) -> Tensor:
        """Fields (n, images, y, x) of spectra in the band; what is cropped away is not transformed."""
        return from_band(spectrum, self.target) if self.turn is None else self.turn.field(spectrum)


class Way:
    """A hop as designed, and what its draws have in common.

    Args:
        hop: on the device where to compute.
    """

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.nominal = hop.ready()
        kernel = hop.propagator
        self._nearby = NearbyTransfers(kernel) if isinstance(kernel, RayleighSommerfeld | ImpulseResponse) else None

    def transfer(self, gap_m: Tensor, wavelength_m: Tensor, shift_m: Tensor, slope: Tensor | None = None) -> Tensor:
        """The transfer function in the band, scaled for a cascade, complex (cy, cx) as designed, or (n, 1, cy, cx).

        Args:
            gap_m: errors of the distance in metres, float64 (n,).
            wavelength_m: in the medium, float64 (n,).
            shift_m: how much farther along y and x the second plane is shifted than the first, float64 (n, 2).
            slope: of both planes along y and x, float64 (n, 2); left out, they lie straight.

        Raises:
            UsageError: the method cannot go over one of the distances.
        """
        found = self._changed(gap_m, wavelength_m, slope)
        if not bool((shift_m != 0.0).any()):
            return self.nominal.values if found is None else found
        down, right = (
            phasor(2.0 * math.pi * frequency * shift_m[:, axis, None, None, None]).to(self.nominal.values)
            for axis, frequency in enumerate(band_frequencies(self.hop.band, self.hop.propagator.window.extent_m))
        )
        # in place: memory taken anew costs as much as the product
        return (self.nominal.values * down if found is None else found.mul_(down)).mul_(right)

    def _changed(self, gap_m: Tensor, wavelength_m: Tensor, slope: Tensor | None) -> Tensor | None:
        """The same before any shift, (n, 1, cy, cx) of its own; None where it is as designed."""
        hop, propagator, device = self.hop, self.hop.propagator, self.nominal.values.device
        coloured, longer = (
            bool((values != nominal).any())
            for values, nominal in ((wavelength_m, propagator.wavelength_m), (gap_m, 0.0))
        )
        distance_m, wavelength_m = (gap_m + float(propagator.distance_m)).to(device), wavelength_m.to(device)
        if slope is not None:
            found = tilted_transfers(hop, distance_m, wavelength_m, slope.to(device))
        elif not coloured and not longer:
            return None
        elif self._nearby is None or coloured:
            found = hop.placed(transfers(propagator, distance_m, wavelength_m))
        else:
            # one by one, for each has its own neighbours
            near = torch.stack([self._nearby.quarter(gap).mT for gap in gap_m.tolist()]).mT
            found = hop.placed(unfolded(near, propagator.window.shape))
        return prepared(found, hop.source, hop.target).values[:, None]

    def perturbed(self, transfer: Tensor, wavelength_m: Tensor, moves: Moves) -> PerturbedHop:
        """The hop of n draws.

        Args:
            transfer: its transfer function as above, which is left as it is.
            wavelength_m: as above.
            moves: of its planes.
        """
        turn, tilt, target = None, None, self.hop.target_grid
        if bool((moves.turn_rad != 0.0).any()):
            turn = turn_of(moves.turn_rad, target, target.with_shape(self.hop.target.window), transfer)
        if moves.order > 0:
            y, x = target.coordinates_m()
            difference = (moves.slopes[1] - moves.slopes[0])[:, :, None, None, None]
            lever, defocus = difference[:, 0] * y + difference[:, 1] * x, self._defocus(wavelength_m)
            tilt = Tilt((lever * self._k_per_m).to(defocus), defocus, moves.order)
        return PerturbedHop(transfer, self.hop.source, self.hop.target, tilt, turn)

    def _defocus(self, wavelength_m: Tensor) -> Tensor:
        if bool((wavelength_m == self.hop.propagator.wavelength_m).all()):
            return self._nominal_defocus
        values = self.nominal.values
        defocus = defocus_per_m(self.hop, wavelength_m.to(values.device))[:, None]
        return (defocus / self._k_per_m).to(values.real)

    @cached_property
    def _nominal_defocus(self) -> Tensor:
        values = self.nominal.values
        nominal = torch.tensor([self.hop.propagator.wavelength_m], dtype=torch.float64, device=values.device)
        return (defocus_per_m(self.hop, nominal)[:, None] / self._k_per_m).to(values.real)

    @property
    def _k_per_m(self) -> float:
        return 2.0 * math.pi / self.hop.propagator.wavelength_m
