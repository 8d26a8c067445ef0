"""The camera, in the order of its law.

Intensity → mean over the pixel's area → photons k·I → electrons η·k·I with shot noise → at most the full well → read
noise → rounded to the steps of the converter. The reading is in units of η·k electrons, so that without noise and
limits it equals the intensity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from opticdesign.errors import UsageError
from opticdesign.optics.elements.squares import means_along
from opticdesign.optics.straight_through import straight_through

__all__ = [
    "Detector",
    "cell_means",
    "converted",
    "gaussian_reading",
    "intensity_of",
    "mean_bins",
    "poisson_quantile",
    "poisson_reading",
    "reparameterised_reading",
]

_FEW = 100.0  # counts on average below which each one matters


def intensity_of(field: Tensor) -> Tensor:
    """Intensity |A|² of a complex field of any shape."""
    return field.real**2 + field.imag**2


def mean_bins(intensity: Tensor, binning: int) -> Tensor:
    """Mean intensity over binning × binning samples, a stack of 2×2 mean pools: (…, y, x) to (…, y/b, x/b)."""
    shape = intensity.shape
    pooled = functional.avg_pool2d(intensity.reshape(-1, 1, *shape[-2:]), binning)
    return pooled.reshape(*shape[:-2], *pooled.shape[-2:])


def cell_means(intensity: Tensor, samples: tuple[int, int]) -> Tensor:
    """Mean of an intensity over cells of some samples along y and x: (…, y, x) to (…, y/n, x/n)."""
    for dim, count in zip((-2, -1), samples, strict=True):
        if count > 1:
            intensity = means_along(intensity.transpose(dim, -1), count).transpose(dim, -1)
    return intensity


def converted(electrons: Tensor, full_well: float, bits: int) -> Tensor:
    """Electrons after a converter whose 2^bits codes run from 0 to the full well; same shape.

    What is below or above is cut, and has no gradient; rounding passes the gradient straight through.
    """
    codes: int = 2**bits - 1
    scaled = torch.clamp(electrons * (codes / full_well), 0.0, float(codes))
    return straight_through(scaled, torch.round(scaled.detach())) * (full_well / codes)


def reparameterised_reading(
    intensity: Tensor,
    max_photons: float,
    read_noise: float,
    generator: torch.Generator,
    full_well: float = math.inf,
) -> Tensor:
    """A camera reading whose noise is differentiable: I + √(I/k)·ε₁ + (σ/k)·ε₂ with normal ε, for training.

    Args:
        intensity: intensity at the camera pixels, any shape; 1.0 is the full count of photons.
        max_photons: electrons k that an intensity of 1.0 frees; photons, if every photon frees one.
        read_noise: standard deviation σ of the read noise in electrons.
        generator: source of the noise, on the CPU.
        full_well: electrons a pixel holds, read noise apart.

    Returns:
        The reading in units of the full count, same shape.
    """
    shot, read = (torch.randn(intensity.shape, generator=generator).to(intensity) for _ in range(2))
    # the square root has no gradient at zero
    spread = torch.sqrt(intensity.clamp(min=1e-12) / max_photons)
    held = torch.clamp(intensity + spread * shot, max=full_well / max_photons)
    return held + (read_noise / max_photons) * read


def gaussian_reading(
    intensity: Tensor,
    max_photons: float,
    read_noise: float,
    generator: torch.Generator,
    full_well: float = math.inf,
) -> Tensor:
    """A camera reading whose noise is the same at any intensity, I + (σ/k)·ε; arguments as `reparameterised_reading`.

    From one generator comes the same noise whatever the intensity.
    """
    read = torch.randn(intensity.shape, generator=generator).to(intensity)
    return torch.clamp(intensity, max=full_well / max_photons) + (read_noise / max_photons) * read


def poisson_reading(
    intensity: Tensor,
    max_photons: float,
    read_noise: float,
    generator: torch.Generator,
    full_well: float = math.inf,
) -> Tensor:
    """A camera reading with true Poisson shot noise, for evaluation; arguments as in `reparameterised_reading`.

    From one generator come the same chances whatever the intensity, so that little more light makes little more of the
    reading, and two instruments are compared under the same noise.
    """
    chance = torch.rand(intensity.shape, generator=generator, dtype=torch.float64)
    counts = poisson_quantile(chance, intensity.detach().to("cpu", torch.float64) * max_photons)
    counts = counts.clamp(max=full_well)
    read = torch.randn(intensity.shape, generator=generator, dtype=torch.float64) * read_noise
    return ((counts + read) / max_photons).to(intensity)


def poisson_quantile(chance: Tensor, mean: Tensor) -> Tensor:
    """The least count that a Poisson variable stays at or below with a chance: float64, same shape.

    The expansion μ + √μ·z + (z² − 1)/6 in the normal quantile z, rounded, is within a count of it, and below a mean of
    100 is moved to where it is exact. E. A. Cornish, R. A. Fisher, Moments and cumulants in the specification of
    distributions, Rev. Int. Stat. Inst. 5, 307 (1938).

    Args:
        chance: 0 to 1, float64.
        mean: 0 or more, float64.
    """
    end = torch.finfo(chance.dtype).eps / 2.0
    normal = torch.special.ndtri(chance.clamp(end, 1.0 - end))
    counts = torch.round(mean + torch.sqrt(mean) * normal + (normal**2 - 1.0) / 6.0).clamp(min=0.0)
    few = mean < _FEW
    if bool(few.any()):
        counts[few] = _exact_quantile(counts[few], chance[few], mean[few])
    return counts


def _exact_quantile(counts: Tensor, chance: Tensor, mean: Tensor) -> Tensor:
    """Counts near the quantile, moved to it: P(X ≤ n) is the regularised Γ(n + 1, μ)."""
    while True:
        above = (counts > 0.0) & (torch.special.gammaincc(counts.clamp(min=0.5), mean) >= chance)
        below = torch.special.gammaincc(counts + 1.0, mean) < chance
        if not bool((above | below).any()):
            return counts
        counts = counts + below.to(counts) - above.to(counts)


class Detector(nn.Module):
    """A camera that integrates intensity over square pixels, with shot and read noise and the limits of its pixels.

    Args:
        binning: samples of the field across one camera pixel.
        max_photons: photons that an intensity of 1.0, the undisturbed illumination, makes in one camera pixel.
        read_noise: standard deviation of the read noise in electrons.
        quantum_efficiency: electrons freed by one photon on average, above 0, at most 1.
        full_well: electrons a pixel holds; what is more is lost.
        bits: of the converter, whose codes run from 0 to the full well; without it readings are not rounded.
        shot_noise: whether counts vary as photons do; else the read noise is all there is.

    Raises:
        UsageError: an efficiency out of range, or a converter of a well without end.
    """

    def __init__(
        self,
        binning: int,
        max_photons: float,
        read_noise: float,
        *,
        quantum_efficiency: float = 1.0,
        full_well: float = math.inf,
        bits: int | None = None,
        shot_noise: bool = True,
    ) -> None:
        super().__init__()
        endless = bits is not None and not (math.isfinite(full_well) and bits >= 1)
        if not 0.0 < quantum_efficiency <= 1.0 or full_well <= 0.0 or endless:
            raise UsageError(
                f"a camera of quantum efficiency {quantum_efficiency}, full well {full_well} and {bits} bits",
                expected="an efficiency above 0 and at most 1, and a finite full well under a converter",
                remedy="correct the value out of range",
            )
        self.binning, self.max_photons, self.read_noise = binning, max_photons, read_noise
        self.quantum_efficiency, self.full_well, self.bits = quantum_efficiency, full_well, bits
        self.shot_noise = shot_noise

    @property
    def full_count(self) -> float:
        """Electrons that an intensity of 1.0 frees in one pixel: the unit of a reading."""
        return self.quantum_efficiency * self.max_photons

    def forward(self, intensity: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Read intensity (…, y, x) at camera resolution (…, y/b, x/b).

        Without a generator the reading is noiseless. With one, noise is reparameterised in training mode and truly
        Poisson in evaluation mode.
        """
        reading = mean_bins(intensity, self.binning)
        if generator is not None:
            counted = reparameterised_reading if self.training else poisson_reading
            noisy = counted if self.shot_noise else gaussian_reading
            reading = noisy(reading, self.full_count, self.read_noise, generator, self.full_well)
        elif math.isfinite(self.full_well):
            reading = reading.clamp(max=self.full_well / self.full_count)
        if self.bits is None:
            return reading
        return converted(reading * self.full_count, self.full_well, self.bits) / self.full_count
