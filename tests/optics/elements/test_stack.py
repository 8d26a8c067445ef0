from __future__ import annotations

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.elements import Aperture, DiffractiveElement, ElementStack, ThinLens
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import AngularSpectrum

WAVELENGTH = 632.8e-9
GRID = Grid((24, 30), (WAVELENGTH, WAVELENGTH))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("quantised", [False, True])
def test_stack_is_its_parts_in_order_and_stacks_nest(quantised: bool) -> None:
    process = FabricationProcess(4, WAVELENGTH, 1.46) if quantised else None
    phase = 6.0 * torch.rand(GRID.shape, generator=torch.Generator().manual_seed(1))
    aperture, lens = Aperture.circular(GRID, 6e-6), ThinLens(GRID, WAVELENGTH, 50e-6)
    mask, hop = DiffractiveElement(GRID, phase), AngularSpectrum(GRID, WAVELENGTH, 5e-6)
    expected = hop(mask(lens(hop(aperture(noise(2, 24, 30)))), process))
    result = ElementStack([aperture, hop, ElementStack([lens, mask]), hop])(noise(2, 24, 30), process)
    torch.testing.assert_close(result, expected)
    assert [name for name, _ in ElementStack([aperture, mask]).named_parameters()] == ["parts.1.phase_rad"]


def test_stack_refuses_nothing_and_parts_on_other_grids() -> None:
    with pytest.raises(UsageError, match="a stack of 0 parts"):
        ElementStack([])
    other = DiffractiveElement(GRID.with_shape((24, 31)))
    with pytest.raises(UsageError, match="all on one grid"):
        ElementStack([DiffractiveElement(GRID), other])
