from __future__ import annotations

import pytest
import torch

from opticdesign.decoders import UNet


def reading(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("shape", [(8, 8), (16, 24)])
def test_unet_upsamples_by_its_scale(scale: int, shape: tuple[int, int]) -> None:
    image = UNet(scale, 8)(reading(2, *shape))
    assert tuple(image.shape) == (2, shape[0] * scale, shape[1] * scale)
    assert torch.isfinite(image).all()


def test_unet_gradient_reaches_every_weight_and_the_reading() -> None:
    network, image = UNet(4, 8), reading(2, 16, 16).requires_grad_()
    network(image).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.count_nonzero(parameter.grad).item() > 0, name
    assert image.grad is not None
    assert torch.count_nonzero(image.grad).item() == image.numel()


def test_unet_images_do_not_depend_on_their_neighbours_in_the_batch() -> None:
    network, batch = UNet(4, 8), reading(3, 16, 16)
    torch.testing.assert_close(network(batch)[1], network(batch[1:2])[0], rtol=1e-4, atol=1e-5)


def test_unet_keeps_the_axes_apart() -> None:
    wide, image = reading(1, 8, 16), reading(1, 8, 16)
    image[:, 7, 15] += 5.0
    change = torch.zeros(16, 32)
    for seed in range(12):  # normalisation spreads a change over the image, with each weights elsewhere
        torch.manual_seed(seed)
        network = UNet(2, 8)
        difference = (network(image) - network(wide)).detach().abs()[0]
        change += difference / difference.mean()
    row, column = divmod(int(change.argmax()), change.shape[1])
    assert row >= 8
    assert column >= 24


@pytest.mark.parametrize("training", [True, False])
def test_unet_acts_the_same_in_training_and_evaluation(training: bool) -> None:
    network, batch = UNet(4, 8), reading(2, 8, 8)
    assert torch.equal(network.train(training)(batch), network.train(not training)(batch))
