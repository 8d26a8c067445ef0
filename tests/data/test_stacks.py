"""Pairs from measured stacks: the frame that is read beside the phase that the stack shows, and training on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from opticdesign.data.source import load_data
from opticdesign.data.stacks import load_pairs
from opticdesign.design import Design, StackData, load_design
from opticdesign.errors import DataError
from opticdesign.instrument.building import build_microscope
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.patches import patch_set
from opticdesign.runs.trained import open_run
from tests.support.defocused_cell import PITCH_M, cell_phase, defocused
from tests.support.design_texts import refused, write

TEXT = """\
name = "measured"

[light]
wavelength = "550 nm"

[optics]
kind = "measured"
neurons = [32, 32]
pitch = "400 nm"

[fabrication]
material = "fused silica"
levels = 8
min_feature = "1 um"

[detector]
binning = 4
max_photons = "10000 photon"
read_noise = "0 electron"
shot_noise = false

[decoder]
kind = "interpolated-unet"
channels = 2

[data]
kind = "stacks"
path = "PATH"
planes = ["-1 um", "0 um", "1 um"]
read = "1 um"

[training]
seed = 0
batch = 2

[training.stages.decoder]
train = ["decoder"]
loss = "mse"
steps = 4
decoder_rate = 0.01
decay = "none"

[evaluation]
overlap = 8
"""
TABLE = TEXT[TEXT.index('kind = "stacks"') : TEXT.index("[training]")]


def stack(exposures: tuple[float, float, float] = (3e4, 3e4, 3e4)) -> np.ndarray:
    return np.stack([defocused(z, counts) for z, counts in zip((-1e-6, 0.0, 1e-6), exposures, strict=True)])


@pytest.fixture
def design(tmp_path: Path) -> Design:
    (tmp_path / "stacks").mkdir()
    for number in range(4):
        np.save(tmp_path / "stacks" / f"{number}.npy", stack((2e4, 3e4, 1e4 * (number + 1))))
    return load_design(write(tmp_path, TEXT.replace("PATH", str(tmp_path / "stacks"))))


def pairs(design: Design, path: Path) -> list:
    assert isinstance(design.data, StackData)
    return list(load_pairs(path, design.data, design))


def test_a_pair_is_the_read_frame_over_its_mean_and_the_phase_of_the_stack(design: Design, tmp_path: Path) -> None:
    (pair,) = pairs(design, tmp_path / "stacks" / "1.npy")
    frame = defocused(1e-6).astype(np.float64)
    assert pair.amplitude**2 == pytest.approx(frame / frame.mean(), abs=1e-3)
    right = cell_phase()
    inner = slice(8, -8)
    assert np.corrcoef(pair.phase_rad[inner, inner].ravel(), right[inner, inner].ravel())[0, 1] > 0.995
    assert pair.valid.all() and pair.source == "1.npy"


def test_the_camera_reads_the_frame_binned_and_nothing_is_simulated(design: Design, tmp_path: Path) -> None:
    (pair,) = pairs(design, tmp_path / "stacks" / "0.npy")
    microscope = build_microscope(design)
    patches = patch_set([pair], design, 4)
    reading = microscope.read(patches.fields, microscope.process, torch.Generator().manual_seed(0))
    right = (patches.fields.abs() ** 2).reshape(len(reading), 8, 4, 8, 4).mean(dim=(2, 4))
    assert reading == pytest.approx(right, abs=1e-5)


def test_files_are_dealt_out_whole(design: Design) -> None:
    split = load_data(design).split
    assert sorted(len(part) for part in split) == [1, 1, 2]
    assert len({field.source for part in split for field in part}) == 4


def test_several_stacks_of_a_file_are_several_pairs_and_a_stop_is_not_valid(design: Design, tmp_path: Path) -> None:
    stopped = np.concatenate([stack(), stack()])
    stopped[3:, :20] = 0
    np.save(tmp_path / "two.npy", stopped)
    first, second = pairs(design, tmp_path / "two.npy")
    assert (first.name, second.name) == ("two.npy[0]", "two.npy[1]")
    assert first.valid.all()
    assert not second.valid[:19].any() and second.valid[24:].all()
    assert (second.amplitude[:19] == 1.0).all()


def test_a_decoder_learns_from_stacks_and_reads_frames(design: Design, tmp_path: Path) -> None:
    run = optimise(design, Options(torch.device("cpu"), tmp_path / "run"), lambda progress: None, lambda: False)
    assert run.complete and (run.folder / "figures" / "validation.png").exists()
    found = open_run(run.folder).reconstruct(np.ones((9, 12)))
    assert found.shape == (36, 48) and found.isfinite().all()


def test_stacks_that_do_not_fit_are_refused(design: Design, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", stack()[:2])
    with pytest.raises(DataError, match=r"short.npy: 2 frames\n.*3 for each stack, at -1 µm, 0 m, 1 µm"):
        pairs(design, tmp_path / "short.npy")
    resolution = (1e-2 / (2 * PITCH_M),) * 2
    tifffile.imwrite(
        tmp_path / "other.tif", stack(), photometric="minisblack", resolution=resolution, resolutionunit="CENTIMETER"
    )
    with pytest.raises(DataError, match=r"other.tif: pixels of 800 nm\n.*400 nm, optics.pitch"):
        pairs(design, tmp_path / "other.tif")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('planes = ["-1 um", "0 um", "1 um"]', 'planes = ["1 um"]', "data.planes"),
        ('read = "1 um"', 'read = "2 um"', "data.read, data.planes"),
        ("shot_noise = false", "shot_noise = true", "detector.shot_noise, detector.read_noise"),
        ('read_noise = "0 electron"', 'read_noise = "6 electron"', "detector.shot_noise, detector.read_noise"),
        ('train = ["decoder"]', 'train = ["optics", "decoder"]\noptics_rate = 0.1', "training.stages.decoder.train"),
        ("batch = 2", "batch = 2\naugmentation = {superpose = 0.5}", "training.augmentation.superpose"),
        (TABLE, 'kind = "synthetic"\n', "optics.kind, data.kind"),
        ('kind = "measured"', 'kind = "fourier-filter"\nfocal = "10 mm"', "optics.kind, data.kind"),
    ],
)  # fmt: skip
def test_a_design_that_mixes_models_and_measurements_is_refused(old: str, new: str, key: str, tmp_path: Path) -> None:
    assert TEXT.count(old) == 1
    problems = refused(write(tmp_path, TEXT.replace(old, new))).problems
    assert key in [problem.key for problem in problems]
