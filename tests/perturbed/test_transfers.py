from __future__ import annotations

import math

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.optics import transfer
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import PROPAGATORS, AngularSpectrum, Propagator, RayleighSommerfeld
from opticdesign.perturbed.nearby import NearbyTransfers
from opticdesign.perturbed.transfers import quarter, transfers, unfolded

WAVELENGTH = 632.8e-9
Z = {"fresnel-impulse": 5e-3}
PITCH = {"fresnel-impulse": (2e-6, 3e-6)}


def made(name: str, shape: tuple[int, int], padding: float, wavelength: float = WAVELENGTH, z: float | None = None):  # type: ignore[no-untyped-def]
    grid = Grid(shape, PITCH.get(name, (316.4e-9, 330e-9)))
    return PROPAGATORS[name](grid, wavelength, Z.get(name, 3.4e-6) if z is None else z, padding=padding)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def near(hop: RayleighSommerfeld, gap_m: float) -> torch.Tensor:
    return unfolded(NearbyTransfers(hop).quarter(gap_m)[None], hop.window.shape)[0]


@pytest.mark.parametrize("name", PROPAGATORS)
@pytest.mark.parametrize(("shape", "padding"), [((64, 64), 1.5), ((33, 46), 1.6), ((24, 31), 2.0), ((16, 20), 2.5)])
def test_transfers_are_those_of_propagators_built_anew(name: str, shape: tuple[int, int], padding: float) -> None:
    hop: Propagator = made(name, shape, padding)
    ways = torch.tensor([1.0, 1.2, 0.8, 1.0], dtype=torch.float64) * float(hop.distance_m)
    wavelengths = torch.tensor([1.0, 1.0, 1.02, 0.98], dtype=torch.float64) * WAVELENGTH
    found = transfers(hop, ways, wavelengths)
    assert found.dtype == hop.dtype
    for one, way, wavelength in zip(found, ways.tolist(), wavelengths.tolist(), strict=True):
        anew = made(name, shape, padding, wavelength, way).transfer
        if name == "rayleigh-sommerfeld":  # cut where the propagator is, not anew
            anew = transfer.rayleigh_sommerfeld((hop.fold(0), hop.fold(1)), hop.grid.pitch_m, wavelength, way)
        assert error(one, anew) < 1e-6


def test_a_cut_kernel_is_cut_where_the_propagator_cuts_it() -> None:
    grid = Grid((96, 96), (0.5e-6, 0.5e-6))
    hop = RayleighSommerfeld(grid, WAVELENGTH, 20e-6, padding=1.5)
    way, wavelength = torch.tensor([22e-6], dtype=torch.float64), torch.tensor([0.62e-6], dtype=torch.float64)
    anew = RayleighSommerfeld(grid, 0.62e-6, 22e-6, padding=1.5)
    assert math.isfinite(hop.zones())
    found = transfers(hop, way, wavelength)[0]
    assert (
        error(found, transfer.rayleigh_sommerfeld((hop.fold(0), hop.fold(1)), (0.5e-6, 0.5e-6), 0.62e-6, 22e-6)) < 1e-6
    )
    assert error(found, anew.transfer) > 0.1


def test_a_kernel_that_is_whole_stays_whole_in_light_of_a_shorter_wave() -> None:
    grid = Grid.square(96, WAVELENGTH / 2.0)
    hop = RayleighSommerfeld(grid, WAVELENGTH, 3.4e-6, padding=2.0)
    anew = RayleighSommerfeld(grid, 0.99 * WAVELENGTH, 3.4e-6, padding=2.0)
    assert math.isinf(hop.zones())
    assert math.isfinite(anew.zones())
    found = transfers(hop, *(torch.tensor([each], dtype=torch.float64) for each in (3.4e-6, 0.99 * WAVELENGTH)))[0]
    whole = transfer.rayleigh_sommerfeld((hop.fold(0), hop.fold(1)), grid.pitch_m, 0.99 * WAVELENGTH, 3.4e-6)
    assert error(found, whole) < 1e-6


