"""`opticdesign reconstruct`: measured frames become the phase that the run's own decoder finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from opticdesign.design import load_design
from opticdesign.optics.materials import material
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import Run
from opticdesign.runs.trained import TrainedRun, open_run
from tests.support.design_texts import ROOT

Command = Callable[..., Any]
FILTER = (
    "optics.neurons=32",
    "optics.radius=16.0",
    "detector.binning=4",
    "decoder={kind='interpolated-unet', channels=2}",
    "data.fields=6",
    "evaluation.overlap=8",
    "training.batch=2",
    "training.stages={one={train=['decoder'], loss='mse', steps=5, decoder_rate=0.01, decay='none'}}",
)


@pytest.fixture(scope="module")
def filter_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A tiny run of a filter, which acts alike everywhere, with the U-Net of super-resolved phase microscopy."""
    design = load_design(ROOT / "designs" / "lff64.toml", FILTER)
    folder = tmp_path_factory.mktemp("runs") / "filter"
    return optimise(design, Options(torch.device("cpu"), folder), lambda progress: None, lambda: False)


def simulated(trained: TrainedRun, count: int) -> torch.Tensor:
    """What the camera of a run reads of smooth phases, (n, y/b, x/b)."""
    microscope = trained.microscope()
    shape = microscope.optics.object_grid.shape
    coarse = torch.rand((count, 1, 6, 6), generator=torch.Generator().manual_seed(1))
    phase = 2.0 * torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)[:, 0]
    with torch.no_grad():
        return microscope.read(torch.polar(torch.ones_like(phase), phase), trained.process)


