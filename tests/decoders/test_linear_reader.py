from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from opticdesign.decoders import LinearReader, UNet, WithReader, surroundings


def readings(count: int, height: int = 8, width: int = 16, seed: int = 0) -> Tensor:
    return 1.0 + 0.3 * torch.randn((count, height, width), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("period", [1, 2, 4])
def test_reader_finds_a_linear_map_of_each_class_of_pixels(period: int) -> None:
    truth = LinearReader(2, period)
    truth.weights.copy_(torch.randn(truth.weights.shape, generator=torch.Generator().manual_seed(1)))
    reader = LinearReader(2, period)
    for step in range(12 * period * period):
        shown = readings(16, seed=step + 100)
        reader.fit(*reader.seen(shown, truth(shown)))
    unseen = readings(4, seed=99)
    torch.testing.assert_close(reader(unseen), truth(unseen), rtol=0.0, atol=0.1)
    if period > 1:  # one map for all pixels cannot do it
        plain = LinearReader(2, 1)
        plain.fit(*plain.seen(readings(64), truth(readings(64))))
        assert (plain(unseen) - truth(unseen)).abs().mean() > 1.0


def test_reader_is_the_ridge_solution_of_numpy() -> None:
    shown = readings(3)
    phase = torch.rand((3, 16, 32), generator=torch.Generator().manual_seed(2))
    reader = LinearReader(2, 1)
    reader.fit(*reader.seen(shown, phase))
    features = surroundings(shown - 1.0).permute(0, 2, 3, 1).reshape(-1, 51).double().numpy()
    # sample (1, 0) of the two by two below each pixel
    wanted = phase[:, 1::2, 0::2].reshape(-1).double().numpy()
    weights = np.linalg.solve(features.T @ features + 3.0 * np.eye(51), features.T @ wanted)
    np.testing.assert_allclose(reader.weights[0, :, 2].numpy(), weights, rtol=1e-3, atol=1e-4)


def test_what_was_seen_in_parts_fits_as_what_is_seen_at_once() -> None:
    shown, phase = readings(6), torch.rand((6, 16, 32), generator=torch.Generator().manual_seed(3))
    whole, parts = LinearReader(2, 2), LinearReader(2, 2)
    whole.fit(*whole.seen(shown, phase))
    parts.fit(*parts.seen(shown[:2], phase[:2]))
    parts.fit(*parts.seen(shown[2:], phase[2:]))
    torch.testing.assert_close(parts.weights, whole.weights)


def test_surroundings_are_the_pixel_itself_its_neighbours_wide_means_and_a_constant() -> None:
    values = torch.arange(24.0 * 24.0).reshape(1, 24, 24)
    around = surroundings(values)
    assert around.shape == (1, 51, 24, 24)
    assert around[0, 12, 10, 9] == values[0, 10, 9]
    assert around[0, 12 + 1, 10, 9] == values[0, 10, 10]
    assert around[0, 25 + 12, 10, 9] == pytest.approx(values[0, 8:12, 7:11].mean().item())
    assert torch.all(around[0, 50] == 1.0)


def test_network_adds_nothing_at_first_and_learns() -> None:
    reader = LinearReader(4, 1)
    reader.fit(*reader.seen(readings(4), torch.rand((4, 32, 64), generator=torch.Generator().manual_seed(4))))
    decoder = WithReader(reader, UNet(4, 8))
    shown = readings(2, seed=5)
    assert torch.equal(decoder(shown), reader(shown))
    decoder(shown).square().mean().backward()
    moved = [p for p in decoder.parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert moved
    assert all(p is not reader.weights for p in decoder.parameters())
