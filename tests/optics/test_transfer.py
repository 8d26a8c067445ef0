from __future__ import annotations

import pytest
import torch
from torch import Tensor

from opticdesign.optics import transfer

SHAPE = (6, 5)
WAVELENGTH, PITCH, DISTANCE = 0.6, 0.35, 2.0  # in micrometres: gradcheck wants numbers of about 1
FUNCTIONS = [transfer.angular_spectrum, transfer.band_limited, transfer.fresnel, transfer.fresnel_impulse]


def variable(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradcheck_of_wavelength_distance_and_pitch(function) -> None:
    def applied(wavelength: Tensor, distance: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        return function(SHAPE, (dy, dx), wavelength, distance)

    values = tuple(map(variable, (WAVELENGTH, DISTANCE, PITCH, 1.1 * PITCH)))
    assert torch.autograd.gradcheck(applied, values)


@pytest.mark.parametrize("distance_m", [2.0, -2.0])
@pytest.mark.parametrize("count", [(3, 3), (5, 4)])  # each offset once in the window; some of them sharing a place
def test_gradcheck_of_the_rayleigh_sommerfeld_kernel(distance_m: float, count: tuple[int, int]) -> None:
    folds = transfer.folded(count[0], SHAPE[0]), transfer.folded(count[1], SHAPE[1])

    def applied(wavelength: Tensor, distance: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        return transfer.rayleigh_sommerfeld(folds, (dy, dx), wavelength, distance)

    values = tuple(map(variable, (WAVELENGTH, distance_m, PITCH, 1.1 * PITCH)))
    assert torch.autograd.gradcheck(applied, values)


@pytest.mark.parametrize(("count", "window"), [(5, 5), (5, 7), (5, 9), (5, 12), (4, 6), (1, 1)])
def test_folded_offsets_of_every_pair_of_samples_share_the_places_of_the_window(count: int, window: int) -> None:
    fold = transfer.folded(count, window)
    shares = sum(share for _, share in fold).tolist()
    assert [shares[offset] for offset in range(1 - count, count)] == pytest.approx([1.0] * (2 * count - 1))
    assert all(0.0 <= share <= 1.0 + 1e-12 for share in shares)  # what no pair of samples has fades
    held = {int(offset): index for offsets, _ in fold for index, offset in enumerate(offsets.tolist())}
    assert {offset: held[offset] for offset in range(1 - count, count)} == {
        offset: offset % window for offset in range(1 - count, count)
    }
    assert (len(fold) == 1) == (window >= 2 * count - 1)
