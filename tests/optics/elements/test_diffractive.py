from __future__ import annotations

import math

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.elements import AmplitudeMask, DiffractiveElement, lens_phase, phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.materials import material
from opticdesign.optics.relief import Relief

WAVELENGTH = 632.8e-9
K = 2.0 * math.pi / WAVELENGTH
RELIEF = Relief(material("fused silica"), material("air"), WAVELENGTH)
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


def test_primary_height_starts_at_the_same_phase_and_learns_a_height() -> None:
    grid, phase = Grid((3, 4), (1e-6, 1e-6)), torch.linspace(-3.0, 9.0, 12).reshape(3, 4)
    element = DiffractiveElement(grid, phase, primary="height", relief=RELIEF)
    assert [name for name, _ in element.named_parameters()] == ["height_m"]
    torch.testing.assert_close(element.transmission(), phase_transmission(phase))
    torch.testing.assert_close(element.height(), RELIEF.height_of_phase(phase))
    process = FabricationProcess(8, WAVELENGTH, RELIEF.material.index(WAVELENGTH), RELIEF.medium.index(WAVELENGTH))
    made = process.phase_of_level(process.level_of_phase(phase))
    torch.testing.assert_close(element.transmission(process), phase_transmission(made))
    element(torch.ones((3, 4), dtype=torch.complex64), process).real.sum().backward()
    assert element.height_m.grad is not None
    assert torch.isfinite(element.height_m.grad).all()


def test_gradcheck_on_the_height_of_an_element() -> None:
    """Heights in units of λ, so that the finite differences of gradcheck fit them."""
    element = DiffractiveElement(Grid((2, 3), (1e-6, 1e-6)), primary="height", relief=RELIEF).double()
    field = torch.randn((2, 3), dtype=torch.complex128, generator=torch.Generator().manual_seed(0))

    def apply(waves: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(element, {"height_m": waves * WAVELENGTH}, field)
        return result

    waves = torch.rand((2, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(apply, waves)


def test_height_of_a_phase_mask_is_that_of_the_remainder() -> None:
    phase = torch.tensor([[0.5, 0.5 + 2.0 * math.pi, -1.0]])
    height = DiffractiveElement(Grid((1, 3), (1e-6, 1e-6)), phase, relief=RELIEF).height()
    turn = WAVELENGTH / (RELIEF.material.index(WAVELENGTH) - RELIEF.medium.index(WAVELENGTH))
    expected = [0.5 / (2 * math.pi) * turn, 0.5 / (2 * math.pi) * turn, (1 - 1 / (2 * math.pi)) * turn]
    assert height[0].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("primary", ["phase", "height"])
@pytest.mark.parametrize("quantised", [False, True])
def test_relief_disperses_at_another_wavelength(primary: str, quantised: bool) -> None:
    phase, blue = torch.linspace(0.1, 6.1, 6).reshape(2, 3), 486e-9
    element = DiffractiveElement(Grid((2, 3), (1e-6, 1e-6)), phase, primary=primary, relief=RELIEF)  # type: ignore[arg-type]
    process = FabricationProcess(8, WAVELENGTH, RELIEF.material.index(WAVELENGTH), RELIEF.medium.index(WAVELENGTH))
    height = process.height_of_level(process.level_of_phase(phase)) if quantised else process.height_of_phase(phase)
    index, around = RELIEF.material.index(blue), RELIEF.medium.index(blue)
    expected = 2.0 * math.pi * (index - around) * height / blue
    result = element.phase(process if quantised else None, blue)
    torch.testing.assert_close(result, expected.to(torch.float32), rtol=1e-5, atol=1e-5)


def test_a_whole_turn_is_none_at_another_wavelength() -> None:
    """A height of two turns is kept where the height is learned; a phase of two turns is made without them."""
    grid, phase = Grid((1, 1), (1e-6, 1e-6)), torch.full((1, 1), 4.0 * math.pi + 1.0)
    of_height = DiffractiveElement(grid, phase, primary="height", relief=RELIEF)
    of_phase = DiffractiveElement(grid, phase, relief=RELIEF)
    ratio = RELIEF.dispersion(500e-9)
    assert of_height.phase(wavelength_m=500e-9).item() == pytest.approx((4.0 * math.pi + 1.0) * ratio, rel=1e-5)
    assert of_phase.phase(wavelength_m=500e-9).item() == pytest.approx(ratio, rel=1e-5)


def test_mask_without_a_relief_has_no_height_and_no_dispersion() -> None:
    element, grid = DiffractiveElement(Grid.square(2, 1e-6)), Grid.square(2, 1e-6)
    with pytest.raises(UsageError, match="pass relief=Relief"):
        element.height()
    with pytest.raises(UsageError, match="pass relief=Relief"):
        element.phase(wavelength_m=500e-9)
    with pytest.raises(UsageError, match="pass relief=Relief"):
        DiffractiveElement(grid, primary="height")


def test_amplitude_mask_starts_as_given_and_stays_between_zero_and_one() -> None:
    grid, start = Grid((1, 4), (1e-6, 1e-6)), torch.tensor([[0.0, 0.25, 0.9, 1.0]])
    mask = AmplitudeMask(grid, start)
    torch.testing.assert_close(mask.transmission(), start, rtol=0.0, atol=2e-4)
    with torch.no_grad():
        mask.logit += torch.tensor([[-1e3, 3.0, -3.0, 1e3]])
    assert 0.0 <= mask.transmission().min().item() <= mask.transmission().max().item() <= 1.0
    torch.testing.assert_close(AmplitudeMask(grid).transmission(), torch.full((1, 4), 0.5))
