"""A learned filter in the pupil of a 4-f system."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from opticdesign.elements.element import Element, phase_transmission, start_of
from opticdesign.errors import UsageError
from opticdesign.field import Grid
from opticdesign.propagation import convolve, padded_grid

__all__ = ["FourierFilter", "pupil_of_na"]


def pupil_of_na(window: Grid, wavelength_m: float, numerical_aperture: float) -> Tensor:
    """Whether each frequency of a window, λ·|ν| ≤ NA, passes a circular pupil: bool (wy, wx) with zero in the middle.

    The numerical aperture is one of the medium, sin θ: at most 1.
    """
    fy, fx = window.frequencies_per_m()
    # a point on the rim is inside, whatever the last digit says
    inside = torch.sqrt(fy**2 + fx**2) * wavelength_m <= numerical_aperture * (1.0 + 1e-12)
    pupil: Tensor = torch.fft.fftshift(inside)
    return pupil


class FourierFilter(Element):
    """Two lenses a 4-f system apart and a filter in the plane between them: the filtered image, upside down.

    A wave of frequency ν crosses the pupil at x = λfν. Each lens makes a Fourier transform with the kernel e^{−2πixν};
    two of them invert the image. J. W. Goodman, Introduction to Fourier Optics, 3rd ed., chapters 5 and 8.

    The parameters lie as the pupil does: (wy, wx) with zero frequency at index (wy//2, wx//2).

    Args:
        grid: sampling of object and image.
        wavelength_m: wavelength in the medium, metres.
        focal_m: focal length of both lenses in metres.
        mode: what of the filter is learned; "none" leaves a clear pupil.
        radius: radius of the circular pupil in points of the frequency grid, which is square then; at a pitch of λ/2
            and without padding, half the samples of the grid are an NA of 1.
        numerical_aperture: or its sine. Without both, all that the grid carries passes.
        padding: width of the zero-padded window over that of the field; 1 wraps around.
        amplitude: initial amplitude transmission of the filter, 0 … 1, (wy, wx); 0.98 when left out.
        phase_rad: initial phase of the filter in radians, (wy, wx); zero when left out.

    Raises:
        UsageError: both a radius and a numerical aperture, a radius on a window that is not square, or initial values
            of another shape.
    """

    _pupil: Tensor

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
        amplitude: Tensor | None = None,
        phase_rad: Tensor | None = None,
    ) -> None:
        super().__init__(grid)
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
        if "phase" in mode:
            self.phase_rad = nn.Parameter(start_of(phase_rad, self.window.shape, "phase"))

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

    def filter(self) -> Tensor:
        """Transmission of the filter with its pupil, real or complex (wy, wx), zero frequency in the middle."""
        transmission = self._pupil.to(torch.get_default_dtype())
        if "amplitude" in self.mode:
            transmission = self._pupil * torch.sigmoid(self.logit)
        if "phase" in self.mode:
            transmission = transmission * phase_transmission(self.phase_rad)
        return transmission

    def forward(self, field: Tensor) -> Tensor:
        """The inverted, filtered image of a complex field, both (…, y, x)."""
        ny, nx = self.grid.shape
        transfer = torch.fft.ifftshift(self.filter().to(field.dtype))
        return convolve(field, transfer)[..., :ny, :nx].flip((-2, -1))
