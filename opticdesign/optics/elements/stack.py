"""Elements and free space one after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.optics.elements.diffractive import DiffractiveElement
from opticdesign.optics.elements.element import Element, Quantiser
from opticdesign.optics.propagation import Propagator

__all__ = ["ElementStack"]


class ElementStack(Element):
    """Elements and propagators in the order light meets them, itself an element.

    Args:
        parts: one or more, all on one grid.

    Raises:
        UsageError: no part, or parts on different grids.
    """

    def __init__(self, parts: Sequence[Element | Propagator]) -> None:
        if not parts or any(first.grid != second.grid for first, second in pairwise(parts)):
            raise UsageError(
                f"a stack of {len(parts)} parts on the grids {[part.grid for part in parts]}",
                expected="one part or more, all on one grid",
                remedy="resample masks to the grid of the stack",
            )
        super().__init__(parts[0].grid)
        self.parts = nn.ModuleList(parts)

    def forward(self, field: Tensor, quantiser: Quantiser | None = None) -> Tensor:
        """The field behind the last part, (…, y, x); given a quantiser, diffractive elements act as it makes them."""
        for part in self.parts:
            field = part(field, quantiser) if isinstance(part, (DiffractiveElement, ElementStack)) else part(field)
        return field
