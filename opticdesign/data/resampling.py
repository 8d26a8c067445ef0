"""Bringing an image from its own pixel pitch to the design's, the physical size kept."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["resample", "resample_mask", "resampled_shape"]


def resampled_shape(shape: tuple[int, int], scale: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns after scaling by pitch / design pitch: 2304 at 6.5 µm / 60 become 789 at 316.4 nm."""
    return max(1, round(shape[0] * scale[0])), max(1, round(shape[1] * scale[1]))


def resample(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """A real or complex (y, x) image on `shape` pixels over the same area, in double precision, without overshoot.

    Cubic splines; an axis that shrinks is first blurred by a Gaussian of σ = (factor − 1)/2 pixels, so that what the
    new pitch cannot hold does not fold back. The phase of a complex field may wrap: its parts are resampled instead.
    """
    if image.shape == shape:
        return image
    if np.iscomplexobj(image):
        return resample(image.real, shape) + 1j * resample(image.imag, shape)
    return np.clip(_zoomed(image.astype(np.float64), shape, 3), image.min(), image.max())


def resample_mask(valid: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask on `shape` pixels: valid only where no invalid pixel had a notable part in the resampled value."""
    from scipy.ndimage import binary_dilation

    if valid.shape == shape:
        return valid
    # The cubic spline reaches two pixels beyond the pixel it lands on.
    invalid = binary_dilation(~valid, iterations=2).astype(np.float64)
    return _zoomed(invalid, shape, 1) < 1e-3


def _zoomed(image: NDArray[np.float64], shape: tuple[int, int], order: Literal[1, 3]) -> NDArray[np.float64]:
    """Splines of the given order through the blurred image; first and last pixel edges stay where they are."""
    from scipy.ndimage import gaussian_filter, zoom

    factors = [old / new for old, new in zip(image.shape, shape, strict=True)]
    blurred = gaussian_filter(image, [max(0.0, (factor - 1.0) / 2.0) for factor in factors], mode="reflect")
    resized = zoom(blurred, [1.0 / factor for factor in factors], order=order, mode="reflect", grid_mode=True)
    return np.asarray(resized, np.float64)
