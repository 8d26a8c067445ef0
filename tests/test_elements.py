from __future__ import annotations

import math

import pytest
import torch

from opticdesign.elements import DiffractiveElement, lens_phase, phase_transmission
from opticdesign.errors import UsageError
from opticdesign.fabrication import FabricationProcess
from opticdesign.field import Grid

WAVELENGTH = 632.8e-9
K = 2.0 * math.pi / WAVELENGTH
PROCESS = FabricationProcess(8, WAVELENGTH, 1.45702)


def test_transmission_of_a_phase_has_that_phase_and_no_loss() -> None:
    phase = torch.tensor([0.0, 0.5, math.pi / 2, -3.0], dtype=torch.float64)
    transmission = phase_transmission(phase)
    torch.testing.assert_close(transmission.angle(), phase)
    torch.testing.assert_close(transmission.abs(), torch.ones(4, dtype=torch.float64))
    assert phase_transmission(phase.float()).dtype == torch.complex64


@pytest.mark.parametrize("focal", [2e-3, -2e-3])
@pytest.mark.parametrize("shape", [(8, 8), (9, 6)])
def test_lens_equalises_the_optical_paths_to_its_focus(focal: float, shape: tuple[int, int]) -> None:
    grid = Grid(shape, (5e-6, 7e-6))
    y, x = grid.coordinates_m()
    way = K * torch.sqrt(y**2 + x**2 + focal**2) * math.copysign(1.0, focal)
    path = lens_phase(grid, WAVELENGTH, focal) + way
    torch.testing.assert_close(path, torch.full(shape, K * focal, dtype=torch.float64), rtol=1e-14, atol=1e-8)


def test_lens_is_highest_in_the_middle_and_zero_on_its_axis() -> None:
    phase = lens_phase(Grid.square(5, 1e-6), WAVELENGTH, 1e-3)
    assert phase[2, 2].item() == 0.0
    assert phase.argmax().item() == 12
    assert lens_phase(Grid.square(5, 1e-6), WAVELENGTH, -1e-3).argmin().item() == 12


def test_lens_keeps_its_precision_when_the_focus_is_far() -> None:
    phase = lens_phase(Grid((1, 2), (1e-6, 2e-6)), WAVELENGTH, 1e3)  # r²/2f = 5e-16 m against f = 1e3 m
    assert phase[0, 0].item() == pytest.approx(-K * 1e-12 / 2e3, rel=1e-12)


def test_element_multiplies_the_field_by_its_mask() -> None:
    grid = Grid((3, 4), (1e-6, 1e-6))
    phase = torch.linspace(-4.0, 9.0, 12).reshape(3, 4)
    field = torch.randn((2, 3, 4), dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    result = DiffractiveElement(grid, phase)(field)
    torch.testing.assert_close(result, field * torch.exp(1j * phase))
    torch.testing.assert_close(DiffractiveElement(grid)(field), field)


def test_element_acts_as_fabricated_when_given_a_process_and_still_learns() -> None:
    grid, phase = Grid((2, 3), (1e-6, 1e-6)), torch.tensor([[0.1, 0.5, 0.9], [-0.1, 6.2, 7.0]])
    element = DiffractiveElement(grid, phase)
    result = element(torch.ones((2, 3), dtype=torch.complex64), PROCESS)
    expected = phase_transmission(PROCESS.phase_of_level(torch.tensor([[0, 1, 1], [0, 0, 1]])))
    assert torch.equal(result, expected)
    (result.real * torch.arange(6).reshape(2, 3)).sum().backward()
    assert element.phase_rad.grad is not None
    assert torch.count_nonzero(element.phase_rad.grad).item() == 3  # sin φ is zero at level 0


def test_element_keeps_its_own_copy_of_the_starting_phase() -> None:
    start = torch.zeros((2, 2))
    element = DiffractiveElement(Grid.square(2, 1e-6), start)
    start += 1.0
    assert torch.count_nonzero(element.phase_rad).item() == 0


def test_element_refuses_a_phase_of_another_shape() -> None:
    with pytest.raises(UsageError, match=r"initial phase of shape \(2, 2\)"):
        DiffractiveElement(Grid((2, 3), (1e-6, 1e-6)), torch.zeros((2, 2)))


def test_gradcheck_on_the_phase_of_an_element() -> None:
    element = DiffractiveElement(Grid((2, 3), (1e-6, 1e-6))).double()
    field = torch.randn((2, 3), dtype=torch.complex128, generator=torch.Generator().manual_seed(0))

    def apply(phase: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(element, {"phase_rad": phase}, field)
        return result

    phase = torch.rand((2, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(apply, phase)
