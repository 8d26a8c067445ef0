"""Reliefs made by etch steps through binary masks, with the errors of the steps and of the masks.

L = 2^B levels are made by B steps; step b, from 0, is h₂π/2^(b+1) deep and spares what its bit mask covers. A bit mask
that is moved, turned or scaled against the first one covers a part of some samples: its share there is the area of the
moved pattern, exact for a shift, and for a turn or a scale as long as these move both sides of a sample alike. An edge
that moves by less than a sample, because features are too wide or because it is rough, changes the share of the sample
it moves into by its way over the sample's width; corners are of second order.

A sample that is spared in part counts with its mean height. That is the effective medium that light of a longer wave
sees, right where samples are below about half a wave, and it keeps a mask of phase from absorbing.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.field import Grid
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.patterns import correlated, edge_share, white_noise
from opticdesign.perturbed.reading import read_at
from opticdesign.perturbed.space import Pattern

__all__ = ["EtchedRelief", "moved"]

_OVERLAY = ("overlay_shift", "overlay_rotation", "overlay_scale")


class EtchedRelief:
    """Heights of masks with the errors of draws.

    Args:
        process: the process.
        levels: level of each sample of the field, int64 (layers, y, x).
        steps: etch steps that make the levels; one for levels that are not made by halving steps.
        grid: sampling of the masks.
    """

    def __init__(self, process: FabricationProcess, levels: Tensor, steps: int, grid: Grid) -> None:
        self.grid, self.steps = grid, steps
        if 2**steps == process.levels:
            bits = [(levels >> (steps - 1 - step)) & 1 for step in range(steps)]
            self._shares = torch.stack(bits).to(torch.float32)
            self._depths_m = process.full_height_m * 0.5 ** torch.arange(1, steps + 1, dtype=torch.float64)
        else:
            self._shares = (process.height_of_level(levels) / process.highest_m).to(torch.float32)[None]
            self._depths_m = torch.tensor([process.highest_m], dtype=torch.float64)

    def heights(self, dev: Deviations, first: int) -> Tensor:
        """Heights of the masks from number `first` on above their lowest level, metres: float32 (n, layers, y, x)."""
        depths = self._depths_m.repeat(len(dev), 1)
        if dev.active("etch_depth"):
            depths = depths * (1.0 + dev["etch_depth"])
        heights = torch.zeros((), device=self._shares.device)
        for step in range(self.steps):
            share = self._overlaid(self._biased(step, dev, first), step, dev, first)
            heights = heights + share * depths[:, step].to(share).reshape(-1, 1, 1, 1)
        return (
            heights if (pattern := dev.pattern("edge_roughness")) is None else self._rough(heights, dev, pattern, first)
        )

    def _biased(self, step: int, dev: Deviations, first: int) -> Tensor:
        """Shares of a step whose edges move by half the error of the width: (n or 1, layers, y, x)."""
        share = self._shares[step, first:]
        if not dev.active("cd_bias"):
            return share[None]
        way = (dev["cd_bias"][:, step] / 2.0).to(share).reshape(-1, 1, 1, 1)
        grown, shrunk = (change[step, first:] for change in self._growth_per_m)
        share = share + torch.where(way > 0.0, grown, shrunk) * way
        few = float(way.abs().max()) * sum(2.0 / pitch_m for pitch_m in self.grid.pitch_m) < 1.0
        return share if few else share.clamp(0.0, 1.0)

    @cached_property
    def _growth_per_m(self) -> tuple[Tensor, Tensor]:
        """What samples gain and lose of a metre by which edges go outwards and inwards: (steps, layers, y, x) each."""
        around = functional.pad(self._shares, (1, 1, 1, 1), mode="replicate")
        dy, dx = self.grid.pitch_m
        spared = (around[..., 1:-1, :-2] + around[..., 1:-1, 2:]) / dx
        spared += (around[..., :-2, 1:-1] + around[..., 2:, 1:-1]) / dy
        return (1.0 - self._shares) * spared, self._shares * (2.0 / dx + 2.0 / dy - spared)

    def _overlaid(self, share: Tensor, step: int, dev: Deviations, first: int) -> Tensor:
        """Shares of a step (n or 1, layers, y, x) with the bit mask of each layer moved; the first one lies right."""
        if step == 0 or not dev.active(*_OVERLAY):
            return share
        count, layers = (len(dev), share.shape[1]), slice(first, self._shares.shape[1])
        shift, turn, scale = (
            dev[name][:, layers, step] if dev.active(name) else torch.zeros((*count, *more), dtype=torch.float64)
            for name, more in zip(_OVERLAY, ((2,), (), ()), strict=True)
        )
        return moved(share.expand(*count, *self.grid.shape), self.grid, shift, turn, scale)

    def _rough(self, heights: Tensor, dev: Deviations, pattern: Pattern, first: int) -> Tensor:
        """Heights (n, layers, y, x) with edges that wander."""
        for dim in (-2, -1):
            # a way across an edge, the mean over the length of the edge in one sample
            along = self.grid.pitch_m[-1] if dim == -2 else self.grid.pitch_m[-2]
            sigma = pattern.sigma * edge_share(along, pattern.correlation) / self.grid.pitch_m[dim]
            ways = white_noise(dev.seed, f"rough edges {dim}", dev.indices, (self._shares.shape[1], *self.grid.shape))
            ways = correlated(ways.to(heights.device), self.grid.pitch_m, pattern.correlation)[:, first:]
            self._roughen(heights, ways, sigma, dim, first)
        return heights

    def _roughen(self, heights: Tensor, ways: Tensor, sigma: float, dim: int, first: int) -> None:
        """Let edges between neighbours along an axis go on by σ times their ways, in samples, in place."""
        size = ways.shape[dim] - 1
        change = (self._edge_steps[dim][first:] * sigma) * ways.narrow(dim, 0, size)
        # an edge that goes on gives the height before it to the sample behind it, one that goes back the other way
        behind = change * (ways.narrow(dim, 0, size) > 0.0)
        heights.narrow(dim, 1, size).add_(behind)
        heights.narrow(dim, 0, size).add_(change.sub_(behind))

    @cached_property
    def _edge_steps(self) -> dict[int, Tensor]:
        """Height before an edge less that behind it, metres, by axis.

        All bit masks with an edge at one place share its way, times the root of the sum of squares of their steps: as
        much in the mean square as independent edges.
        """
        depths = self._depths_m.to(self._shares)
        steps = {}
        for dim in (-2, -1):
            drops = -torch.diff(self._shares, dim=dim) * depths[:, None, None, None]
            steps[dim] = drops.sum(0).sign() * drops.square().sum(0).sqrt()
        return steps


def moved(shares: Tensor, grid: Grid, shift_m: Tensor, turn_rad: Tensor, scale: Tensor) -> Tensor:
    """Patterns scaled and turned about the middle, then shifted: what each sample is covered by, (…, y, x).

    A sample takes of the samples that it falls on by the shared area. Outside the grid a pattern is continued as it
    ends.

    Args:
        shares: (…, y, x).
        grid: their sampling.
        shift_m: ways along y and x, (…, 2).
        turn_rad: angles, +x towards +y, (…), small.
        scale: relative growth, (…), small.
    """
    height, width = grid.extent_m
    dy, dx = shift_m.unbind(-1)
    # where what a place shows comes from, as `read_at` has it
    along_x = torch.stack([1.0 - scale, turn_rad * height / width, -2.0 * dx / width], -1)
    along_y = torch.stack([-turn_rad * width / height, 1.0 - scale, -2.0 * dy / height], -1)
    matrix = torch.stack([along_x, along_y], -2).reshape(-1, 2, 3)
    return read_at(shares.reshape(-1, 1, *grid.shape), matrix, "border").reshape(shares.shape)
