"""Image quality: pure functions of a reconstruction and its target, one value per image.

Targets are phases over 2π, so that 1.0 is one wave; images are (batch, y, x).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from opticdesign.decoders.waves import in_radians

__all__ = ["mae_free_rad", "mae_rad", "psnr_db", "rescale", "ssim", "ssim_map", "ssim_terms"]

_IMAGE_AXES = (-2, -1)


def psnr_db(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio for a data range of 1, 10·log₁₀(1/MSE), in dB: (batch,)."""
    return -10.0 * torch.log10(_mean((image - target) ** 2, weight).clamp(min=1e-20))


def mae_rad(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute phase error in radians of images in waves: (batch,)."""
    return in_radians(_mean((image - target).abs(), weight))


def mae_free_rad(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute phase error in radians after the mean offset, which no intensity shows, is taken out: (batch,)."""
    error = image - target
    return in_radians(_mean((error - _mean(error, weight)[..., None, None]).abs(), weight))


def ssim(image: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean structural similarity for a data range of 1: (batch,)."""
    return _mean(ssim_map(image, target), weight)


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """Structural similarity −1 … 1 around each pixel, the product of `ssim_terms`: (batch, y, x), at least 6 × 6."""
    luminance, contrast = ssim_terms(image, target)
    return luminance * contrast


def ssim_terms(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of the structural similarity, Gaussian window of 11 × 11 and σ = 1.5, k₁ = 0.01, k₂ = 0.03.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, Image quality assessment: from error visibility to structural
    similarity, IEEE Trans. Image Process. 13, 600 (2004), Eq. 13, doi:10.1109/TIP.2003.819861.

    Args:
        image: (batch, y, x), at least 6 × 6.
        target: same shape.

    Returns:
        Luminance, and contrast times structure, both of that shape; the border is continued by reflection.
    """
    c1, c2 = 0.01**2, 0.03**2
    means = _blur(torch.stack([image, target, image * image, target * target, image * target]))
    mean_x, mean_y, xx, yy, xy = means
    variance_x, variance_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    luminance: Tensor = (2.0 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast: Tensor = (2.0 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance, contrast


def rescale(image: Tensor) -> Tensor:
    """Each image stretched to 0 … 1 by its own minimum and maximum: same shape; a flat image becomes zero."""
    low, high = image.amin(_IMAGE_AXES, keepdim=True), image.amax(_IMAGE_AXES, keepdim=True)
    return (image - low) / (high - low).clamp(min=1e-12)


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean(_IMAGE_AXES)
    return (values * weight).sum(_IMAGE_AXES) / weight.sum(_IMAGE_AXES)


def _blur(images: Tensor) -> Tensor:
    """Separable Gaussian blur of (…, y, x), σ = 1.5, 11 samples, reflected border."""
    offsets = torch.arange(11, dtype=images.dtype, device=images.device) - 5.0
    kernel = torch.exp(-(offsets**2) / (2.0 * 1.5**2))
    kernel = kernel / kernel.sum()
    # images as channels of a depthwise convolution: on a CPU twenty times as fast as images in a batch
    flat = functional.pad(images.reshape(1, -1, *images.shape[-2:]), (5, 5, 5, 5), mode="reflect")
    count = flat.shape[1]
    rows = functional.conv2d(flat, kernel.expand(count, 1, 1, 11), groups=count)
    blurred = functional.conv2d(rows, kernel[:, None].expand(count, 1, 11, 1), groups=count)
    return blurred.reshape(images.shape)
