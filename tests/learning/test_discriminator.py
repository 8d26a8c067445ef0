from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits

from opticdesign.learning.discriminator import UNetDiscriminator, adversarial_loss, discriminator_loss


def build(features: int = 4, seed: int = 0) -> UNetDiscriminator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNetDiscriminator(features)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def normalised(network: UNetDiscriminator) -> list[nn.Module]:
    return [*network.down, *network.up, *network.refine]


def weight(layer: nn.Module) -> Tensor:
    value = layer.weight
    assert isinstance(value, Tensor)
    return value.detach()


@pytest.mark.parametrize("f", [4, 64])
def test_discriminator_has_the_parameters_of_its_layers(f: int) -> None:
    ends = 9 * f + f + 9 * f + 1
    down = 16 * (f * 2 * f + 2 * f * 4 * f + 4 * f * 8 * f)
    up = 9 * (8 * f * 4 * f + 4 * f * 2 * f + 2 * f * f)
    expected = ends + down + up + 2 * 9 * f * f
    assert sum(parameter.numel() for parameter in build(f).parameters()) == expected
    assert f != 64 or expected == 4_375_745  # the published 4,376,897 less two colours: 2 · 9 · 64


def test_discriminator_is_the_published_network() -> None:
    network, image = build().eval(), images(2, 16, 24)

    def step(layer: nn.Module, values: Tensor, **options: int) -> Tensor:
        return functional.leaky_relu(functional.conv2d(values, weight(layer), padding=1, **options), 0.2)

    def double(values: Tensor) -> Tensor:
        return functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)

    with torch.no_grad():
        x0 = functional.leaky_relu(network.first(image[:, None]), 0.2)
        x1 = step(network.down[0], x0, stride=2)
        x2 = step(network.down[1], x1, stride=2)
        x3 = step(network.down[2], x2, stride=2)
        x4 = step(network.up[0], double(x3)) + x2
        x5 = step(network.up[1], double(x4)) + x1
        x6 = step(network.up[2], double(x5)) + x0
        expected = network.last(step(network.refine[1], step(network.refine[0], x6)))[:, 0]
        torch.testing.assert_close(network(image), expected)


def test_discriminator_layers_have_unit_norm_after_some_passes() -> None:
    network = build()
    for _ in range(40):
        network(images(1, 8, 8))
    network.eval()
    norms = [torch.linalg.matrix_norm(weight(layer).flatten(1), 2).item() for layer in normalised(network)]
    assert norms == pytest.approx([1.0] * 8, abs=0.01)
    originals = [layer.parametrizations["weight"].original.flatten(1) for layer in normalised(network)]
    assert all(abs(torch.linalg.matrix_norm(original, 2).item() - 1.0) > 0.05 for original in originals)


def test_discriminator_norms_follow_the_weights() -> None:
    network = build()
    with torch.no_grad():
        for layer in normalised(network):
            layer.parametrizations["weight"].original.mul_(10.0)
    network(images(1, 8, 8))
    network.eval()
    for layer in normalised(network):
        assert torch.linalg.matrix_norm(weight(layer).flatten(1), 2).item() == pytest.approx(1.0, abs=0.1)


@settings(deadline=None, max_examples=15)
@given(st.integers(8, 40), st.integers(8, 40))
def test_discriminator_judges_each_sample_of_any_size(height: int, width: int) -> None:
    logits = build()(images(2, height, width))
    assert tuple(logits.shape) == (2, height, width)
    assert logits.isfinite().all()


@pytest.mark.parametrize("shape", [(16, 16), (13, 22)])
def test_discriminator_gradient_reaches_every_weight_and_the_image(shape: tuple[int, int]) -> None:
    network, image = build(), images(2, *shape).requires_grad_()
    network(image).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.count_nonzero(parameter.grad).item() > 0, name
    assert image.grad is not None
    assert torch.count_nonzero(image.grad).item() == image.numel()


def test_discriminator_that_is_frozen_still_leads_the_image() -> None:
    network, image = build().requires_grad_(False), images(1, 16, 16).requires_grad_()
    loss = adversarial_loss(network(image))
    loss.backward()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert image.grad is not None
    network.eval()
    assert adversarial_loss(network(image - 0.1 * image.grad.sign())).item() < loss.item()


