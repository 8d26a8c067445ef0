"""One field against a public package that shares no code with this one: TorchOptics, by its direct integration."""

from __future__ import annotations

import math

import pytest
import torch
import torchoptics
from torch import Tensor
from torchoptics.elements import PhaseModulator

from opticdesign.optics.elements import DiffractiveElement, ElementStack
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import RayleighSommerfeld

WAVELENGTH, PITCH, SIZE = 632.8e-9, 316.4e-9, 128
GAPS = (3.373e-6,) * 5 + (5.904e-6,)  # of the packaged design


@pytest.fixture
def _their_defaults() -> object:
    """TorchOptics keeps its number type in a global."""
    before = torchoptics.get_default_dtype()
    torchoptics.set_default_dtype(torch.float64)
    yield
    torchoptics.set_default_dtype(before)


def scene() -> tuple[Tensor, Tensor]:
    """A smooth phase object, complex128, and five masks of any phase, float32."""
    y, x = Grid.square(SIZE, PITCH).coordinates_m()
    phases = 2.0 * math.pi * torch.rand((5, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    return torch.polar(
        torch.ones((SIZE, SIZE), dtype=torch.float64), 2.0 * torch.cos(y / 3e-6 + 1) * torch.sin(x / 5e-6)
    ), phases


@pytest.mark.usefixtures("_their_defaults")
def test_five_layer_design_in_single_precision_equals_torchoptics() -> None:
    field, phases = scene()
    grid = Grid.square(SIZE, PITCH)
    parts = []
    for index, gap in enumerate(GAPS):
        # twice the aperture: the kernel is whole, as theirs is
        parts.append(RayleighSommerfeld(grid, WAVELENGTH, gap, padding=2.0))
        if index < len(phases):
            parts.append(DiffractiveElement(grid, phases[index]))
    with torch.no_grad():
        ours = ElementStack(parts)(field.to(torch.complex64)).to(torch.complex128)

    places = [sum(GAPS[: index + 1]) for index in range(len(GAPS))]
    system = torchoptics.System(
        *(PhaseModulator(phase.double(), z=z, spacing=PITCH) for phase, z in zip(phases, places, strict=False))
    )
    source = torchoptics.Field(field, WAVELENGTH, z=0, spacing=PITCH)
    with torch.no_grad():
        theirs = system.measure_at_z(source, places[-1], propagation_method="DIM").data
    # they keep the carrier e^{ikz}
    carrier = 2.0 * math.pi * places[-1] / WAVELENGTH
    theirs = theirs * complex(math.cos(carrier), -math.sin(carrier))
    error = (torch.linalg.vector_norm(ours - theirs) / torch.linalg.vector_norm(theirs)).item()
    assert error < 1e-4