@pytest.mark.parametrize("target", [(24, 40), (37, 31), (52, 61)])
@pytest.mark.parametrize("window", [(60, 64), (55, 81), (128, 125)])
@pytest.mark.parametrize("name", ["rayleigh-sommerfeld", "impulse-response"])
def test_transfers_lead_to_planes_of_another_size(name: str, target: tuple[int, int], window: tuple[int, int]) -> None:
    hop, anew = (
        PROPAGATORS[name](Grid((36, 42), (316.4e-9, 316.4e-9)), WAVELENGTH, z, target=target, window=window)
        for z in (3.4e-6, 3.9e-6)
    )
    found = transfers(hop, torch.tensor([3.9e-6], dtype=torch.float64), torch.tensor([WAVELENGTH], dtype=torch.float64))
    assert error(found[0], anew.transfer) < 1e-6


@pytest.mark.parametrize("window", [(8, 8), (7, 9), (6, 5)])
def test_unfolded_restores_an_even_function(window: tuple[int, int]) -> None:
    even = torch.fft.fft2(torch.rand(window, generator=torch.Generator().manual_seed(1))).abs()
    even = even + even.flip((-2, -1)).roll((1, 1), (-2, -1))
    even = even + even.flip(-1).roll(1, -1)
    part = even[: window[0] // 2 + 1, : window[1] // 2 + 1]
    found = unfolded(part[None], window)
    torch.testing.assert_close(found[0], even)
    assert found.mT.is_contiguous()


def test_planes_that_touch_are_refused() -> None:
    hop = made("angular-spectrum", (16, 16), 2.0)
    with pytest.raises(UsageError, match="a gap of -1e-06 m"):
        quarter(
            hop, torch.tensor([1e-6, -1e-6], dtype=torch.float64), torch.full((2,), WAVELENGTH, dtype=torch.float64)
        )


def test_a_way_too_short_for_a_sampled_kernel_is_refused() -> None:
    hop = made("rayleigh-sommerfeld", (16, 16), 2.0)
    with pytest.raises(UsageError, match="cannot carry light over a gap of 2e-07 m"):
        transfers(hop, torch.tensor([2e-7], dtype=torch.float64), torch.tensor([WAVELENGTH], dtype=torch.float64))
    with pytest.raises(UsageError, match="cannot carry light"):
        NearbyTransfers(hop).quarter(2e-7 - 3.4e-6)


@pytest.mark.parametrize(("shape", "padding"), [((160, 150), 1.5), ((48, 40), 2.0)])
@pytest.mark.parametrize("gap", [-2.8e-6, -1e-6, -0.4e-6, 1e-9, 0.15e-6, 0.9e-6, 5e-6])
def test_nearby_transfers_are_right_to_less_than_a_thousandth(
    shape: tuple[int, int], padding: float, gap: float
) -> None:
    grid = Grid(shape, (316.4e-9, 316.4e-9))
    hop, anew = (RayleighSommerfeld(grid, WAVELENGTH, z, padding=padding) for z in (3.4e-6, 3.4e-6 + gap))
    assert error(near(hop, gap), anew.transfer) < 3e-4


def test_wide_kernels_are_interpolated_and_narrow_ones_are_not() -> None:
    wide, narrow = (
        NearbyTransfers(RayleighSommerfeld(Grid.square(size, 316.4e-9), WAVELENGTH, 3.4e-6)) for size in (160, 32)
    )
    for nearby in (wide, narrow):
        nearby.quarter(0.2e-6)
    assert list(wide._stacks) == list(narrow._stacks) == [0]
    assert wide._stacks[0] is not None
    assert narrow._stacks[0] is None


def test_nearby_transfers_beat_the_phase_alone() -> None:
    grid = Grid.square(160, 316.4e-9)
    hop, anew = (RayleighSommerfeld(grid, WAVELENGTH, z) for z in (3.4e-6, 4.4e-6))
    phase = AngularSpectrum(grid, WAVELENGTH, 1e-6).transfer
    assert error(hop.transfer * phase, anew.transfer) > 100 * error(near(hop, 1e-6), anew.transfer)
