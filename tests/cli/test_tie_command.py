"""`opticdesign tie`: phase from measured frames, whatever holds them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.defocused_cell import cell_phase, defocused

Command = Callable[..., Any]
LIGHT = ("--wavelength", "550 nm", "--pixel", "400 nm")
Z_M = (0.0, 1e-6, -1e-6)


def correlation(path: Path) -> float:
    return float(np.corrcoef(tifffile.imread(path)[8:-8, 8:-8].ravel(), cell_phase()[8:-8, 8:-8].ravel())[0, 1])


@pytest.mark.parametrize("kind", ["npy", "png", "tif", "stack"])
@pytest.mark.parametrize("method", ["fft", "dct", "universal"])
def test_frames_of_any_kind_become_a_phase_in_radians(command: Command, tmp_path: Path, kind: str, method: str) -> None:
    frames = [defocused(z) for z in Z_M]
    for number, frame in enumerate(frames):
        np.save(tmp_path / f"{number}.npy", frame)
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
        tifffile.imwrite(tmp_path / f"{number}.tif", frame)
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(frames), photometric="minisblack")
    names = ["stack.tif"] if kind == "stack" else [f"{number}.{kind}" for number in range(3)]
    done = command("tie", *names, "--dz", "1 um", "--dz", "-1 um", *LIGHT, "--method", method)
    assert done.returncode == 0, done.stderr
    path = tmp_path / done.stdout.splitlines()[0]
    assert path.name == f"{Path(names[0]).stem}-phase.tif"
    assert correlation(path) > 0.99
    found = tifffile.imread(path)
    assert found.dtype == np.float32
    assert found[53, 47] - found[4, 4] == pytest.approx(1.5, rel=0.05)
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        assert [1e-2 * tags[name].value[1] / tags[name].value[0] for name in ("XResolution", "YResolution")] == (
            pytest.approx([4e-7, 4e-7], rel=1e-6)
        )
        said = json.loads(file.pages[0].description)
    assert (said["quantity"], said["unit"], said["z_m"]) == ("phase", "rad", [0.0, 1e-6, -1e-6])


def test_a_plane_for_every_frame_and_the_pixel_that_a_file_states(command: Command, tmp_path: Path) -> None:
    for name, z in (("a", -1e-6), ("b", 1e-6)):
        resolution = (1e-2 / 4e-7,) * 2
        tifffile.imwrite(tmp_path / f"{name}.tif", defocused(z), resolution=resolution, resolutionunit="CENTIMETER")
    planes = ("--dz", "-1 um", "--dz", "1 um", "--wavelength", "550 nm")
    done = command("tie", "a.tif", "b.tif", *planes, "--output", "p.tif", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["pitch_m"] == pytest.approx([4e-7, 4e-7])
    assert correlation(tmp_path / "p.tif") > 0.995


def test_exposures_are_made_equal_unless_they_are_to_stay(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", defocused(-1e-6))
    np.save(tmp_path / "b.npy", defocused(1e-6, counts=33_000.0))
    planes = ("--dz", "-1 um", "--dz", "1 um", *LIGHT)
    for name, more in (("equal.tif", ()), ("as.tif", ("--as-exposed",))):
        assert command("tie", "a.npy", "b.npy", *planes, *more, "--output", name).returncode == 0
    assert correlation(tmp_path / "equal.tif") > 0.99
    assert correlation(tmp_path / "equal.tif") > correlation(tmp_path / "as.tif")


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        (defocused(1e-6)[:, 1:], (), "b.npy: frames of 96 × 95 pixels"),
        (np.zeros((96, 96), np.uint16), (), "b.npy: no light"),
        (np.full((96, 96), np.nan, np.float32), (), "b.npy: NaN or infinity"),
        (np.minimum(defocused(1e-6, counts=65_000.0), 65_535) | np.uint16(65_535), (), "b.npy: saturated"),
        (defocused(1e-6).astype(np.complex64), (), "b.npy: numbers of type complex64"),
        (np.stack([defocused(1e-6)] * 3, axis=-1), (), "b.npy: an array of shape"),
        (defocused(1e-6), ("--dz", "0 um"), "all frames lie at 0 m"),
        (defocused(1e-6), ("--dz", "1"), '"1" is not a length'),
        (defocused(1e-6), ("--dz", "1 rad"), '"1 rad" is not a length'),
        (defocused(1e-6), ("--dz", "1 um", "--dz", "2 um", "--dz", "3 um"), "2 frames and 3 of --dz"),
        (defocused(1e-6), ("--dz", "1 um", "--method", "best"), "unknown method 'best'"),
        (defocused(1e-6), ("--dz", "1 um", "--pixel", "-1 um"), "a grid of"),
        (defocused(1e-6), ("--dz", "1 um", "--output", "b.npy"), "another type of file"),
        (defocused(1e-6), ("--dz", "1 um", "--output", "there.tif"), "already there"),
    ],
)
def test_what_gives_no_phase_is_refused_and_nothing_is_written(
    command: Command, tmp_path: Path, second: np.ndarray, options: tuple[str, ...], message: str
) -> None:
    np.save(tmp_path / "a.npy", defocused(0.0))
    np.save(tmp_path / "b.npy", second)
    (tmp_path / "there.tif").write_bytes(b"mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = command("tie", "a.npy", "b.npy", *LIGHT, *(options or ("--dz", "1 um")))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_frames_without_a_pixel_size_colours_and_missing_files_are_refused(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", defocused(0.0))
    Image.fromarray(np.zeros((96, 96, 3), np.uint8)).save(tmp_path / "colour.png")
    np.savez(tmp_path / "named.npz", frame=defocused(0.0))
    light = ("--dz", "1 um", "--wavelength", "550 nm")
    assert "no pixel size" in command("tie", "a.npy", "a.npy", *light).stderr
    for name, message in (
        ("colour.png", "colour"),
        ("nowhere.tif", "no such file"),
        ("named.npz", "named arrays"),
    ):
        done = command("tie", "a.npy", name, *light, "--pixel", "400 nm")
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
