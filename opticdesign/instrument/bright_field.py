"""A bright-field microscope: partially coherent light through sample and objective, out of focus, onto a camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from opticdesign.instrument.axial_plane import AxialPlane
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.abbe import added_intensities, depth_of_field_m, pupil_function, squares_met, squares_response
from opticdesign.optics.band import Plane, band_frequencies, from_band, kept, to_band
from opticdesign.optics.elements import phase_transmission
from opticdesign.optics.elements.element import Quantiser
from opticdesign.optics.elements.squares import means_along, square_weights
from opticdesign.optics.field import Grid, middle, phasor
from opticdesign.optics.hop import light_window, to_first_sample
from opticdesign.optics.illumination import SourcePoints
from opticdesign.optics.transfer import Scalar, number

__all__ = ["BrightFieldSystem", "Objective", "Setting"]

_RIM = 4  # samples beyond the field of view that the mean over one at its rim takes in
_POINT = 1e-3  # 1/m: the width of a wave without end in the pupil, next to none
_SLACK = 1.25  # band over what the design asks, so that errors of aperture and source fit in


@dataclass(frozen=True)
class Objective:
    """The lens that makes the image.

    Args:
        wavelength_m: vacuum wavelength of the light, metres.
        index: refractive index around the sample.
        numerical_aperture: n·sin θ of the steepest wave that passes.
        focal_m: focal length, metres: a wave of frequency ν crosses the pupil at x = λ·focal·ν.
        magnification: of the image on the camera.
        aberrations: phase in radians rms by the number of Zernike's polynomial.
    """

    wavelength_m: float
    index: float
    numerical_aperture: float
    focal_m: float = 1.0
    magnification: float = 1.0
    aberrations: Mapping[int, float] = field(default_factory=dict)

    def pupil_pitch_m(self, squares: int) -> float:
        """Side of one of so many squares across the pupil, metres."""
        return 2.0 * self.numerical_aperture * self.focal_m / squares


_Met: TypeAlias = Callable[["Setting", Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """What light meets at one moment, each part as designed, learned or in error.

    Args:
        objective: the lens.
        source: where the light comes from; its weights may have gradients.
        defocus_m: distance of the plane in focus behind the sample, metres.
        mask: transmission of the squares of a mask in the pupil (rows, columns); None where there is none.
        mask_pitch_m: side of one of them, metres.
        mask_shift_m: way of the mask along y and x, metres.
        image_shift_m: way of the camera along y and x, metres in the plane of the object.
    """

    objective: Objective
    source: SourcePoints
    defocus_m: Scalar
    mask: Tensor | None = None
    mask_pitch_m: float = 1.0
    mask_shift_m: tuple[float, float] = (0.0, 0.0)
    image_shift_m: tuple[float, float] = (0.0, 0.0)


class BrightFieldSystem(OpticalSystem):
    """A bright-field microscope whose defocus, source and pupil may learn.

    Nothing wraps around: the object's spectrum is taken in a window that holds object and image beside each other, and
    beyond its margin an object ends in darkness, or a beam that has no end goes on through its mean.

    Light is sampled finely enough for its intensity, which has twice the band of a field, and the camera integrates
    what those samples stand for. Scalar and without the aplanatic factor, as all of this package.

    Args:
        image: samples of the object and its image in the field of view, metres in the plane of the object.
        setting: the instrument before training.
        object_grid: samples of the object as far as it is known; where left out, object and image repeat forever.
        endless: whether beyond them the beam goes on through the mean of the object; else it is dark there.
        learn: which of "defocus", "source" and "pupil" learn.
        mask_phase_rad: starting phase of a mask in the pupil (rows, columns), radians; None for none.
        keep_source: whether a run keeps the powers of the source, as those of a file that may change.
    """

    defocus: Tensor
    power: Tensor
    phase_rad: Tensor
    _sines: Tensor
    _ramp: Tensor

    def __init__(
        self,
        image: Grid,
        setting: Setting,
        object_grid: Grid | None = None,
        *,
        endless: bool = False,
        learn: tuple[str, ...] = (),
        mask_phase_rad: Tensor | None = None,
        keep_source: bool = False,
    ) -> None:
        objective = setting.objective
        samples = _light_samples(image, objective)
        (ny, nx), (dy, dx) = image.shape, image.pitch_m
        camera = Grid((ny * samples, nx * samples), (dy / samples, dx / samples))
        squares = (1, 1) if mask_phase_rad is None else tuple(mask_phase_rad.shape)
        pitch_m = objective.pupil_pitch_m(squares[0])
        count = 0 if mask_phase_rad is None else 1
        super().__init__(image, object_grid or image, camera, (pitch_m, pitch_m), count)
        self.repeats, self.endless, self.learn, self._samples = object_grid is None, endless, learn, samples
        self._setting = replace(setting, mask_pitch_m=pitch_m)
        rim = 0 if self.repeats else _RIM
        seen = camera.with_shape(((ny + 2 * rim) * samples, (nx + 2 * rim) * samples))
        window = image.shape if self.repeats else light_window(self.object_grid, seen, image.pitch_m, 2.0)
        self.source_plane = Plane(self.object_grid.shape, window)
        self.target_plane = Plane(seen.shape, (window[0] * samples, window[1] * samples))
        self.extent_m = image.with_shape(window).extent_m
        steepest = objective.numerical_aperture + float(torch.linalg.vector_norm(setting.source.sines, dim=1).max())
        self._reach_per_m = _SLACK * steepest / objective.wavelength_m
        rows, columns = (
            min(2 * math.ceil(self._reach_per_m * extent) + 1, side - 1 + side % 2)
            for extent, side in zip(self.extent_m, window, strict=True)
        )  # the highest frequency of an even number, which stands for both sides, is left out
        self.band = rows, columns
        self.register_buffer(
            "_ramp", to_first_sample(self.object_grid, seen, self.extent_m, self.band), persistent=False
        )
        self.register_buffer("_sines", setting.source.sines, persistent=False)
        depth_m = depth_of_field_m(objective.wavelength_m, objective.index, objective.numerical_aperture)
        self._depth_m = depth_m
        self._keep("defocus", torch.tensor(number(setting.defocus_m) / depth_m), learns="defocus" in learn)
        self._keep("power", torch.log(setting.source.weights), learns="source" in learn, stays=keep_source)
        mask = torch.zeros((0, 0)) if mask_phase_rad is None else mask_phase_rad
        self._keep("phase_rad", mask, learns="pupil" in learn)
        self._follows_power = keep_source or "source" in learn

    def _keep(self, name: str, value: Tensor, *, learns: bool, stays: bool = False) -> None:
        """A parameter where it learns, else a part of the design, which a run keeps if it `stays`."""
        value = value.detach().to(torch.float32).clone()
        if learns:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value, persistent=stays)

    @property
    def crossed(self) -> int:  # noqa: D102 (documented on the base)
        return self.mask_count

    @property
    def defocus_m(self) -> Scalar:
        """Distance of the plane in focus behind the sample, metres; a scalar with its gradient where it learns.

        What learns is its ratio to the depth of field, so that it learns at the rate of phases.
        """
        return self.defocus.to(torch.float64) * self._depth_m if "defocus" in self.learn else self._setting.defocus_m

    @property
    def source(self) -> SourcePoints:
        """The source with the shares of its points, of sum 1, and their gradient."""
        if not self._follows_power:
            return SourcePoints(self._sines, self._setting.source.weights.to(self._sines.device))
        return SourcePoints(self._sines, torch.softmax(self.power.to(torch.float64), 0))

    def setting(self, quantiser: Quantiser | None = None) -> Setting:
        """The instrument as it is now; given a quantiser, with the mask that it makes."""
        mask = phase_transmission(self.phases(quantiser)[0]) if self.mask_count else None
        return replace(self._setting, source=self.source, defocus_m=self.defocus_m, mask=mask)

    def forward(
        self,
        field: Tensor,
        quantiser: Quantiser | None = None,
        crossed: int | None = None,  # noqa: ARG002 (there is one mask at most)
    ) -> Tensor:
        """The image by light along the axis alone; what the camera sees of the whole source is `intensity`."""
        axis = torch.zeros(2, dtype=torch.float64, device=self._sines.device)
        return middle(self._imager(field, self.setting(quantiser))(axis), self.camera_grid.shape)

    def intensity(  # noqa: D102 (documented on the base)
        self,
        field: Tensor,
        quantiser: Quantiser | None = None,
        crossed: int | None = None,  # noqa: ARG002 (there is one mask at most)
    ) -> Tensor:
        return self.seen_in(field, self.setting(quantiser))

    def seen_in(self, field: Tensor, setting: Setting) -> Tensor:
        """Mean intensity over each sample of the image (…, y, x), of a field on `object_grid` in some setting."""
        image, source = self._imager(field, setting), setting.source
        light = added_intensities(source.weights.to(field.real.dtype), lambda point: image(source.sines[point]))
        if self.repeats:
            rim = _RIM * self._samples
            light = functional.pad(light.reshape(-1, 1, *light.shape[-2:]), (rim,) * 4, mode="circular").reshape(
                *light.shape[:-2], *(side + 2 * rim for side in light.shape[-2:])
            )
        return middle(_means(light, self._samples), self.grid.shape)

    def _imager(self, field: Tensor, setting: Setting) -> Callable[[Tensor], Tensor]:
        """What gives the complex image (…, y, x), with its rim, by light of one direction's sines (2,)."""
        self.check_field(field)
        mean = field.mean((-2, -1), keepdim=True) if self.endless else field.new_zeros((1, 1))
        spectrum = to_band(field - mean, self.source_plane.window, self.band)
        fy, fx = (f.to(field.device) for f in band_frequencies(self.band, self.extent_m))
        shift_y, shift_x = setting.image_shift_m
        way = self._ramp * phasor(2.0 * math.pi * (fy * shift_y + fx * shift_x))
        met = _met if self.repeats else self._met_by_light_that_ends(setting, field.dtype)
        rim_per_m = _POINT if self.repeats else 1.0 / min(self.extent_m)

        def image(sine: Tensor) -> Tensor:
            tilt = sine / setting.objective.wavelength_m
            waves, beam = (fy + tilt[0], fx + tilt[1]), (tilt[:1, None], tilt[None, 1:])
            transfer = _passed(setting, *waves, rim_per_m) * way
            light = from_band(spectrum * (transfer * met(setting, *waves)).to(spectrum.dtype), self.target_plane)
            light = light / math.prod(self.source_plane.window)
            return light + mean * (_passed(setting, *beam, rim_per_m) * _met(setting, *beam)).to(mean.dtype)

        return image

    def _met_by_light_that_ends(self, setting: Setting, dtype: torch.dtype) -> _Met:
        """What gives the mask at the waves of a window: they are as wide as the object has an end.

        The mask's impulse response is known at all offsets of the window, where the tilt of light is a ramp. A mask
        beyond the band of the object's samples asks for offsets as much finer.
        """
        if setting.mask is None:
            return _met
        objective, (height, width) = setting.objective, self.extent_m
        finer = math.ceil(2.0 * max(self.grid.pitch_m) * self._reach_per_m)
        rows, columns = (side * finer for side in self.source_plane.window)
        fine = Grid((rows, columns), (height / rows, width / columns))
        y, x = (offset.to(setting.mask.device) for offset in fine.offsets_m())
        side = setting.mask_pitch_m / (objective.wavelength_m * objective.focal_m)
        response = squares_response(setting.mask.to(torch.complex128), y[:, 0], x[0], side) * math.prod(fine.pitch_m)
        away_y, away_x = (shift * side / setting.mask_pitch_m for shift in setting.mask_shift_m)

        def met(_: Setting, fy: Tensor, fx: Tensor) -> Tensor:
            # the first of the waves has no frequency of its own, and shows the tilt
            ramp = phasor(2.0 * math.pi * ((away_y - fy[0, 0]) * y + (away_x - fx[0, 0]) * x))
            spectrum = torch.fft.fft2((response * ramp).to(dtype))
            return kept(kept(spectrum, self.band[0], -2), self.band[1], -1)

        return met

    def phases(self, quantiser: Quantiser | None = None) -> Tensor:  # noqa: D102 (documented on the base)
        phase = self.phase_rad if quantiser is None or not self.mask_count else quantiser.phase(self.phase_rad)
        return phase[None][: self.mask_count]

    def set_phases_rad(self, phases_rad: Tensor) -> None:  # noqa: D102 (documented on the base)
        with torch.no_grad():
            for phase in phases_rad:
                self.phase_rad.copy_(phase)

    def planes(self) -> Iterator[AxialPlane]:  # noqa: D102 (documented on the base)
        objective = self._setting.objective
        focal_m, image_m = objective.focal_m, objective.focal_m * objective.magnification
        pupil_m = 2.0 * objective.numerical_aperture * focal_m
        yield AxialPlane("object", 0.0, self.object_grid.extent_m[0])
        yield AxialPlane("objective", focal_m, pupil_m)
        yield AxialPlane("pupil", 2.0 * focal_m, pupil_m)
        yield AxialPlane("tube lens", 2.0 * focal_m + image_m, pupil_m)
        yield AxialPlane("camera", 2.0 * focal_m + 2.0 * image_m, self.grid.extent_m[0] * objective.magnification)


