"""What light passes from the sample to the camera: masks with free space between them, or a filter in a pupil."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from opticdesign.cascade import PreparedTransfer, cascade, prepared
from opticdesign.elements import DiffractiveElement, FourierFilter, ring_means, ring_of_point
from opticdesign.errors import UsageError
from opticdesign.fabrication import FabricationProcess
from opticdesign.field import Grid
from opticdesign.propagation import Propagator
from opticdesign.quantiser import Quantiser
from opticdesign.thick import ThickRelief

__all__ = ["DiffractiveSystem", "FilterSystem", "OpticalSystem", "ThickMasks"]


class OpticalSystem(nn.Module, ABC):
    """Passive optics with learned masks: a complex field in the sample plane in, one on the camera out.

    Args:
        grid: sampling of both planes.
        mask_pitch_m: width of the smallest part of a mask, metres.
        layers: number of masks.
    """

    def __init__(self, grid: Grid, mask_pitch_m: float, layers: int) -> None:
        super().__init__()
        self.grid, self.mask_pitch_m = grid, mask_pitch_m
        # scale of the all-optical image against phase over 2π, one for each number of layers that light may pass; it
        # belongs to that objective, not to the hardware
        self.powers = nn.Parameter(torch.ones(layers))

    @property
    @abstractmethod
    def crossed(self) -> int:
        """Masks that light passes."""

    @abstractmethod
    def forward(self, field: Tensor, process: Quantiser | None = None, crossed: int | None = None) -> Tensor:
        """Complex field on the detector plane of a complex input field, both (…, y, x).

        Args:
            field: field in the sample plane.
            process: given, the masks act as this process makes them.
            crossed: masks that light passes, the first ones; left out, as many as the design says.
        """

    @abstractmethod
    def phases(self, process: Quantiser | None = None) -> Tensor:
        """Phases of all masks that light passes with their gradient, (layers, y, x), radians, one a neuron.

        Args:
            process: given, as this process makes them; else as they are learned, not wrapped.
        """

    def phases_rad(self) -> Tensor:
        """The learned phases of all masks that light passes, (layers, y, x), radians, not wrapped, detached."""
        return self.phases().detach()

    @abstractmethod
    def set_phases_rad(self, phases_rad: Tensor) -> None:
        """Replace the phases of all masks that light passes by (layers, y, x) in radians."""

    def amplitudes(self) -> Tensor | None:
        """The learned amplitude transmissions (layers, y, x), 0 … 1, detached; None where masks absorb nothing."""
        return None

    def set_amplitudes(self, amplitudes: Tensor) -> None:
        """Replace learned amplitude transmissions by (layers, y, x).

        Raises:
            UsageError: these masks absorb nothing.
        """
        raise UsageError(f"{len(amplitudes)} amplitudes for masks that absorb nothing", expected="phases alone")

    def average_gradients(self) -> None:
        """Give parts that are to stay alike the same gradient."""

    def alike(self, values: Tensor) -> Tensor:
        """Values (…, y, x), one a neuron, with the same one for all parts of a mask that are to stay alike."""
        return values

    def learned(self, first: int, last: int) -> list[nn.Parameter]:  # noqa: ARG002 (a single mask has no choice)
        """The parameters of masks first … last − 1, counted from 0, and the output powers."""
        return list(self.parameters())

    def intensity(self, field: Tensor, process: Quantiser | None = None, crossed: int | None = None) -> Tensor:
        """|A_out|² on the detector plane, real (…, y, x); arguments as in `forward`."""
        output: Tensor = self(field, process, crossed)
        return output.real**2 + output.imag**2

    def power(self, crossed: int | None = None) -> Tensor:
        """Square of the learned output power P: what the all-optical image is |A_out|² times."""
        return self.powers[(crossed or self.crossed) - 1] ** 2


class DiffractiveSystem(OpticalSystem):
    """Diffractive elements with free space before, between and after them.

    Args:
        elements: the masks in the order light meets them, one or more, on one grid.
        hops: one propagator more than elements, the last one ending on the detector; behind a thick mask a hop starts
            at the top of its relief.
        thick: makes the masks reliefs that light is marched through; left out, they are thin.
        crossed: masks that light passes before it takes the last hop; all when left out.
        cell: neurons of a square cell that repeats over each mask; left out, every neuron is its own.
    """

    def __init__(
        self,
        elements: Sequence[DiffractiveElement],
        hops: Sequence[Propagator],
        thick: ThickMasks | None = None,
        *,
        crossed: int | None = None,
        cell: int | None = None,
    ) -> None:
        grid = elements[0].grid
        super().__init__(grid, grid.pitch_m[0] * elements[0].samples, len(elements))
        self.thick, self.cell = thick, cell
        self.elements: nn.ModuleList = nn.ModuleList(elements)
        self.hops: nn.ModuleList = nn.ModuleList(hops)
        self._crossed = crossed or len(elements)
        self._prepared: dict[Tensor, PreparedTransfer] = {}

    @property
    def crossed(self) -> int:  # noqa: D102 (documented on the base)
        return self._crossed

    def forward(  # noqa: D102 (documented on the base)
        self, field: Tensor, process: Quantiser | None = None, crossed: int | None = None
    ) -> Tensor:
        passed = crossed or self.crossed
        hops = self.taken(passed)
        if self.thick is not None or any(hop.transfer.requires_grad for hop in hops):
            return self._one_by_one(field, process, hops)
        phases = [element.sampled(element.phase(process)) for element in self._elements()[:passed]]
        transfers = self._ready([hop.transfer for hop in hops])
        return cascade(field.reshape(-1, *self.grid.shape), phases, transfers).reshape(field.shape)

    def taken(self, crossed: int) -> list[Propagator]:
        """The hops that light takes through the first masks, so many, and on to the detector."""
        hops = [hop for hop in self.hops if isinstance(hop, Propagator)]
        return [*hops[:crossed], hops[-1]]

    def _ready(self, transfers: Sequence[Tensor]) -> list[PreparedTransfer]:
        """Transfer functions as a cascade wants them, kept as long as they are the propagators'."""
        kept = self._prepared
        self._prepared = {
            each: kept[each] if each in kept else prepared(each, self.grid.shape) for each in dict.fromkeys(transfers)
        }
        return [self._prepared[each] for each in transfers]

    def _one_by_one(self, field: Tensor, process: Quantiser | None, hops: Sequence[Propagator]) -> Tensor:
        """As `forward`, hop by hop: for thick masks and for distances that are learned."""
        wave: Tensor = hops[0](field)
        for layer, hop in enumerate(hops[1:]):
            wave = hop(self.behind(layer, wave, process))
        return wave

    def behind(self, layer: int, field: Tensor, process: Quantiser | None = None) -> Tensor:
        """The field (…, y, x) behind one mask, counted from 0, of the field in front of it."""
        element = self._elements()[layer]
        result: Tensor = element(field, process) if self.thick is None else self.thick(field, element, process)
        return result

    def phases(self, process: Quantiser | None = None) -> Tensor:  # noqa: D102 (documented on the base)
        return torch.stack([element.phase(process) for element in self._elements()[: self.crossed]])

    def set_phases_rad(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        for element, phase in zip(self._elements()[: self.crossed], phases_rad, strict=True):
            element.set_phase(phase)

    def learned(self, first: int, last: int) -> list[nn.Parameter]:  # noqa: D102 (documented on the base)
        chosen = [parameter for element in self._elements()[first:last] for parameter in element.parameters()]
        return [*chosen, self.powers]

    def average_gradients(self) -> None:
        """Replace each mask's gradient by its mean over all its cells."""
        gradients = [element.learned.grad for element in self._elements()]
        for gradient in gradients:
            if gradient is not None and self.cell is not None:
                rows, columns = (side // self.cell for side in gradient.shape)
                mean = gradient.reshape(rows, self.cell, columns, self.cell).mean((0, 2))
                gradient.copy_(mean.repeat(rows, columns))

    def alike(self, values: Tensor) -> Tensor:
        """The first cell's values in the place of all cells'."""
        if self.cell is None:
            return values
        rows, columns = (side // self.cell for side in values.shape[-2:])
        first = values[..., : self.cell, : self.cell]
        return first.repeat(*[1] * (values.ndim - 2), rows, columns)

    def _elements(self) -> list[DiffractiveElement]:
        return [element for element in self.elements if isinstance(element, DiffractiveElement)]


class FilterSystem(OpticalSystem):
    """A 4-f system with a learned filter, its image turned upright again.

    Args:
        element: the filter.
        rings: points that lie in one ring stay alike.
    """

    _ring: Tensor

    def __init__(self, element: FourierFilter, *, rings: bool = False) -> None:
        super().__init__(element.grid, element.pitch_m[0], 1)
        self.element, self.rings = element, rings
        self.register_buffer("_ring", ring_of_point(element.window), persistent=False)

    @property
    def crossed(self) -> int:  # noqa: D102 (documented on the base)
        return 1

    def forward(  # noqa: D102 (documented on the base)
        self,
        field: Tensor,
        process: Quantiser | None = None,
        crossed: int | None = None,  # noqa: ARG002 (there is one)
    ) -> Tensor:
        return self.element.filtered(field, process)

    def average_gradients(self) -> None:
        """Replace each point's gradient by the mean over its ring."""
        for parameter in self.element.parameters() if self.rings else ():
            if parameter.grad is not None:
                parameter.grad.copy_(ring_means(parameter.grad, self._ring))

    def alike(self, values: Tensor) -> Tensor:
        """One of the values, another for each ring, in the place of all values in that ring."""
        return values.flatten(-2)[..., self._ring.to(values.device)] if self.rings else values

    def phases(self, process: Quantiser | None = None) -> Tensor:  # noqa: D102 (documented on the base)
        return self.element.phase(process)[None]

    def set_phases_rad(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        with torch.no_grad():
            self.element.phase_rad.copy_(phases_rad[0])

    def amplitudes(self) -> Tensor | None:  # noqa: D102 (documented on the base)
        amplitude = self.element.amplitude()
        return None if amplitude is None else amplitude.detach()[None]

    def set_amplitudes(self, amplitudes: Tensor) -> None:  # noqa: D102 (documented on the base)
        if self.element.amplitude() is None:
            super().set_amplitudes(amplitudes)
        with torch.no_grad():
            self.element.logit.copy_(torch.logit(amplitudes[0], eps=1e-7))  # a sigmoid never quite comes to 0 and 1


class ThickMasks(nn.Module):
    """Masks as reliefs: their phases become heights of a process, and light is marched through the slices.

    Args:
        relief: the march, as deep as a phase of 2π is high.
        process: gives the heights of phases.
    """

    def __init__(self, relief: ThickRelief, process: FabricationProcess) -> None:
        super().__init__()
        self.relief, self.process = relief, process

    def forward(self, field: Tensor, element: DiffractiveElement, process: Quantiser | None) -> Tensor:
        """The field (…, y, x) at the top of an element's relief, of the field on its base plane.

        Args:
            field: complex field on the base plane.
            element: gives the phases.
            process: given, the relief is as this process makes it.
        """
        height_m = self.process.height_of_phase(element.sampled(element.phase(process)))
        result: Tensor = self.relief(field, height_m)
        return result
