"""The focus of a lens with a round stop: Airy's rings, and how far along the axis the focus reaches.

Run `python examples/airy_focus.py`; `--small` takes half of the size, `--save FILE` writes the picture.
"""

# %% a lens of 1 mm focal length behind a round stop, lit by a plane wave
import argparse

import numpy as np
import torch
from matplotlib import pyplot

import opticdesign as od

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="half of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

WAVELENGTH_M = 633e-9
SIZE, FOCAL_M = (128, 0.5e-3) if asked.small else (256, 1e-3)
grid = od.Grid.square(SIZE, 1.5e-6)
RADIUS_M = 0.4 * grid.extent_m[0]
lens = od.ElementStack([od.Aperture.circular(grid, RADIUS_M), od.ThinLens(grid, WAVELENGTH_M, FOCAL_M)])
behind = lens(od.plane_wave(grid, WAVELENGTH_M))

# %% the focal plane
# The stop's transform is J₁(v)/v, whose first zero is at v = 3.83: a dark ring of radius 0.61 λ/NA. The grid is too
# coarse to show a ring. What lies between its samples follows from the spectrum, summed at any points.
focus = od.propagate(behind, FOCAL_M, grid, WAVELENGTH_M, say=print)
aperture = RADIUS_M / np.hypot(RADIUS_M, FOCAL_M)
STEP_M = 0.01 * WAVELENGTH_M / aperture
points_m = (torch.arange(321) - 160) * STEP_M
first_m, frequencies = grid.coordinates_m()[1][0, 0], grid.frequencies_per_m()[1][0]
between = torch.exp(2j * torch.pi * (points_m[:, None] - first_m) * frequencies) / SIZE
airy = (between @ torch.fft.fft2(focus) @ between.T).abs().square()
ray = airy[160, 160:]
ring_m = STEP_M * int((ray[1:] > ray[:-1]).int().argmax())
print(f"first dark ring {ring_m * 1e6:.2f} µm, 0.61 λ/NA = {0.61e6 * WAVELENGTH_M / aperture:.2f} µm")

# %% along the axis
# Out of focus by z the marginal ray is late by z·NA²/2. A whole wave of it leaves the axis dark, on either side.
ways_m = torch.linspace(-1.4, 1.4, 41, dtype=torch.float64) * 2.0 * WAVELENGTH_M / aperture**2
waves = [od.propagate(behind, FOCAL_M + float(way_m), grid, WAVELENGTH_M) for way_m in ways_m]
side = torch.stack([(between[160] @ torch.fft.fft2(wave) @ between.T).abs().square() for wave in waves])
axis = side[:, 160]
dark_m = float(ways_m[20 + axis[20:].argmin()] - ways_m[axis[:20].argmin()])
print(f"from dark to dark {dark_m * 1e6:.0f} µm, 4λ/NA² = {4e6 * WAVELENGTH_M / aperture**2:.0f} µm")

# %% the picture: amplitudes, since rings of a few percent are hard to see
figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained")
od.plot.intensity((airy / airy.max()).sqrt(), STEP_M, title="focal plane", axes=left)
left.images[0].colorbar.set_label("amplitude / greatest", fontsize=8)
across_um, along_um = (points_m * 1e6).numpy(), (ways_m * 1e6).numpy()
right.pcolormesh(along_um, across_um, (side / side.max()).sqrt().T.numpy(), cmap="gray", shading="gouraud")
right.set_title("through the focus", fontsize=9)
right.set(xlabel="z from the focus / µm", ylabel="y / µm")
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