@pytest.mark.parametrize("name", ["trained_run", "filter_run"])
@pytest.mark.parametrize("kind", ["npy", "tif", "png"])
def test_simulated_frames_come_back_as_the_runs_own_reconstruction(
    name: str, kind: str, command: Command, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(name)
    trained = open_run(run.folder)
    frames = simulated(trained, 3).numpy()
    scale: tuple[str, ...] = ()
    if kind == "png":  # counts above a dark level
        counts = np.round(frames * 9000.0 + 100.0).astype(np.uint16)
        frames, scale = (counts.astype(np.float32) - 100.0) / 9000.0, ("--clear", "9100", "--dark", "100")
        for number, frame in enumerate(counts):
            Image.fromarray(frame).save(tmp_path / f"{number}.png")
    elif kind == "tif":
        tifffile.imwrite(tmp_path / "0.tif", frames, photometric="minisblack")
    else:
        np.save(tmp_path / "0.npy", frames)
    names = sorted(path.name for path in tmp_path.glob(f"*.{kind}"))
    done = command("reconstruct", run.folder, *names, *scale, "--output", "p.tif")
    assert done.returncode == 0, done.stderr
    assert tifffile.imread(tmp_path / "p.tif") == pytest.approx(trained.reconstruct(frames).numpy(), abs=1e-5)
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        assert len(file.pages) == 3
        for page in file.pages:
            said, pixel = json.loads(page.description), page.tags["XResolution"].value
            assert (said["quantity"], said["unit"], said["run"]) == ("phase", "rad", run.folder.name)
            assert 1e-2 * pixel[1] / pixel[0] == pytest.approx(run.design.optics.sample_pitch, rel=1e-6)
    assert f"3 maps of {run.design.optics.shape[0]} × " in done.stdout


def test_a_larger_frame_is_decoded_by_tiles_and_its_middle_is_that_of_a_tile(
    filter_run: Run, command: Command, tmp_path: Path
) -> None:
    trained = open_run(filter_run.folder)
    wide = np.concatenate([np.concatenate(list(simulated(trained, 4).numpy()), axis=1)] * 2)[:13, :29]
    np.save(tmp_path / "wide.npy", wide)
    done = command("reconstruct", filter_run.folder, "wide.npy", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    whole = tifffile.imread(tmp_path / report["path"])
    assert whole.shape == (52, 116) and report["path"] == "wide-phase.tif"
    assert report["span"] == pytest.approx([whole.min(), whole.max()])
    tile = trained.reconstruct(wide[:8, :8]).numpy()[:16, :16]  # what no other tile reaches: equal but for a constant
    assert whole[:16, :16] - whole[0, 0] == pytest.approx(tile - tile[0, 0], abs=1e-5)


def test_layers_take_no_larger_frame(trained_run: Run, command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.ones((32, 16), np.float32))
    done = command("reconstruct", trained_run.folder, "wide.npy")
    assert (done.returncode, "frames of 32 × 16 pixels" in done.stderr) == (2, True), done.stderr


def test_height_is_phase_over_the_delay_of_the_material(filter_run: Run, command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", simulated(open_run(filter_run.folder), 1).numpy())
    for options in ((), ("--material", "PMMA", "--medium", "water")):
        assert command("reconstruct", filter_run.folder, "a.npy", *options).returncode == 0
    wavelength = filter_run.design.light.wavelength
    contrast = material("PMMA").index(wavelength) - material("water").index(wavelength)
    phase, height = (tifffile.imread(tmp_path / f"a-{what}.tif") for what in ("phase", "height"))
    assert height == pytest.approx(phase * wavelength * 1e9 / (2.0 * np.pi * contrast), rel=1e-5)


def test_a_time_lapse_becomes_a_video_on_one_grey_scale(filter_run: Run, command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "lapse.npy", simulated(open_run(filter_run.folder), 4).numpy())
    options = ("--video", "lapse.gif", "--fps", "8", "--greys", "-1 rad", "3 rad", "--clear", "mean")
    done = command("reconstruct", filter_run.folder, "lapse.npy", *options)
    assert done.returncode == 0, done.stderr
    assert "black -1 rad, white 3 rad" in done.stdout and "maps a second" in done.stdout
    pages = tifffile.imread(tmp_path / "lapse-phase.tif")
    with Image.open(tmp_path / "lapse.gif") as video:
        assert video.n_frames == 4 and video.info["duration"] == 120
        for number, page in enumerate(pages):
            video.seek(number)
            shown = -1.0 + np.asarray(video.convert("L"), np.float64) * 4.0 / 255.0
            assert shown == pytest.approx(np.clip(page, -1.0, 3.0), abs=0.51 * 4.0 / 255.0)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (np.ones((7, 8), np.float32), (), "a.npy: frames of 7 × 8 pixels"),
        (np.full((8, 8), 900, np.uint16), (), "whole numbers of type uint16 hold no scale"),
        (np.full((8, 8), 900.0), (), "a reading of 900 on average"),
        (np.full((8, 8), 255, np.uint8), ("--clear", "200"), "saturated"),
        (np.zeros((8, 8), np.uint8), ("--clear", "200"), "no light"),
        (np.full((8, 8), np.nan), (), "NaN or infinity"),
        (np.ones((8, 8), np.complex64), (), "type complex64"),
        (
            np.full((8, 8), 900, np.uint16),
            ("--clear", "100", "--dark", "100"),
            "the clear light counts 0 above the dark",
        ),
        (np.full((8, 8), 900, np.uint16), ("--clear", "none.tif"), "none.tif: no such file"),
        (np.full((8, 8), 900, np.uint16), ("--clear", "a.npy", "--dark", "small.npy"), "small.npy: frames of 4 × 4"),
        (np.full((8, 8), 900, np.uint16), ("--clear", "two.npy"), "two.npy: 2 frames"),
        (np.ones((8, 8)), ("--dark", "mean"), "--dark mean"),
        (np.ones((8, 8)), ("--material", "glue"), "unknown material 'glue'"),
        (np.ones((8, 8)), ("--greys", "0 rad", "1 rad"), "--greys is the scale of a video"),
        (np.ones((8, 8)), ("--video", "v.gif", "--fps", "99"), "a video of 99 maps a second"),
        (np.ones((8, 8)), ("--video", "v.gif", "--greys", "1 rad", "0 rad"), "a grey scale from 1 to 0"),
        (np.ones((8, 8)), ("--video", "v.mp4"), "v.mp4: another type of file"),
        (np.ones((8, 8)), ("--output", "a.npy"), "a.npy: another type of file"),
    ],
)
def test_frames_that_do_not_fit_are_refused_and_nothing_is_written(
    frame: np.ndarray, options: tuple[str, ...], message: str, filter_run: Run, command: Command, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", frame)
    np.save(tmp_path / "small.npy", np.ones((4, 4), np.uint16))
    np.save(tmp_path / "two.npy", np.full((2, 8, 8), 900, np.uint16))
    before = sorted(tmp_path.iterdir())
    done = command("reconstruct", filter_run.folder, "a.npy", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_bad_frame_late_in_a_lapse_leaves_nothing(filter_run: Run, command: Command, tmp_path: Path) -> None:
    frames = np.ones((5, 8, 8), np.float32)
    frames[3] = 500.0
    np.save(tmp_path / "lapse.npy", frames)
    done = command("reconstruct", filter_run.folder, "lapse.npy")
    assert (done.returncode, "lapse.npy[3]: a reading of 500" in done.stderr) == (2, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lapse.npy"]


def test_pixels_of_another_camera_are_refused(filter_run: Run, command: Command, tmp_path: Path) -> None:
    right = filter_run.design.optics.sample_pitch * 4
    for name, pixel, code in (("right.tif", right, 0), ("other.tif", 2 * right, 2)):
        resolution = (1e-2 / pixel,) * 2
        tifffile.imwrite(
            tmp_path / name, np.ones((8, 8), np.float32), resolution=resolution, resolutionunit="CENTIMETER"
        )
        done = command("reconstruct", filter_run.folder, name)
        assert (done.returncode, "in the object" in done.stderr) == (code, code == 2), done.stderr
