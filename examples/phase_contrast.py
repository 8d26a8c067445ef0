"""Zernike's phase contrast in a 4-f system: a filter in the pupil that makes a phase of φ a contrast of 2φ.

Run `python examples/phase_contrast.py`; `--small` takes a quarter of the size, `--save FILE` writes the picture.
"""

# %% glass steps of 40, 80 and 120 nm in water, which no bright-field microscope shows
import argparse
import math

import torch
from matplotlib import pyplot

import opticdesign as od

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

WAVELENGTH_M, SIZE = 633e-9, 128 if asked.small else 512
grid = od.Grid.square(SIZE, 0.5e-6)
relief = od.Relief(od.material("fused silica"), od.material("water"), WAVELENGTH_M)
height_m = torch.zeros(grid.shape, dtype=torch.float64)
for step, shift in enumerate((-0.28, 0.0, 0.28), start=1):
    disc = od.Aperture.circular(grid, 0.1 * grid.extent_m[0], (0.0, shift * grid.extent_m[1]))
    height_m += step * 40e-9 * disc.transmission()
phase_rad = relief.phase_of_height(height_m)
sample = torch.exp(1j * phase_rad)

# %% the filter: a quarter of a wave on the undiffracted light, one point in the middle of the pupil
# e^{iφ} ≈ 1 + iφ. Behind the filter the light is i + iφ, and its intensity 1 + 2φ: φ is now first order. What counts is
# φ against its mean, since the mean passes the middle of the pupil too.
quarter = torch.zeros(grid.shape)
quarter[SIZE // 2, SIZE // 2] = math.pi / 2.0
clear, zernike = (
    od.FourierFilter(grid, WAVELENGTH_M, 10e-3, mode="none", numerical_aperture=0.5, phase_rad=phase)
    for phase in (torch.zeros(grid.shape), quarter)
)
bright, contrast = (part(sample).abs().square().flip((0, 1)) for part in (clear, zernike))  # the image is upside down

# %% the contrast in the middle of each step
weak = phase_rad - phase_rad.mean()
for step, shift in enumerate((-0.28, 0.0, 0.28), start=1):
    row, column = SIZE // 2, round((0.5 + shift) * SIZE)
    seen, expected = float(contrast[row, column]) - 1.0, 2.0 * float(weak[row, column])
    print(
        f"{step * 40} nm: contrast {seen:.3f}, 2φ = {expected:.3f}; bright field {float(bright[row, column]) - 1:.3f}"
    )

# %% the picture
figure, axes = pyplot.subplots(1, 3, figsize=(13.0, 3.4), layout="constrained")
od.plot.height(height_m, grid, title="glass in water", axes=axes[0])
for image, title, place in ((bright, "bright field", axes[1]), (contrast, "phase contrast", axes[2])):
    od.plot.intensity(image, grid, title=title, axes=place).images[0].set_clim(0.7, 1.3)  # around the background
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
