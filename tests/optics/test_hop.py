from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.band import Plane, from_band, kept, to_band
from opticdesign.optics.cascade import cascade
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop, light_grid, light_window
from opticdesign.optics.propagation import ImpulseResponse, RayleighSommerfeld, suitable_propagator

WAVELENGTH = 632.8e-9
HALF = WAVELENGTH / 2


def hop(source: Grid, target: Grid, pitch_m: tuple[float, float], distance_m: float, padding: float = 2.5) -> Hop:
    first, second = light_grid(source, pitch_m), light_grid(target, pitch_m)
    kind, _ = suitable_propagator(first, WAVELENGTH, distance_m, target=second.shape)
    window = light_window(source, target, pitch_m, padding)
    return Hop(
        kind(first, WAVELENGTH, distance_m, target=second.shape, window=window, dtype=torch.complex128), source, target
    )


def beam(grid: Grid, centre_m: tuple[float, float], waist_m: float) -> Tensor:
    y, x = grid.coordinates_m()
    return torch.exp(-((y - centre_m[0]) ** 2 + (x - centre_m[1]) ** 2) / waist_m**2).to(torch.complex128)


@pytest.mark.parametrize("fine", [1, 2, 3])
@pytest.mark.parametrize("shapes", [((40, 30), (24, 20)), ((25, 31), (25, 31)), ((21, 40), (20, 41))])
def test_light_arrives_where_it_should_on_planes_of_other_samples(
    fine: int, shapes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """A Gaussian beam off the axis keeps its centre, width and power, whatever the samples count from."""
    pitch = (HALF, 0.8 * HALF)
    source = Grid(shapes[0], pitch)
    target = Grid((shapes[1][0] * fine, shapes[1][1] * fine), (pitch[0] / fine, pitch[1] / fine))
    centre, waist = (0.7e-6, -0.4e-6), 1.0e-6
    result = hop(source, target, pitch, 2e-6)(beam(source, centre, waist))
    y, x = target.coordinates_m()
    spread = waist * math.hypot(1.0, 2e-6 * WAVELENGTH / (math.pi * waist**2))
    power = result.abs().square()
    assert (power * y).sum() / power.sum() == pytest.approx(centre[0], abs=2e-8)
    assert (power * x).sum() / power.sum() == pytest.approx(centre[1], abs=2e-8)
    assert 4.0 * (power * (y - centre[0]) ** 2).sum() / power.sum() == pytest.approx(spread**2, rel=0.06)
    whole = beam(source, centre, waist).abs().square().sum() * pitch[0] * pitch[1]
    assert power.sum() * target.pitch_m[0] * target.pitch_m[1] == pytest.approx(whole.item(), rel=5e-3)


@pytest.mark.parametrize("together", [False, True])
def test_a_cascade_of_hops_between_planes_equals_them_one_by_one(
    monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    monkeypatch.setattr("opticdesign.optics.cascade._alone", lambda device: not together)
    pitch, generator = (HALF, HALF), torch.Generator().manual_seed(1)
    source, fine = Grid((20, 14), pitch), Grid((32, 24), (HALF / 2, HALF / 2))
    hops = [hop(source, fine, pitch, 3e-6), hop(fine, fine, pitch, 3e-6), hop(fine, fine, pitch, 4e-6)]
    field = torch.randn((3, 20, 14), generator=generator, dtype=torch.complex128).requires_grad_()
    masks = [torch.randn(fine.shape, generator=generator, dtype=torch.complex128).requires_grad_() for _ in "ab"]
    plain = hops[2](hops[1](hops[0](field) * masks[0]) * masks[1])
    ours = cascade(field, masks, [each.ready() for each in hops])
    torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad((each.abs() ** 3).sum(), (field, *masks)) for each in (ours, plain)]
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_a_cascade_counts_masks_hops_and_their_planes() -> None:
    grid = Grid((16, 12), (HALF, HALF))
    way = RayleighSommerfeld(grid, WAVELENGTH, 3e-6, padding=2.0).transfer
    field, mask = torch.ones((1, 16, 12), dtype=torch.complex64), torch.zeros((16, 12))
    for masks, ways in (([mask], [way]), ([mask], [way] * 3), ([mask] * 2, [way] * 2)):
        with pytest.raises(UsageError, match=f"{len(ways)} hops around {len(masks)} masks"):
            cascade(field, masks, ways)
    with pytest.raises(UsageError, match="hop 2 starts from a plane"):
        cascade(field, [torch.zeros((12, 16))], [way, way])


@pytest.mark.parametrize("sizes", [(16, 17), (16, 32), (15, 31), (32, 17), (17, 16), (32, 16), (9, 9)])
def test_cutting_a_spectrum_is_the_adjoint_of_filling_it_up(sizes: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(size, generator=generator, dtype=torch.complex128) for size in sizes)
    there = (kept(first, sizes[1], -1).conj() * second).sum()
    back = (first.conj() * kept(second, sizes[0], -1)).sum()
    torch.testing.assert_close(there, back)


def test_a_field_goes_through_its_spectrum_and_comes_back() -> None:
    field = torch.randn((2, 9, 12), generator=torch.Generator().manual_seed(0), dtype=torch.complex128)
    plane = Plane((9, 12), (20, 25))
    back = from_band(to_band(field, plane.window, plane.window), plane) / (20 * 25)
    torch.testing.assert_close(back, field)


def test_a_window_without_whole_samples_of_a_plane_is_refused() -> None:
    grid = Grid((16, 16), (HALF, HALF))
    propagator = ImpulseResponse(grid, WAVELENGTH, 3e-6, window=(33, 33))
    with pytest.raises(UsageError, match=r"holds 24\.75 samples"):
        Hop(propagator, Grid((8, 8), (HALF / 0.75, HALF / 0.75)))