def _light_samples(image: Grid, objective: Objective) -> int:
    """Samples of the light across one of the image: an intensity reaches twice as far as the pupil, 2NA/λ."""
    finest_m = objective.wavelength_m / (4.0 * objective.numerical_aperture)
    return max(1, math.ceil(max(image.pitch_m) / finest_m * (1.0 - 1e-9)))


def _passed(setting: Setting, fy: Tensor, fx: Tensor, rim_per_m: float) -> Tensor:
    """The pupil at frequencies (cy, 1) and (1, cx), complex128 (cy, cx)."""
    objective = setting.objective
    return pupil_function(
        fy,
        fx,
        wavelength_m=objective.wavelength_m,
        index=objective.index,
        numerical_aperture=objective.numerical_aperture,
        defocus_m=setting.defocus_m,
        rim_per_m=rim_per_m,
        aberrations=objective.aberrations,
    )


def _met(setting: Setting, fy: Tensor, fx: Tensor) -> Tensor:
    """The mask where waves without end, of frequencies (cy, 1) and (1, cx), cross it: complex (cy, cx)."""
    if setting.mask is None:
        return torch.ones((1, 1), dtype=torch.complex128, device=fy.device)
    scale = setting.objective.wavelength_m * setting.objective.focal_m
    along_y, along_x = (
        (frequency.flatten() * scale - shift) / setting.mask_pitch_m
        for frequency, shift in zip((fy, fx), setting.mask_shift_m, strict=True)
    )
    return squares_met(setting.mask, along_y, along_x)


def _means(light: Tensor, samples: int) -> Tensor:
    """Means over samples of the image of light (…, y, x) sampled that many times across each."""
    along_x = means_along(light, samples)
    whole = float(square_weights(samples).sum()) / samples  # their sums end where little is left, not where nothing is
    return means_along(along_x.mT.contiguous(), samples).mT / whole**2
