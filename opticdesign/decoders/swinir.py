"""SwinIR: attention inside shifted windows at camera resolution, then sub-pixel upsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from opticdesign.errors import UsageError

__all__ = ["SWINIR_PRESETS", "SwinIR", "SwinIRSize"]

_SCALES = (2, 4, 8, 16, 32)
_START_DEVIATION = 0.02  # of the normal numbers that linear layers and position biases start from


@dataclass(frozen=True)
class SwinIRSize:
    """How large a SwinIR is.

    Args:
        depths: attention blocks of each residual group.
        dim: features of a camera pixel, a multiple of `heads`.
        heads: attention heads of each block.
        window: side of an attention window in camera pixels.
        mlp_ratio: hidden features of the perceptrons over `dim`.
        features: features while shuffles double the image one after another; None upsamples in a single shuffle.
    """

    depths: tuple[int, ...]
    dim: int
    heads: int
    window: int = 8
    mlp_ratio: int = 2
    features: int | None = None


SWINIR_PRESETS = {
    "paper": SwinIRSize(depths=(6,) * 6, dim=180, heads=6, features=64),
    "light": SwinIRSize(depths=(6,) * 4, dim=60, heads=6),
    "tiny": SwinIRSize(depths=(2,) * 2, dim=32, heads=4),
}


class SwinIR(nn.Module):
    """Camera image to phase map: residual groups of attention inside windows, then pixel shuffles.

    J. Liang et al., SwinIR: image restoration using Swin transformer (2021), doi:10.1109/ICCVW54120.2021.00210, with
    one convolution behind each group; Z. Liu et al., Swin transformer: hierarchical vision transformer using shifted
    windows (2021), doi:10.1109/ICCV48922.2021.00986. Stochastic depth is left out (its rate is 0): the state of a
    training run follows from its seed and step alone.

    Args:
        scale: output samples per camera pixel along each axis, a power of two, 2 … 32.
        preset: a name in SWINIR_PRESETS.

    Raises:
        UsageError: another scale, or no preset of that name.
    """

    def __init__(self, scale: int, preset: str) -> None:
        super().__init__()
        if scale not in _SCALES:
            raise UsageError(
                f"SwinIR cannot upsample by {scale}",
                expected=f"one of {', '.join(map(str, _SCALES))}",
                remedy="change the detector's binning",
            )
        if preset not in SWINIR_PRESETS:
            raise UsageError(
                f'SwinIR has no preset "{preset}"',
                expected=f"one of {', '.join(SWINIR_PRESETS)}",
                remedy="change the decoder's preset",
            )
        size = SWINIR_PRESETS[preset]
        self.scale, self.window = scale, size.window
        self.first = nn.Conv2d(1, size.dim, 3, padding=1)
        self.first_norm = nn.LayerNorm(size.dim)
        self.groups = nn.ModuleList(_Group(size, depth) for depth in size.depths)
        self.last_norm = nn.LayerNorm(size.dim)
        self.last = nn.Conv2d(size.dim, size.dim, 3, padding=1)
        self.head = _upsampler(scale, size.dim, size.features)
        self.apply(_start)

    def forward(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), from camera readings (batch, y/scale, x/scale) of any size."""
        rows, columns = reading.shape[-2:]
        image = _padded((reading - 1.0)[:, None], self.window)  # an undisturbed beam reads 1
        shape = (image.shape[2], image.shape[3])
        straight, shifted = (_Windows(shape, self.window, moved, image.device) for moved in (False, True))
        shallow: Tensor = self.first(image)
        deep = self.first_norm(shallow.movedim(1, -1))
        for group in self.groups:
            deep = group(deep, straight, shifted)
        deep = _convolved(self.last_norm(deep), self.last)
        phase: Tensor = self.head(shallow + deep.movedim(-1, 1))[:, 0]
        return phase[:, : rows * self.scale, : columns * self.scale]


