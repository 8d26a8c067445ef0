"""Ordered dither: in which order the cells of a pixel open, so that those open are spread out at any number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["opening_ranks"]

_SCALE = 1 << 40


def opening_ranks(side: int) -> npt.NDArray[np.int64]:
    """Rank of each cell of a pixel, 0 … side² − 1 (side, side): with n open cells those of rank below n are open.

    The next cell to open is always that in the largest void, where the sum of 1/distance² to the open cells is
    smallest; distances wrap round, as pixels stand side by side. Integers make the order the same on every machine.

    Source: R. Ulichney, The void-and-cluster method for dither array generation, Proc. SPIE 1913 (1993) 332–343,
    doi:10.1117/12.152707, with a kernel that reaches far in place of the Gaussian.

    Args:
        side: cells along a pixel.
    """
    away = np.minimum(np.arange(side), side - np.arange(side))
    squares = away[:, None] ** 2 + away[None, :] ** 2
    kernel = _SCALE // np.maximum(squares, 1)
    ranks = np.zeros((side, side), dtype=np.int64)
    crowding = np.zeros((side, side), dtype=np.int64)
    for rank in range(side * side):
        row, column = divmod(int(np.argmin(crowding)), side)
        ranks[row, column] = rank
        crowding += np.roll(kernel, (row, column), (0, 1))
        crowding[row, column] = np.iinfo(np.int64).max // 2  # open cells are never the emptiest again
    return ranks
