"""A lens, a phase mask and a camera in ten lines: the focus, split in two by a binary grating.

Run `python examples/lens_mask_camera.py`; `--small` takes a quarter of the size, `--save FILE` writes the picture.
"""

# %% how large
import argparse

import torch
from matplotlib import pyplot

import opticdesign as od

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own
SIZE, FOCAL_M, WAVELENGTH_M = (128, 1e-3, 633e-9) if asked.small else (512, 4e-3, 633e-9)

# %% the ten lines
grid = od.Grid.square(SIZE, 2e-6)
x = grid.coordinates_m()[1]
lens = od.ThinLens(grid, WAVELENGTH_M, FOCAL_M)
stripes = torch.pi * (torch.remainder(x, 16e-6) < 8e-6).expand(grid.shape)
stack = od.ElementStack(
    [od.Aperture.circular(grid, 0.06 * grid.extent_m[0]), lens, od.DiffractiveElement(grid, stripes)]
)
focus = od.propagate(stack(od.plane_wave(grid, WAVELENGTH_M)), FOCAL_M, grid, WAVELENGTH_M, say=print)
camera = od.Detector(binning=2, max_photons=1000.0, read_noise=2.0).eval()
reading = camera(focus.abs().square(), torch.Generator().manual_seed(0)).clamp(min=0.0)
axes = od.plot.intensity(reading, 4e-6, title="two foci")
train = od.plot.system([lens, stack.parts[2], od.free_space(grid, WAVELENGTH_M, FOCAL_M)], title="lens, mask, camera")

# %% where the two foci are
columns = reading.sum(0)
middle = len(columns) // 2
left, right = int(columns[:middle].argmax()), middle + int(columns[middle:].argmax())
print(f"foci {(right - left) * 4.0:.0f} µm apart, 2 λf/period = {2e6 * WAVELENGTH_M * FOCAL_M / 16e-6:.0f} µm")
if asked.save:
    axes.figure.savefig(asked.save)
else:
    pyplot.show()
