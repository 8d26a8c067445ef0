"""Patches as optics take them: with their surroundings, beside what an image of them should be."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from opticdesign.decoders.waves import in_waves
from opticdesign.optics.field import middle

__all__ = ["PatchSet"]


class PatchSet(NamedTuple):
    """Patches (n, y, x) with a margin of (my, mx) samples around them.

    Attributes:
        fields: complex fields with the margin, (n, y + 2·my, x + 2·mx).
        phase_rad: their phase in radians, not wrapped, same shape.
        targets: phase over 2π of the patches alone, (n, y, x).
    """

    fields: Tensor
    phase_rad: Tensor
    targets: Tensor

    @classmethod
    def of(cls, fields: Tensor, phase_rad: Tensor, patch: tuple[int, int]) -> PatchSet:
        """Fields and phases with their margin around patches of `patch` rows and columns."""
        return cls(fields, phase_rad, in_waves(middle(phase_rad, patch)))

    @property
    def objects(self) -> Tensor:
        """Complex fields of the patches alone, (n, y, x)."""
        rows, columns = self.targets.shape[-2:]
        return middle(self.fields, (rows, columns))

    def first(self, count: int) -> PatchSet:
        """At most `count` of the patches, the first ones."""
        return PatchSet(*(part[:count] for part in self))
