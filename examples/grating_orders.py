"""Where a blazed grating of a few levels sends light, and how much: the grating equation and sinc²(m/L).

Run `python examples/grating_orders.py`; `--small` takes half of the rows, `--save FILE` writes the picture.
"""

# %% a sawtooth of 8 µm period, made as 4 levels in fused silica
# A staircase of L steps has the orders m = 1 + kL alone, each with the share sinc²(m/L) of the light: with 4 steps 81 %
# go where the grating is blazed to, and 9 % into order −3 on the other side.
import argparse
import math

import numpy as np
import torch
from matplotlib import pyplot

import opticdesign as od
from opticdesign.optics.elements import Square

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="half of the rows, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

WAVELENGTH_M, PERIOD_M, LEVELS, DISTANCE_M = 633e-9, 8e-6, 4, 1.2e-3
SAMPLES = 4  # of the light across a step, which is a square and not a point
rows = 16 if asked.small else 32
grid = od.Grid((rows * SAMPLES, 640 * SAMPLES), (256e-6 / (rows * SAMPLES), PERIOD_M / LEVELS / SAMPLES))
staircase = 2.0 * math.pi / LEVELS * (torch.arange(638) % LEVELS)  # squares fade in an opaque rim of one on each side
grating = od.DiffractiveElement(grid, staircase.expand(rows - 2, 638), samples=SAMPLES, square=Square())
process = od.FabricationProcess(LEVELS, WAVELENGTH_M, od.material("fused silica").index(WAVELENGTH_M))

# %% a beam of 60 µm, split and followed for 1.2 mm
# The beam is narrow enough that its orders have walked apart there, and wide enough that it stays narrow.
y, x = grid.coordinates_m()
beam = torch.exp(-(y**2 + x**2) / 30e-6**2).to(torch.complex64)
with torch.no_grad():
    camera = od.propagate(grating(beam, process), DISTANCE_M, grid, WAVELENGTH_M, say=print).abs().square()
along = camera.sum(0).numpy() / float(beam.abs().square().sum())

# %% each order beside theory
orders, found, theory = range(-3, 6), [], []
places = [DISTANCE_M * math.tan(math.asin(m * WAVELENGTH_M / PERIOD_M)) for m in orders]
for m, place_m in zip(orders, places, strict=True):
    inside = np.abs(x[0].numpy() - place_m) < 0.5 * DISTANCE_M * WAVELENGTH_M / PERIOD_M
    found.append(along[inside].sum())
    theory.append(np.sinc(m / LEVELS) ** 2 if m % LEVELS == 1 else 0.0)
    if m % LEVELS == 1:
        centre_m = float((along[inside] * x[0].numpy()[inside]).sum() / found[-1])
        angle, equation = math.degrees(math.atan2(centre_m, DISTANCE_M)), math.degrees(math.atan2(place_m, DISTANCE_M))
        print(f"order {m:+d}: at {angle:.2f}°, asin(mλ/Λ) = {equation:.2f}°", end="; ")
        print(f"{found[-1]:.3f} of the light, sinc²(m/L) = {theory[-1]:.3f}")

# %% the picture
figure, (top, bottom) = pyplot.subplots(2, 1, figsize=(8.0, 5.4), layout="constrained")
top.semilogy(x[0] * 1e6, along / along.max())
top.set(xlabel="x at 1.2 mm / µm", ylabel="light per column / greatest", ylim=(1e-5, 3.0), xlim=(-600, 600))
for m, place_m in zip(orders, places, strict=True):
    top.annotate(f"{m:+d}" if m else "0", (place_m * 1e6, 1.3), ha="center")
bottom.bar(np.array(orders) - 0.2, found, 0.4, label="simulated")
bottom.bar(np.array(orders) + 0.2, theory, 0.4, label="sinc²(m/L)")
bottom.set(xlabel="order m", ylabel="share of the light", xticks=orders)
bottom.legend()
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
