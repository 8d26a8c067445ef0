from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from opticdesign.errors import DataError
from opticdesign.learning.metrics import ssim
from opticdesign.learning.perceptual import PerceptualLoss, StructurePerceptual, Vgg19Perceptual, ms_ssim

# table 1 of the publication, column E, up to conv5_4: channels of the convolutions, M for a pooling
CONFIGURATION = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4]
TAPS = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}  # index of the layer in the usual layout: its weight in the loss


def pair(*shape: int, dtype: torch.dtype = torch.float32, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Noisy, offset images and their smooth targets."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((shape[0], 1, 5, 5), dtype=torch.float64, generator=generator)
    target = nn.functional.interpolate(coarse, shape[1:], mode="bicubic", align_corners=True)[:, 0]
    image = 0.9 * target + 0.03 + noise * torch.randn(shape, dtype=torch.float64, generator=generator)
    return image.to(dtype), target.to(dtype)


def reference_network() -> nn.Sequential:
    """VGG19 as a plain sequence, without values."""
    layers: list[nn.Module] = []
    inputs = 3
    with torch.device("meta"):
        for entry in CONFIGURATION:
            if isinstance(entry, int):
                layers += [nn.Conv2d(inputs, entry, 3, 1, 1), nn.ReLU()]
                inputs = entry
            else:
                layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of random weights of VGG19 that keep features of order one, with a part of the classifier."""
    generator = torch.Generator().manual_seed(0)
    tensors = {"classifier.0.weight": torch.ones(2, 2), "classifier.6.bias": torch.ones(3)}
    for name, value in reference_network().state_dict().items():
        spread = (2.0 / (9 * value.shape[1])) ** 0.5 if value.ndim == 4 else 0.1
        tensors[f"features.{name}"] = torch.randn(value.shape, generator=generator) * spread
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(tensors, path)
    yield path
    path.unlink()  # 80 MB, which pytest would keep for three runs


@pytest.fixture(scope="module")
def vgg(weights: Path) -> Vgg19Perceptual:
    return Vgg19Perceptual(weights)


def reference_layers(weights: Path, image: Tensor) -> list[Tensor]:
    network = reference_network()
    values = {key: value for key, value in load_file(weights).items() if key.startswith("features.")}
    network.load_state_dict({key.removeprefix("features."): value for key, value in values.items()}, assign=True)
    colours = torch.stack([(image - mean) / std for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))], 1)
    return [network[: index + 1](colours).detach() for index in TAPS]


def test_vgg19_has_the_published_number_of_weights(vgg: Vgg19Perceptual) -> None:
    assert sum(parameter.numel() for parameter in vgg.parameters()) == 20_024_384


def test_vgg19_layers_equal_those_of_a_plain_sequence(vgg: Vgg19Perceptual, weights: Path) -> None:
    image, _ = pair(2, 32, 48)
    ours, expected = vgg.layers(image), reference_layers(weights, image)
    assert [tuple(layer.shape[1:]) for layer in ours] == [
        (64, 32, 48),
        (128, 16, 24),
        (256, 8, 12),
        (512, 4, 6),
        (512, 2, 3),
    ]
    for layer, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(layer, wanted, rtol=1e-4, atol=1e-5)


def test_vgg19_layers_are_taken_before_the_relu(vgg: Vgg19Perceptual) -> None:
    for layer in vgg.layers(pair(1, 32, 32)[0]):
        assert (layer < 0.0).float().mean().item() > 0.1


def test_vgg19_loss_weighs_the_layers_as_published(vgg: Vgg19Perceptual, weights: Path) -> None:
    image, target = pair(2, 32, 32)
    layers = zip(TAPS.values(), reference_layers(weights, image), reference_layers(weights, target), strict=True)
    expected = sum(weight * (ours - theirs).abs().mean().item() for weight, ours, theirs in layers)
    assert vgg(image, target).item() == pytest.approx(expected, rel=1e-4)


def test_vgg19_is_frozen_and_leads_the_image_to_its_target(vgg: Vgg19Perceptual) -> None:
    image, target = (tensor.requires_grad_() for tensor in pair(1, 32, 32))
    loss = vgg(image, target)
    loss.backward()
    assert image.grad is not None
    assert target.grad is None
    assert all(not value.requires_grad and value.grad is None for value in vgg.parameters())
    with torch.no_grad():
        assert vgg(image - 1e-3 * image.grad.sign(), target).item() < loss.item()


def test_vgg19_state_is_the_weights_alone(vgg: Vgg19Perceptual) -> None:
    assert set(vgg.state_dict()) == {f"features.{key}" for key in reference_network().state_dict()}


def test_vgg19_draws_nothing_from_the_global_generator(weights: Path) -> None:
    before = torch.random.get_rng_state()
    Vgg19Perceptual(weights)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_vgg19_records_the_hash_of_its_file_and_takes_it_in_either_case(weights: Path) -> None:
    expected = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert Vgg19Perceptual(weights, expected.upper()).sha256 == expected


def small_file(path: Path, **changes: Tensor | None) -> Path:
    """All names of VGG19 with one number each but those changed; of None, a name is left out."""
    tensors = {f"features.{key}": torch.ones(1) for key in reference_network().state_dict()} | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def test_vgg19_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.safetensors: the weights of VGG19 cannot be read: No such file"):
        Vgg19Perceptual(tmp_path / "none.safetensors")


def test_vgg19_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read: (Is a directory|Permission denied)"):
        Vgg19Perceptual(tmp_path)


def test_vgg19_refuses_a_file_of_another_hash(tmp_path: Path) -> None:
    path = small_file(tmp_path / "vgg.safetensors")
    with pytest.raises(DataError, match=rf"SHA-256 of these weights is [0-9a-f]{{64}}\n  expected: {'ab' * 32}"):
        Vgg19Perceptual(path, "AB" * 32)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_vgg19_refuses_a_pickle_and_its_remedy_makes_a_file_it_reads(
    tmp_path: Path, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tensors = tmp_path / "vgg19.pth", {"features.0.weight": torch.ones(2, 3)}
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="this is a pickle, which can run code") as caught:
        Vgg19Perceptual(path)
    snippet = caught.value.remedy.split(":\n", 1)[1]
    assert len(snippet.splitlines()) == 2
    monkeypatch.chdir(tmp_path)
    exec(snippet)  # noqa: S102 (what the message tells the user to run)
    torch.testing.assert_close(load_file(tmp_path / "vgg19.safetensors"), tensors)
    with pytest.raises(DataError, match=r"lacks 31 tensors"):
        Vgg19Perceptual(tmp_path / "vgg19.safetensors")


def test_vgg19_loads_no_pickle_whatever_its_name(tmp_path: Path) -> None:
    content = io.BytesIO()
    torch.save({"features.0.weight": torch.ones(1)}, content)
    (tmp_path / "vgg19.safetensors").write_bytes(content.getvalue())
    with pytest.raises(DataError, match="this is a pickle"):
        Vgg19Perceptual(tmp_path / "vgg19.safetensors")


def test_vgg19_refuses_missing_and_unknown_names(tmp_path: Path) -> None:
    path = small_file(tmp_path / "vgg.safetensors", **{"features.34.bias": None, "features.1.weight": torch.ones(1)})
    with pytest.raises(
        DataError, match=r"lacks 1 tensors \(features.34.bias …\); has 1 tensors of other names \(features.1.weight …\)"
    ):
        Vgg19Perceptual(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(63), r"features.0.bias is torch.float32 \(63,\)\n  expected: torch.float32 \(64,\)"),
        (torch.ones(64).half(), r"features.0.bias is torch.float16 \(64,\)\n  expected: torch.float32 \(64,\)"),
        (torch.full((64,), torch.nan), "features.0.bias holds values that are not finite"),
    ],
    ids=["shape", "type", "nan"],
)
def test_vgg19_refuses_wrong_values(tmp_path: Path, value: Tensor, message: str) -> None:
    path = small_file(tmp_path / "vgg.safetensors", **{"features.0.bias": value})
    with pytest.raises(DataError, match=message):
        Vgg19Perceptual(path)


@pytest.mark.parametrize("kept", [0, 5, 9, 200, -1])
def test_vgg19_refuses_a_truncated_file(tmp_path: Path, kept: int) -> None:
    path = small_file(tmp_path / "vgg.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"cannot be read: .*\n  expected: a whole safetensors file"):
        Vgg19Perceptual(path)


def scipy_ms_ssim(image: np.ndarray, target: np.ndarray, exponents: list[float]) -> float:
    """MS-SSIM of one image by scipy's filter, Eq. 7 with its exponents scaled to the sum 1."""
    from scipy.ndimage import gaussian_filter

    def blur(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, 1.5, mode="mirror", radius=5))

    result = 1.0
    for index, exponent in enumerate(exponents):
        x, y = blur(image), blur(target)
        xx, yy, xy = blur(image**2) - x**2, blur(target**2) - y**2, blur(image * target) - x * y
        similarity = (2 * xy + 9e-4) / (xx + yy + 9e-4)
        if index == len(exponents) - 1:
            similarity = similarity * (2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4)
        result *= similarity.mean() ** (exponent / sum(exponents))
        height, width = (side // 2 for side in image.shape)
        image, target = (
            values[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3)) for values in (image, target)
        )
    return result


