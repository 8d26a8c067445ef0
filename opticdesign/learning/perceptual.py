"""Losses that judge how a reconstruction looks: differences of VGG19 features, or of structure at several scales."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from opticdesign.errors import DataError
from opticdesign.learning.metrics import ssim, ssim_terms
from opticdesign.storage import sha256_file

__all__ = ["PerceptualLoss", "StructurePerceptual", "Vgg19Perceptual", "ms_ssim"]

_CONVOLUTIONS = (2, 2, 4, 4, 4)  # of each block of VGG19; a ReLU follows each convolution, a pooling each block
_CHANNELS = (64, 128, 256, 512, 512)
_LAYER_WEIGHTS = (0.1, 0.1, 1.0, 1.0, 1.0)  # conv1_2, conv2_2, conv3_4, conv4_4, conv5_4: the last one of each block
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first
_WINDOW = 11  # samples of the window of SSIM; the coarsest scale holds at least one
_LEAST_SIMILARITY = 1e-3  # a power below 1 of less has no useful slope, of a negative number no value

_CONVERSION = (
    "import torch; from safetensors.torch import save_file\n"
    'save_file(torch.load("vgg19.pth", weights_only=True), "vgg19.safetensors")'
)


class PerceptualLoss(nn.Module, ABC):
    """How different two images look; nothing in it is trained.

    Its forward takes an image and its target, both phase over 2π, (batch, y, x), and gives a scalar that is zero where
    they are equal. Gradients are for the image.
    """

    name: ClassVar[str]
    """What designs and reports call this loss."""

    @abstractmethod
    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of images (batch, y, x) and their targets, a scalar."""


