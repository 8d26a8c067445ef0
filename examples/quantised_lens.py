"""How much light a lens of few height levels brings to its focus, against scalar theory.

Run `python examples/quantised_lens.py`; `--small` takes a quarter of the size, `--save FILE` writes the picture.
"""

# %% the lens: fused silica in air, focal length 4.8 mm
import argparse
import math

import torch
from matplotlib import pyplot

import opticdesign as od
from opticdesign.optics.elements import lens_phase

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

WAVELENGTH_M = 632.8e-9
SIZE, FOCAL_M = (128, 1.2e-3) if asked.small else (512, 4.8e-3)
grid = od.Grid.square(SIZE, 2e-6)
index = od.material("fused silica").index(WAVELENGTH_M)
lens = od.DiffractiveElement(grid, lens_phase(grid, WAVELENGTH_M, FOCAL_M))

# %% a round beam through the lens, to the focus
beam = od.Aperture.circular(grid, grid.extent_m[0] / 2.0).transmission().to(torch.complex64)
to_focus = od.free_space(grid, WAVELENGTH_M, FOCAL_M)
print(to_focus.why)


def peak(process: od.FabricationProcess | None) -> float:
    """Intensity in the focus, as designed or as a process makes the lens."""
    with torch.no_grad():
        return float(to_focus(lens(beam, process)).abs().square().max())


# %% fewer levels, less light
# A staircase of L steps sends sinc²(1/L) of the light where the smooth lens sends all of it.
counts, ideal = (2, 4, 8, 16), peak(None)
processes = [od.FabricationProcess(levels, WAVELENGTH_M, index) for levels in counts]
found = [peak(process) / ideal for process in processes]
theory = [(math.sin(math.pi / levels) / (math.pi / levels)) ** 2 for levels in counts]
for levels, share, expected in zip(counts, found, theory, strict=True):
    print(f"{levels:2d} levels: {share:.3f} of the ideal focus, sinc²(1/L) = {expected:.3f}")

# %% the picture
figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
height_m = processes[1].height_of_phase(processes[1].phase(lens.phase()))
od.plot.height(height_m, grid, title="the lens in 4 levels", axes=left)
right.semilogx(counts, theory, color="0.6", base=2, label="sinc²(1/L)")
right.semilogx(counts, found, "o", base=2, label="simulated")
right.set(
    xlabel="levels L", ylabel="intensity in the focus / ideal", xticks=counts, xticklabels=counts, ylim=(0.0, 1.05)
)
right.legend()
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
