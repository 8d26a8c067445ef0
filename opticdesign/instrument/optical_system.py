"""What light passes from the sample to the camera: masks with free space between them, or a filter in a pupil."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.instrument.axial_plane import AxialPlane
from opticdesign.optics.detectors import cell_means, intensity_of
from opticdesign.optics.elements.element import Quantiser
from opticdesign.optics.field import Grid

__all__ = ["OpticalSystem"]


class OpticalSystem(nn.Module, ABC):
    """Passive optics with learned masks: a complex field in the sample plane in, one on the camera out.

    Args:
        grid: samples of object and image in the field of view.
        object_grid: samples of the object as far as there is light, at the same pitch around the same axis.
        camera_grid: samples of the light on the camera, over the field of view; a whole number of them in one of the
            image.
        mask_pitch_m: height and width of the smallest part of a mask, metres.
        mask_count: number of masks.

    Raises:
        UsageError: grids that do not fit together.
    """

    def __init__(
        self, grid: Grid, object_grid: Grid, camera_grid: Grid, mask_pitch_m: tuple[float, float], mask_count: int
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
        self.mask_count = mask_count

    @property
    @abstractmethod
    def crossed(self) -> int:
        """Masks that light passes."""

    @abstractmethod
    def forward(self, field: Tensor, quantiser: Quantiser | None = None, crossed: int | None = None) -> Tensor:
        """Complex field (…, y, x) on `camera_grid` of a complex field (…, y, x) on `object_grid`.

        Args:
            field: field in the sample plane, dark beyond.
            quantiser: given, the masks act as it makes them.
            crossed: masks that light passes, the first ones; left out, as many as the design says.
        """

    @abstractmethod
    def phases(self, quantiser: Quantiser | None = None) -> Tensor:
        """Phases of all masks that light passes with their gradient, (layers, y, x), radians, one a neuron.

        Args:
            quantiser: given, as it makes them; else as they are learned, not wrapped.
        """

    def detached_phases(self) -> Tensor:
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

    def absorb(self, loss: float) -> None:
        """Make the masks of a material that absorbs: a height of phase φ, 0 … 2π, lets e^{iφ − κφ} pass.

        Args:
            loss: κ, see `FabricationProcess.loss`.

        Raises:
            UsageError: these optics know no such material.
        """
        raise UsageError(
            f"{type(self).__name__} in a material that absorbs (κ = {loss:.3g})",
            expected="a material without absorption",
            remedy="choose another fabrication.material",
        )

    def average_gradients(self) -> None:
        """Give parts that are to stay alike the same gradient."""

    def alike(self, values: Tensor) -> Tensor:
        """Values (…, y, x), one a neuron, with the same one for all parts of a mask that are to stay alike."""
        return values

    def check_regular(self, phases_rad: Tensor) -> None:
        """Refuse phases (layers, y, x) in radians that are not alike where these masks are: a decoder relies on it.

        Raises:
            UsageError: they are not.
        """

    @abstractmethod
    def planes(self) -> Iterator[AxialPlane]:
        """The planes from object to camera, for a picture."""

    def learned(self, first: int, last: int) -> list[nn.Parameter]:  # noqa: ARG002 (a single mask has no choice)
        """The parameters of masks first … last − 1, counted from 0."""
        return list(self.parameters())

    def intensity(self, field: Tensor, quantiser: Quantiser | None = None, crossed: int | None = None) -> Tensor:
        """|A_out|² in the image, real (…, y, x) on `grid`, of a field on `object_grid`; arguments as in `forward`."""
        return self.seen(self(field, quantiser, crossed))

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
        fine = [of // by for of, by in zip(self.camera_grid.shape, self.grid.shape, strict=True)]
        return cell_means(intensity_of(output), (fine[0], fine[1]))
