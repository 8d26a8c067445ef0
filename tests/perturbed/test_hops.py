from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.optics.field import Grid, shifted
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import ImpulseResponse, Propagator, RayleighSommerfeld, convolve
from opticdesign.perturbed.hops import Moves, PerturbedHop, Way

WAVELENGTH, Z = 632.8e-9, 3.4e-6
GRID = Grid((24, 30), (316.4e-9, 316.4e-9))
LENGTH = torch.tensor([WAVELENGTH] * 2, dtype=torch.float64)
NONE = torch.zeros((2, 2), dtype=torch.float64)


def propagator(
    wavelength_m: float = WAVELENGTH, gap: float = 0.0, kind: type[Propagator] = RayleighSommerfeld
) -> Propagator:
    return kind(GRID, wavelength_m, Z + gap, padding=2.0, dtype=torch.complex128)


def coarse(wavelength_m: float = WAVELENGTH, gap: float = 0.0) -> Hop:
    """Light as fine as both planes."""
    return Hop(propagator(wavelength_m, gap))


def fine(wavelength_m: float = WAVELENGTH, gap: float = 0.0, kind: type[Propagator] = RayleighSommerfeld) -> Hop:
    """From an object as fine as the light to a mask of twice and three times as many samples."""
    return Hop(propagator(wavelength_m, gap, kind), GRID, Grid((48, 90), (158.2e-9, 316.4e-9 / 3.0)))


def impulse(wavelength_m: float = WAVELENGTH, gap: float = 0.0) -> Hop:
    return fine(wavelength_m, gap, ImpulseResponse)


ALL = pytest.mark.parametrize("make", [coarse, fine, impulse])


def wave(seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn((3, *GRID.shape), generator=draw, dtype=torch.complex128)


def perturbed(
    hop: Hop, gap: tuple[float, float] = (0.0, 0.0), shift: Tensor = NONE, wavelength_m: Tensor = LENGTH
) -> PerturbedHop:
    way, gaps = Way(hop), torch.tensor(gap, dtype=torch.float64)
    moves = Moves(NONE[:, 0], (NONE, NONE), 0)
    return way.perturbed(way.transfer(gaps, wavelength_m, shift), wavelength_m, moves)


@ALL
def test_a_hop_without_errors_uses_the_transfer_function_itself(make) -> None:  # type: ignore[no-untyped-def]
    designed = make()
    hop = perturbed(designed)
    torch.testing.assert_close(hop.transfer * math.prod(designed.source.window), designed.transfer)
    torch.testing.assert_close(hop(wave()[None])[0], designed(wave()))


def test_a_shift_by_whole_samples_reads_the_field_there() -> None:
    shift = torch.tensor([[2.0, -3.0], [0.0, 1.0]], dtype=torch.float64) * GRID.pitch_m[0]
    found = perturbed(coarse(), shift=shift)(wave()[None])
    window = convolve(wave(), propagator().transfer)
    for draw, way in zip(found, ((-2, 3), (0, -1)), strict=True):
        torch.testing.assert_close(draw, window.roll(way, (-2, -1))[..., :24, :30])


@pytest.mark.parametrize("make", [fine, impulse])
def test_a_shift_by_whole_samples_of_a_finer_plane_reads_the_field_there(make) -> None:  # type: ignore[no-untyped-def]
    (dy, dx), designed = make().target_grid.pitch_m, make()
    shift = torch.tensor([[3.0 * dy, -5.0 * dx], [0.0, dx]], dtype=torch.float64)
    found, flat = perturbed(designed, shift=shift)(wave()[None]), designed(wave())
    torch.testing.assert_close(found[0][..., :-3, 5:], flat[..., 3:, :-5])
    torch.testing.assert_close(found[1][..., :-1], flat[..., 1:])


def test_a_shift_by_any_way_is_the_window_moved_by_a_ramp() -> None:
    shift = torch.tensor([[0.13e-6, -0.07e-6], [-0.21e-6, 0.3e-6]], dtype=torch.float64)
    found = perturbed(coarse(), shift=shift)(wave()[None])
    window = convolve(wave(), propagator().transfer)
    for draw, (dy, dx) in zip(found, shift.tolist(), strict=True):
        torch.testing.assert_close(draw, shifted(window, -dy, -dx, propagator().window)[..., :24, :30])


@ALL
def test_a_longer_gap_is_the_longer_propagator(make) -> None:  # type: ignore[no-untyped-def]
    found = perturbed(make(), (0.5e-6, -0.3e-6))(wave()[None])
    for draw, gap in zip(found, (0.5e-6, -0.3e-6), strict=True):
        torch.testing.assert_close(draw, make(gap=gap)(wave()), rtol=1e-4, atol=1e-4)


@ALL
def test_other_light_is_the_propagator_built_for_it(make) -> None:  # type: ignore[no-untyped-def]
    wavelengths = LENGTH * torch.tensor([1.01, 0.98], dtype=torch.float64)
    found = perturbed(make(), (0.0, 0.2e-6), wavelength_m=wavelengths)(wave()[None])
    for draw, wavelength, gap in zip(found, wavelengths.tolist(), (0.0, 0.2e-6), strict=True):
        torch.testing.assert_close(draw, make(wavelength, gap)(wave()), rtol=1e-9, atol=1e-9)


def test_one_draw_of_a_hop_is_its_row() -> None:
    shift = torch.tensor([[0.1e-6, 0.2e-6], [0.3e-6, -0.1e-6]], dtype=torch.float64)
    hop = perturbed(coarse(), (0.2e-6, 0.4e-6), shift)
    both = hop(wave()[None])
    torch.testing.assert_close(hop.of_draw(1)(wave()[None])[0], both[1])
    nominal = perturbed(coarse())
    assert nominal.of_draw(1).transfer is nominal.transfer
