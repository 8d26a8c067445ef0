"""What every propagator must do, whatever its method: one suite over PROPAGATORS. Oracles stand in test_oracles.py."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics import transfer
from opticdesign.optics.elements import lens_phase, phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import (
    PROPAGATORS,
    AngularSpectrum,
    BandLimitedAngularSpectrum,
    Fresnel,
    FresnelImpulse,
    ImpulseResponse,
    Propagator,
    RayleighSommerfeld,
    convolve,
    padded_grid,
    suitable_propagator,
)

WAVELENGTH = 632.8e-9
PITCH = WAVELENGTH / 2
DISTANCE = 5e-6
GRIDS = [
    Grid.square(64, PITCH),
    Grid.square(63, PITCH),
    Grid((64, 49), (PITCH, PITCH)),
    Grid((50, 81), (PITCH, 0.8 * PITCH)),
]
PRIME = Grid((61, 53), (PITCH, PITCH))  # its window is larger at any padding, for the sake of the FFT
KINDS = pytest.mark.parametrize("kind", PROPAGATORS.values(), ids=PROPAGATORS.keys())
# the sampled impulse response is for long ways: DISTANCE is a quarter of where it starts to be right
SHORT_WAYS = pytest.mark.parametrize("kind", [kind for kind in PROPAGATORS.values() if kind is not FresnelImpulse])
PARAXIAL = (FresnelImpulse, Fresnel)
UNITARY = pytest.mark.parametrize("name", ["angular-spectrum", "band-limited", "fresnel"])


def hop(kind: type[Propagator], grid: Grid, distance_m: float, padding: float = 2.0) -> Propagator:
    return kind(grid, WAVELENGTH, distance_m, padding=padding, dtype=torch.complex128)


def gaussian(grid: Grid, waist_m: float, centre_m: tuple[float, float] = (0.0, 0.0), sine_x: float = 0.0) -> Tensor:
    """A Gaussian beam at its waist, travelling towards +x at the given sine."""
    y, x = grid.coordinates_m()
    profile = torch.exp(-((y - centre_m[0]) ** 2 + (x - centre_m[1]) ** 2) / waist_m**2)
    return profile * phase_transmission(2.0 * math.pi / WAVELENGTH * sine_x * x.expand(grid.shape))


def noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def centroid_m(field: Tensor, grid: Grid) -> tuple[float, float]:
    y, x = grid.coordinates_m()
    power = field.abs() ** 2
    return ((power * y).sum() / power.sum()).item(), ((power * x).sum() / power.sum()).item()


def power(field: Tensor) -> float:
    return field.abs().square().sum().item()


def distance(result: Tensor, expected: Tensor) -> float:
    return (torch.linalg.vector_norm(result - expected) / torch.linalg.vector_norm(expected)).item()


def test_propagators_are_listed_by_their_own_names() -> None:
    assert {name: kind.name for name, kind in PROPAGATORS.items()} == {name: name for name in PROPAGATORS}


@KINDS
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_propagator_keeps_shape_batch_and_type(kind: type[Propagator], dtype: torch.dtype) -> None:
    grid = Grid((40, 50), (PITCH, 0.9 * PITCH))
    propagator = kind(grid, WAVELENGTH, DISTANCE, dtype=dtype)
    for batch in ((), (3,), (2, 3)):
        field = noise((*batch, 40, 50)).to(dtype)
        result = propagator(field)
        assert (result.shape, result.dtype) == (field.shape, dtype)
        if batch:
            torch.testing.assert_close(result[0], propagator(field[0]))


@KINDS
def test_transfer_function_is_not_part_of_a_checkpoint(kind: type[Propagator]) -> None:
    assert hop(kind, GRIDS[0], DISTANCE).state_dict() == {}


@KINDS
def test_propagator_is_linear(kind: type[Propagator]) -> None:
    propagator = hop(kind, GRIDS[2], DISTANCE)
    a, b = noise(GRIDS[2].shape, 1), noise(GRIDS[2].shape, 2)
    torch.testing.assert_close(propagator(2j * a - 3.0 * b), 2j * propagator(a) - 3.0 * propagator(b))


@KINDS
@pytest.mark.parametrize("grid", [*GRIDS, PRIME], ids=str)
def test_zero_distance_leaves_a_smooth_field_alone(kind: type[Propagator], grid: Grid) -> None:
    field = gaussian(grid, 1.4e-6)
    error = distance(hop(kind, grid, 0.0)(field), field)
    assert error < 1e-10


@KINDS
@pytest.mark.parametrize("grid", [*GRIDS, PRIME], ids=str)
@pytest.mark.parametrize("padding", [1.5, 2.0])
def test_frequency_grid_off_by_half_a_bin_would_shift_the_centroid(
    kind: type[Propagator], grid: Grid, padding: float
) -> None:
    field = hop(kind, grid, DISTANCE, padding)(gaussian(grid, 2e-6))
    error = math.hypot(*centroid_m(field, grid)) / PITCH
    assert error < 1e-10


@KINDS
@pytest.mark.parametrize("grid", [*GRIDS, PRIME], ids=str)
def test_result_of_a_symmetric_field_is_symmetric(kind: type[Propagator], grid: Grid) -> None:
    field = hop(kind, grid, DISTANCE)(gaussian(grid, 2e-6))
    error = max(distance(field.flip(0), field), distance(field.flip(1), field))
    assert error < 1e-12


@KINDS
def test_axes_are_not_swapped(kind: type[Propagator]) -> None:
    tall, wide = Grid((50, 81), (PITCH, 0.8 * PITCH)), Grid((81, 50), (0.8 * PITCH, PITCH))
    field = noise(tall.shape)
    torch.testing.assert_close(hop(kind, tall, DISTANCE)(field).mT, hop(kind, wide, DISTANCE)(field.mT))


@KINDS
@pytest.mark.parametrize("grid", [*GRIDS, PRIME], ids=str)
def test_adjoint_is_propagation_back(kind: type[Propagator], grid: Grid) -> None:
    forth, back = hop(kind, grid, DISTANCE, 1.5), hop(kind, grid, -DISTANCE, 1.5)
    x, y = noise(grid.shape, 1), noise(grid.shape, 2)
    left, right = torch.vdot(forth(x).flatten(), y.flatten()), torch.vdot(x.flatten(), back(y).flatten())
    error = ((left - right).abs() / (torch.linalg.vector_norm(forth(x)) * torch.linalg.vector_norm(y))).item()
    assert error < 1e-12


@KINDS
def test_adjoint_is_what_autograd_uses(kind: type[Propagator]) -> None:
    propagator, x, y = hop(kind, GRIDS[3], DISTANCE, 1.5), noise(GRIDS[3].shape, 1), noise(GRIDS[3].shape, 2)
    _, adjoint = torch.autograd.functional.vjp(propagator, x, y)
    error = distance(adjoint, hop(kind, GRIDS[3], -DISTANCE, 1.5)(y))
    assert error < 1e-12


@KINDS
def test_gradcheck_on_field_and_phase(kind: type[Propagator]) -> None:
    grid = Grid((5, 6), (PITCH, 0.9 * PITCH))
    propagator, field = hop(kind, grid, 2e-6), noise(grid.shape, 3)
    phase = torch.rand(grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    assert torch.autograd.gradcheck(propagator, field.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda phi: propagator(field * phase_transmission(phi)).abs() ** 2, phase.requires_grad_()
    )


@KINDS
def test_wedge_thicker_to_the_right_deflects_to_the_right(kind: type[Propagator]) -> None:
    grid, sine = Grid.square(96, PITCH), 0.1
    field = hop(kind, grid, 20e-6)(gaussian(grid, 4e-6, sine_x=sine))
    y, x = centroid_m(field, grid)
    # the Fresnel approximation replaces the tangent by the sine
    assert x == pytest.approx(20e-6 * sine / math.sqrt(1.0 - sine**2), rel=0.02)
    assert y == pytest.approx(0.0, abs=1e-12)


@SHORT_WAYS
def test_wave_on_the_axis_keeps_its_phase_and_a_tilted_one_lags(kind: type[Propagator]) -> None:
    grid, sine, middle = Grid.square(129, PITCH), 0.1, (64, 64)
    straight = hop(kind, grid, DISTANCE)(gaussian(grid, 10e-6))
    assert straight[middle].angle().item() == pytest.approx(0.0, abs=0.02)  # but for the Gouy phase
    tilted = hop(kind, grid, DISTANCE)(gaussian(grid, 10e-6, sine_x=sine))
    lag = 2.0 * math.pi / WAVELENGTH * DISTANCE * (math.sqrt(1.0 - sine**2) - 1.0)
    assert tilted[middle].angle().item() == pytest.approx(lag, abs=0.02)


@KINDS
def test_lens_focuses_at_plus_f_and_a_negative_one_spreads(kind: type[Propagator]) -> None:
    grid, focal = Grid.square(129, PITCH), 40e-6
    beam, lens = gaussian(grid, 8e-6), phase_transmission(lens_phase(grid, WAVELENGTH, focal))

    def brightest(field: Tensor, distance_m: float) -> float:
        return hop(kind, grid, distance_m)(field).abs().square().max().item()

    at_focus = brightest(beam * lens, focal)
    assert at_focus > 5.0
    assert at_focus > 1.2 * brightest(beam * lens, 0.7 * focal)
    assert at_focus > 1.2 * brightest(beam * lens, 1.4 * focal)
    assert brightest(beam * lens.conj(), focal) < 0.3


@KINDS
def test_light_leaving_one_side_does_not_enter_the_other(kind: type[Propagator]) -> None:
    grid = Grid.square(96, PITCH)
    beam = gaussian(grid, 3e-6, centre_m=(0.0, 9e-6), sine_x=0.35)
    field = hop(kind, grid, 20e-6, padding=2.0)(beam)
    assert power(field) < 0.5 * power(beam)  # most of it has left
    error = power(field[:, :32]) / power(beam)
    assert error < 1e-5


def test_unpadded_window_wraps_around() -> None:
    grid = Grid.square(96, PITCH)
    beam = gaussian(grid, 3e-6, centre_m=(0.0, 9e-6), sine_x=0.35)
    field = hop(PROPAGATORS["angular-spectrum"], grid, 20e-6, padding=1.0)(beam)
    assert power(field[:, :32]) > 0.1 * power(beam)


@KINDS
@pytest.mark.parametrize("padding", [1.3, 1.5])
def test_padding_is_zeros(kind: type[Propagator], padding: float) -> None:
    grid = Grid((60, 47), (PITCH, PITCH))
    propagator, field = hop(kind, grid, DISTANCE, padding), noise(grid.shape)
    embedded = torch.zeros(propagator.window.shape, dtype=field.dtype)
    embedded[:60, :47] = field
    expected = torch.fft.ifft2(torch.fft.fft2(embedded) * propagator.transfer)
    torch.testing.assert_close(convolve(field, propagator.transfer), expected)
    torch.testing.assert_close(propagator(field), expected[:60, :47])


@pytest.mark.parametrize("padding", [1.0, 1.1, 1.5, 2.0, 4.0])
def test_padded_window_is_at_least_as_large_as_asked_and_keeps_the_pitch(padding: float) -> None:
    grid = Grid((97, 128), (1e-6, 2e-6))
    window = padded_grid(grid, padding)
    assert window.pitch_m == grid.pitch_m
    for padded, size in zip(window.shape, grid.shape, strict=True):
        assert padding * size <= padded <= 1.1 * padding * size + 1


@UNITARY
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_energy_on_the_kept_band_is_kept(name: str, grid: Grid) -> None:
    kept = hop(PROPAGATORS[name], grid, DISTANCE, 1.0)(noise(grid.shape))  # dropped waves are gone now
    again = hop(PROPAGATORS[name], grid, DISTANCE, 1.0)(kept)
    error = abs(power(again) / power(kept) - 1.0)
    assert error < 1e-10


@UNITARY
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_two_distances_one_after_the_other_equal_their_sum(name: str, grid: Grid) -> None:
    first, second, both = (hop(PROPAGATORS[name], grid, z, 1.0) for z in (2e-6, 3e-6, 5e-6))
    field = both(noise(grid.shape))  # only waves that the longest distance keeps
    error = distance(second(first(field)), both(field))
    assert error < 1e-10


@UNITARY
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_there_and_back_is_the_identity_on_the_kept_band(name: str, grid: Grid) -> None:
    kind = PROPAGATORS[name]
    field = hop(kind, grid, DISTANCE, 1.0)(noise(grid.shape))
    error = distance(hop(kind, grid, -DISTANCE, 1.0)(hop(kind, grid, DISTANCE, 1.0)(field)), field)
    assert error < 1e-10


@SHORT_WAYS
def test_there_and_back_restores_a_beam_inside_the_window(kind: type[Propagator]) -> None:
    grid = Grid.square(96, PITCH)
    beam = gaussian(grid, 3e-6)
    error = distance(hop(kind, grid, -DISTANCE)(hop(kind, grid, DISTANCE)(beam)), beam)
    assert error < 1e-3


@UNITARY
@pytest.mark.parametrize("distance_m", [1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-3, 1.0, 1e3])
def test_transfer_is_finite_and_the_conjugate_for_negative_distance(name: str, distance_m: float) -> None:
    for pitch in (PITCH / 4, PITCH, 8e-6):
        grid = Grid((16, 21), (pitch, 1.1 * pitch))
        forth, back = (hop(PROPAGATORS[name], grid, z, 1.5).transfer for z in (distance_m, -distance_m))
        assert torch.isfinite(torch.view_as_real(forth)).all()
        torch.testing.assert_close(back, forth.conj(), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("distance_m", [4e-7, 1e-6, 1e-5, 1e-3, 1.0, 1e3])
def test_sampled_kernel_is_finite_and_the_conjugate_for_negative_distance(distance_m: float) -> None:
    grid = Grid((16, 21), (PITCH, 0.9 * PITCH))
    forth, back = (hop(PROPAGATORS["rayleigh-sommerfeld"], grid, z).transfer for z in (distance_m, -distance_m))
    assert torch.isfinite(torch.view_as_real(forth)).all()
    torch.testing.assert_close(back, forth.conj(), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("pitch", "distance_m", "padding"),
    [
        (PITCH, 1e-7, 2.0),  # nearer than half a wavelength
        (2e-6, 3.373e-6, 1.5),  # pitch too coarse: this doubled the power of a plane wave
        (8e-6, -1e-3, 2.0),
        (PITCH, 5e-6, 1.0),  # no padding, so no room for a kernel
        (PITCH, 5e-4, 1.5),  # too far for the padding
    ],
)
def test_sampled_kernel_with_too_few_zones_is_refused(pitch: float, distance_m: float, padding: float) -> None:
    with pytest.raises(UsageError, match=r"Fresnel zones of it are left(.|\n)*band-limited(.|\n)*padding to 2"):
        hop(PROPAGATORS["rayleigh-sommerfeld"], Grid.square(96, pitch), distance_m, padding)


@pytest.mark.parametrize(
    ("pitch", "distance_m", "padding", "bar"),
    [
        (PITCH, 3.373e-6, 1.5, 1e-3),  # the packaged design
        (PITCH, 1.5 * WAVELENGTH, 1.5, 1e-3),
        (8e-6, 64e-12 * 64 / WAVELENGTH, 1.5, 0.08),  # 16 zones
        (8e-6, 64e-12 * 256 / WAVELENGTH, 2.0, 2e-3),  # 64 zones
    ],
)
def test_sampled_kernel_is_right_in_the_inner_half_of_the_band(
    pitch: float, distance_m: float, padding: float, bar: float
) -> None:
    grid = Grid.square(256, pitch)
    kernel = hop(PROPAGATORS["rayleigh-sommerfeld"], grid, distance_m, padding)
    exact = hop(PROPAGATORS["angular-spectrum"], grid, distance_m, padding)
    fy, fx = kernel.window.frequencies_per_m()
    inner = torch.sqrt(fy**2 + fx**2) < 0.25 / pitch
    error = (kernel.transfer - exact.transfer)[inner].abs().max().item()
    assert error < bar


@pytest.mark.parametrize("padding", [1.0, 1.3, 1.5])
def test_sampled_kernel_is_the_best_that_its_window_can_carry(padding: float) -> None:
    """No other transfer function is nearer to the linear convolution for fields of independent samples."""
    grid = Grid((9, 12), (PITCH, 0.9 * PITCH))
    window = padded_grid(grid, padding).shape
    folds = transfer.folded(9, window[0]), transfer.folded(12, window[1])
    ours = transfer.rayleigh_sommerfeld(folds, grid.pitch_m, WAVELENGTH, 2e-6)
    points = torch.eye(9 * 12, dtype=torch.complex128).reshape(-1, 9, 12)
    linear = hop(RayleighSommerfeld, grid, 2e-6)(points)

    def error(transfer_function: Tensor) -> Tensor:
        return (convolve(points, transfer_function)[:, :9, :12] - linear).abs().square().sum()

    slope = torch.autograd.functional.jacobian(error, ours)
    assert error(ours) > 1e-3 * power(linear)  # such a window has no exact one
    assert slope.abs().max() < 1e-12 * power(linear)


@pytest.mark.parametrize("distance_m", [3.373e-6, 5.904e-6])
@pytest.mark.parametrize(("padding", "bar"), [(1.5, 4e-3), (1.75, 8e-4)])
def test_light_of_a_bright_edge_comes_back_more_weakly_than_a_cut_kernel_would_lose_it(
    distance_m: float, padding: float, bar: float
) -> None:
    """Wrong light in the far half, against what a kernel cut at the free width is wrong by: all light there."""
    grid = Grid.square(256, PITCH)
    field = torch.zeros(grid.shape, dtype=torch.complex128)
    field[128, 0] = 1.0
    expected = hop(RayleighSommerfeld, grid, distance_m)(field)
    wrong = power((hop(RayleighSommerfeld, grid, distance_m, padding)(field) - expected)[:, 128:])
    assert wrong < 0.75 * power(expected[:, 128:])
    assert wrong < bar * power(expected)


@pytest.mark.parametrize(("padding", "bar"), [(1.25, 0.10), (1.5, 0.037), (1.75, 0.012)])
def test_padding_decides_the_error_of_five_random_masks(padding: float, bar: float) -> None:
    """Against the linear convolution; and 1.5 is better than the angular spectrum on a doubled window."""
    grid, generator = Grid.square(256, PITCH), torch.Generator().manual_seed(5)
    masks = phase_transmission(torch.rand((5, 256, 256), dtype=torch.float64, generator=generator) * 2.0 * math.pi)

    def through(kind: type[Propagator], width: float) -> Tensor:
        layer, camera = (hop(kind, grid, z, width) for z in (3.373e-6, 5.904e-6))
        field = gaussian(grid, 20e-6)
        for mask in masks:
            field = layer(field) * mask
        return camera(field)

    expected = through(RayleighSommerfeld, 2.0)
    error = distance(through(RayleighSommerfeld, padding), expected)
    assert error < bar
    assert (error < distance(through(AngularSpectrum, 2.0), expected)) == (padding >= 1.5)


@UNITARY
@pytest.mark.parametrize("distance_m", [1e-9, 1e-6, 1e-2, -1e-9, -1e-6, -1e-2])
def test_evanescent_part_never_grows(name: str, distance_m: float) -> None:
    grid = Grid.square(32, PITCH / 5)  # most of this band is evanescent
    applied = hop(PROPAGATORS[name], grid, distance_m).transfer
    assert applied.abs().max().item() <= 1.0 + 1e-12


@pytest.mark.parametrize("distance_m", [3.373e-6, -3.373e-6, 5.904e-6])
def test_evanescent_part_of_the_sampled_kernel_decays(distance_m: float) -> None:
    grid = Grid.square(96, PITCH / 2)
    propagator = hop(PROPAGATORS["rayleigh-sommerfeld"], grid, distance_m)
    fy, fx = propagator.window.frequencies_per_m()
    sine = WAVELENGTH * torch.sqrt(fy**2 + fx**2)
    assert propagator.transfer[sine > 1.1].abs().max().item() < 0.1
    # the kernel ends at the window, which costs the steepest rays and makes the transfer ripple next to sine = 1
    assert propagator.transfer.abs().max().item() < 1.25


@KINDS
def test_medium_of_index_n_acts_as_the_wavelength_over_n(kind: type[Propagator]) -> None:
    grid = GRIDS[2]
    immersed = kind(grid, WAVELENGTH, DISTANCE, index=1.33, dtype=torch.complex128)
    shorter = kind(grid, WAVELENGTH / 1.33, DISTANCE, dtype=torch.complex128)
    assert torch.equal(immersed.transfer, shorter.transfer)


@KINDS
def test_single_precision_follows_double_precision(kind: type[Propagator]) -> None:
    field = noise(GRIDS[0].shape)
    single = kind(GRIDS[0], WAVELENGTH, DISTANCE)(field.to(torch.complex64))
    error = distance(single.to(torch.complex128), kind(GRIDS[0], WAVELENGTH, DISTANCE, dtype=torch.complex128)(field))
    assert error < 2e-6


@KINDS
@pytest.mark.parametrize(
    ("wavelength", "distance_m", "padding", "index"),
    [
        (0.0, 1e-6, 1.5, 1.0),
        (-1e-6, 1e-6, 1.5, 1.0),
        (math.nan, 1e-6, 1.5, 1.0),
        (1e-6, math.nan, 1.5, 1.0),
        (1e-6, math.inf, 1.5, 1.0),
        (1e-6, 1e-6, 0.9, 1.0),
        (1e-6, 1e-6, 1.5, 0.5),
    ],
)
def test_propagator_refuses_what_is_out_of_range(
    kind: type[Propagator], wavelength: float, distance_m: float, padding: float, index: float
) -> None:
    with pytest.raises(UsageError, match="λ > 0, finite z, padding ≥ 1, index ≥ 1"):
        kind(GRIDS[0], wavelength, distance_m, padding=padding, index=index)


def test_impulse_response_agrees_with_the_transfer_function_and_takes_over_far_away() -> None:
    """Both are right at z = N·pitch²/λ of the window; beyond, a beam that fills it fits only the impulse response."""
    grid, waist = Grid.square(256, 10e-6), 30e-6
    critical = padded_grid(grid, 2.0).shape[0] * 10e-6**2 / WAVELENGTH
    y, x = grid.coordinates_m()
    errors = []
    for z in (critical, 6.0 * critical):
        spread = waist * math.hypot(1.0, z * WAVELENGTH / (math.pi * waist**2))
        expected = (waist / spread) * torch.exp(-(y**2 + x**2) / spread**2)
        errors.append([distance(hop(kind, grid, z)(gaussian(grid, waist)).abs(), expected) for kind in PARAXIAL])
    (impulse_near, transfer_near), (impulse_far, transfer_far) = errors
    assert max(impulse_near, transfer_near, impulse_far) < 1e-9
    assert transfer_far > 0.1


@pytest.mark.parametrize(
    ("pitch_m", "distance_m", "kind", "why"),
    [
        (PITCH, 3.373e-6, RayleighSommerfeld, "all over the aperture"),
        (PITCH, 0.5e-6, ImpulseResponse, "evanescent"),
        (8e-6, 1e-3, ImpulseResponse, "along y"),
        (8e-6, 0.5, RayleighSommerfeld, "all over the aperture"),
    ],
)
def test_suitable_propagator_follows_the_distance_and_says_why(
    pitch_m: float, distance_m: float, kind: type[Propagator], why: str
) -> None:
    found, reason = suitable_propagator(Grid.square(256, pitch_m), WAVELENGTH, distance_m)
    assert found is kind
    assert why in reason


def test_a_wider_second_plane_asks_for_kernels_that_reach_it() -> None:
    grid = Grid.square(64, 8e-6)
    assert suitable_propagator(grid, WAVELENGTH, 16e-3)[0] is RayleighSommerfeld
    assert suitable_propagator(grid, WAVELENGTH, 16e-3, target=(192, 64))[0] is ImpulseResponse


@pytest.mark.parametrize("distance_m", [50e-9, 1e-6, 20e-6, -20e-6])
@pytest.mark.parametrize("pitch", [(500e-9, 400e-9), (2e-6, 3e-6)])
def test_impulse_response_is_the_angular_spectrum_of_an_endless_window(
    distance_m: float, pitch: tuple[float, float]
) -> None:
    """Evanescent waves decay both ways; a window of sixteen times the field stands for one without end."""
    grid = Grid((24, 17), pitch)
    field = torch.randn(grid.shape, generator=torch.Generator().manual_seed(2), dtype=torch.complex128)
    fy, fx = Grid((384, 272), pitch).frequencies_per_m()
    root = torch.sqrt((1.0 - WAVELENGTH**2 * (fy**2 + fx**2)).to(torch.complex128))
    exact = torch.exp(2j * math.pi / WAVELENGTH * abs(distance_m) * (root - 1.0))
    exact = exact if distance_m > 0 else exact.conj()
    expected = convolve(field, exact)[:24, :17]
    found = ImpulseResponse(grid, WAVELENGTH, distance_m, padding=2.0, dtype=torch.complex128)(field)
    assert distance(found, expected) < 1e-2  # ripples of the edge of the band have died to that in either window


@pytest.mark.parametrize("kind", [RayleighSommerfeld, AngularSpectrum, BandLimitedAngularSpectrum, Fresnel])
def test_distance_can_be_learned(kind: type[Propagator]) -> None:
    """Gradient against finite differences, and a defocus found back by following it."""
    grid = Grid.square(48, PITCH)
    beam = gaussian(grid, 1.5e-6)
    target = hop(kind, grid, 6e-6)(beam)

    def loss(distance_m: float | torch.nn.Parameter) -> Tensor:
        propagator = kind(grid, WAVELENGTH, distance_m, padding=2.0, dtype=torch.complex128)
        return (propagator(beam) - target).abs().square().sum()

    learned = torch.nn.Parameter(torch.tensor(5e-6, dtype=torch.float64))
    loss(learned).backward()
    step = 1e-10
    slope = (loss(5e-6 + step) - loss(5e-6 - step)).item() / (2 * step)
    assert learned.grad is not None
    assert learned.grad.item() == pytest.approx(slope, rel=1e-5)
    for _ in range(40):
        learned.grad = None
        loss(learned).backward()
        with torch.no_grad():
            learned -= 5e-8 * learned.grad.sign()
    assert learned.item() == pytest.approx(6e-6, abs=1e-7)
