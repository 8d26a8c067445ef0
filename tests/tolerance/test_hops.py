from __future__ import annotations

import torch
from torch import Tensor

from opticdesign.field import Grid, shifted
from opticdesign.propagation import RayleighSommerfeld, convolve
from opticdesign.tolerance.hops import Moves, PerturbedHop, Way

GRID = Grid((24, 30), (316.4e-9, 316.4e-9))
HOP = RayleighSommerfeld(GRID, 632.8e-9, 3.4e-6, padding=2.0, dtype=torch.complex128)
LENGTH = torch.tensor([632.8e-9] * 2, dtype=torch.float64)
NONE = torch.zeros((2, 2), dtype=torch.float64)


def wave(seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn((3, *GRID.shape), generator=draw, dtype=torch.complex128)


def hop_of(gap: tuple[float, float] = (0.0, 0.0), shift: Tensor = NONE, wavelength_m: Tensor = LENGTH) -> PerturbedHop:
    way, gaps = Way(HOP), torch.tensor(gap, dtype=torch.float64)
    moves = Moves(NONE[:, 0], (NONE, NONE), 0)
    return way.perturbed(way.transfer(gaps, wavelength_m, shift), wavelength_m, moves)


def test_a_hop_without_errors_uses_the_transfer_function_itself() -> None:
    hop = hop_of()
    torch.testing.assert_close(hop.transfer * HOP.transfer.numel(), HOP.transfer)
    torch.testing.assert_close(hop(wave()[None])[0], HOP(wave()))


def test_a_shift_by_whole_samples_reads_the_field_there() -> None:
    shift = torch.tensor([[2.0, -3.0], [0.0, 1.0]], dtype=torch.float64) * GRID.pitch_m[0]
    found = hop_of(shift=shift)(wave()[None])
    window = convolve(wave(), HOP.transfer)
    for draw, way in zip(found, ((-2, 3), (0, -1)), strict=True):
        torch.testing.assert_close(draw, window.roll(way, (-2, -1))[..., :24, :30])


def test_a_shift_by_any_way_is_the_window_moved_by_a_ramp() -> None:
    shift = torch.tensor([[0.13e-6, -0.07e-6], [-0.21e-6, 0.3e-6]], dtype=torch.float64)
    found = hop_of(shift=shift)(wave()[None])
    window = convolve(wave(), HOP.transfer)
    for draw, (dy, dx) in zip(found, shift.tolist(), strict=True):
        torch.testing.assert_close(draw, shifted(window, -dy, -dx, HOP.window)[..., :24, :30])


def test_a_longer_gap_is_the_longer_propagator() -> None:
    found = hop_of((0.5e-6, -0.3e-6))(wave()[None])
    for draw, gap in zip(found, (0.5e-6, -0.3e-6), strict=True):
        anew = RayleighSommerfeld(GRID, 632.8e-9, 3.4e-6 + gap, padding=2.0, dtype=torch.complex128)
        torch.testing.assert_close(draw, anew(wave()), rtol=1e-4, atol=1e-4)


def test_other_light_is_the_propagator_built_for_it() -> None:
    wavelengths = LENGTH * torch.tensor([1.01, 0.98], dtype=torch.float64)
    found = hop_of((0.0, 0.2e-6), wavelength_m=wavelengths)(wave()[None])
    for draw, wavelength, gap in zip(found, wavelengths.tolist(), (0.0, 0.2e-6), strict=True):
        anew = RayleighSommerfeld(GRID, wavelength, 3.4e-6 + gap, padding=2.0, dtype=torch.complex128)
        torch.testing.assert_close(draw, anew(wave()), rtol=1e-9, atol=1e-9)


def test_one_draw_of_a_hop_is_its_row() -> None:
    shift = torch.tensor([[0.1e-6, 0.2e-6], [0.3e-6, -0.1e-6]], dtype=torch.float64)
    hop = hop_of((0.2e-6, 0.4e-6), shift)
    both = hop(wave()[None])
    torch.testing.assert_close(hop.of_draw(1)(wave()[None])[0], both[1])
    nominal = hop_of()
    assert nominal.of_draw(1).transfer is nominal.transfer
