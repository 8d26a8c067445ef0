"""How much light a lens of few height levels brings to its focus, against scalar theory.

Run `python examples/quantised_lens.py`; `--small` takes a quarter of the size.
"""

# %% the lens: fused silica in air, focal length 2 mm
import argparse
import math

import torch

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.elements import DiffractiveElement, lens_phase
from opticdesign.optics.field import Grid
from opticdesign.optics.materials import material
from opticdesign.optics.propagation import suitable_propagator

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
small = parser.parse_args().small

WAVELENGTH_M = 632.8e-9
PITCH_M = 2e-6
SIZE = 128 if small else 512
FOCAL_M = 0.5e-3 if small else 2e-3

grid = Grid.square(SIZE, PITCH_M)
index = material("fused silica").index(WAVELENGTH_M)
lens = DiffractiveElement(grid, lens_phase(grid, WAVELENGTH_M, FOCAL_M))

# %% a round beam through the lens, to the focus
y, x = grid.coordinates_m()
beam = (y**2 + x**2 < (grid.extent_m[0] / 2) ** 2).to(torch.complex64)
kind, reason = suitable_propagator(grid, WAVELENGTH_M, FOCAL_M)
to_focus = kind(grid, WAVELENGTH_M, FOCAL_M, padding=2.0)
print(f"{kind.name}: {reason}")


def peak(process: FabricationProcess | None) -> float:
    """Intensity in the focus, as designed or as a process makes the lens."""
    with torch.no_grad():
        return float(to_focus(lens(beam, process)).abs().square().max())


# %% fewer levels, less light
ideal = peak(None)
for levels in (2, 4, 8, 16):
    made = FabricationProcess(levels, WAVELENGTH_M, index)
    theory = (math.sin(math.pi / levels) / (math.pi / levels)) ** 2
    print(f"{levels:2d} levels: {peak(made) / ideal:.3f} of the ideal focus, sinc²(1/L) = {theory:.3f}")
