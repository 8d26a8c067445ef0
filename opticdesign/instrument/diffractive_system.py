"""Elements with free space between them, thin or as reliefs that light is marched through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.axial_plane import AxialPlane, planes_of
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.cascade import PreparedTransfer, cascade
from opticdesign.optics.elements import DiffractiveElement, Element, Mask
from opticdesign.optics.elements.element import Quantiser
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import Propagator
from opticdesign.optics.thick import ThickRelief

__all__ = ["DiffractiveSystem", "ThickMasks"]


class DiffractiveSystem(OpticalSystem):
    """Elements with free space before, between and after them.

    Args:
        elements: in the order light meets them, one or more; of these the diffractive ones are learned.
        hops: ways, one more than elements, the last one ending on the camera; behind a thick mask a way starts at the
            top of its relief. A propagator goes from its grid to the same.
        thick: makes the diffractive elements reliefs that light is marched through; left out, they are thin.
        image: samples of the image; where left out, those of the light on the camera.
        crossed: elements that light passes before it takes the last hop; all when left out.
        cell: neurons of a square cell that repeats over each mask; left out, every neuron is its own.

    Raises:
        UsageError: not one hop more than elements, or hops and elements on different grids.
    """

    def __init__(
        self,
        elements: Sequence[Element],
        hops: Sequence[Propagator | Hop],
        thick: ThickMasks | None = None,
        *,
        image: Grid | None = None,
        crossed: int | None = None,
        cell: int | None = None,
    ) -> None:
        made = {hop: hop if isinstance(hop, Hop) else Hop(hop) for hop in hops}  # equal ways share one
        ways = [made[hop] for hop in hops]
        _check_train(elements, ways, crossed)
        camera = ways[-1].target_grid
        masks = [element for element in elements if isinstance(element, DiffractiveElement)]
        pitch_m = masks[0].pitch_m if masks else elements[0].grid.pitch_m
        super().__init__(image or camera, ways[0].source_grid, camera, pitch_m, len(elements))
        self.thick, self.cell = thick, cell
        self.elements: nn.ModuleList = nn.ModuleList(elements)
        self.hops: nn.ModuleList = nn.ModuleList(ways)
        self._crossed = crossed or len(elements)
        self._ready: dict[Tensor, PreparedTransfer] = {}

    @property
    def crossed(self) -> int:  # noqa: D102 (documented on the base)
        return self._crossed

    def forward(  # noqa: D102 (documented on the base)
        self, field: Tensor, quantiser: Quantiser | None = None, crossed: int | None = None
    ) -> Tensor:
        self.check_field(field)
        passed = crossed or self.crossed
        hops, elements = self.taken(passed), self.train_of(passed)
        masks = [_multiplier(element, quantiser, field) for element in elements]
        if self.thick is not None or any(mask is None for mask in masks) or any(hop.learned for hop in hops):
            return self._one_by_one(field, quantiser, hops)
        transmissions = [mask for mask in masks if mask is not None]
        output = cascade(field.reshape(-1, *self.object_grid.shape), transmissions, self.ready(hops))
        return output.reshape(*field.shape[:-2], *self.camera_grid.shape)

    def taken(self, crossed: int) -> list[Hop]:
        """The hops that light takes through the first elements, so many, and on to the detector."""
        hops = [hop for hop in self.hops if isinstance(hop, Hop)]
        return [*hops[:crossed], hops[-1]]

    def train_of(self, crossed: int) -> list[Element]:
        """The first elements, so many."""
        return [element for element in self.elements if isinstance(element, Element)][:crossed]

    def ready(self, hops: Sequence[Hop]) -> list[PreparedTransfer]:
        """Transfer functions as a cascade wants them, kept as long as they are the hops'."""
        kept = self._ready
        self._ready = {hop.transfer: kept.get(hop.transfer) or hop.ready() for hop in dict.fromkeys(hops)}
        return [self._ready[hop.transfer] for hop in hops]

    def _one_by_one(self, field: Tensor, quantiser: Quantiser | None, hops: Sequence[Hop]) -> Tensor:
        """As `forward`, hop by hop: for thick masks, elements that do not multiply, and distances that are learned."""
        wave: Tensor = hops[0](field)
        for layer, hop in enumerate(hops[1:]):
            wave = hop(self.behind(layer, wave, quantiser))
        return wave

    def behind(self, layer: int, field: Tensor, quantiser: Quantiser | None = None) -> Tensor:
        """The field (…, y, x) behind one element, counted from 0, of the field in front of it."""
        element = self.train_of(layer + 1)[layer]
        result: Tensor
        if not isinstance(element, DiffractiveElement):
            result = element(field)
        else:
            result = element(field, quantiser) if self.thick is None else self.thick(field, element, quantiser)
        return result

    def phases(self, quantiser: Quantiser | None = None) -> Tensor:  # noqa: D102 (documented on the base)
        return torch.stack([element.phase(quantiser) for element in self.masks])

    def set_phases_rad(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        for element, phase in zip(self.masks, phases_rad, strict=True):
            element.set_phase(phase)

    def learned(self, first: int, last: int) -> list[nn.Parameter]:  # noqa: D102 (documented on the base)
        elements = self.train_of(len(self.elements))[first:last]
        return [parameter for element in elements for parameter in element.parameters()]

    def absorb(self, loss: float) -> None:  # noqa: D102 (documented on the base)
        for element in self.elements:
            if isinstance(element, DiffractiveElement):
                element.loss = loss
        if self.thick is not None:
            self.thick.relief.loss = loss

    def average_gradients(self) -> None:
        """Replace each mask's gradient by its mean over all its cells."""
        for element in self.elements:
            gradient = element.learned.grad if isinstance(element, DiffractiveElement) else None
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

    def check_regular(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        if self.cell is not None and not torch.equal(phases_rad, self.alike(phases_rad)):
            raise UsageError(
                f"masks that do not repeat every {self.cell} neurons (optics.cell)",
                expected="masks of equal cells",
                remedy="remove optics.cell from the design",
            )

    def planes(self) -> Iterator[AxialPlane]:  # noqa: D102 (documented on the base)
        hops, elements = self.taken(self.crossed), self.train_of(self.crossed)
        pairs = [part for pair in zip(hops[:-1], elements, strict=True) for part in pair]
        yield AxialPlane("object", 0.0, self.object_grid.extent_m[0])
        yield from planes_of([*pairs, hops[-1]])

    @property
    def masks(self) -> list[DiffractiveElement]:
        """The diffractive elements that light passes."""
        return [element for element in self.train_of(self.crossed) if isinstance(element, DiffractiveElement)]


def _multiplier(element: Element, quantiser: Quantiser | None, field: Tensor) -> Tensor | None:
    """What an element multiplies light by, as a cascade takes it; None where it does something else."""
    if isinstance(element, DiffractiveElement):
        return element.multiplier(quantiser)
    return element.transmission().to(field.dtype) if isinstance(element, Mask) else None


def _check_train(elements: Sequence[Element], hops: Sequence[Hop], crossed: int | None) -> None:
    """Refuse a train in which light would miss an element or a hop."""
    if not elements or len(hops) != len(elements) + 1 or not 1 <= (crossed or 1) <= len(elements):
        raise UsageError(
            f"{len(elements)} elements, {len(hops)} hops, of which light passes {crossed or len(elements)} elements",
            expected="one element or more, and one hop more than elements",
            remedy="give a hop before each element and one behind the last",
        )
    ends = [*(hop.target_grid for hop in hops[:-1])]
    starts = [hop.source_grid for hop in hops[1:]]
    for number, (end, element, start) in enumerate(zip(ends, elements, starts, strict=True), start=1):
        if not end.shape == element.grid.shape == start.shape:
            raise UsageError(
                f"element {number} has {element.grid.shape} samples, between hops that end on {end.shape} and start "
                f"from {start.shape}",
                expected="hops and elements on one grid",
                remedy="build them on the same grid",
            )


class ThickMasks(nn.Module):
    """Masks as reliefs: their phases become heights of a process, and light is marched through the slices.

    Light meets the outlines of the mask on the base plane. Above it squares of material stand in the medium.

    Args:
        relief: the march, as deep as a phase of 2π is high.
        process: gives the heights of phases.
    """

    def __init__(self, relief: ThickRelief, process: FabricationProcess) -> None:
        super().__init__()
        self.relief, self.process = relief, process

    def forward(self, field: Tensor, element: DiffractiveElement, quantiser: Quantiser | None) -> Tensor:
        """The field (…, y, x) at the top of an element's relief, of the field on its base plane.

        Args:
            field: complex field on the base plane.
            element: gives the phases.
            quantiser: given, the relief is as it makes it.
        """
        height_m = self.process.height_of_phase(element.phase(quantiser))
        square, samples = element.square, element.samples
        if square is None:
            return self.relief.behind(field, height_m, element.sampled)
        return self.relief.behind(
            field * square.clear(height_m, samples), height_m, partial(square.spread, samples=samples)
        )
