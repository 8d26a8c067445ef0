"""A computer-generated hologram: a phase mask that throws a letter, and what making it in 8 levels costs.

Run `python examples/hologram.py`; `--small` takes a quarter of the size, `--save FILE` writes the picture.
"""

# %% the letter F, 2 mm behind the mask
import argparse
import math

import torch
from matplotlib import pyplot

import opticdesign as od

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

WAVELENGTH_M, SIZE, DISTANCE_M = 633e-9, 128 if asked.small else 256, 0.5e-3 if asked.small else 2e-3
grid = od.Grid.square(SIZE, 2e-6)
height, width = grid.extent_m
strokes = ((0.4, 0.06, 0.0, -0.12), (0.06, 0.3, -0.17, 0.0), (0.06, 0.22, 0.0, -0.04))  # in parts of the field
letter = torch.zeros(grid.shape, dtype=torch.float64)
for tall, wide, down, right in strokes:
    stroke = od.Aperture.rectangular(grid, (tall * height, wide * width), (down * height, right * width))
    letter = torch.maximum(letter, stroke.transmission())

# %% gradient descent on the phase, all the way through free space
# The amplitude on the screen is compared with the letter's, whose scale is the best one: what is left free is the phase
# of the letter, and without that freedom no phase mask could throw it.
start = 2.0 * math.pi * torch.rand(grid.shape, generator=torch.Generator().manual_seed(0))
mask = od.DiffractiveElement(grid, start)
screen = od.free_space(grid, WAVELENGTH_M, DISTANCE_M)
beam = torch.ones(grid.shape, dtype=torch.complex64)
target = letter.sqrt().float()
optimiser = torch.optim.Adam(mask.parameters(), lr=0.3)
for step in range(60 if asked.small else 150):
    amplitude = screen(mask(beam)).abs()
    alike = (amplitude * target).sum() / (amplitude.norm() * target.norm())
    optimiser.zero_grad()
    (1.0 - alike).backward()
    optimiser.step()
    if step % 30 == 0:
        print(f"step {step}: {alike.item():.3f} of a letter")

# %% made in 8 levels
# Rounding spreads the phase error evenly over ±π/8. That leaves sinc²(1/8) = 95 % of the light in the wave as designed;
# the rest is scattered all over the screen, a little of it into the letter.
process = od.FabricationProcess(8, WAVELENGTH_M, od.material("fused silica").index(WAVELENGTH_M))
with torch.no_grad():
    designed, made = (screen(mask(beam, one)) for one in (None, process))
kept = float(((made * designed.conj()).sum().abs() / designed.abs().square().sum()).square())
inside = [float((light.abs().square() * letter).sum() / light.abs().square().sum()) for light in (designed, made)]
print(f"light in the letter: {inside[0]:.2f} as designed, {inside[1]:.2f} as made")
print(f"the same wave after rounding: {kept:.3f}, sinc²(1/8) = {(math.sin(math.pi / 8) / (math.pi / 8)) ** 2:.3f}")

# %% the picture
figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13.0, 3.4), layout="constrained")
od.plot.phase(process.phase(mask.phase()), grid, title="mask, 8 levels", axes=left)
od.plot.intensity(designed, grid, title="screen, as designed", axes=middle)
od.plot.intensity(made, grid, title="screen, as made", axes=right)
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
