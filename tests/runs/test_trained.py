"""The handle of a trained run."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.errors import RunError, UsageError
from opticdesign.runs.run_folder import Run
from opticdesign.runs.start import load_trained
from opticdesign.runs.trained import TrainedRun, open_run
from tests.support.run_json import edit_run


@pytest.fixture(scope="module")
def trained(trained_run: Run) -> TrainedRun:
    return open_run(trained_run.folder)


def test_its_microscope_is_the_one_that_was_trained(trained: TrainedRun, trained_run: Run) -> None:
    right, _ = load_trained(trained_run, torch.device("cpu"))
    microscope = trained.microscope()
    assert not microscope.training
    for name, value in right.state_dict().items():
        assert torch.equal(microscope.state_dict()[name], value), name


def test_masks_are_those_that_the_process_makes(trained: TrainedRun) -> None:
    learned, made = trained.masks(made=False), trained.masks()
    assert made.shape == learned.shape == (trained.design.optics.layers, *trained.design.optics.neurons)
    steps = made / (2.0 * math.pi / trained.process.levels)
    assert steps == pytest.approx(steps.round(), abs=1e-4)
    off = torch.remainder(made - learned + math.pi, 2.0 * math.pi) - math.pi
    assert off.abs().max() <= math.pi / trained.process.levels + 1e-4


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (11,)])
def test_frames_become_phase_in_radians(trained: TrainedRun, batch: tuple[int, ...]) -> None:
    microscope = trained.microscope()
    shape = (*batch, *microscope.optics.object_grid.shape)
    phase = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        frames = microscope.read(torch.polar(torch.ones(shape), phase).reshape(-1, *shape[-2:]), trained.process)
        right = 2.0 * math.pi * microscope.decode(frames)
    found = trained.reconstruct(frames.reshape(*batch, *frames.shape[-2:]).numpy())
    assert found.shape == (*batch, *microscope.optics.grid.shape)
    assert found.reshape(right.shape) == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 3, 3)), "frames of 4 × 3 × 3 pixels"),
        (np.array(1.0), "frames of no axes pixels"),
        (np.full((16, 16), np.nan), "a frame holds NaN"),
        (np.ones((32, 16)), "frames of 32 × 16 pixels"),
        (np.zeros((0, 16, 16)), "frames of 0 × 16 × 16"),
    ],
)
def test_other_frames_are_refused(trained: TrainedRun, frames: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trained.reconstruct(frames)


def test_no_run_and_an_unfinished_one_are_refused(trained_run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        open_run(tmp_path / "nowhere")
    copy = Path(shutil.copytree(trained_run.folder, tmp_path / "copy"))
    edit_run(copy, status="stopped")
    with pytest.raises(UsageError, match=r"has not finished \(status 'stopped'\)"):
        open_run(str(copy))
