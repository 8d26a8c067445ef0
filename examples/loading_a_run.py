"""A trained run in Python: its masks, what its camera reads of a sample, and the phase from that reading.

Run `python examples/loading_a_run.py --run runs/d2nn5`; `--save FILE` writes the picture. Without a run a tiny one is
trained first, which shows the way and no quality; `--small` makes it tinier.
"""

# %% the run, or a tiny one in a temporary folder
import argparse
import math
import tempfile
from pathlib import Path

import torch
from matplotlib import pyplot

import opticdesign as od
from opticdesign.data.source import load_split
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.patches import patch_set

parser = argparse.ArgumentParser()
parser.add_argument("--run", metavar="RUN", help="a run folder, or a folder of runs")
parser.add_argument("--small", action="store_true", help="the tiniest run, for a quick look")
parser.add_argument("--save", metavar="FILE", help="write the picture instead of showing it")
asked, _ = parser.parse_known_args()  # a notebook's kernel has arguments of its own


def train(folder: Path) -> Path:
    """What `opticdesign optimize designs/d2nn5-reader.toml` does, with little of everything."""
    many = 1 if asked.small else 10
    steps = {"optics": 20 * many, "reader": 20 * many, "decoder": 5 * many, "joint": 5 * many}
    design = od.load_design(
        "designs/d2nn5-reader.toml",
        optics={"layers": 2, "neurons": 64},
        detector={"binning": 4},
        decoder={"channels": 8},
        data={"fields": 12},
        training={"batch": 4, "stages": {name: {"steps": count} for name, count in steps.items()}},
        evaluation={"overlap": 16},
    )
    options = Options(torch.device("cpu"), folder / "run")
    return optimise(design, options, on_progress=lambda _: None, stop_asked=lambda: False).folder


print("training a tiny run …" if asked.run is None else f"opening {asked.run}")
with tempfile.TemporaryDirectory() as folder:
    run = od.open_run(asked.run or train(Path(folder)))
print(f"{run.folder.name}: {run.design.name}, {run.process.levels} levels")

# %% the masks, as the process makes them
masks = run.masks()
step = masks.unique().diff().min()
print(f"levels {float(step):.4f} rad apart, 2π/L = {2.0 * math.pi / run.process.levels:.4f} rad")

# %% a sample that was not trained on, the camera, and the phase from its frame
# A real camera's frame goes in the same way: its dark level off, over what the illumination alone makes it read.
microscope = run.microscope()
sample = patch_set(load_split(run.design).test, run.design, 1)
with torch.no_grad():
    frame = microscope.read(sample.fields, run.process, torch.Generator().manual_seed(0))
phase_rad = run.reconstruct(frame)
right_rad = 2.0 * math.pi * sample.targets
print(f"phase found within {float((phase_rad - right_rad).abs().mean()):.2f} rad on average, of a sample that", end=" ")
print(f"varies by {float(right_rad.std()):.2f} rad")

# %% the picture
grid, binning = microscope.optics.grid, run.design.detector.binning
figure, axes = pyplot.subplots(1, 4, figsize=(17.0, 3.4), layout="constrained")
od.plot.phase(masks[0], grid, title="first mask", axes=axes[0])
od.plot.intensity(frame[0], binning * grid.pitch_m[0], title="camera frame", axes=axes[1])
od.plot.phase(phase_rad, grid, title="phase from the frame", axes=axes[2])
od.plot.phase(right_rad, grid, title="phase of the sample", axes=axes[3])
if asked.save:
    figure.savefig(asked.save)
else:
    pyplot.show()
