"""Decoders that work on interpolated readings: any factor, any size, and the layers that their papers name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from opticdesign.decoders import SRCNN, InterpolatedUNet
from opticdesign.decoders.interpolation import interpolated
from opticdesign.errors import UsageError

Make = Callable[[int], nn.Module]
BOTH = pytest.mark.parametrize("make", [lambda scale: InterpolatedUNet(scale, 2), SRCNN], ids=["unet", "srcnn"])


def reading(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@BOTH
@pytest.mark.parametrize(("scale", "shape"), [(1, (33, 17)), (2, (5, 9)), (3, (7, 4)), (4, (16, 16)), (5, (1, 13))])
def test_any_factor_and_size_give_as_many_samples(make: Make, scale: int, shape: tuple[int, int]) -> None:
    image = make(scale)(reading(2, *shape))
    assert tuple(image.shape) == (2, shape[0] * scale, shape[1] * scale)
    assert torch.isfinite(image).all()


@BOTH
def test_a_part_of_a_reading_gives_that_part_of_the_phase(make: Make) -> None:
    torch.manual_seed(0)
    network, whole = make(2).eval(), reading(1, 96, 80)
    with torch.no_grad():
        part, again = network(whole)[:, 64:128, 64:96], network(whole[:, 16:80, 16:64])[:, 32:96, 32:64]
    assert again == pytest.approx(part, abs=0.02 * float(part.std()))


@BOTH
def test_gradient_reaches_every_weight(make: Make) -> None:
    torch.manual_seed(0)
    network = make(2)
    network(reading(2, 16, 16)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_the_unet_has_the_layers_of_the_paper() -> None:
    kinds = [type(layer) for layer in InterpolatedUNet(4, 2).modules()]
    convolutions = [layer for layer in InterpolatedUNet(4, 2).modules() if isinstance(layer, nn.Conv2d)]
    threes = [layer for layer in convolutions if layer.kernel_size == (3, 3)]
    assert len(threes) == kinds.count(nn.BatchNorm2d) == kinds.count(nn.ReLU) == 2 * (1 + 4 + 4)
    assert kinds.count(nn.ConvTranspose2d) == 4
    assert max(layer.out_channels for layer in convolutions) == 2 * 2**4


def test_srcnn_has_the_layers_of_its_paper() -> None:
    assert [tuple(layer.weight.shape) for layer in SRCNN(4).layers if isinstance(layer, nn.Conv2d)] == [
        (64, 1, 9, 9),
        (32, 64, 1, 1),
        (1, 32, 5, 5),
    ]


def test_a_pixel_stays_in_the_middle_of_its_samples() -> None:
    ramp = torch.arange(12.0).expand(1, 8, 12)
    fine = interpolated(ramp, 3)[0, 0]
    assert fine.reshape(8, 3, 12, 3).mean(dim=(1, 3))[2:-2, 2:-2] == pytest.approx(ramp[0, 2:-2, 2:-2] - 1.0, abs=1e-5)


@BOTH
def test_no_factor_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match="cannot upsample by 0"):
        make(0)


def test_the_unet_learns_a_phase_from_an_aliased_reading() -> None:
    torch.manual_seed(0)
    network, target = InterpolatedUNet(4, 8), torch.rand((2, 4, 4))
    target = nn.functional.interpolate(target[:, None], (32, 32), mode="bicubic")[:, 0]
    frame = 1.0 + target[:, 1::4, 2::4]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(30):
        optimiser.zero_grad()
        loss = (network(frame) - target).square().mean()
        loss.backward()
        optimiser.step()
    assert loss < 0.05 * target.var()
