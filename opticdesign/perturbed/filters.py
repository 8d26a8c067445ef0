"""A filter in the pupil of a 4-f system with the errors of draws.

A wave of frequency ν crosses the pupil at x = λfν. So a filter that is shifted by s lets pass at ν what it should at
ν − s/λf: its impulse response is multiplied by a ramp, which is exact, and what comes in at its rim is opaque. In light
of another wavelength the same waves cross it farther out: its squares are narrower among the waves, and their response
is summed anew. The response of a filter that is turned is turned, by three shears. Where object and image repeat, waves
are points and so are the filter's: its transmission is read between them. A camera that is out of the image plane sees
a refocused image. An endless beam meets the one point that lies on the axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.filter_system import FilterSystem
from opticdesign.optics import transfer
from opticdesign.optics.band import band_frequencies
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.straight_through import straight_through
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.masks import PerturbedMasks
from opticdesign.perturbed.reading import read_at
from opticdesign.perturbed.sample import Sample

__all__ = ["PerturbedFilter"]

_FIELDS = 4  # windows that one field needs while it is filtered
_RIM = 1e-6  # of the band, which rounding must not take from a filter that lies right


class PerturbedFilter:
    """A 4-f system as draws make it.

    Args:
        design: says what the filter is made of.
        optics: the system as designed, on the device where to compute.
        process: makes the filter.
        phases_rad: of the filter that it makes, (1, wy, wx).
    """

    def __init__(self, design: Design, optics: FilterSystem, process: FabricationProcess, phases_rad: Tensor) -> None:
        self._optics, self._element = optics, optics.element
        self._points = Grid(self._element.window.shape, self._element.pitch_m)
        levels = process.level_of_phase(phases_rad)
        self._masks = PerturbedMasks(design, process, levels, self._points)

    def plans(self, dev: Deviations) -> list[tuple[int, int]]:
        """As of layers; there is nothing to leave out."""
        return [(0, 0)] * len(dev)

    def field(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Complex fields on the camera, (n, images, y, x), of draws.

        Args:
            sample: what light comes from.
            dev: the draws.
            learned: phase of the filter (1, wy, wx) that takes the gradient of the ones that are made of it.
        """
        light = sample.at(dev.get("wavelength"))
        filters = self._filter(dev, learned).to(light.dtype)
        response = self._response(filters, dev)
        waves = self._shifted(response, dev) if dev.active("layer_shift") else torch.fft.fft2(response)
        transfer_function = self._optics.placed(waves) * self._to_camera(dev)
        return self._optics.sent(light, transfer_function[:, None], self._on_axis(filters, dev)[:, None])

    def intensity(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Intensities in the image, (n, images, y, x), of draws of one plan; arguments as of `field`."""
        return self._optics.seen(self.field(sample, dev, learned))

    def bytes_per_draw(self, images: int) -> int:
        """Memory that one draw takes with so many images at once."""
        planes = self._optics.source.window, self._optics.target.window
        return 8 * (images * _FIELDS * max(math.prod(each) for each in planes) + 16 * math.prod(self._points.shape))

    def _response(self, filters: Tensor, dev: Deviations) -> Tensor:
        """Impulse response of filters (n, wy, wx) as their draws turn and light them, (n, window) in FFT order."""
        turn = dev["rotation"][:, 0] if dev.active("rotation") else None
        scale = self._wavelength_m(dev) / self._element.wavelength_m if dev.active("wavelength") else None
        if self._optics.repeats:
            if turn is not None or scale is not None:
                none = torch.zeros(len(dev), dtype=torch.float64)
                filters = _read_at(
                    filters, none if turn is None else turn, none + 1.0 if scale is None else scale, self._points
                )
            repeated: Tensor = torch.fft.ifft2(self._optics.at_waves(filters))
            return repeated
        response = self._element.response(filters, self._optics.source.window, scale)
        return response if turn is None else _turned(response, turn)

    def _shifted(self, response: Tensor, dev: Deviations) -> Tensor:
        """The filter at the waves of the window, (n, wy, wx) in FFT order, shifted; what comes in is opaque."""
        away = dev["layer_shift"][:, 0] / (self._wavelength_m(dev) * self._element.focal_m)[:, None]
        window = self._optics.grid.with_shape(self._optics.source.window)
        inside = torch.ones((1, 1, 1), dtype=torch.bool)
        for axis, frequency in enumerate(window.frequencies_per_m()):
            size = window.shape[axis]
            offset = torch.fft.fftfreq(size, 1.0 / size, dtype=torch.float64) * window.pitch_m[axis]
            by = away[:, axis, None, None]
            response = response * phasor(2.0 * math.pi * by * offset.reshape(frequency.shape)).to(response)
            inside = inside & ((frequency - by).abs() * window.pitch_m[axis] < 0.5 + _RIM)
        shifted: Tensor = torch.fft.fft2(response) * inside.to(response)
        return shifted

    def _on_axis(self, filters: Tensor, dev: Deviations) -> Tensor:
        """The points of filters (n or 1, wy, wx) that lie on the axis, complex (n,); beyond the filter it is opaque."""
        rows, columns = filters.shape[-2:]
        if not dev.active("layer_shift"):
            return filters[..., rows // 2, columns // 2]
        pitch_m = torch.tensor(self._points.pitch_m, dtype=torch.float64)
        y, x = (torch.tensor([rows // 2, columns // 2]) - torch.round(dev["layer_shift"][:, 0] / pitch_m).long()).mT
        inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        met = filters.expand(len(dev), -1, -1)[torch.arange(len(dev)), y.clamp(0, rows - 1), x.clamp(0, columns - 1)]
        result: Tensor = met * inside.to(met)
        return result

    def _wavelength_m(self, dev: Deviations) -> Tensor:
        """Wavelength in the medium, float64 (n,)."""
        if not dev.active("wavelength"):
            return torch.full((len(dev),), self._element.wavelength_m, dtype=torch.float64)
        wavelength_m, _, medium_index = self._masks.light(dev)
        return wavelength_m / medium_index

    def _filter(self, dev: Deviations, learned: Tensor | None) -> Tensor:
        """Transmission of the points, complex (n, wy, wx), zero frequency in the middle."""
        phases = self._masks.phases(dev)
        if learned is not None:
            phases = straight_through(learned.expand_as(phases), phases)
        amplitude = self._element.transmitted()
        filters: Tensor = amplitude * self._masks.points(phases, self._masks.loss(dev))[:, 0]
        return filters

    def _to_camera(self, dev: Deviations) -> Tensor:
        """Transfer function from the image plane to the camera, (n or 1, wy, wx), in FFT order."""
        extent_m = self._optics.grid.with_shape(self._optics.source.window).extent_m
        fy, fx = band_frequencies(self._optics.band, extent_m)
        result = torch.ones((1, 1, 1), dtype=torch.complex128)
        if dev.active("gap", "refocus"):
            way = torch.zeros(len(dev), dtype=torch.float64)
            for group in ("gap", "refocus"):
                way = way + dev[group].reshape(-1) if dev.active(group) else way
            wavelength = self._wavelength_m(dev)[:, None, None]
            phase = transfer.excess_phase(wavelength**2 * (fy**2 + fx**2), wavelength, way[:, None, None])
            result = result * phasor(phase)
        if dev.active("image_shift"):
            shift = dev["image_shift"][:, :, None, None]
            turn = 2.0 * math.pi * (fy * shift[:, 0] + fx * shift[:, 1])
            result = result * phasor(turn)
        return result


def _turned(response: Tensor, turn_rad: Tensor) -> Tensor:
    """Responses (n, wy, wx) in FFT order, turned around zero by angles (n,), +x towards +y, by three shears."""
    offsets = [torch.fft.fftfreq(size, 1.0 / size, dtype=torch.float64) for size in response.shape[-2:]]
    steps = [torch.fft.fftfreq(size, dtype=torch.float64) for size in response.shape[-2:]]
    angle = turn_rad[:, None, None]
    along_x = phasor(2.0 * math.pi * torch.tan(angle / 2.0) * offsets[0][:, None] * steps[1]).to(response)
    along_y = phasor(-2.0 * math.pi * torch.sin(angle) * steps[0][:, None] * offsets[1]).to(response)
    for ramp, dim in ((along_x, -1), (along_y, -2), (along_x, -1)):
        response = torch.fft.ifft(torch.fft.fft(response, dim=dim) * ramp, dim=dim)
    return response


def _read_at(filters: Tensor, turn_rad: Tensor, scale: Tensor, points: Grid) -> Tensor:
    """Filters read where waves cross them that lie `scale` times as far out, in filters turned by an angle.

    Args:
        filters: complex (n, wy, wx), zero frequency in the middle.
        turn_rad: +x towards +y, (n,).
        scale: (n,).
        points: where the filter's points lie in the pupil.
    """
    (rows, columns), (height, width) = points.shape, points.extent_m
    # zero frequency, in units of half the height and width around the middle of the array
    zero = torch.tensor([(2 * (size // 2) + 1) / size - 1.0 for size in (columns, rows)], dtype=torch.float64)
    cosine, sine = torch.cos(turn_rad) * scale, torch.sin(turn_rad) * scale
    along_x = torch.stack([cosine, sine * height / width], -1)
    along_y = torch.stack([-sine * width / height, cosine], -1)
    matrix = torch.stack([along_x, along_y], -2)
    parts = torch.view_as_real(filters).movedim(-1, 1)
    read = read_at(parts, torch.cat([matrix, (zero - matrix @ zero)[..., None]], -1), "zeros")
    return torch.view_as_complex(read.movedim(1, -1).contiguous())
