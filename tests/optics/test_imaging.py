from __future__ import annotations

import math

import pytest
import torch

from opticdesign.optics.band import Plane, from_band, to_band
from opticdesign.optics.imaging import imaged

FINE = Plane((4, 5), (6, 7)), Plane((6, 4), (12, 14)), (7, 7)
EQUAL = Plane((4, 4), (6, 6)), Plane((3, 4), (6, 6)), (6, 6)
LEADING = [((3,), ()), ((1, 3), (2, 1)), ((), (2,)), ((), ())]


@pytest.mark.parametrize(("source", "target", "band"), [FINE, EQUAL])
@pytest.mark.parametrize(("fields", "transfers"), LEADING)
@pytest.mark.parametrize("learned", [(True, True), (True, False), (False, True)])
def test_light_through_a_transfer_function_and_its_gradients(
    source: Plane,
    target: Plane,
    band: tuple[int, int],
    fields: tuple[int, ...],
    transfers: tuple[int, ...],
    learned: tuple[bool, bool],
) -> None:
    generator = torch.Generator().manual_seed(0)
    light, transfer = (
        torch.randn(shape, dtype=torch.complex128, generator=generator).requires_grad_(learns)
        for shape, learns in zip(((*fields, *source.shape), (*transfers, *band)), learned, strict=True)
    )
    found = imaged(light, transfer, source, target)
    expected = from_band(to_band(light, source.window, band) * transfer, target) / math.prod(source.window)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.gradcheck(lambda *both: imaged(*both, source, target), (light, transfer))
