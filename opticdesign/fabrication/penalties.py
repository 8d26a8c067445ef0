"""What makes a mask hard to make, as scalars that training can make small: much relief, and parts that are too narrow.

Both see phases on the circle: whole turns make no difference. Pixels at the edge of a mask have no neighbours beyond.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from opticdesign.errors import UsageError

__all__ = ["narrow_parts", "total_variation"]


def total_variation(phase_rad: Tensor) -> Tensor:
    """Total variation of phases on the circle: arcs to the next row and to the next column, mean over pixels, radians.

    D. Cremers, E. Strekalovskiy, Total cyclic variation and generalizations, J. Math. Imaging Vis. 47, 258 (2013),
    doi:10.1007/s10851-012-0396-1; here along the axes, each step as long as the shorter arc.

    Args:
        phase_rad: phases (layers, y, x), radians.
    """
    return (_arcs(phase_rad.diff(dim=-2)).sum() + _arcs(phase_rad.diff(dim=-1)).sum()) / phase_rad.numel()


def _arcs(difference_rad: Tensor) -> Tensor:
    """Length of the shorter arc of each phase difference, 0 … π."""
    return (torch.remainder(difference_rad + math.pi, 2.0 * math.pi) - math.pi).abs()


def narrow_parts(phase_rad: Tensor, width: int) -> Tensor:
    """How far masks are from parts as wide as the process can make: a mean over pixels, 0 … 1.

    A pixel is in a part that is wide enough if one square of `width` × `width` pixels that holds it has one phase all
    over: the mask is then equal to its morphological opening. A square is judged by its circular variance,
    1 − |mean e^{iφ}|², and a pixel by the best square that holds it. So the sum is zero if, and only if, no part is too
    narrow, whatever the steps between parts.

    O. Sigmund, Morphology-based black and white filters for topology optimization, Struct. Multidisc. Optim. 33, 401
    (2007), doi:10.1007/s00158-006-0087-x, for openings as a measure of widths; the circular variance in their place for
    phases.

    Args:
        phase_rad: phases (layers, y, x), radians.
        width: pixels along a side of the narrowest part.

    Raises:
        UsageError: the masks are smaller than one such part.
    """
    if width > min(phase_rad.shape[-2:]):
        raise UsageError(
            f"masks of {phase_rad.shape[-2]} × {phase_rad.shape[-1]} neurons are smaller than a smallest feature of "
            f"{width} neurons",
            expected="fabrication.min_feature within the mask",
            remedy="check fabrication.min_feature and the pitch",
        )
    real, imaginary = (torch.nn.functional.avg_pool2d(part, width, 1) for part in (phase_rad.cos(), phase_rad.sin()))
    alignment = real.square() + imaginary.square()
    reach = width - 1
    beyond = torch.nn.functional.pad(alignment, (reach, reach, reach, reach), value=-math.inf)
    return 1.0 - torch.nn.functional.max_pool2d(beyond, width, 1).mean()
