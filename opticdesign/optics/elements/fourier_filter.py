"""A learned filter in the pupil of a 4-f system."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from opticdesign.errors import UsageError
from opticdesign.optics.elements.element import Element, Quantiser, relief_transmission, start_of
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.propagation import convolve, padded_grid

__all__ = ["FourierFilter", "pupil_of_na", "ring_means", "ring_of_point", "zernike_phase"]


def pupil_of_na(window: Grid, wavelength_m: float, numerical_aperture: float) -> Tensor:
    """Whether each frequency of a window, λ·|ν| ≤ NA, passes a circular pupil: bool (wy, wx) with zero in the middle.

    The numerical aperture is one of the medium, sin θ: at most 1.
    """
    fy, fx = window.frequencies_per_m()
    # a point on the rim is inside, whatever the last digit says
    inside = torch.sqrt(fy**2 + fx**2) * wavelength_m <= numerical_aperture * (1.0 + 1e-12)
    pupil: Tensor = torch.fft.fftshift(inside)
    return pupil


def ring_of_point(window: Grid) -> Tensor:
    """Ring each point of a filter lies in, int64 (wy, wx): its distance from the axis in points, rounded.

    Points lie λf over the extent of the window apart; where that differs along y and x, the longer distance counts.
    """
    y, x = (torch.fft.fftshift(frequencies) for frequencies in window.frequencies_per_m())
    return torch.round(torch.sqrt(y**2 + x**2) * min(window.extent_m)).to(torch.int64)


def ring_means(values: Tensor, ring: Tensor) -> Tensor:
    """Values (wy, wx) replaced by their mean over the ring they lie in, as `ring_of_point` numbers them."""
    flat = ring.flatten()
    total = values.new_zeros(int(flat.max()) + 1).index_add(0, flat, values.flatten())
    return (total / torch.bincount(flat)).to(values)[ring]


def zernike_phase(shape: tuple[int, int]) -> Tensor:
    """Phase of Zernike's phase-contrast filter in radians (wy, wx): a quarter wave on the undiffracted light alone.

    F. Zernike, Phase contrast, a new method for the microscopic observation of transparent objects, Physica 9, 686
    (1942), doi:10.1016/S0031-8914(42)80035-X.
    """
    phase = torch.zeros(shape)
    phase[shape[0] // 2, shape[1] // 2] = math.pi / 2.0
    return phase


class FourierFilter(Element):
    """Two lenses a 4-f system apart and a filter in the plane between them: the filtered image, upside down.

    A wave of frequency ν crosses the pupil at x = λfν. Each lens makes a Fourier transform with the kernel e^{−2πixν};
    two of them invert the image. J. W. Goodman, Introduction to Fourier Optics, 3rd ed., chapters 5 and 8.

    The parameters lie as the pupil does: (wy, wx) with zero frequency at index (wy//2, wx//2).

    Args:
        grid: sampling of object and image.
        wavelength_m: wavelength in the medium, metres.
        focal_m: focal length of both lenses in metres.
        mode: what of the filter is learned; an amplitude that is not is 1, a phase that is not stays as it starts.
        radius: radius of the circular pupil in points of the frequency grid, which is square then; at a pitch of λ/2
            and without padding, half the samples of the grid are an NA of 1.
        numerical_aperture: or its sine. Without both, all that the grid carries passes.
        padding: points of the filter over samples of the field, along each axis.
        fill_factor: share of a point's area that is shaped, in the middle of it.
        clear_gaps: whether the rest of the pupil lets light pass unmodulated; else it is opaque.
        amplitude: initial amplitude transmission of the filter, 0 … 1, (wy, wx); 0.98 when left out.
        phase_rad: initial phase of the filter in radians, (wy, wx); zero when left out.

    Attributes:
        loss: absorption κ of the filter's relief for each radian of its phase.

    Raises:
        UsageError: both a radius and a numerical aperture, a radius on a window that is not square, or initial values
            of another shape.
    """

    _pupil: Tensor
    phase_rad: Tensor

    def __init__(
        self,
        grid: Grid,
        wavelength_m: float,
        focal_m: float,
        *,
        mode: Literal["amplitude+phase", "phase", "amplitude", "none"] = "amplitude+phase",
        radius: float | None = None,
        numerical_aperture: float | None = None,
        padding: float = 1.0,
        fill_factor: float = 1.0,
        clear_gaps: bool = False,
        amplitude: Tensor | None = None,
        phase_rad: Tensor | None = None,
    ) -> None:
        super().__init__(grid)
        self.fill_factor, self.clear_gaps, self.loss = fill_factor, clear_gaps, 0.0
        self.wavelength_m, self.focal_m, self.mode = wavelength_m, focal_m, mode
        self.window = grid if padding == 1.0 else padded_grid(grid, padding)
        sine = math.inf
        if radius is not None:
            sine = self._sine_of(radius, numerical_aperture)
        elif numerical_aperture is not None:
            sine = numerical_aperture
        self.register_buffer("_pupil", pupil_of_na(self.window, wavelength_m, sine), persistent=False)
        if "amplitude" in mode:
            start = start_of(amplitude, self.window.shape, "amplitude", 0.98)
            self.logit = nn.Parameter(torch.logit(start, eps=1e-4))
        turn = start_of(phase_rad, self.window.shape, "phase")
        if "phase" in mode:
            self.phase_rad = nn.Parameter(turn)
        else:
            self.register_buffer("phase_rad", turn, persistent=False)
        self._turns = "phase" in mode or phase_rad is not None

    def _sine_of(self, radius: float, numerical_aperture: float | None) -> float:
        height, width = self.window.extent_m
        if numerical_aperture is not None or not math.isclose(height, width, rel_tol=1e-9):
            raise UsageError(
                f"a pupil of radius {radius} points on a window of {height:.4g} m × {width:.4g} m",
                expected="a square window and no numerical aperture beside it",
                remedy="give numerical_aperture alone",
            )
        return radius * self.wavelength_m / height

    def coordinates_m(self) -> tuple[Tensor, Tensor]:
        """Where the filter's points lie in the pupil plane, x = λfν: y (wy, 1) and x (1, wx), metres, float64."""
        fy, fx = self.window.frequencies_per_m()
        scale = self.wavelength_m * self.focal_m
        return torch.fft.fftshift(fy) * scale, torch.fft.fftshift(fx) * scale

    @property
    def pitch_m(self) -> tuple[float, float]:
        """Distance between points of the filter along y and x in the pupil plane, metres."""
        height, width = self.window.extent_m
        scale = self.wavelength_m * self.focal_m
        return scale / height, scale / width

    def phase(self, quantiser: Quantiser | None = None) -> Tensor:
        """Phase of the filter (wy, wx), radians, with gradient, as designed or, given a quantiser, as fabricated."""
        return self.phase_rad if quantiser is None else quantiser.phase(self.phase_rad)

    def filter(self, quantiser: Quantiser | None = None) -> Tensor:
        """Transmission of the filter with its pupil, real or complex (wy, wx), zero frequency in the middle.

        Args:
            quantiser: given, the filter's phase is as it makes it.
        """
        transmission = self.transmitted()
        if self._turns:
            phase = self.phase(quantiser)
            turns = torch.remainder(phase, 2.0 * math.pi) if self.loss else phase
            transmission = transmission * relief_transmission(turns, self.loss)
        return transmission

    def transmitted(self) -> Tensor:
        """Amplitude transmission of the filter with its pupil, real (wy, wx), 0 … 1."""
        amplitude = self.amplitude()
        return self._pupil.to(torch.get_default_dtype()) if amplitude is None else amplitude

    def amplitude(self) -> Tensor | None:
        """Learned amplitude transmission (wy, wx), 0 … 1, zero outside the pupil; None where none is learned."""
        return self._pupil * torch.sigmoid(self.logit) if "amplitude" in self.mode else None

    def response(self, transmission: Tensor, window: tuple[int, int], scale: Tensor | None = None) -> Tensor:
        """The impulse response of a filter whose points are squares, complex (…, y, x) of a window in FFT order.

        At an offset of o samples that of points, Σ t·e^{2πi o·n/P}/P, repeats after P points; squares of width w of
        their distance fade by w·sinc(w·o/P) along each axis. J. W. Goodman, Introduction to Fourier Optics, 3rd ed.,
        chapter 2.3, for the transform of a square.

        Args:
            transmission: of the points, complex (…, wy, wx) with zero frequency in the middle.
            window: rows and columns.
            scale: how many times as far out as designed waves cross the filter, one for each transmission (n,), as
                their wavelength has it; what is beyond the band of the samples is not lit.
        """
        width = math.sqrt(self.fill_factor)
        if not self.clear_gaps or width == 1.0:
            return self._faded(transmission, window, width, scale)
        pupil = self._pupil.to(transmission.dtype)
        return self._faded(transmission - pupil, window, width, scale) + self._faded(pupil, window, 1.0, scale)

    def _faded(self, transmission: Tensor, window: tuple[int, int], width: float, scale: Tensor | None) -> Tensor:
        if scale is not None:
            return _scaled_response(transmission, window, width, scale)
        response: Tensor = torch.fft.ifft2(
            torch.fft.ifftshift(transmission.to(transmission.dtype.to_complex()), dim=(-2, -1))
        )
        for dim, size in zip((-2, -1), window, strict=True):
            offset = torch.fft.fftfreq(size, 1.0 / size, dtype=torch.float64, device=response.device).round()
            points = response.shape[dim]
            fade = width * torch.sinc(width * offset / points).to(response.real.dtype)
            response = response.index_select(dim, torch.remainder(offset, points).long())
            response = response * (fade[:, None] if dim == -2 else fade)
        return response

    def forward(self, field: Tensor, quantiser: Quantiser | None = None) -> Tensor:
        """The inverted, filtered image of a complex field, both (…, y, x)."""
        return self.filtered(field, quantiser).flip((-2, -1))

    def filtered(self, field: Tensor, quantiser: Quantiser | None = None) -> Tensor:
        """The filtered image of a complex field that repeats forever, turned upright, both (…, y, x)."""
        ny, nx = self.grid.shape
        transfer = torch.fft.ifftshift(self.filter(quantiser).to(field.dtype))
        return convolve(field, transfer)[..., :ny, :nx]


def _scaled_response(transmission: Tensor, window: tuple[int, int], width: float, scale: Tensor) -> Tensor:
    """Σ t·∫ e^{2πi o·ν} over squares (n, wy, wx) that are crossed at `scale` times the frequency ν, cut at the band."""
    transmission = transmission.to(transmission.dtype.to_complex())
    sides = []
    for points, size in zip(transmission.shape[-2:], window, strict=True):
        middle = torch.arange(points, dtype=torch.float64) - points // 2
        rim = 0.5 + 0.5 / points  # the first one of an even number reaches over the band, as in the transform of all
        low, high = (
            ((middle + side * width) / points / scale.to(torch.float64)[:, None]).clamp(-rim, rim)
            for side in (-0.5, 0.5)
        )  # cycles a sample (n, points)
        offset = torch.fft.fftfreq(size, 1.0 / size, dtype=torch.float64).round()[:, None]
        extent = (high - low)[:, None]
        turns = phasor(math.pi * offset * (low + high)[:, None])
        sides.append((turns * extent * torch.sinc(offset * extent)).to(transmission))
    response: Tensor = sides[0] @ transmission @ sides[1].mT
    return response
