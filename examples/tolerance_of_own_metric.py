"""What is left of a lens's focus when it is etched too deep and mounted too far away: a metric of one's own.

Run `python examples/tolerance_of_own_metric.py`; `--small` takes fewer draws, `--save FILE` writes the picture.
"""

# %% a diffractive lens of 8 levels as a design of one layer, with the errors it is to stand
# `opticdesign tolerance` judges trained microscopes by the phase they find. Here the same errors act on a lens, and the
# metric is its Strehl ratio: the intensity in the focus over that of the lens as designed.
import argparse

import numpy as np
import torch
from matplotlib import pyplot

import opticdesign as od
from opticdesign.optics.elements import lens_phase
from opticdesign.perturbed.deviations import deviations_of
from opticdesign.perturbed.optics import perturbed_optics
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import build_space
from opticdesign.tolerance.sampling import unit_points

parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="fewer draws, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own

SIZE, FOCAL_M, DRAWS = 64, 200e-6, 60 if asked.small else 600
design = od.load_design(
    "designs/d2nn5.toml",
    optics={
        "layers": 1,
        "neurons": SIZE,
        "cell": SIZE,
        "pitch": "1 um",
        "input_gap": "50 um",
        "detector_gap": f"{FOCAL_M} m",
        "surroundings": "field-stop",
        "samples": 2,
        "padding": 2.0,
    },
    evaluation={"overlap": 16},
    tolerance={"etch_depth": {"sigma": 0.08}, "gap": {"sigma": "4 um"}},
)
optics, process = od.build_optics(design), od.build_process(design)
optics.set_phases_rad(lens_phase(optics.grid, design.light.wavelength, FOCAL_M)[None].float())

# %% the metric: any function of the field on the camera
lit = torch.ones(1, *optics.object_grid.shape, dtype=torch.complex64)
sample = Sample(lit, torch.zeros(lit.shape))
perturbed = perturbed_optics(design, optics, process)
with torch.no_grad():
    nominal = float(optics(lit, process).abs().square().max())


def strehl(errors: np.ndarray) -> np.ndarray:
    """Strehl ratio of each draw of errors (n, parameters), (n,)."""
    found = np.empty(len(errors))
    for number, row in enumerate(errors):
        draw = deviations_of(design, space, row[None], [number], seed=0)
        with torch.no_grad():
            found[number] = float(perturbed.field(sample, draw).abs().square().max()) / nominal
    return found


# %% depth alone beside theory
# Steps that are a share ε too deep or too shallow leave [sin(πε)/(L·sin(πε/L))]² of the light in the focus.
space = build_space(design)
depth = np.array([0.05, 0.1, 0.2])
alone = np.zeros((3, len(space.names)))
alone[:, space.groups.index("etch_depth")] = depth
theory = (np.sin(np.pi * depth) / (process.levels * np.sin(np.pi * depth / process.levels))) ** 2
for share, found, expected in zip(depth, strehl(alone), theory, strict=True):
    print(f"{share:.0%} too deep: Strehl ratio {found:.3f}, theory {expected:.3f}")

# %% all errors at once
# Gap 1 lies in front of the lens, where a plane wave stays what it is. A ratio above 1 is no mistake: so small a lens
# is brightest a little in front of its focus.
draws = space.values(unit_points("random", len(space.names), 0, 0, DRAWS, DRAWS))
ratios = strehl(draws)
low, median, high = np.percentile(ratios, (5, 50, 95))
print(f"{DRAWS} lenses: median {median:.2f}, 90 % of them between {low:.2f} and {high:.2f}")
for name, column in zip(space.names, draws.T, strict=True):
    print(f"{name}: correlation of its square with the loss {np.corrcoef(column**2, 1.0 - ratios)[0, 1]:.2f}")

# %% the picture
figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
axes.axvspan(low, high, color="C0", alpha=0.2, label="90 % of lenses")
axes.hist(ratios, bins=25, color="0.6")
axes.axvline(median, color="C0", label="median")
axes.set(xlabel="Strehl ratio", ylabel="lenses")
axes.set_title("; ".join(f"{one.name}: {one.distribution}" for one in space.parameters), fontsize=9)
axes.legend()
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
