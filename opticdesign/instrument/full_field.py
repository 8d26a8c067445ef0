"""A whole field from tiles of the microscope's size, as when a stage moves the sample under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opticdesign.data import PhaseField, Window
from opticdesign.decoders.waves import in_waves
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import BATCH, reconstruct_batches
from opticdesign.instrument.tiling import Layout, Tiling, lay_tiles, put_together

__all__ = ["FullField", "reconstruct_field"]


@dataclass(frozen=True)
class FullField:
    """A whole field put together from tiles: phase over 2π, target and valid area, each (y, x)."""

    name: str
    image: Tensor
    target: Tensor
    valid: Tensor


def reconstruct_field(
    microscope: Microscope,
    field: PhaseField,
    window: Window,
    process: FabricationProcess | None,
    *,
    overlap: int,
    seed: int,
    tiling: Tiling = "blend",
) -> FullField:
    """Reconstruct a whole field from tiles, the patches of a window, each imaged by itself with its surroundings.

    Three ways to lay the tiles:

    - "blend": neighbours share `overlap` samples, over which a sin² ramp leads from one to the next;
    - "crop": neighbours share `overlap` samples, and each is used up to the middle of what they share;
    - "pad": tiles stand side by side on a field that is continued by reflection to whole tiles, and cut back.

    In the first two, a last tile that would stick out is moved inward. No camera sees the constant phase of a tile, so
    the decoder's guesses of it are made to agree where tiles overlap; their mean stays. One batch of tiles is in
    memory at a time, however large the field.

    Args:
        microscope: the instrument.
        field: the sample.
        window: a tile, and what the microscope takes around it.
        process: given, the masks act as this process makes them.
        overlap: samples that neighbouring tiles share; "pad" has no use for it.
        seed: seed of the noise.
        tiling: how the tiles lie.

    Raises:
        UsageError: an unknown tiling, or an overlap that tiles of this size cannot have.
        DataError: a field smaller than a tile, which only "pad" can fill.
    """
    layout = lay_tiles(field.name, field.shape, window.patch, overlap, tiling)
    parts = reconstruct_batches(microscope, _batches(field, window, layout), process, seed)
    whole = put_together(layout, (image for _, images in parts for image in images))
    target = in_waves(torch.from_numpy(field.phase_rad))
    rows, columns = field.shape
    return FullField(field.name, whole[:rows, :columns], target, torch.from_numpy(field.valid))


def _batches(field: PhaseField, window: Window, layout: Layout) -> Iterator[Tensor]:
    """Complex fields of the tiles and what surrounds them, (batch, y + 2·my, x + 2·mx)."""
    tiles = layout.tiles
    for first in range(0, len(tiles), BATCH):
        corners = [layout.corner(tile) for tile in tiles[first : first + BATCH]]
        amplitude, phase_rad = (
            torch.from_numpy(np.stack([window.cut(part, *corner) for corner in corners]))
            for part in (field.amplitude, field.phase_rad)
        )
        yield torch.polar(amplitude, phase_rad)