def test_discriminator_judges_images_alone() -> None:
    network, batch = build().eval(), images(3, 16, 16)
    torch.testing.assert_close(network(batch)[1], network(batch[1:2])[0], rtol=1e-4, atol=1e-6)


def test_discriminator_starts_from_the_generator_of_its_construction() -> None:
    first, second, other = (build(seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(not torch.equal(first[key], other[key]) for key in first)
    assert sum(key.endswith(("._u", "._v")) for key in first) == 16


def test_discriminator_iterates_in_training_alone() -> None:
    network = build()
    start = copy.deepcopy(network.state_dict())
    network.eval()(images(1, 16, 16))
    assert all(torch.equal(value, start[key]) for key, value in network.state_dict().items())
    network.train()(images(1, 16, 16))
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, start[key])}
    assert changed == {key for key in start if key.endswith(("._u", "._v"))}


def test_discriminator_continues_from_its_state_bit_for_bit() -> None:
    def learn(network: UNetDiscriminator, optimiser: torch.optim.Adam, step: int) -> float:
        network.requires_grad_(False)
        adversarial_loss(network(images(2, 16, 16, seed=step)))  # the decoder's pass iterates too
        network.requires_grad_(True)
        loss = discriminator_loss(network(images(2, 16, 16, seed=step)), network(images(2, 16, 16, seed=100 + step)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    first = build()
    optimiser = torch.optim.Adam(first.parameters(), lr=1e-2)
    for step in range(3):
        learn(first, optimiser, step)
    stored, moments = load(save(first.state_dict())), copy.deepcopy(optimiser.state_dict())
    losses = [learn(first, optimiser, step) for step in range(3, 6)]

    second = build(seed=9)
    second.load_state_dict(stored)
    optimiser = torch.optim.Adam(second.parameters(), lr=1e-2)
    optimiser.load_state_dict(moments)
    assert [learn(second, optimiser, step) for step in range(3, 6)] == losses
    ours, theirs = second.state_dict(), first.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_discriminator_works_in_bfloat16() -> None:
    network, image = build(), images(2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = discriminator_loss(network(image), network(1.0 - image))
    loss.backward()
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert all(value.grad is not None and value.grad.isfinite().all() for value in network.parameters())


def test_discriminator_learns_to_tell() -> None:
    network = build()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    real, fake = images(4, 16, 16), 0.5 * images(4, 16, 16, seed=1)
    for _ in range(30):
        loss = discriminator_loss(network(real), network(fake))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert network(real).mean().item() > 0.5
    assert network(fake).mean().item() < -0.5
    assert loss.item() < math.log(2.0)


def test_losses_of_undecided_logits() -> None:
    zero = torch.zeros((2, 3, 4))
    assert adversarial_loss(zero).item() == pytest.approx(math.log(2.0))
    assert discriminator_loss(zero, zero).item() == pytest.approx(2.0 * math.log(2.0))


def test_losses_are_binary_cross_entropies() -> None:
    real, fake = (torch.randn((2, 5, 6), generator=torch.Generator().manual_seed(seed)) * 3.0 for seed in (0, 1))
    against_one, against_zero = torch.ones_like(real), torch.zeros_like(real)
    torch.testing.assert_close(adversarial_loss(fake), binary_cross_entropy_with_logits(fake, against_one))
    expected = binary_cross_entropy_with_logits(real, against_one)
    expected += binary_cross_entropy_with_logits(fake, against_zero)
    torch.testing.assert_close(discriminator_loss(real, fake), expected)


def test_losses_at_known_logits() -> None:
    three = torch.full((1, 2, 2), math.log(3.0))  # σ = 3/4
    assert adversarial_loss(three).item() == pytest.approx(math.log(4.0 / 3.0))
    assert discriminator_loss(three, three).item() == pytest.approx(math.log(4.0 / 3.0) + math.log(4.0))


@pytest.mark.parametrize(("size", "expected"), [(-1e4, 2e4), (1e4, 1e4)])
def test_losses_of_extreme_logits_are_finite(size: float, expected: float) -> None:
    logits = torch.full((1, 2, 2), size, requires_grad=True)
    loss = adversarial_loss(logits) + discriminator_loss(logits, logits)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
