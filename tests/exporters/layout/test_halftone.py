"""The order in which cells of a pixel open."""

from __future__ import annotations

import numpy as np
import pytest

from opticdesign_exporters.layout.halftone import opening_ranks


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 13, 64])
def test_every_cell_has_its_own_rank(side):
    ranks = opening_ranks(side)
    assert ranks.shape == (side, side)
    assert sorted(ranks.ravel().tolist()) == list(range(side * side))


@pytest.mark.parametrize("side", [4, 8, 16])
@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_open_cells_are_as_far_apart_as_on_a_lattice(side, power):
    """2ⁿ open cells of a square of 2ᵐ are on a square lattice, straight or diagonal: what Bayer's matrix does."""
    count = 2**power
    places = np.argwhere(opening_ranks(side) < count)
    away = np.abs(places[:, None] - places[None])
    away = np.minimum(away, side - away)  # pixels stand side by side
    distance = np.hypot(away[..., 0], away[..., 1]) + 1e9 * np.eye(count)
    assert distance.min() == pytest.approx(side / count**0.5)


@pytest.mark.parametrize("side", [5, 7, 8, 12])
def test_open_cells_are_spread_over_all_parts_of_a_pixel(side):
    """At any number of open cells every quarter of the pixel, round its edges, opens by its share within two cells."""
    ranks = opening_ranks(side)
    half = side // 2
    for count in range(1, side * side):
        is_open = np.pad(ranks < count, (0, half), mode="wrap").astype(int)
        sums = is_open.cumsum(0).cumsum(1)
        sums = np.pad(sums, ((1, 0), (1, 0)))
        quarter = sums[half:, half:] - sums[:-half, half:] - sums[half:, :-half] + sums[:-half, :-half]
        assert np.abs(quarter - count * half**2 / side**2).max() <= 2
