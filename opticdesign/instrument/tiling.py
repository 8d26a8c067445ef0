"""Tiles that cover an image, and one image put together from what was made of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from opticdesign.errors import DataError, UsageError

__all__ = ["Layout", "Tiling", "blend_window", "lay_tiles", "put_together"]

Tiling: TypeAlias = Literal["blend", "crop", "pad"]

_Tile: TypeAlias = tuple[int, int]  # number of a tile along y and along x


@dataclass(frozen=True)
class _Axis:
    """Where tiles lie along one axis: their length, first samples, and weights (tiles, samples) in float64."""

    tile: int
    starts: list[int]
    windows: Tensor

    def part(self, index: int) -> slice:
        """The samples of the field that a tile covers."""
        return slice(self.starts[index], self.starts[index] + self.tile)

    def neighbours(self, index: int) -> list[int]:
        """Tiles that share samples with a tile, and itself."""
        return [other for other, start in enumerate(self.starts) if abs(start - self.starts[index]) < self.tile]

    def shared(self, index: int, other: int) -> slice:
        """The samples of a tile, counted in it, that another one covers too."""
        shift = self.starts[other] - self.starts[index]
        return slice(max(shift, 0), self.tile + min(shift, 0))


@dataclass(frozen=True)
class Layout:
    """Tiles in rows and columns, and what each adds to the samples it covers."""

    rows: _Axis
    columns: _Axis

    @property
    def shape(self) -> tuple[int, int]:
        """Samples that all tiles cover together."""
        return self.rows.part(-1).stop, self.columns.part(-1).stop

    @property
    def tiles(self) -> list[_Tile]:
        """All tiles, row by row."""
        return list(product(range(len(self.rows.starts)), range(len(self.columns.starts))))

    def corner(self, tile: _Tile) -> tuple[int, int]:
        """First row and column of the field that a tile covers."""
        return self.rows.starts[tile[0]], self.columns.starts[tile[1]]

    def part(self, tile: _Tile) -> tuple[slice, slice]:
        """Rows and columns of the field that a tile covers."""
        return self.rows.part(tile[0]), self.columns.part(tile[1])

    def window(self, tile: _Tile) -> Tensor:
        """Weight of each sample of a tile, (y, x)."""
        return self.rows.windows[tile[0]][:, None] * self.columns.windows[tile[1]][None, :]

    def neighbours(self, tile: _Tile) -> list[_Tile]:
        """Other tiles that share samples with a tile."""
        near = product(self.rows.neighbours(tile[0]), self.columns.neighbours(tile[1]))
        return [other for other in near if other != tile]

    def shared(self, tile: _Tile, other: _Tile) -> tuple[slice, slice]:
        """Rows and columns of a tile that another one covers too."""
        return self.rows.shared(tile[0], other[0]), self.columns.shared(tile[1], other[1])


def lay_tiles(
    name: str, shape: tuple[int, int], tile: tuple[int, int], overlap: int, tiling: Tiling = "blend"
) -> Layout:
    """Tiles over an image. Unless they pad it, a last tile that would stick out is moved inward.

    Args:
        name: of the image, for messages.
        shape: rows and columns of the image.
        tile: rows and columns of a tile.
        overlap: samples that neighbours share; "pad" has no use for it.
        tiling: how the tiles lie.

    Raises:
        UsageError: an unknown tiling, or an overlap that tiles of this size cannot have.
        DataError: an image smaller than a tile, which only "pad" can fill.
    """
    if tiling not in get_args(Tiling):
        raise UsageError(f"unknown tiling {tiling!r}", expected=", ".join(get_args(Tiling)))
    if not 0 <= overlap < min(tile):
        raise UsageError(f"tiles of {tile[0]} × {tile[1]} that share {overlap}", expected=f"0 to {min(tile) - 1}")
    if tiling != "pad" and (shape[0] < tile[0] or shape[1] < tile[1]):
        raise DataError(
            name,
            f"{shape[0]} × {shape[1]} samples are less than a tile",
            expected=f"at least {tile[0]} × {tile[1]}",
            remedy='use a larger field, or evaluation.tiling = "pad"',
        )
    rows, columns = (_axis(length, side, overlap, tiling) for length, side in zip(shape, tile, strict=True))
    return Layout(rows, columns)


def _axis(length: int, tile: int, overlap: int, tiling: Tiling) -> _Axis:
    """Tiles that cover a length; unless it is padded, the last one ends exactly on it."""
    if tiling == "pad":
        starts = list(range(0, length, tile))
        return _Axis(tile, starts, torch.ones((len(starts), tile), dtype=torch.float64))
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    starts = [min(index * (tile - overlap), length - tile) for index in range(count)]
    if tiling == "blend":
        return _Axis(tile, starts, blend_window(tile, overlap).expand(count, tile))
    seams = torch.tensor([0, *((before + tile + start) // 2 for before, start in pairwise(starts)), length])
    samples = torch.tensor(starts)[:, None] + torch.arange(tile)
    return _Axis(tile, starts, ((samples >= seams[:-1, None]) & (samples < seams[1:, None])).to(torch.float64))


def put_together(layout: Layout, images: Iterable[Tensor]) -> Tensor:
    """One image, float32 (y, x), of the images (y, x) of all tiles, in their order; one is in memory at a time.

    No camera sees the constant phase of a tile, so constants are added that make tiles agree where they overlap; their
    mean stays.
    """
    total, weight = torch.zeros(2, *layout.shape, dtype=torch.float64)
    means: dict[tuple[_Tile, _Tile], float] = {}  # of the first tile, over what it shares with the second
    for tile, image in zip(layout.tiles, images, strict=True):
        total[layout.part(tile)] += layout.window(tile) * image
        for other in layout.neighbours(tile):
            means[tile, other] = float(image[layout.shared(tile, other)].mean(dtype=torch.float64))
    for tile, offset in zip(layout.tiles, _agreeing_offsets(layout, means).tolist(), strict=True):
        share = layout.window(tile)
        total[layout.part(tile)] += offset * share
        weight[layout.part(tile)] += share
    whole: Tensor = (total / weight).to(torch.float32)
    return whole


def _agreeing_offsets(layout: Layout, means: dict[tuple[_Tile, _Tile], float]) -> Tensor:
    """Constants (tiles,) that, added to tiles, make their means agree best where they overlap.

    Least squares over all pairs that overlap, each with the weight of the samples it shares. The normal equations have
    the Laplacian of the graph of overlaps; its solution of least norm has mean zero over tiles that hang together, and
    is zero for one that stands alone.

    Args:
        layout: the tiles.
        means: of the first tile over the samples that it shares with the second.
    """
    number = {tile: index for index, tile in enumerate(layout.tiles)}
    laplacian = torch.zeros((len(number), len(number)), dtype=torch.float64)
    difference = torch.zeros((len(number), 1), dtype=torch.float64)
    for (tile, other), mean in means.items():
        rows, columns = layout.shared(tile, other)
        share = (rows.stop - rows.start) * (columns.stop - columns.start) / (layout.rows.tile * layout.columns.tile)
        i, j = number[tile], number[other]
        laplacian[i, i] += share
        laplacian[i, j] -= share
        difference[i] += share * (means[other, tile] - mean)
    solution: Tensor = torch.linalg.lstsq(laplacian, difference, driver="gelsd").solution
    return solution[:, 0]


def blend_window(size: int, overlap: int) -> Tensor:
    """Weights 0 … 1 of one tile along one axis that add up to 1 where neighbours share `overlap` samples: (size,)."""
    ramp = torch.sin(0.5 * math.pi * (torch.arange(overlap, dtype=torch.float64) + 0.5) / max(overlap, 1)) ** 2
    window = torch.ones(size, dtype=torch.float64)
    window[:overlap] *= ramp
    window[size - overlap :] *= ramp.flip(0)
    return window
