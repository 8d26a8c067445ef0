"""A stand-in for a microscope, shared by the tests of what is done with images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from opticdesign.instrument.microscope import Microscope
from opticdesign.optics.field import middle


class IdealMicroscope(Microscope):
    """Its reading is the phase of the field of view over 2π at full resolution, its image that or what `alter` makes.

    Args:
        shape: samples of the field of view.
        alter: given the reading (batch, y, x) and the number of readings before it, its image.
    """

    def __init__(
        self, shape: tuple[int, int], alter: Callable[[torch.Tensor, int], torch.Tensor] = lambda image, first: image
    ) -> None:
        nn.Module.__init__(self)
        self.parameter = nn.Parameter(torch.zeros(()))
        self.shape = shape
        self.alter = alter
        self.seen: list[torch.Tensor] = []  # fields, batch by batch

    def read(self, field, process=None, noise=None, crossed=None):  # type: ignore[no-untyped-def]
        self.seen.append(field)
        return middle(field, self.shape).angle() / (2.0 * torch.pi)

    def decode(self, reading: torch.Tensor) -> torch.Tensor:
        return self.alter(reading, sum(len(batch) for batch in self.seen[:-1]))
