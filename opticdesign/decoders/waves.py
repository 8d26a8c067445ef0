"""The unit of decoders: their images and targets are phase over 2π, in waves; every other phase is in radians."""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor

__all__ = ["in_radians", "in_waves"]

_Phase = TypeVar("_Phase", float, Tensor)


def in_waves(phase_rad: _Phase) -> _Phase:
    """A phase in radians as a decoder gives it, over 2π; any shape."""
    return phase_rad / (2.0 * math.pi)


def in_radians(image: _Phase) -> _Phase:
    """A decoder's image, or what is made of it in its unit, in radians; any shape."""
    return image * (2.0 * math.pi)