class Vgg19Perceptual(PerceptualLoss):
    """Weighted mean absolute differences of VGG19 features before their ReLU, at the last convolution of each block.

    X. Wang et al., Real-ESRGAN: training real-world blind super-resolution with pure synthetic data (2021),
    doi:10.1109/ICCVW54120.2021.00217: conv1_2, conv2_2, conv3_4, conv4_4, conv5_4 weigh 0.1, 0.1, 1, 1, 1.
    K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition (2014), table 1,
    configuration E, doi:10.48550/arXiv.1409.1556.

    The image is repeated in three channels and normalised by the mean and standard deviation of ImageNet, as the
    weights of this layout were trained. Each side is at least 16 samples.

    Args:
        weights: safetensors file with `features.<i>.weight` and `features.<i>.bias` in float32; tensors of the
            classifier may be there too.
        sha256: what the file's SHA-256 must be; anything without it.

    Attributes:
        sha256: SHA-256 of the file, in lower case.

    Raises:
        DataError: the file is missing, another one, damaged, a pickle, or does not hold the weights of VGG19.
    """

    name = "vgg19"
    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path, sha256: str | None = None) -> None:
        super().__init__()
        self.sha256 = _checked_sha256(weights, sha256)
        with torch.device("meta"):  # no memory and no random draw for values that are replaced at once
            self.features = _vgg19_features()
        # a checkpoint of this module would hold the weights only: the constants come with the class
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None], persistent=False)
        self.load_state_dict(_read_weights(weights, self.state_dict()), assign=True)
        self.requires_grad_(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of images (batch, y, x) and their targets, a scalar; none of its gradient is for the target."""
        with torch.no_grad():
            wanted = self.layers(target)
        pairs = zip(_LAYER_WEIGHTS, self.layers(image), wanted, strict=True)
        return torch.stack([weight * functional.l1_loss(ours, theirs) for weight, ours, theirs in pairs]).sum()

    def layers(self, image: Tensor) -> list[Tensor]:
        """Features of images (batch, y, x) before the ReLU of each block's last convolution: (batch, channel, y, x)."""
        values = (image[:, None] - self.mean) / self.std
        layers: list[Tensor] = []
        entered = values  # what went into the layer before: ahead of a pooling stands the ReLU, ahead of that our layer
        for layer in self.features.values():
            if isinstance(layer, nn.MaxPool2d):
                layers.append(entered)
            entered, values = values, layer(values)
        return [*layers, values]


class StructurePerceptual(PerceptualLoss):
    """1 − MS-SSIM plus the mean absolute error of both image gradients (waves a sample): needs no weights.

    What stands in where there are no VGG19 weights. It is another loss than the one of the paper and is called so.
    """

    name = "structure"

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """The loss of images (batch, y, x) of at least 6 × 6 samples and their targets, a scalar."""
        error = image - target
        slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        return 1.0 - ms_ssim(image, target).mean() + slopes


def ms_ssim(image: Tensor, target: Tensor) -> Tensor:
    """Multi-scale structural similarity for a data range of 1: (batch,), 1 for equal images.

    Z. Wang, E. P. Simoncelli, A. C. Bovik, Multiscale structural similarity for image quality assessment (2003), Eq. 7,
    doi:10.1109/ACSSC.2003.1292216: contrast and structure at every scale, luminance at the coarsest, each scale a 2 × 2
    mean pool of the one before. There are five scales from 176 samples on, else as many as leave a whole window of 11
    samples in the coarsest; the exponents of those used are scaled to the same sum, 1. Similarities below 0.001 count
    as 0.001.

    Args:
        image: (batch, y, x), at least 6 × 6.
        target: same shape.
    """
    held = max(min(image.shape[-2:]) // _WINDOW, 1).bit_length()
    exponents = _SCALE_WEIGHTS[:held]
    result = torch.ones_like(image[:, 0, 0])
    for exponent in exponents[:-1]:
        contrast = ssim_terms(image, target)[1].mean((-2, -1))
        result = result * contrast.clamp(min=_LEAST_SIMILARITY) ** (exponent / sum(exponents))
        image, target = (functional.avg_pool2d(scale, 2) for scale in (image, target))
    coarsest = ssim(image, target).clamp(min=_LEAST_SIMILARITY)
    return result * coarsest ** (exponents[-1] / sum(exponents))


def _vgg19_features() -> nn.ModuleDict:
    """The convolutions of VGG19 with their ReLUs and poolings up to conv5_4, named 0 … 34 in order."""
    layers: list[nn.Module] = []
    inputs = 3
    for count, channels in zip(_CONVOLUTIONS, _CHANNELS, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    return nn.ModuleDict({str(index): layer for index, layer in enumerate(layers[:-2])})


def _checked_sha256(path: Path, expected: str | None) -> str:
    """SHA-256 of a file of weights that is there, no pickle, and the one expected."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
        found = sha256_file(path)
    except OSError as error:
        raise DataError(
            path,
            f"the weights of VGG19 cannot be read: {error.strerror or error}",
            expected="a safetensors file",
            remedy="check training.perceptual.weights, or choose the kind 'structure', which needs no weights",
        ) from error
    # a zip archive or a bare pickle; safetensors have eight bytes of length, then a brace
    if head[:4] == b"PK\x03\x04" or (head[:1] == b"\x80" and head[8:] != b"{"):
        raise DataError(
            path,
            "this is a pickle, which can run code when it is read and is never loaded here",
            expected="a safetensors file",
            remedy=f"convert weights that you trust, in your own environment:\n{_CONVERSION}",
        )
    if expected is not None and found != expected.lower():
        raise DataError(
            path,
            f"the SHA-256 of these weights is {found}",
            expected=expected.lower(),
            remedy="get the file again, or correct training.perceptual.sha256",
        )
    return found


def _read_weights(path: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a safetensors file that have the names, shapes and types of those wanted."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = {name for name in file.keys() if not name.startswith("classifier.")}  # noqa: SIM118 (no mapping)
            _check_names(path, names, set(wanted))
            # copies, as a tensor may be a view of the file, which can change
            tensors = {name: file.get_tensor(name).clone() for name in sorted(names)}
    except SafetensorError as error:
        raise _not_vgg19(path, f"cannot be read: {error}", "a whole safetensors file") from error
    for name, tensor in tensors.items():
        shape, dtype = tuple(wanted[name].shape), wanted[name].dtype
        if (tuple(tensor.shape), tensor.dtype) != (shape, dtype):
            raise _not_vgg19(path, f"{name} is {tensor.dtype} {tuple(tensor.shape)}", f"{dtype} {shape}")
        if not tensor.isfinite().all():
            raise _not_vgg19(path, f"{name} holds values that are not finite", "finite numbers")
    return tensors


def _check_names(path: Path, names: set[str], wanted: set[str]) -> None:
    missing, unknown = sorted(wanted - names), sorted(names - wanted)
    if missing or unknown:
        parts = [(f"lacks {len(missing)} tensors", missing), (f"has {len(unknown)} tensors of other names", unknown)]
        text = "; ".join(f"{what} ({', '.join(rest[:3])} …)" for what, rest in parts if rest)
        raise _not_vgg19(path, text, "features.<i>.weight and features.<i>.bias of the 16 convolutions")


def _not_vgg19(path: Path, message: str, expected: str) -> DataError:
    return DataError(path, message, expected=expected, remedy="use weights of VGG19 without batch normalisation")
