"""The network that tells reconstructions from targets, and the losses of its contest with the decoder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["UNetDiscriminator", "adversarial_loss", "discriminator_loss"]


def adversarial_loss(logits_fake: Tensor) -> Tensor:
    """What the decoder minimises: binary cross-entropy of its images' logits against "real", −log σ(logit), a scalar.

    I. Goodfellow et al., Generative adversarial nets (2014), section 3 (the form that does not saturate),
    doi:10.48550/arXiv.1406.2661. It is log 2 where the discriminator cannot tell.
    """
    return functional.softplus(-logits_fake).mean()


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """What the discriminator minimises: −log σ(real) − log(1 − σ(fake)), means over all logits, a scalar.

    I. Goodfellow et al. (2014), Eq. 1, as `adversarial_loss`. It is 2 log 2 where the discriminator cannot tell.
    """
    return functional.softplus(-logits_real).mean() + functional.softplus(logits_fake).mean()


class UNetDiscriminator(nn.Module):
    """A U-Net that judges every sample of an image; all convolutions but the first and last have spectral norm 1.

    X. Wang et al., Real-ESRGAN: training real-world blind super-resolution with pure synthetic data (2021), section
    3.4, doi:10.1109/ICCVW54120.2021.00217; T. Miyato et al., Spectral normalization for generative adversarial networks
    (2018), algorithm 1, doi:10.48550/arXiv.1802.05957.

    In training each forward pass is one step of the power iteration for the norms. Its vectors start from the random
    draws of construction and are in the state, so that training continues bit for bit.

    Args:
        features: channels at full resolution.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        f = features
        self.first = nn.Conv2d(1, f, 3, padding=1)
        self.down = nn.ModuleList([_halving(f, 2 * f), _halving(2 * f, 4 * f), _halving(4 * f, 8 * f)])
        self.up = nn.ModuleList([_keeping(8 * f, 4 * f), _keeping(4 * f, 2 * f), _keeping(2 * f, f)])
        self.refine = nn.ModuleList([_keeping(f, f), _keeping(f, f)])
        self.last = nn.Conv2d(f, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of being a target, (batch, y, x), of images of that shape, phase over 2π, at least 8 × 8."""
        levels = [_activate(self.first(image[:, None]))]
        for layer in self.down:
            levels.append(_activate(layer(levels[-1])))
        features = levels.pop()
        for layer in self.up:
            skip = levels.pop()
            # to the skip's size, which is not always twice this one: 13 samples halve to 6
            larger = functional.interpolate(features, skip.shape[-2:], mode="bilinear", align_corners=False)
            features = _activate(layer(larger)) + skip
        for layer in self.refine:
            features = _activate(layer(features))
        logits: Tensor = self.last(features)[:, 0]
        return logits


def _halving(inputs: int, outputs: int) -> nn.Module:
    """Convolution 4 × 4 at every second sample."""
    return spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))


def _keeping(inputs: int, outputs: int) -> nn.Module:
    """Convolution 3 × 3 at every sample."""
    return spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))


def _activate(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, 0.2)
