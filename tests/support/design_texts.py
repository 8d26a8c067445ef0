"""A small design and what every refused one must keep to, shared by the tests of designs."""

from pathlib import Path

import pytest

from opticdesign.design import load_design
from opticdesign.errors import DesignError

ROOT = Path(__file__).parents[2]
D2NN5 = ROOT / "designs" / "d2nn5.toml"

TINY = (
    "optics.layers=2",
    "optics.neurons=64",
    "optics.start=random",
    "detector.binning=4",
    "decoder.channels=8",
    "data.fields=6",
    "evaluation.overlap=16",
    "training.batch=2",
    "training.stages.optics.steps=3",
    "training.stages.decoder.steps=6",
    "training.stages.joint.steps=6",
)

BASE = """\
name = "small"

[light]
wavelength = "632.8 nm"

[optics]
kind = "d2nn"
layers = 2
neurons = [64, 128]
pitch = "316.4 nm"
input_gap = "3.373 um"
layer_gap = "3.373 um"
detector_gap = "5.904 um"
start = "rippled"
padding = 1.5

[fabrication]
material = "fused silica"
levels = 8
min_feature = "300 nm"

[detector]
binning = 8
max_photons = "10000 photon"
read_noise = "6 electron"

[decoder]
kind = "unet"
channels = 8

[data]
kind = "synthetic"
fields = 6

[training]
seed = 0

[training.stages.first]  # the optics
train = ["optics"]
loss = "intensity-l1"
steps = 10
optics_rate = 0.01

[training.stages.both]
train = ["optics", "decoder"]
loss = "l1+ssim"
steps = 10
optics_rate = 0.01
decoder_rate = 0.002

[evaluation]
overlap = 16
"""
FOLDER = 'kind = "folder"\npath = "fields"\n'
SYNTHETIC = 'kind = "synthetic"\nfields = 6\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "design.toml"
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def refused(path: Path, *overrides: str) -> DesignError:
    with pytest.raises(DesignError, match=r".") as caught:
        load_design(path, overrides)
    error = caught.value
    assert error.exit_code == 2
    assert len(set(error.problems)) == len(error.problems)
    lines = str(error).splitlines()
    assert len(lines) <= 24
    assert all(line.isprintable() and len(line) < 240 for line in lines)
    assert "Traceback" not in str(error)
    return error
