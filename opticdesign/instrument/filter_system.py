"""A 4-f system with a learned filter in its pupil."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.instrument.axial_plane import AxialPlane
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.band import Plane
from opticdesign.optics.elements import FourierFilter, ring_means, ring_of_point
from opticdesign.optics.elements.element import Quantiser
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import light_window, opened, to_first_sample
from opticdesign.optics.imaging import imaged

__all__ = ["FilterSystem"]


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
        quantiser: Quantiser | None = None,
        crossed: int | None = None,  # noqa: ARG002 (there is one)
    ) -> Tensor:
        self.check_field(field)
        return self.filtered(field, self.element.filter(quantiser))

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

    def absorb(self, loss: float) -> None:  # noqa: D102 (documented on the base)
        self.element.loss = loss

    def average_gradients(self) -> None:
        """Replace each point's gradient by the mean over its ring."""
        for parameter in self.element.parameters() if self.rings else ():
            if parameter.grad is not None:
                parameter.grad.copy_(ring_means(parameter.grad, self._ring))

    def alike(self, values: Tensor) -> Tensor:
        """One of the values, another for each ring, in the place of all values in that ring."""
        return values.flatten(-2)[..., self._ring.to(values.device)] if self.rings else values

    def check_regular(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        if self.rings and not torch.allclose(ring_means(phases_rad[0], self._ring), phases_rad[0], atol=1e-5):
            raise UsageError(
                "a filter that is not made of rings (optics.rings)",
                expected="equal phases at equal distance from the axis",
                remedy="add --set optics.rings=false",
            )

    def planes(self) -> Iterator[AxialPlane]:  # noqa: D102 (documented on the base)
        focal_m, pupil_m = self.element.focal_m, self.element.pitch_m[0] * self.element.window.shape[0]
        yield AxialPlane("object", 0.0, self.object_grid.extent_m[0])
        for name, place in (("lens", 1.0), ("filter", 2.0), ("lens", 3.0)):
            yield AxialPlane(name, place * focal_m, pupil_m)
        yield AxialPlane("camera", 4.0 * focal_m, self.camera_grid.extent_m[0])

    def phases(self, quantiser: Quantiser | None = None) -> Tensor:  # noqa: D102 (documented on the base)
        return self.element.phase(quantiser)[None]

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