@pytest.mark.parametrize(
    ("shape", "scales"),
    [((8, 30), 1), ((21, 30), 1), ((22, 22), 2), ((43, 90), 2), ((88, 87), 3), ((88, 88), 4), ((176, 176), 5)],
)
def test_ms_ssim_equals_scipy_at_the_scales_that_hold_a_window(shape: tuple[int, int], scales: int) -> None:
    image, target = pair(2, *shape, dtype=torch.float64)
    exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales]
    expected = [scipy_ms_ssim(x.numpy(), y.numpy(), exponents) for x, y in zip(image, target, strict=True)]
    np.testing.assert_allclose(ms_ssim(image, target).numpy(), expected, rtol=1e-9)


def test_ms_ssim_is_near_torchmetrics_which_leaves_out_borders() -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as oracle

    image, target = pair(2, 192, 176, dtype=torch.float64)
    expected = oracle(image[:, None], target[:, None], data_range=1.0, reduction="none")
    assert expected.max().item() < 0.97
    torch.testing.assert_close(ms_ssim(image, target), expected, rtol=0.0, atol=0.01)


def test_ms_ssim_of_one_scale_is_ssim() -> None:
    image, target = pair(2, 20, 20, dtype=torch.float64)
    torch.testing.assert_close(ms_ssim(image, target), ssim(image, target))


