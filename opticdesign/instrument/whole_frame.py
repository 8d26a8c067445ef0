"""Phase of a camera frame of any size, from tiles as large as the decoder learned on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import BATCH
from opticdesign.instrument.tiling import Layout, lay_tiles, put_together

__all__ = ["decode_frame"]


def decode_frame(microscope: Microscope, frame: Tensor, overlap: int) -> Tensor:
    """Phase over 2π, float32 (y, x) on the CPU, of a reading (y/b, x/b) at least as large as the microscope's.

    Tiles share `overlap` samples, rounded up to whole pixels, over which a sin² ramp leads from one to the next. One
    batch of them is in memory at a time.

    Args:
        microscope: the instrument.
        frame: the reading; 1 is an undisturbed beam.
        overlap: samples of the phase that neighbouring tiles share.

    Raises:
        DataError: a frame smaller than a tile.
    """
    binning, tile = microscope.detector.binning, microscope.optics.grid.shape
    rows, columns = frame.shape
    shared = math.ceil(overlap / binning) * binning
    layout = lay_tiles("frame", (rows * binning, columns * binning), tile, min(shared, min(tile) - binning))
    return put_together(layout, _images(microscope, frame, layout))


def _images(microscope: Microscope, frame: Tensor, layout: Layout) -> Iterator[Tensor]:
    """Phase over 2π of each tile (y, x), on the CPU."""
    device, binning = next(microscope.parameters()).device, microscope.detector.binning
    rows, columns = (side // binning for side in microscope.optics.grid.shape)
    for first in range(0, len(layout.tiles), BATCH):
        corners = [layout.corner(tile) for tile in layout.tiles[first : first + BATCH]]
        places = [(row // binning, column // binning) for row, column in corners]
        readings = torch.stack([frame[row : row + rows, column : column + columns] for row, column in places])
        with torch.no_grad():
            yield from microscope.decode(readings.to(device)).cpu()
