"""Light as a camera measured it: optics without a model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from opticdesign.instrument.axial_plane import AxialPlane
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.elements.element import Quantiser
from opticdesign.optics.field import Grid

__all__ = ["MeasuredLight"]


class MeasuredLight(OpticalSystem):
    """Passes a field on as it is, whose intensity was measured.

    Args:
        grid: pixels of a patch.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid, grid, grid, grid.pitch_m, 0)

    @property
    def crossed(self) -> int:
        """No masks."""
        return 0

    def forward(self, field: Tensor, quantiser: Quantiser | None = None, crossed: int | None = None) -> Tensor:  # noqa: ARG002 (there are none)
        """The field itself, (…, y, x)."""
        self.check_field(field)
        return field

    def phases(self, quantiser: Quantiser | None = None) -> Tensor:  # noqa: ARG002 (there are none)
        """Of no mask, (0, 1, 1)."""
        return torch.zeros((0, 1, 1))

    def set_phases_rad(self, phases_rad: Tensor) -> None:
        """Nothing, of no mask."""

    def planes(self) -> Iterator[AxialPlane]:
        """The object, which the camera sees."""
        yield AxialPlane("object", 0.0, self.object_grid.extent_m[0])
