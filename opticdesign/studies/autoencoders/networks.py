"""Autoencoders that mimic optics and electronics: an encoder that may be linear, as free optics is, and a decoder.

Images are digits of grey values 0 … 1. Phases are the same digits as a wave of unit amplitude, exp(i·range·digit),
whose code a camera reads as intensities |z|²; what is asked for is then phase/2π.

U. Haputhanthri et al., From hours to seconds: towards 100x faster quantitative phase imaging via differentiable
microscopy (2022), section 2.2, figures 2 and 3, doi:10.48550/arXiv.2205.11521; sizes are not given there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from opticdesign.errors import DivergenceError
from opticdesign.learning.objectives import has_diverged
from opticdesign.optics.detectors import intensity_of
from opticdesign.randomness import torch_stream
from opticdesign.studies.autoencoders.schema import AutoencoderStudy

__all__ = [
    "DOMAINS",
    "PAIRS",
    "Autoencoder",
    "ComplexReLU",
    "Domain",
    "Form",
    "Intensity",
    "Linear",
    "Pair",
    "encoder_input",
    "principal_components",
    "reconstruct_digits",
    "target_of",
    "train_autoencoder",
]

Domain: TypeAlias = Literal["image", "phase"]
Form: TypeAlias = Literal["linear", "nonlinear"]
_BATCH = 1000  # images reconstructed at a time


@dataclass(frozen=True)
class Pair:
    """One kind of encoder with one kind of decoder.

    Args:
        domain: whether digits are images, or phases of a wave.
        encoder: its form; complex for phases, with |·|² of its output as the code.
        decoder: its form.
    """

    domain: Domain
    encoder: Form
    decoder: Form

    @property
    def name(self) -> str:
        """Name in the paper's letters: LE + NLD, or CLE + NLD with a complex encoder."""
        complex_, short = "C" if self.domain == "phase" else "", {"linear": "L", "nonlinear": "NL"}
        return f"{complex_}{short[self.encoder]}E + {short[self.decoder]}D"


DOMAINS: tuple[Domain, ...] = ("image", "phase")
"""What digits are taken for."""

_FORMS: tuple[Form, ...] = ("linear", "nonlinear")
PAIRS = tuple(Pair(domain, encoder, decoder) for domain in DOMAINS for encoder in _FORMS for decoder in _FORMS)
"""All pairs, images first."""


class Linear(nn.Module):
    """Matrix product with a real or complex matrix of variance 1/inputs, and an offset that starts at zero.

    Args:
        inputs: numbers that come in.
        outputs: numbers that come out.
        generator: draws the matrix.
        dtype: type of its numbers.
        offset: whether there is one. Optics has none: it would be a second, coherent beam.
    """

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator, dtype: torch.dtype, *, offset: bool = True
    ) -> None:
        super().__init__()
        start = torch.randn((inputs, outputs), generator=generator, dtype=dtype)
        self.weight = nn.Parameter(start / math.sqrt(inputs))
        self.offset = nn.Parameter(torch.zeros(outputs, dtype=dtype)) if offset else None

    def forward(self, values: Tensor) -> Tensor:
        """(batch, outputs) of (batch, inputs)."""
        product_ = values @ self.weight
        return product_ if self.offset is None else product_ + self.offset


class ComplexReLU(nn.Module):
    """max(0, ·) of the real and of the imaginary part.

    C. Trabelsi et al., Deep complex networks (2018), section 3.4, doi:10.48550/arXiv.1705.09792.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Same shape as the complex values."""
        return torch.complex(values.real.relu(), values.imag.relu())


