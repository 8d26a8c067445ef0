"""What light passes from the sample to the camera: masks with free space between them, or a filter in a pupil."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from opticdesign.band import Plane
from opticdesign.cascade import PreparedTransfer, cascade
from opticdesign.detectors import cell_means
from opticdesign.elements import DiffractiveElement, Element, FourierFilter, Mask, ring_means, ring_of_point
from opticdesign.errors import UsageError
from opticdesign.fabrication import FabricationProcess
from opticdesign.field import Grid
from opticdesign.hop import Hop, light_window, opened, to_first_sample
from opticdesign.imaging import imaged
from opticdesign.propagation import Propagator
from opticdesign.quantiser import Quantiser
from opticdesign.thick import ThickRelief

__all__ = ["DiffractiveSystem", "FilterSystem", "OpticalSystem", "ThickMasks"]


class OpticalSystem(nn.Module, ABC):
    """Passive optics with learned masks: a complex field in the sample plane in, one on the camera out.

    Args:
        grid: samples of object and image in the field of view.
        object_grid: samples of the object as far as there is light, at the same pitch around the same axis.
        camera_grid: samples of the light on the camera, over the field of view; a whole number of them in one of the
            image.
        mask_pitch_m: height and width of the smallest part of a mask, metres.
        layers: number of masks.

    Raises:
        UsageError: grids that do not fit together.
    """

    def __init__(
        self, grid: Grid, object_grid: Grid, camera_grid: Grid, mask_pitch_m: tuple[float, float], layers: int
    ) -> None:
        super().__init__()
        self.grid, self.object_grid, self.camera_grid, self.mask_pitch_m = grid, object_grid, camera_grid, mask_pitch_m
        pairs = list(zip(camera_grid.shape, grid.shape, strict=True))
        if any(fine % coarse for fine, coarse in pairs) or any(
            whole < part or (whole - part) % 2 for whole, part in zip(object_grid.shape, grid.shape, strict=True)
        ):
            raise UsageError(
                f"an object of {object_grid.shape} samples and light of {camera_grid.shape} on the camera, for an "
                f"image of {grid.shape}",
                expected="as many more samples of the object on both sides, and whole numbers of the light's in one",
                remedy="choose other grids",
            )
        # scale of the all-optical image against phase over 2π, one for each number of layers that light may pass; it
        # belongs to that objective, not to the hardware
        self.powers = nn.Parameter(torch.ones(layers))

    @property
    @abstractmethod
    def crossed(self) -> int:
        """Masks that light passes."""

    @abstractmethod
    def forward(self, field: Tensor, process: Quantiser | None = None, crossed: int | None = None) -> Tensor:
        """Complex field (…, y, x) on `camera_grid` of a complex field (…, y, x) on `object_grid`.

        Args:
            field: field in the sample plane, dark beyond.
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
        """|A_out|² in the image, real (…, y, x) on `grid`, of a field on `object_grid`; arguments as in `forward`."""
        return self.seen(self(field, process, crossed))

    def check_field(self, field: Tensor) -> None:
        """Refuse a field that is not one of the object with what surrounds it.

        Raises:
            UsageError: a field (…, y, x) of another size than `object_grid`.
        """
        if field.shape[-2:] != self.object_grid.shape:
            raise UsageError(
                f"a field of {' × '.join(map(str, field.shape[-2:]))} samples",
                expected=f"{' × '.join(map(str, self.object_grid.shape))}: the field of view and what surrounds it",
                remedy="cut the field with its margin, see object_grid",
            )

    def seen(self, output: Tensor) -> Tensor:
        """Mean of |A_out|² over each sample of the image, real (…, y, x), of a field (…, y, x) on `camera_grid`."""
        intensity = output.real**2 + output.imag**2
        fine = [of // by for of, by in zip(self.camera_grid.shape, self.grid.shape, strict=True)]
        return cell_means(intensity, (fine[0], fine[1]))

    def power(self, crossed: int | None = None) -> Tensor:
        """Square of the learned output power P: what the all-optical image is |A_out|² times."""
        return self.powers[(crossed or self.crossed) - 1] ** 2


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
        self, field: Tensor, process: Quantiser | None = None, crossed: int | None = None
    ) -> Tensor:
        self.check_field(field)
        passed = crossed or self.crossed
        hops, elements = self.taken(passed), self.train_of(passed)
        masks = [_multiplier(element, process, field) for element in elements]
        if self.thick is not None or any(mask is None for mask in masks) or any(hop.learned for hop in hops):
            return self._one_by_one(field, process, hops)
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

    def _one_by_one(self, field: Tensor, process: Quantiser | None, hops: Sequence[Hop]) -> Tensor:
        """As `forward`, hop by hop: for thick masks, elements that do not multiply, and distances that are learned."""
        wave: Tensor = hops[0](field)
        for layer, hop in enumerate(hops[1:]):
            wave = hop(self.behind(layer, wave, process))
        return wave

    def behind(self, layer: int, field: Tensor, process: Quantiser | None = None) -> Tensor:
        """The field (…, y, x) behind one element, counted from 0, of the field in front of it."""
        element = self.train_of(layer + 1)[layer]
        result: Tensor
        if not isinstance(element, DiffractiveElement):
            result = element(field)
        else:
            result = element(field, process) if self.thick is None else self.thick(field, element, process)
        return result

    def phases(self, process: Quantiser | None = None) -> Tensor:  # noqa: D102 (documented on the base)
        return torch.stack([element.phase(process) for element in self.masks])

    def set_phases_rad(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        for element, phase in zip(self.masks, phases_rad, strict=True):
            element.set_phase(phase)

    def learned(self, first: int, last: int) -> list[nn.Parameter]:  # noqa: D102 (documented on the base)
        elements = self.train_of(len(self.elements))[first:last]
        return [*(parameter for element in elements for parameter in element.parameters()), self.powers]

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

    @property
    def masks(self) -> list[DiffractiveElement]:
        """The diffractive elements that light passes."""
        return [element for element in self.train_of(self.crossed) if isinstance(element, DiffractiveElement)]


def _multiplier(element: Element, process: Quantiser | None, field: Tensor) -> Tensor | None:
    """What an element multiplies light by, as a cascade takes it; None where it does something else."""
    if isinstance(element, DiffractiveElement):
        return element.multiplier(process)
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


class FilterSystem(OpticalSystem):
    """A 4-f system with a learned filter, its image turned upright again.

    The filter's points are squares. A filter of points would repeat its image at distances of λf over their own; that
    of squares fades there, h(x) = h₀(x)·sinc(x/D) along each axis, and this kernel meets the object in a window that
    holds both without wrapping around.

    The light that an object does not diffract is a point on the axis only if the beam has no end: cut at the margin it
    would be as wide as a point of the filter, and a filter that shifts its phase would shift that of the object's
    coarse parts with it, by an amount that changes over the image. So an endless beam is taken as what it is, the
    object's mean, which passes the filter on the axis, and the rest, which ends with the object.

    Args:
        element: the filter.
        object_grid: samples of the object as far as it is known; where left out, object and image repeat forever,
            and points are points.
        endless: whether beyond them the beam goes on through the mean of the object; else it is dark there.
        samples: samples of the light on the camera across one of the image.
        rings: points that lie in one ring stay alike.
    """

    _ring: Tensor
    _ramp: Tensor

    def __init__(
        self,
        element: FourierFilter,
        object_grid: Grid | None = None,
        *,
        endless: bool = False,
        samples: int = 1,
        rings: bool = False,
    ) -> None:
        image = element.grid
        (ny, nx), (dy, dx) = image.shape, image.pitch_m
        camera = Grid((ny * samples, nx * samples), (dy / samples, dx / samples))
        super().__init__(image, object_grid or image, camera, element.pitch_m, 1)
        self.element, self.rings, self.repeats, self.endless = element, rings, object_grid is None, endless
        window = element.window.shape
        if object_grid is not None:
            window = light_window(object_grid, camera, image.pitch_m, 2.0)
        self.source = Plane(self.object_grid.shape, window)
        self.target = Plane(camera.shape, (window[0] * samples, window[1] * samples))
        # between samples the highest frequency of an even number stands for both sides
        rows, columns = (side if samples == 1 else side + 1 - side % 2 for side in window)
        self.band = rows, columns
        self.register_buffer("_ring", ring_of_point(element.window), persistent=False)
        ramp = to_first_sample(self.object_grid, camera, image.with_shape(window).extent_m, self.band)
        self.register_buffer("_ramp", ramp, persistent=False)

    @property
    def crossed(self) -> int:  # noqa: D102 (documented on the base)
        return 1

    def forward(  # noqa: D102 (documented on the base)
        self,
        field: Tensor,
        process: Quantiser | None = None,
        crossed: int | None = None,  # noqa: ARG002 (there is one)
    ) -> Tensor:
        self.check_field(field)
        return self.filtered(field, self.element.filter(process))

    def filtered(self, field: Tensor, transmission: Tensor) -> Tensor:
        """The image (…, y, x) on `camera_grid` of a field on `object_grid`, through a filter (…, wy, wx) of points."""
        rows, columns = self.element.window.shape
        return self.sent(field, self.transfer(transmission), transmission[..., rows // 2, columns // 2])

    def sent(self, field: Tensor, transfer: Tensor, on_axis: Tensor) -> Tensor:
        """The same of what multiplies the object's spectrum, and what an endless beam.

        Args:
            field: complex (…, y, x) on `object_grid`.
            transfer: complex (…, cy, cx), as `transfer` gives it.
            on_axis: transmission of the filter on the axis (…).
        """
        if not self.endless:
            return imaged(field, transfer, self.source, self.target)
        mean = field.mean((-2, -1), keepdim=True)
        return imaged(field - mean, transfer, self.source, self.target) + mean * on_axis.to(field)[..., None, None]

    def transfer(self, transmission: Tensor) -> Tensor:
        """What a filter (…, wy, wx) of its points multiplies the object's spectrum by: complex (…, cy, cx)."""
        return self.placed(self.at_waves(transmission))

    def at_waves(self, transmission: Tensor) -> Tensor:
        """The filter (…, wy, wx) at the waves of the window: complex (…, window) in FFT order."""
        waves: Tensor
        if self.repeats:
            waves = torch.fft.ifftshift(transmission, dim=(-2, -1))
        else:
            waves = torch.fft.fft2(self.element.response(transmission, self.source.window))
        return waves

    def placed(self, transfer: Tensor) -> Tensor:
        """A transfer function (…, window) in the band, from first sample to first sample: complex (…, cy, cx)."""
        if self.band == self.source.window == self.target.window and self.object_grid == self.camera_grid:
            return transfer
        return opened(transfer, self.band) * self._ramp.to(transfer.dtype.to_complex())

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

    Light meets the outlines of the mask on the base plane. Above it squares of material stand in the medium.

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
        shares = self.relief.shares(self.process.height_of_phase(element.phase(process)))
        square, samples = element.square, element.samples
        if square is None:
            material, wave = element.sampled(shares), field
        else:
            material, wave = square.spread(shares, samples), field * square.clear(shares[0], samples)
        result: Tensor = self.relief(wave, material, self.relief.mean_indices(shares))
        return result
