"""The loss of the generative recipe, L1 + perceptual + a tenth of adversarial, with the discriminator it needs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from opticdesign.design import Design, Vgg19Spec
from opticdesign.learning.discriminator import UNetDiscriminator, adversarial_loss, discriminator_loss
from opticdesign.learning.objectives import l1
from opticdesign.learning.perceptual import PerceptualLoss, StructurePerceptual, Vgg19Perceptual
from opticdesign.randomness import stream_seed

__all__ = ["Adversary", "build_perceptual"]

_ADVERSARIAL = 0.1


def build_perceptual(design: Design) -> PerceptualLoss:
    """The perceptual loss that a design names; the substitute when it names none.

    Raises:
        DataError: the weights cannot be read.
    """
    spec = design.training.perceptual
    return Vgg19Perceptual(Path(spec.weights), spec.sha256) if isinstance(spec, Vgg19Spec) else StructurePerceptual()


class Adversary:
    """A discriminator that learns beside the decoder, and the loss it gives.

    X. Wang et al., Real-ESRGAN: training real-world blind super-resolution with pure synthetic data (2021),
    doi:10.1109/ICCVW54120.2021.00217.

    Args:
        design: says the features and the seed.
        perceptual: the perceptual part of the loss.
        rate: peak learning rate of the discriminator.
        device: where to compute.
    """

    def __init__(self, design: Design, perceptual: PerceptualLoss, rate: float, device: torch.device) -> None:
        self._perceptual = perceptual.to(device)
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator only
            torch.manual_seed(stream_seed(design.training.seed, "discriminator"))
            self.discriminator = UNetDiscriminator(design.training.discriminator_features).to(device)
        self.optimiser = torch.optim.Adam([{"params": list(self.discriminator.parameters()), "peak": rate}])

    def loss(self, image: Tensor, target: Tensor) -> Tensor:
        """What the decoder minimises, a scalar; image and target (batch, y, x), phase over 2π."""
        self.discriminator.requires_grad_(False)
        judged = adversarial_loss(self.discriminator(image))
        loss: Tensor = l1(image, target) + self._perceptual(image, target) + _ADVERSARIAL * judged
        return loss

    def learn(self, image: Tensor, target: Tensor, weight: float) -> None:
        """Add to the discriminator's gradients those of telling a target from an image, times a weight."""
        self.discriminator.requires_grad_(True)
        told = discriminator_loss(self.discriminator(target), self.discriminator(image.detach()))
        (weight * told).backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
