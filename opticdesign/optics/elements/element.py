"""What all elements share: a grid, and a field in, a field out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid, phasor

__all__ = ["Element", "Mask", "Quantiser", "phase_transmission", "relief_transmission", "start_of"]


def phase_transmission(phase_rad: Tensor) -> Tensor:
    """Transmission e^{iφ} of a phase mask or a stack of them: complex, same shape; differentiable once."""
    result: Tensor = _PhaseTransmission.apply(phase_rad)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return result


def relief_transmission(phase_rad: Tensor, loss: Tensor | float) -> Tensor:
    """Transmission e^{iφ − κφ} of reliefs whose heights, counted from the lowest, have these phases; same shape.

    Args:
        phase_rad: of the whole height, not wrapped.
        loss: κ, absorption for each radian; 0 gives `phase_transmission`.
    """
    transmission = phase_transmission(phase_rad)
    if isinstance(loss, float) and loss == 0.0:
        return transmission
    return transmission * torch.exp(-loss * phase_rad)


class _PhaseTransmission(torch.autograd.Function):
    """t = e^{iφ}, and back through t alone: no second sine and cosine, no records of real and imaginary part."""

    @staticmethod
    def forward(ctx: Any, phase_rad: Tensor) -> Tensor:
        transmission = phasor(phase_rad)
        ctx.save_for_backward(transmission)
        return transmission

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # dt = i·t·dφ, and a real loss changes by Re(conj(g)·dt)
        (transmission,) = ctx.saved_tensors
        phase_gradient: Tensor = (transmission.conj() * gradient).imag.contiguous()
        return phase_gradient


def start_of(values: Tensor | None, shape: tuple[int, int], what: str, default: float = 0.0) -> Tensor:
    """A float32 copy of the values that a parameter starts from, (y, x), or else the default everywhere.

    Raises:
        UsageError: the values have another shape.
    """
    start = torch.full(shape, default) if values is None else values
    if tuple(start.shape) != shape:
        raise UsageError(
            f"an initial {what} of shape {tuple(start.shape)}",
            expected=f"the mask's shape {shape}",
            remedy=f"resample the {what} to the grid of the mask",
        )
    return start.detach().to(torch.float32).clone()


class Element(nn.Module, ABC):
    """A passive element: it maps a complex field (…, y, x) on its grid to one of the same shape and type.

    Args:
        grid: sampling of the field.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    @property
    def extent_m(self) -> tuple[float, float]:
        """Height and width in metres."""
        return self.grid.extent_m

    @abstractmethod
    def forward(self, field: Tensor) -> Tensor:
        """The field behind the element, same shape and type."""


class Mask(Element):
    """An element that multiplies the field by its transmission."""

    @abstractmethod
    def transmission(self) -> Tensor:
        """Amplitude transmission (y, x), real or complex, never above 1 in magnitude."""

    def forward(self, field: Tensor) -> Tensor:  # noqa: D102 (documented on the base)
        return field * self.transmission().to(field.dtype)


class Quantiser(Protocol):
    """Makes phases of phases, as a process does or what stands for one in training."""

    def phase(self, phase_rad: Tensor) -> Tensor:
        """The phase made of each phase, radians, with its gradient; same shape and type."""
