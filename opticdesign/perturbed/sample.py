"""The sample on the stage: the same in every draw, whatever the light."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """Fields behind samples under a plane wave of the design's wavelength.

    Args:
        fields: complex, with the margin (my, mx) that the optics take, (images, y + 2·my, x + 2·mx).
        phase_rad: their phase in radians, not wrapped, same shape.
        ahead: nominal fields in front of masks, by their number from 1: what draws share whose errors come later.
    """

    fields: Tensor
    phase_rad: Tensor
    ahead: dict[int, Tensor] = field(default_factory=dict)

    def at(self, wavelength_error: Tensor | None) -> Tensor:
        """The fields at other wavelengths, complex (n, *shape of the fields), or (1, …) as they are.

        A sample is a path through material, and its phase goes as 1/λ; dispersion is left out.

        Args:
            wavelength_error: relative, (n,).
        """
        if wavelength_error is None:
            return self.fields[None]
        factor = (1.0 / (1.0 + wavelength_error)).to(self.phase_rad).reshape(-1, 1, 1, 1)
        phase = factor * self.phase_rad
        return torch.complex(self.amplitude * torch.cos(phase), self.amplitude * torch.sin(phase))

    @cached_property
    def amplitude(self) -> Tensor:
        """Modulus of the fields, same shape."""
        return self.fields.abs()
