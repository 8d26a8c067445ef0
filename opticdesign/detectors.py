"""The camera: area integration, shot noise and read noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Detector", "mean_bins", "poisson_reading", "reparameterised_reading"]


def mean_bins(intensity: Tensor, binning: int) -> Tensor:
    """Mean intensity over binning × binning samples, a stack of 2×2 mean pools: (…, y, x) to (…, y/b, x/b)."""
    shape = intensity.shape
    pooled = functional.avg_pool2d(intensity.reshape(-1, 1, *shape[-2:]), binning)
    return pooled.reshape(*shape[:-2], *pooled.shape[-2:])


def reparameterised_reading(
    intensity: Tensor, max_photons: float, read_noise: float, generator: torch.Generator
) -> Tensor:
    """A camera reading whose noise is differentiable: I + √(I/k)·ε₁ + (σ/k)·ε₂ with normal ε, for training.

    Args:
        intensity: intensity at the camera pixels, any shape; 1.0 is the full count of photons.
        max_photons: photons k that an intensity of 1.0 makes.
        read_noise: standard deviation σ of the read noise in electrons.
        generator: source of the noise, on the CPU.

    Returns:
        The reading in units of the full count, same shape.
    """
    shot, read = (torch.randn(intensity.shape, generator=generator).to(intensity) for _ in range(2))
    # the square root has no gradient at zero
    spread = torch.sqrt(intensity.clamp(min=1e-12) / max_photons)
    return intensity + spread * shot + (read_noise / max_photons) * read


def poisson_reading(intensity: Tensor, max_photons: float, read_noise: float, generator: torch.Generator) -> Tensor:
    """A camera reading with true Poisson shot noise, for evaluation; arguments as in `reparameterised_reading`."""
    counts = torch.poisson(intensity.detach().to("cpu", torch.float64) * max_photons, generator=generator)
    read = torch.randn(intensity.shape, generator=generator, dtype=torch.float64) * read_noise
    return ((counts + read) / max_photons).to(intensity)


class Detector(nn.Module):
    """A camera that integrates intensity over square pixels and adds shot and read noise.

    Args:
        binning: samples of the field across one camera pixel.
        max_photons: photons that an intensity of 1.0, the undisturbed illumination, makes in one camera pixel.
        read_noise: standard deviation of the read noise in electrons.
    """

    def __init__(self, binning: int, max_photons: float, read_noise: float) -> None:
        super().__init__()
        self.binning, self.max_photons, self.read_noise = binning, max_photons, read_noise

    def forward(self, intensity: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Read intensity (…, y, x) at camera resolution (…, y/b, x/b).

        Without a generator the reading is noiseless. With one, noise is reparameterised in training mode and truly
        Poisson in evaluation mode.
        """
        binned = mean_bins(intensity, self.binning)
        if generator is None:
            return binned
        reading = reparameterised_reading if self.training else poisson_reading
        return reading(binned, self.max_photons, self.read_noise, generator)
