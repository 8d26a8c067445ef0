from __future__ import annotations

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.field import Grid

SHAPES = [(6, 6), (5, 5), (4, 7), (1, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_coordinates_are_centred_and_one_pitch_apart(shape: tuple[int, int]) -> None:
    grid = Grid(shape, (2.0, 3.0))
    y, x = grid.coordinates_m()
    assert (tuple(y.shape), tuple(x.shape)) == ((shape[0], 1), (1, shape[1]))
    assert (y.dtype, x.dtype) == (torch.float64, torch.float64)
    assert y.sum().item() == 0.0
    assert x.sum().item() == 0.0
    assert torch.all(y.diff(dim=0) == 2.0)
    assert torch.all(x.diff(dim=1) == 3.0)


def test_coordinates_of_a_small_grid_equal_the_written_convention() -> None:
    y, x = Grid((2, 3), (1.0, 0.5)).coordinates_m()
    assert y[:, 0].tolist() == [-0.5, 0.5]
    assert x[0].tolist() == [-0.5, 0.0, 0.5]


def test_frequencies_start_at_zero_and_have_no_half_bin_shift() -> None:
    fy, fx = Grid((4, 5), (0.5, 0.1)).frequencies_per_m()
    assert fy[:, 0].tolist() == [0.0, 0.5, -1.0, -0.5]
    torch.testing.assert_close(fx[0], torch.tensor([0.0, 2.0, 4.0, -4.0, -2.0], dtype=torch.float64))
    assert (fy.dtype, fx.dtype) == (torch.float64, torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_frequencies_are_those_of_the_discrete_fourier_transform(shape: tuple[int, int]) -> None:
    grid = Grid(shape, (2e-6, 3e-6))
    fy, fx = grid.frequencies_per_m()
    rows, columns = torch.arange(shape[0])[:, None], torch.arange(shape[1])[None, :]
    wave = torch.exp(2j * torch.pi * (fy[-1, 0] * rows * 2e-6 + fx[0, -1] * columns * 3e-6))
    spectrum = torch.fft.fft2(wave).abs()
    assert spectrum.argmax().item() == spectrum.numel() - 1


def test_offsets_run_through_positive_then_negative_whole_pitches() -> None:
    y, x = Grid((4, 5), (2.0, 0.25)).offsets_m()
    torch.testing.assert_close(y[:, 0], torch.tensor([0.0, 2.0, -4.0, -2.0], dtype=torch.float64))
    torch.testing.assert_close(x[0], torch.tensor([0.0, 0.25, 0.5, -0.5, -0.25], dtype=torch.float64))


def test_grid_extent_is_shape_times_pitch_and_another_shape_keeps_the_pitch() -> None:
    grid = Grid((4, 6), (2.0, 0.5))
    assert grid.extent_m == (8.0, 3.0)
    assert grid.with_shape((8, 2)) == Grid((8, 2), (2.0, 0.5))
    assert Grid.square(7, 1e-6) == Grid((7, 7), (1e-6, 1e-6))


@pytest.mark.parametrize(
    ("shape", "pitch"), [((0, 4), (1.0, 1.0)), ((4, -1), (1.0, 1.0)), ((4, 4), (0.0, 1.0)), ((4, 4), (1.0, -1.0))]
)
def test_grid_refuses_what_is_not_positive(shape: tuple[int, int], pitch: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="at least one sample along each axis and a positive pitch"):
        Grid(shape, pitch)
