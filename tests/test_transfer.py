from __future__ import annotations

import pytest
import torch
from torch import Tensor

from opticdesign import transfer

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
def test_gradcheck_of_the_rayleigh_sommerfeld_kernel(distance_m: float) -> None:
    kept = torch.ones((6, 1), dtype=torch.float64), torch.ones((1, 5), dtype=torch.float64)

    def applied(wavelength: Tensor, distance: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        return transfer.rayleigh_sommerfeld(kept, (dy, dx), wavelength, distance)

    values = tuple(map(variable, (WAVELENGTH, distance_m, PITCH, 1.1 * PITCH)))
    assert torch.autograd.gradcheck(applied, values)