class Intensity(nn.Module):
    """What a camera reads of complex amplitudes, |z|², each pixel brought to mean 0 and variance 1.

    Mean and variance are those of the batch in training and their running means later, where this is an affine map of
    each reading: dark level and gain, which leave a linear decoder linear. Without it larger codes hardly train.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(pixels, affine=False)

    def forward(self, amplitudes: Tensor) -> Tensor:
        """Real (batch, pixels) of complex (batch, pixels)."""
        reading: Tensor = self.standardise(intensity_of(amplitudes))
        return reading


class Autoencoder(nn.Module):
    """A pair of encoder and decoder; nonlinear parts have one hidden layer.

    Args:
        pair: the forms.
        mean: the mean target, (pixels,). Before training every reconstruction is this image: a decoder that starts with
            random images has to unlearn them first.
        latent: numbers in the code.
        hidden: units of a hidden layer.
        generator: draws the weights.
    """

    def __init__(self, pair: Pair, mean: Tensor, latent: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        pixels = len(mean)
        kind, bend = (torch.complex64, ComplexReLU()) if pair.domain == "phase" else (torch.float32, nn.GELU())
        encoder: list[nn.Module] = [Linear(pixels, latent, generator, kind, offset=False)]
        if pair.encoder == "nonlinear":
            inner = Linear(hidden, latent, generator, kind, offset=False)
            encoder = [Linear(pixels, hidden, generator, kind), bend, inner]
        if pair.domain == "phase":
            encoder.append(Intensity(latent))
        decoder: list[nn.Module] = []
        if pair.decoder == "nonlinear":
            decoder = [Linear(latent, hidden, generator, torch.float32), nn.GELU()]
        last = Linear(hidden if decoder else latent, pixels, generator, torch.float32, offset=False)
        nn.init.zeros_(last.weight)
        last.offset = nn.Parameter(mean.clone())
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder, last)

    def forward(self, values: Tensor) -> Tensor:
        """Reconstructed targets (batch, pixels) of real or complex inputs (batch, pixels)."""
        image: Tensor = self.decoder(self.encoder(values))
        return image


def encoder_input(pair: Pair, digits: Tensor, phase_range: float) -> Tensor:
    """What the encoder sees of digits 0 … 1: the digits, or exp(i·range·digit), range in radians; same shape."""
    return digits if pair.domain == "image" else torch.polar(torch.ones_like(digits), phase_range * digits)


def target_of(pair: Pair, digits: Tensor, phase_range: float) -> Tensor:
    """What the decoder is asked for: the digits 0 … 1, or their phase/2π, 0 … range/2π; same shape."""
    return digits if pair.domain == "image" else digits * (phase_range / (2.0 * math.pi))


def train_autoencoder(pair: Pair, latent: int, seed: int, study: AutoencoderStudy, digits: Tensor) -> Autoencoder:
    """A trained autoencoder; the same arguments give the same one, bit for bit at one number of threads.

    Batches depend on the seed alone, so that all pairs learn from the same images.

    Args:
        pair: the forms of encoder and decoder.
        latent: numbers in the code.
        seed: of weights and batches.
        study: says sizes and budget.
        digits: training images 0 … 1, (n, y, x).

    Raises:
        DivergenceError: the error is not finite, or far beyond that of the mean image.
    """
    training, flat = study.training, digits.flatten(1)
    seen, wanted = (make(pair, flat, study.phase_range) for make in (encoder_input, target_of))
    model = Autoencoder(pair, wanted.mean(0), latent, study.hidden, torch_stream(seed, "autoencoder weights"))
    optimiser = torch.optim.Adam(model.parameters(), training.rate)
    for batch, factor in zip(_batches(len(flat), seed, study), _rate_factors(training.steps), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = training.rate * factor
        error = (model(seen[batch]) - wanted[batch]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        optimiser.step()
    if has_diverged(error.item(), 1.0):  # the mean image, where training begins, has less
        raise DivergenceError(
            f"training of {pair.name} with {latent} numbers diverged: its error is {error.item():.4g}",
            expected="an error below that of the mean image",
            remedy="lower training.rate",
        )
    return model.eval()


def _batches(count: int, seed: int, study: AutoencoderStudy) -> Iterator[Tensor]:
    """Numbers of images, (batch,), drawn with replacement for each step."""
    generator = torch_stream(seed, "autoencoder batches")
    for _ in range(study.training.steps):
        yield torch.randint(count, (study.training.batch,), generator=generator)


def _rate_factors(steps: int) -> Iterator[float]:
    """Learning rates against the highest: a linear rise over a twentieth of the steps, then half a cosine to zero."""
    for step in range(steps):
        yield min(1.0, 20.0 * (step + 1) / steps) * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def reconstruct_digits(model: Autoencoder, pair: Pair, digits: Tensor, phase_range: float) -> Tensor:
    """Reconstructed targets (n, y, x) of digits (n, y, x)."""
    with torch.no_grad():
        flat = torch.split(digits.flatten(1), _BATCH)
        parts = [model(encoder_input(pair, part, phase_range)) for part in flat]
    return torch.cat(parts).reshape(digits.shape)


def principal_components(digits: Tensor, seen: Tensor, latent: int) -> Tensor:
    """Reconstructions by principal components, the least squared error that any linear encoder and decoder can reach.

    P. Baldi, K. Hornik, Neural networks and principal component analysis: learning from examples without local minima,
    Neural Networks 2, 53 (1989), fact 4, doi:10.1016/0893-6080(89)90014-2; here with the mean taken out first.

    Args:
        digits: images that the components are of, (n, y, x).
        seen: images to reconstruct, (m, y, x).
        latent: number of components; no more than there are pixels are used.

    Returns:
        (m, y, x).
    """
    flat, given = digits.flatten(1).double(), seen.flatten(1).double()
    mean = flat.mean(0)
    _, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean))  # the greatest last
    kept = vectors[:, -latent:]
    images: Tensor = (given - mean) @ kept @ kept.T + mean
    return images.reshape(seen.shape).to(seen.dtype)
