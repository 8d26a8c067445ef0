"""What every element must do, whatever it is: one suite over all of them. Their oracles stand in their own tests."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from opticdesign.optics.elements import (
    AmplitudeMask,
    Aperture,
    DiffractiveElement,
    Element,
    ElementStack,
    FourierFilter,
    SpatialLightModulator,
    ThinLens,
    linear_lut,
)
from opticdesign.optics.field import Grid
from opticdesign.optics.materials import material
from opticdesign.optics.propagation import AngularSpectrum
from opticdesign.optics.relief import Relief

WAVELENGTH = 632.8e-9
RELIEF = Relief(material("fused silica"), material("air"), WAVELENGTH)


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def phase(grid: Grid) -> Tensor:
    return 6.0 * torch.rand(grid.shape, generator=stream(1))


def amplitude(grid: Grid) -> Tensor:
    return 0.1 + 0.8 * torch.rand(grid.shape, generator=stream(2))


def panel(grid: Grid, **options: float) -> Element:
    return SpatialLightModulator(grid, phase(grid), fill_factor=0.9, gap=0.5, **options)  # type: ignore[arg-type]


def stack(grid: Grid) -> Element:
    hop = AngularSpectrum(grid, WAVELENGTH, 2e-6, padding=2.0)
    return ElementStack([Aperture.circular(grid, 3e-6), hop, DiffractiveElement(grid, phase(grid))])


MAKERS: dict[str, Callable[[Grid], Element]] = {
    "phase": lambda grid: DiffractiveElement(grid, phase(grid)),
    "height": lambda grid: DiffractiveElement(grid, phase(grid), primary="height", relief=RELIEF),
    "lens": lambda grid: ThinLens(grid, WAVELENGTH, 20e-6),
    "diverging lens": lambda grid: ThinLens(grid, WAVELENGTH, -20e-6),
    "circle": lambda grid: Aperture.circular(grid, 2.2e-6),
    "rectangle": lambda grid: Aperture.rectangular(grid, (2.2e-6, 1.1e-6), (0.1e-6, -0.2e-6)),
    "amplitude": lambda grid: AmplitudeMask(grid, amplitude(grid)),
    "filter": lambda grid: FourierFilter(
        grid, WAVELENGTH, 1e-2, numerical_aperture=0.7, amplitude=amplitude(grid), phase_rad=phase(grid)
    ),
    "phase filter": lambda grid: FourierFilter(grid, WAVELENGTH, 1e-2, mode="phase", padding=2.0),
    "amplitude filter": lambda grid: FourierFilter(grid, WAVELENGTH, 1e-2, mode="amplitude", padding=1.5),
    "pupil": lambda grid: FourierFilter(grid, WAVELENGTH, 1e-2, mode="none", numerical_aperture=0.4),
    "panel": panel,
    "smeared panel": lambda grid: panel(grid, crosstalk=0.6),
    "fine panel": lambda grid: panel(grid, samples=3, crosstalk=0.4),
    "panel with a table": lambda grid: SpatialLightModulator(grid, phase(grid), lut_rad=linear_lut(8, 218)),
    "stack": stack,
}
KINDS = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
GRIDS = pytest.mark.parametrize(
    "grid", [Grid((8, 8), (WAVELENGTH / 2,) * 2), Grid((9, 9), (4e-7, 4e-7)), Grid((7, 12), (4e-7, 3e-7))], ids=str
)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=stream(3))


@KINDS
@GRIDS
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_element_keeps_shape_batch_and_type(make: Callable[[Grid], Element], grid: Grid, dtype: torch.dtype) -> None:
    element = make(grid)
    if dtype == torch.complex128:
        element = element.double()
    for batch in ((), (2,), (2, 3)):
        field = noise(*batch, *element.grid.shape).to(dtype)
        result = element(field)
        assert (result.shape, result.dtype) == (field.shape, dtype)
        if batch:
            torch.testing.assert_close(result[0], element(field[0]))


@KINDS
@GRIDS
def test_element_is_linear_and_never_adds_power(make: Callable[[Grid], Element], grid: Grid) -> None:
    element = make(grid).double()
    a, b = noise(2, *element.grid.shape)
    torch.testing.assert_close(element(2j * a - 3.0 * b), 2j * element(a) - 3.0 * element(b))
    # the largest gain over all fields: power iteration on A*A
    field = a
    for _ in range(20):
        _, back = torch.autograd.functional.vjp(element, field, element(field))
        field = back / torch.linalg.vector_norm(back)
    gain = torch.linalg.vector_norm(element(field)).item()
    assert gain <= 1.0 + 1e-9


@KINDS
def test_single_precision_follows_double_precision(make: Callable[[Grid], Element]) -> None:
    grid = Grid((12, 15), (4e-7, 3e-7))
    element = make(grid)
    field = noise(*element.grid.shape)
    single = element(field.to(torch.complex64)).to(torch.complex128)
    double = element.double()(field)
    error = (torch.linalg.vector_norm(single - double) / torch.linalg.vector_norm(double)).item()
    assert error < 1e-6


# a table's steps have a straight-through gradient, which finite differences cannot see
@pytest.mark.parametrize("make", [make for name, make in MAKERS.items() if "table" not in name])
@GRIDS
def test_gradients_equal_finite_differences(make: Callable[[Grid], Element], grid: Grid) -> None:
    element = make(grid).double()
    field, weights = noise(*element.grid.shape).requires_grad_(), noise(*element.grid.shape)
    (element(field) * weights).abs().pow(2).sum().backward()

    def loss() -> float:
        return float((element(field) * weights).abs().pow(2).sum())

    with torch.no_grad():
        for parameter in [*element.parameters(), field]:
            assert parameter.grad is not None
            # heights are metres, so the step is relative to what the parameter is
            size = parameter.abs().max().item() or 1.0
            way = 1e-6 * size * torch.randn(parameter.shape, dtype=parameter.dtype, generator=stream(4))
            parameter += way
            above = loss()
            parameter -= 2.0 * way
            below = loss()
            parameter += way
            slope = (parameter.grad.conj() * way).real.sum().item()
            assert slope == pytest.approx((above - below) / 2.0, rel=1e-5, abs=1e-9 * above)


@KINDS
def test_element_moves_with_its_state(make: Callable[[Grid], Element]) -> None:
    grid = Grid((6, 8), (4e-7, 3e-7))
    element, other = make(grid), make(grid)
    with torch.no_grad():
        for parameter in element.parameters():
            parameter *= 0.9
    other.load_state_dict(element.state_dict())
    field = noise(*element.grid.shape)
    assert torch.equal(element(field), other(field))


@KINDS
def test_fixed_parts_of_an_element_are_not_part_of_a_checkpoint(make: Callable[[Grid], Element]) -> None:
    element = make(Grid((6, 8), (4e-7, 3e-7)))
    assert set(element.state_dict()) == {name for name, _ in element.named_parameters()}


def test_wedge_and_lens_turn_light_the_same_way_as_a_denser_side_does() -> None:
    """Thicker on one side sends light there: phase, height and lens agree in sign."""
    grid = Grid.square(32, WAVELENGTH)
    _, x = grid.coordinates_m()
    ramp = (2.0 * math.pi * x / (8 * WAVELENGTH)).expand(grid.shape)
    for element in (
        DiffractiveElement(grid, ramp),
        DiffractiveElement(grid, ramp, primary="height", relief=RELIEF),
        SpatialLightModulator(grid, ramp, lut_rad=linear_lut()),
    ):
        orders = torch.fft.fft2(element(torch.ones(grid.shape, dtype=torch.complex64))).abs()
        assert divmod(int(orders.argmax()), 32) == (0, 4)  # +1/8 of a turn per sample
