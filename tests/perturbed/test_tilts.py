from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import BandLimitedAngularSpectrum, RayleighSommerfeld
from opticdesign.perturbed.hops import Moves, Way
from opticdesign.perturbed.tilts import defocus_per_m, tilt_orders

WAVELENGTH, Z, N = 632.8e-9, 6e-6, 40
GRID = Grid.square(N, WAVELENGTH / 2.0)
NONE = torch.zeros(1, dtype=torch.float64)
LENGTH = torch.tensor([WAVELENGTH], dtype=torch.float64)


def kernel_hop() -> Hop:
    return Hop(RayleighSommerfeld(GRID, WAVELENGTH, Z, padding=2.0, dtype=torch.complex128))


def field() -> Tensor:
    """A random field of angles up to some 50°, dark at the rim."""
    draw = torch.Generator().manual_seed(0)
    f = torch.fft.fftfreq(N, dtype=torch.float64)
    low = torch.exp(-(f[:, None] ** 2 + f**2) / (2 * 0.12**2))
    wave = torch.fft.ifft2(torch.fft.fft2(torch.randn((N, N), generator=draw, dtype=torch.complex128)) * low)
    window = torch.hann_window(N, periodic=False, dtype=torch.float64)
    return wave * window[:, None] * window


def slopes(scale: float) -> tuple[Tensor, Tensor]:
    first, second = torch.tensor([[1.0, -0.7]]), torch.tensor([[-0.5, 1.2]])
    return first.double() * scale, second.double() * scale


def tilted(hop: Hop, scale: float, order: int | None = None) -> Tensor:
    both = slopes(scale)
    order = int(tilt_orders(hop, both)[0]) if order is None else order
    shift = torch.zeros((1, 2), dtype=torch.float64)
    way = Way(hop)
    transfer = way.transfer(NONE, LENGTH, shift, both[0])
    tilted_way = way.perturbed(transfer, LENGTH, Moves(NONE, both, order))
    return tilted_way(field()[None, None])[0, 0]


def direct(scale: float) -> Tensor:
    """The Rayleigh–Sommerfeld sum from one tilted plane to another, without the carriers that hops leave out."""
    hop = kernel_hop()
    y, x = GRID.coordinates_m()
    places = torch.stack([(y + 0 * x).flatten(), (x + 0 * y).flatten()], 1)
    k = 2.0 * math.pi / WAVELENGTH
    # k + c, as W = k_z − k − c is −c on the axis
    carrier = k - float(defocus_per_m(hop, LENGTH)[0, 0, 0])
    (start, end) = (places @ slope[0] for slope in slopes(scale))
    source = field().flatten() * torch.exp(1j * carrier * start)
    way = places[:, None] - places
    z = Z + end[:, None] - start
    r = torch.sqrt(way.square().sum(-1) + z**2)
    along_normal = z - way @ slopes(scale)[0][0]
    kernel = along_normal / (2.0 * math.pi * r**2) * (1.0 / r - 1j * k) * torch.exp(1j * k * (r - Z))
    return (kernel @ source * GRID.pitch_m[0] ** 2 * torch.exp(-1j * carrier * end)).reshape(N, N)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("scale", "bar"), [(1e-3, 5e-5), (5e-3, 2e-4), (2e-2, 3e-3)])
def test_a_hop_between_tilted_planes_is_the_direct_sum(scale: float, bar: float) -> None:
    expected = direct(scale)
    assert error(kernel_hop()(field()), expected) > 30 * bar  # what the tilt does
    assert error(tilted(kernel_hop(), scale), expected) < bar


def test_more_orders_bring_the_field_nearer_until_it_is_right() -> None:
    expected = direct(1e-2)
    errors = [error(tilted(kernel_hop(), 1e-2, order), expected) for order in (1, 2, 3, 4)]
    assert errors[0] > 5 * errors[1] > 8 * errors[2]
    assert errors[2] == pytest.approx(errors[3], rel=0.1)


def test_other_methods_are_right_to_first_order() -> None:
    hop = Hop(BandLimitedAngularSpectrum(GRID, WAVELENGTH, Z, padding=2.0, dtype=torch.complex128))
    expected = direct(1e-3)
    change = error(hop(field()), expected)
    assert error(tilted(hop, 1e-3) - hop(field()), expected - kernel_hop()(field())) < 0.3
    assert change > 0.005


def test_parallel_planes_need_no_order_and_small_tilts_few() -> None:
    hop = kernel_hop()
    none = torch.zeros((1, 2), dtype=torch.float64)
    assert tilt_orders(hop, (none, none)).tolist() == [0]
    assert tilt_orders(hop, slopes(1e-5)).tolist() == [1]
    assert int(tilt_orders(hop, slopes(1e-2))[0]) > int(tilt_orders(hop, slopes(1e-3))[0])


def test_equal_tilts_of_both_planes_still_need_their_kernel() -> None:
    same = slopes(1e-3)[0]
    assert tilt_orders(kernel_hop(), (same, same)).tolist() == [1]


def test_tilts_too_large_are_refused_with_what_would_do() -> None:
    with pytest.raises(UsageError, match=r"tilts of masks by 0.659 rad against each other") as caught:
        tilt_orders(kernel_hop(), slopes(0.3467))
    assert "at most" in caught.value.expected
