"""A diffractive network from a design file: three layers learn to sort light by the direction that it comes from.

Run `python examples/d2nn_from_toml.py`; `--small` takes a quarter of the size, `--save FILE` writes the picture.
"""

# %% the design file, some of its keys set otherwise
# Every key of the file can be set. What comes of it is checked as a whole, and an error would name the key.
import argparse

import torch
from matplotlib import pyplot

import opticdesign as od

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="a quarter of the size, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

SIZE, GAP = (64, "12 um") if asked.small else (128, "24 um")
design = od.load_design(
    "designs/d2nn5.toml",
    optics={
        "layers": 3,
        "neurons": SIZE,
        "cell": SIZE,
        "layer_gap": GAP,
        "detector_gap": GAP,
        "surroundings": "field-stop",
    },
    evaluation={"overlap": 16},
)
optics, process = od.build_optics(design), od.build_process(design)
print(f"{len(optics.phases())} layers of {SIZE} × {SIZE} neurons, made in {process.levels} levels")

# %% four plane waves, tilted by 6° along y and along x, and the spot on the camera that each is to go to
sine = 0.1 * torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
waves = od.plane_wave(optics.object_grid, design.light.wavelength, sine).to(torch.complex64)
grid = optics.camera_grid
side_m = grid.extent_m[0] / 6.0
middles_m = (15.0 * side_m * sine).tolist()
spots = torch.stack([od.Aperture.rectangular(grid, (side_m, side_m), (y, x)).transmission() for y, x in middles_m])
incident = optics.object_grid.pitch_m[0] ** 2 / grid.pitch_m[0] ** 2 * waves.abs().square().sum((1, 2))


def sorted_share() -> torch.Tensor:
    """Share of each wave's light that arrives in its spot, the layers as the process makes them, (4,)."""
    return (optics(waves, process).abs().square() * spots).sum((1, 2)) / incident


# %% training, straight through the rounding to 8 levels
# Layers that are nearly clear leave in each spot what its area is of the whole: 1/36. No law forbids all of the light,
# since the four waves are orthogonal and phase masks lose nothing but what leaves the side.
optimiser = torch.optim.Adam(optics.parameters(), lr=0.1)
before = sorted_share().mean().item()
for step in range(40 if asked.small else 200):
    loss = -sorted_share().log().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % 10 == 0:
        print(f"step {step}: {(-loss).exp().item():.3f} of the light in its spot")
with torch.no_grad():
    after, light = sorted_share(), optics(waves, process)
print(f"before training {before:.3f}, area of a spot {1 / 36:.3f}; after training {after.mean().item():.3f}")

# %% the picture
figure, axes = pyplot.subplots(2, 3, figsize=(13.0, 6.8), layout="constrained")
od.plot.system(optics, title="the layers", axes=axes[0, 0])
od.plot.phase(optics.phases(process)[0], design.optics.pitch, title="first layer, as made", axes=axes[1, 0])
for number, place in enumerate((axes[0, 1], axes[0, 2], axes[1, 1], axes[1, 2])):
    y, x = torch.rad2deg(sine[number].asin()).tolist()
    od.plot.intensity(light[number], grid, title=f"light tilted by {y:+.1f}° along y, {x:+.1f}° along x", axes=place)
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
