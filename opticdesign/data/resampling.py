"""Bringing an image from its own pixel pitch to the design's, the physical size kept."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["resample", "resample_mask", "resampled_shape"]


def resampled_shape(shape: tuple[int, int], scale: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns after scaling by pitch / design pitch: 2304 at 6.5 µm / 60 become 789 at 316.4 nm."""
    return max(1, round(shape[0] * scale[0])), max(1, round(shape[1] * scale[1]))


def resample(image: NDArray[Any], scale: tuple[float, float]) -> NDArray[Any]:
    """A real or complex (y, x) image at pitches by `scale` finer, about the same middle, in double precision.

    Cubic splines without overshoot; an axis that shrinks is first blurred by a Gaussian of σ = (factor − 1)/2 pixels,
    so that what the new pitch cannot hold does not fold back. The phase of a complex field may wrap: its parts are
    resampled instead. Where the new pitch is no part of the image's sides, these move by up to half of it.
    """
    if scale == (1.0, 1.0):
        return image
    if np.iscomplexobj(image):
        return resample(image.real, scale) + 1j * resample(image.imag, scale)
    return np.clip(_read_between(image.astype(np.float64), scale, 3), image.min(), image.max())


def resample_mask(valid: NDArray[np.bool_], scale: tuple[float, float]) -> NDArray[np.bool_]:
    """The mask likewise: valid only where no invalid pixel had a notable part in the resampled value."""
    from scipy.ndimage import binary_dilation

    if scale == (1.0, 1.0):
        return valid
    # The cubic spline reaches two pixels beyond the pixel it lands on.
    invalid = binary_dilation(~valid, iterations=2).astype(np.float64)
    return _read_between(invalid, scale, 1) < 1e-3


def _read_between(image: NDArray[np.float64], scale: tuple[float, float], order: Literal[1, 3]) -> NDArray[np.float64]:
    """Splines of the given order through the blurred image, read at the new pitch."""
    from scipy.ndimage import affine_transform, gaussian_filter

    shape, factors = resampled_shape((image.shape[0], image.shape[1]), scale), [1.0 / each for each in scale]
    blurred = gaussian_filter(image, [max(0.0, (factor - 1.0) / 2.0) for factor in factors], mode="reflect")
    first = [(old - 1 - (new - 1) * factor) / 2.0 for old, new, factor in zip(image.shape, shape, factors, strict=True)]
    read = affine_transform(blurred, factors, first, output_shape=shape, order=order, mode="reflect")
    return np.asarray(read, np.float64)