@settings(deadline=None, max_examples=20)
@given(st.integers(6, 50), st.integers(6, 50), st.floats(0.0, 0.5))
def test_ms_ssim_is_symmetric_and_one_for_equal_images_only(height: int, width: int, noise: float) -> None:
    image, target = pair(2, height, width, dtype=torch.float64, noise=noise)
    torch.testing.assert_close(ms_ssim(image, target), ms_ssim(target, image))
    assert (ms_ssim(image, target) < 1.0).all()
    assert (ms_ssim(image, target) > 0.0).all()
    assert torch.equal(ms_ssim(target, target), torch.ones(2, dtype=torch.float64))


def test_ms_ssim_of_opposite_structure_is_the_least() -> None:
    _, target = pair(2, 64, 64)
    torch.testing.assert_close(ms_ssim(1.0 - target, target), torch.full((2,), 1e-3))


@pytest.mark.parametrize("start", ["flat", "noise", "opposite"])
def test_structure_leads_to_the_target_from_anywhere(start: str) -> None:
    noise, target = pair(1, 32, 32, noise=1.0)
    image = {"flat": torch.full_like(target, 0.5), "noise": noise, "opposite": 1.0 - target}[start].requires_grad_()
    optimiser = torch.optim.Adam([image], lr=0.02)
    for _ in range(150):
        loss = StructurePerceptual()(image, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert ms_ssim(image, target).item() > 0.98


def test_structure_adds_the_error_of_both_image_gradients() -> None:
    image, target = pair(2, 24, 33, dtype=torch.float64)
    error = (image - target).numpy()
    slopes = np.abs(error[:, :, 1:] - error[:, :, :-1]).mean() + np.abs(error[:, 1:] - error[:, :-1]).mean()
    expected = 1.0 - ms_ssim(image, target).mean().item() + slopes
    assert StructurePerceptual()(image, target).item() == pytest.approx(expected)


def test_structure_is_differentiable_for_the_image() -> None:
    image, target = pair(1, 22, 23, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: StructurePerceptual()(x, target), image.requires_grad_(), fast_mode=True)


def test_structure_has_nothing_to_train_and_no_state() -> None:
    loss = StructurePerceptual()
    assert (list(loss.parameters()), loss.state_dict()) == ([], {})


def test_perceptual_names_are_the_kinds_of_a_design_and_differ() -> None:
    from opticdesign.design.learning import StructureSpec, Vgg19Spec

    kinds = [get_args(spec.model_fields["kind"].annotation) for spec in (Vgg19Spec, StructureSpec)]
    assert kinds == [(Vgg19Perceptual.name,), (StructurePerceptual.name,)]
    assert kinds == [("vgg19",), ("structure",)]


@pytest.mark.parametrize("kind", ["vgg19", "structure"])
def test_perceptual_loss_is_a_scalar_zero_at_the_target_and_grows_away_from_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    loss: PerceptualLoss = request.getfixturevalue("vgg") if kind == "vgg19" else StructurePerceptual()
    image, target = pair(2, 32, 32)
    values = [loss(target + share * (image - target), target) for share in (0.0, 0.25, 0.5, 1.0)]
    assert values[0].shape == ()
    assert values[0].item() == 0.0
    assert [value.item() for value in values] == sorted({value.item() for value in values})
