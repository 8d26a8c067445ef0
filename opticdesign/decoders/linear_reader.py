"""The best linear reader of a camera image, found in closed form: no training, and a floor for any network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LinearReader", "WithReader", "by_class", "ridge", "surroundings"]

_NEAR = 5  # pixels across the surroundings at full resolution
_FAR = 4  # pixels averaged, and skipped, for the wide surroundings
_FEATURES = 2 * _NEAR * _NEAR + 1
_RIDGE = 3.0  # against readings of about 1, summed over many batches


def surroundings(reading: Tensor) -> Tensor:
    """Values around each pixel, 5 × 5 near ones and as many wide means, and a constant: (batch, 51, h, w).

    Args:
        reading: camera readings less that of an undisturbed beam, (batch, h, w).
    """
    image = reading[:, None]
    margin = _NEAR // 2
    near = functional.unfold(functional.pad(image, (margin,) * 4, mode="replicate"), _NEAR)
    means = functional.avg_pool2d(
        functional.pad(image, (_FAR // 2, _FAR - _FAR // 2 - 1) * 2, mode="replicate"), _FAR, 1
    )
    far = functional.unfold(functional.pad(means, (margin * _FAR,) * 4, mode="replicate"), _NEAR, dilation=_FAR)
    values = torch.cat([near, far, torch.ones_like(near[:, :1])], dim=1)
    return values.reshape(*values.shape[:2], *reading.shape[-2:])


def by_class(values: Tensor, period: int) -> Tensor:
    """Sort pixels by their place in the period: (batch, c, h, w) → (period², batch, pixels of a class, c)."""
    batch, channels, height, width = values.shape
    split = values.reshape(batch, channels, height // period, period, width // period, period)
    return split.permute(3, 5, 0, 2, 4, 1).reshape(period * period, batch, -1, channels)


def ridge(gram: Tensor, moment: Tensor, strength: float) -> Tensor:
    """Weights (…, features, outputs) that minimise |Fw − t|² + λ|w|², of FᵀF (…, features, features) and Fᵀt."""
    weights: Tensor = torch.linalg.solve(gram + strength * torch.eye(gram.shape[-1]).to(gram), moment)
    return weights


class LinearReader(nn.Module):
    """A linear map from the surroundings of each camera pixel to the phase beneath it.

    Args:
        scale: output samples per camera pixel along each axis.
        period: pixels after which the optics repeat; each pixel of a period has a map of its own.
    """

    weights: Tensor
    gram: Tensor
    moment: Tensor

    def __init__(self, scale: int, period: int) -> None:
        super().__init__()
        self.scale, self.period = scale, period
        classes, outputs = period * period, scale * scale
        self.register_buffer("weights", torch.zeros(classes, _FEATURES, outputs))
        # what has been seen, so that more can be added; double, because the fit is a difference of large sums
        self.register_buffer("gram", torch.zeros(classes, _FEATURES, _FEATURES, dtype=torch.float64))
        self.register_buffer("moment", torch.zeros(classes, _FEATURES, outputs, dtype=torch.float64))

    def seen(self, reading: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """What `fit` adds for readings (batch, h, w) and their phase over 2π (batch, y, x): FᵀF and Fᵀt."""
        features = by_class(surroundings(reading.detach() - 1.0), self.period).flatten(1, 2).to(torch.float64)
        targets = by_class(functional.pixel_unshuffle(phase[:, None], self.scale), self.period).flatten(1, 2)
        return features.mT @ features, features.mT @ targets.to(torch.float64)

    def fit(self, gram: Tensor, moment: Tensor) -> None:
        """Make the map the best one, in the sense of ridge regression, for all that was seen so far and this."""
        self.gram += gram
        self.moment += moment
        self.weights.copy_(ridge(self.gram, self.moment, _RIDGE))

    def forward(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), of camera readings (batch, h, w), h and w multiples of the period."""
        batch, height, width = reading.shape
        rows, columns, period = height // self.period, width // self.period, self.period
        features = by_class(surroundings(reading - 1.0), period)
        values = (features.flatten(1, 2) @ self.weights).reshape(period, period, batch, rows, columns, -1)
        image = values.permute(2, 5, 3, 0, 4, 1).reshape(batch, -1, height, width)
        return functional.pixel_shuffle(image, self.scale)[:, 0]


class WithReader(nn.Module):
    """A network that adds to what a linear reader finds; at first nothing, so that it starts as good as the reader.

    Args:
        reader: the linear reader.
        network: maps readings to phase over 2π; its last convolution is set to zero.
    """

    def __init__(self, reader: LinearReader, network: nn.Module) -> None:
        super().__init__()
        self.reader, self.network = reader, network
        last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), of camera readings (batch, h, w)."""
        image: Tensor = self.reader(reading) + self.network(reading)
        return image
