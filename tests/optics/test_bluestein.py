from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.optics.bluestein import chirp_z


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


def direct_sum(signal: Tensor, turns: float, count: int, a: float, b: float) -> Tensor:
    n = torch.arange(signal.shape[-1], dtype=torch.float64) - a
    m = torch.arange(count, dtype=torch.float64) - b
    return signal @ torch.exp(-2j * math.pi * turns * torch.outer(n, m))


def error(result: Tensor, expected: Tensor) -> float:
    return ((result - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(("size", "count"), [(16, 16), (17, 40), (64, 9), (1, 5), (5, 1), (200, 300)])
@pytest.mark.parametrize("turns", [0.0123, -0.4, 1e-5, 1.0 / 3.0])
def test_transform_equals_the_direct_sum(size: int, count: int, turns: float) -> None:
    signal = noise(2, size)
    middle = direct_sum(signal, turns, count, (size - 1) / 2, (count - 1) / 2)
    assert error(chirp_z(signal, turns, count), middle) < 1e-10
    shifted = direct_sum(signal, turns, count, 2.5, -3.25)
    assert error(chirp_z(signal, turns, count, origin=2.5, output_origin=-3.25), shifted) < 1e-10


@pytest.mark.parametrize("size", [8, 9, 61])
def test_transform_of_the_usual_spacing_is_the_discrete_fourier_transform(size: int) -> None:
    signal = noise(size)
    result = chirp_z(signal, 1.0 / size, size, origin=0.0, output_origin=0.0)
    assert error(result, torch.fft.fft(signal)) < 1e-12


def test_transform_works_along_any_axis_and_in_single_precision() -> None:
    signal = noise(3, 10, 7)
    expected = chirp_z(signal.mT, 0.03, 12).mT
    torch.testing.assert_close(chirp_z(signal, 0.03, 12, dim=-2), expected)
    single = chirp_z(signal.to(torch.complex64), 0.03, 12, dim=-2)
    assert single.dtype == torch.complex64
    assert error(single.to(torch.complex128), expected) < 1e-6


def test_gradcheck_on_the_signal_and_the_spacing() -> None:
    turns = torch.tensor(0.07, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, t: chirp_z(x, t, 4), (noise(2, 5).requires_grad_(), turns))
