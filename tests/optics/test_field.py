from __future__ import annotations

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid, Spectrum, middle, shifted

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


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [*SHAPES, (8, 6)])
def test_shift_by_whole_pitches_moves_samples(shape: tuple[int, int]) -> None:
    grid, field = Grid(shape, (2e-6, 3e-6)), noise(*shape)
    torch.testing.assert_close(shifted(field, 2 * 2e-6, -3e-6, grid), field.roll((2, -1), (0, 1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(48, 64), (49, 63)])
def test_shift_by_part_of_a_pitch_is_exact(shape: tuple[int, int]) -> None:
    grid = Grid(shape, (1e-6, 1.5e-6))
    y, x = grid.coordinates_m()

    def beam(y0: float, x0: float) -> torch.Tensor:
        return torch.exp(-((y - y0) ** 2 / 4e-6**2 + (x - x0) ** 2 / 6e-6**2)).to(torch.complex128)

    torch.testing.assert_close(shifted(beam(0, 0), 0.3e-6, -2.2e-6, grid), beam(0.3e-6, -2.2e-6), rtol=0, atol=1e-12)


def test_shifts_add_up_and_keep_the_power() -> None:
    grid, field = Grid((8, 9), (1.0, 1.0)), noise(2, 8, 9)
    once = shifted(field, 0.7, -0.4, grid)
    torch.testing.assert_close(shifted(once, 0.5, 1.1, grid), shifted(field, 1.2, 0.7, grid))
    torch.testing.assert_close(once.abs().square().sum((1, 2)), field.abs().square().sum((1, 2)))


def test_each_field_of_a_batch_has_its_own_shift() -> None:
    grid, field = Grid((6, 7), (1.0, 0.5)), noise(3, 6, 7)
    dy, dx = torch.tensor([0.0, 0.3, 1.0]), torch.tensor([0.2, -0.1, 0.0])
    result = shifted(field, dy, dx, grid)
    for index in range(3):
        torch.testing.assert_close(result[index], shifted(field[index], dy[index], dx[index], grid))
    assert shifted(field.to(torch.complex64), dy, dx, grid).dtype == torch.complex64


def test_gradient_of_a_shift_is_not_zero_as_that_of_a_nearest_neighbour_is() -> None:
    grid, field = Grid((4, 5), (1.0, 0.5)), noise(2, 4, 5).requires_grad_()
    way = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda field, way: shifted(field, way, 0.5 * way, grid), (field, way))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("margin", [(0, 0), (2, 5), (3, 0)])
def test_the_middle_is_what_a_margin_of_any_size_surrounds(shape: tuple[int, int], margin: tuple[int, int]) -> None:
    values = torch.arange(2 * shape[0] * shape[1]).reshape(2, *shape)
    (my, mx) = margin
    surrounded = torch.nn.functional.pad(values, (mx, mx, my, my), value=-1)
    assert torch.equal(middle(surrounded, shape), values)


def test_spectra_are_centred_and_sum_to_one() -> None:
    flat, line = Spectrum.uniform(600e-9, 40e-9, 4), Spectrum.gaussian(600e-9, 10e-9, 31)
    assert flat.wavelengths_m == pytest.approx((585e-9, 595e-9, 605e-9, 615e-9), rel=1e-12)
    assert flat.weights == (0.25,) * 4
    assert Spectrum.uniform(600e-9, 0.0, 1) == Spectrum((600e-9,), (1.0,))
    assert sum(line.weights) == pytest.approx(1.0)
    assert sum(w * p for w, p in zip(line.wavelengths_m, line.weights, strict=True)) == pytest.approx(600e-9)
    half = [w for w, p in zip(line.wavelengths_m, line.weights, strict=True) if p > 0.5 * max(line.weights)]
    assert max(half) - min(half) == pytest.approx(10e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("wavelengths", "weights"),
    [((), ()), ((1e-6,), (0.5,)), ((1e-6, 2e-6), (1.0,)), ((0.0,), (1.0,)), ((1e-6, 2e-6), (1.5, -0.5))],
)
def test_spectrum_refuses_what_is_no_share_of_power(wavelengths: tuple[float, ...], weights: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="their sum 1"):
        Spectrum(wavelengths, weights)