class _Windows:
    """The square windows that tile a map; shifted ones lie half a window further down and to the right.

    The map's upper and left rims then fill up the windows at its lower and right rims, and pixels from opposite rims
    must not see each other (Z. Liu et al., section 3.2). Along a side of one window nothing is shifted.

    Args:
        shape: sides of the map, multiples of the window.
        window: side of a window.
        shifted: whether to shift.
        device: device of the map.
    """

    def __init__(self, shape: tuple[int, int], window: int, shifted: bool, device: torch.device) -> None:
        self.window = window
        self.counts = (shape[0] // window, shape[1] // window)
        self.shift = tuple(window // 2 if shifted and side > window else 0 for side in shape)
        self.hidden: Tensor | None = None  # (windows, queries, keys)
        if any(self.shift):
            sides = zip(shape, self.shift, strict=True)
            rows, columns = (torch.arange(side, device=device) < step for side, step in sides)
            rim = self.split((2 * rows[:, None] + columns)[None, :, :, None])[0, :, :, 0]
            self.hidden = rim[:, :, None] != rim[:, None, :]

    def split(self, image: Tensor) -> Tensor:
        """A map (batch, y, x, features) as (batch, windows, window², features)."""
        if any(self.shift):
            image = image.roll([-step for step in self.shift], (1, 2))
        (rows, columns), side = self.counts, self.window
        squares = image.reshape(len(image), rows, side, columns, side, -1).transpose(2, 3)
        return squares.reshape(len(image), rows * columns, side * side, -1)

    def merge(self, tiles: Tensor) -> Tensor:
        """The map that was split."""
        (rows, columns), side = self.counts, self.window
        squares = tiles.reshape(len(tiles), rows, columns, side, side, -1).transpose(2, 3)
        image = squares.reshape(len(tiles), rows * side, columns * side, -1)
        return image.roll(self.shift, (1, 2)) if any(self.shift) else image


class _Attention(nn.Module):
    """softmax(q·kᵀ/√d + b)·v inside each window, b learned for every relative position (Z. Liu et al., eq. 4)."""

    positions: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.bias = nn.Parameter(torch.empty((heads, (2 * window - 1) ** 2)))
        nn.init.trunc_normal_(self.bias, std=_START_DEVIATION)
        self.register_buffer("positions", _relative_positions(window), persistent=False)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, image: Tensor, windows: _Windows) -> Tensor:
        """A map (batch, y, x, features) of the same shape."""
        parts = self.query_key_value(windows.split(image)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.transpose(2, 4).unbind(3)  # each (batch, windows, heads, window², d)
        bias = self.bias[:, self.positions]
        if windows.hidden is not None:
            bias = bias.masked_fill(windows.hidden[:, None], -math.inf)
        # written out: where the bias is learned, torch's fused attention takes its slow path
        weights = torch.softmax(query * query.shape[-1] ** -0.5 @ key.transpose(3, 4) + bias, dim=-1)
        return windows.merge(self.project((weights @ value).transpose(2, 3).flatten(3)))


class _Block(nn.Module):
    """Attention and a perceptron, each behind a norm and added to what it reads."""

    def __init__(self, size: SwinIRSize) -> None:
        super().__init__()
        hidden = size.dim * size.mlp_ratio
        self.attention_norm = nn.LayerNorm(size.dim)
        self.attention = _Attention(size.dim, size.heads, size.window)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(size.dim), nn.Linear(size.dim, hidden), nn.GELU(), nn.Linear(hidden, size.dim)
        )

    def forward(self, image: Tensor, windows: _Windows) -> Tensor:
        image = image + self.attention(self.attention_norm(image), windows)
        result: Tensor = image + self.perceptron(image)
        return result


class _Group(nn.Module):
    """Blocks whose windows are straight and shifted by turns, and a convolution, added to what they read."""

    def __init__(self, size: SwinIRSize, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(size) for _ in range(depth))
        self.last = nn.Conv2d(size.dim, size.dim, 3, padding=1)

    def forward(self, image: Tensor, straight: _Windows, shifted: _Windows) -> Tensor:
        deep = image
        for index, block in enumerate(self.blocks):
            deep = block(deep, shifted if index % 2 else straight)
        return image + _convolved(deep, self.last)


def _convolved(image: Tensor, convolution: nn.Conv2d) -> Tensor:
    result: Tensor = convolution(image.movedim(-1, 1))
    return result.movedim(1, -1)


def _relative_positions(window: int) -> Tensor:
    """Column of the bias table for each query and key of a window, (window², window²): 0 … (2·window − 1)² − 1."""
    y, x = (axis.flatten() for axis in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
    rows, columns = (axis[:, None] - axis[None, :] + window - 1 for axis in (y, x))
    return rows * (2 * window - 1) + columns


def _upsampler(scale: int, dim: int, features: int | None) -> nn.Sequential:
    if features is None:
        return nn.Sequential(nn.Conv2d(dim, scale**2, 3, padding=1), nn.PixelShuffle(scale))
    layers: list[nn.Module] = [nn.Conv2d(dim, features, 3, padding=1), nn.LeakyReLU()]
    for _ in range(int(math.log2(scale))):
        layers += [nn.Conv2d(features, 4 * features, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers, nn.Conv2d(features, 1, 3, padding=1))


def _padded(image: Tensor, window: int) -> Tensor:
    """The image (…, y, x) continued below and to the right to whole windows, by reflection where it is large enough."""
    rows, columns = image.shape[-2:]
    below, right = -rows % window, -columns % window
    mode = "reflect" if below < rows and right < columns else "replicate"
    return functional.pad(image, (0, right, 0, below), mode=mode)


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=_START_DEVIATION)
        nn.init.zeros_(module.bias)
