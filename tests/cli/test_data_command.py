"""`opticdesign data`: what files hold and how they are understood, and that training takes and refuses the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.design_texts import TINY

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "designs" / "d2nn5.toml"
Command = Callable[..., Any]
SETTINGS = [part for line in TINY if not line.startswith("data.") for part in ("--set", line)]


def smooth(seed: int = 0, side: int = 150, peak: float = 2.5) -> np.ndarray:
    walk = np.cumsum(np.cumsum(np.random.default_rng(seed).normal(size=(side, side)), 0), 1)
    return (peak * walk / np.abs(walk).max()).astype(np.float32)


def test_a_file_is_described_without_a_design(command: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "field.npz", phase=smooth(), mask=smooth() > -1, amplitude=np.ones((150, 150)), pitch_um=0.5)
    done = command("data", "field.npz", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (file,) = report["files"]
    taken = {array["name"]: array["taken"] for array in file["arrays"]}
    assert taken == {"phase": "map", "mask": "mask", "amplitude": "amplitude", "pitch_um": ""}
    assert (file["why"], file["kind"], file["unit"], file["unit_said"]) == ("its name", "phase", "rad", "assumed")
    assert (file["shape"], file["type"], file["wrapped"]) == ([150, 150], "float32", "no")
    assert file["stated_pitch_m"] == file["used_pitch_m"] == pytest.approx([5e-7, 5e-7])
    assert report["parts"] == [] and report["ok"] is True
    with Image.open(tmp_path / report["picture"]) as picture:
        assert picture.width > 300


def test_the_split_of_a_design_is_told_and_the_next_line_works(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "my cells"
    folder.mkdir()
    np.save(folder / "a.npy", smooth())
    (folder / "notes.txt").write_text("not data")
    done = command("data", folder, "--design", DESIGN, *SETTINGS, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["left_out"] == ["notes.txt"] and report["patch"] == [64, 64]
    parts = {part["part"]: part for part in report["parts"]}
    assert parts["training"]["fields"] == ["a.npy:train"]
    assert parts["training"]["places"] == (75 - 63) * (150 - 63)
    assert parts["validation"]["places"] == (75 - 63) ** 2
    next_line = next(line for line in done.stderr.splitlines() if line.startswith("next: "))
    words = shlex.split(next_line.removeprefix("next: opticdesign "))
    trained = command(*words, "--quick", "--output", "run", "--device", "cpu")
    assert trained.returncode == 0, trained.stderr
    lines = [line for line in trained.stderr.splitlines() if line.startswith("data: ")]
    assert len(lines) == 3
    assert "1 map in 1 file, phase in rad (assumed)" in lines[0] and "wrapped: no" in lines[0]
    assert "150 × 150 pixels of 316.4 nm (the design)" in lines[1]
    assert "training 1 field, 1,044 places for a patch" in lines[2]
    kept = json.loads((tmp_path / "run" / "data.json").read_text("utf-8"))
    assert {key: kept[key] for key in ("files", "parts")} == {key: report[key] for key in ("files", "parts")}


def test_people_get_tables(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", smooth())
    done = command("data", "a.npy", "--design", DESIGN, *SETTINGS)
    assert done.returncode == 0, done.stderr
    for part in ("what the files hold", "phase in rad (assumed)", "316.4 nm", "patches of 64 × 64", "validation"):
        assert part in done.stdout
    assert "picture: a-data.png" in done.stderr


def test_pictures_never_replace_a_file(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", smooth())
    (tmp_path / "a-data.png").write_bytes(b"mine")
    assert json.loads(command("data", "a.npy", "--json").stdout)["picture"] == "a-data-2.png"
    assert json.loads(command("data", "a.npy", "--json").stdout)["picture"] == "a-data-3.png"
    assert (tmp_path / "a-data.png").read_bytes() == b"mine"
    refused = command("data", "a.npy", "--picture", "a-data.png")
    assert refused.returncode == 2 and "already there" in refused.stderr
    assert json.loads(command("data", "a.npy", "--picture", "b.png", "--json").stdout)["picture"] == "b.png"
    assert json.loads(command("data", "a.npy", "--no-picture", "--json").stdout)["picture"] is None


def test_keys_can_be_tried_without_a_design(command: Command, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", smooth() * 100 + 300)
    assert command("data", "a.npy").returncode == 2
    done = command("data", "a.npy", "--set", "data.unit=nm", "--json")
    (file,) = json.loads(done.stdout)["files"]
    assert (file["kind"], file["unit"], file["phase_rad"]) == ("optical path", "nm", None)
    wrong = command("data", "a.npy", "--set", "optics.layers=2")
    assert wrong.returncode == 2 and "optics" in wrong.stderr
    for word, unit in (("nanometers", "nm"), ("degrees", "deg"), ("radians", "rad")):
        done = command("data", "a.npy", "--set", f"data.unit={word}", "--json", "--no-picture")
        assert json.loads(done.stdout)["files"][0]["unit"] == unit
    assert 'did you mean "waves"?' in command("data", "a.npy", "--set", "data.unit=waved").stderr


def test_one_refused_file_does_not_hide_the_others(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", smooth())
    np.save(tmp_path / "in" / "b.npy", smooth() * 1e-8)
    (tmp_path / "in" / "c.npy").write_bytes(b"no array")
    done = command("data", "in", "--json")
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert [bool(file["problem"]) for file in report["files"]] == [False, True, True]
    assert report["ok"] is False and report["picture"]
    assert report["files"][1]["values"] is not None  # what is odd about it can be seen
    plain = command("data", "in")
    assert plain.stderr.count("refused: ") == 2 and "Traceback" not in plain.stderr


def wrapped(path: Path) -> None:
    np.save(path / "f.npy", np.angle(np.exp(1j * smooth(peak=25.0))))


def difference(path: Path) -> None:
    tilt = 40 * np.linspace(-1, 1, 150)
    np.save(path / "f.npy", np.angle(np.exp(1j * (smooth() + tilt))) - np.angle(np.exp(1j * tilt)))


def either(path: Path) -> None:
    np.savez(path / "f.npz", E_field=np.exp(1j * np.clip(smooth(), 0, 1)))


def metres(path: Path) -> None:
    np.save(path / "f.npy", smooth() * 1e-7)


def degrees(path: Path) -> None:
    np.save(path / "f.npy", np.degrees(smooth()))


def grey(path: Path) -> None:
    np.save(path / "f.npy", np.round(np.abs(smooth()) * 100))


def series(path: Path) -> None:
    with h5py.File(path / "f.h5", "w") as file:
        for i in range(5):
            file[f"qpi_{i}/phase/raw"] = smooth(i)


def unitless(path: Path) -> None:
    np.savez(path / "f.npz", phase=smooth(), pixel_size=0.3)


def small(path: Path) -> None:
    np.save(path / "f.npy", smooth(side=70))


REFUSED = {
    wrapped: ('set data.wrapped = "unwrap"', []),
    difference: ('set data.wrapped = "unwrap"', []),
    either: ('set data.complex = "field"', []),
    metres: ('set data.unit = "m"', []),
    degrees: ('data.unit = "deg"', []),
    grey: ('set data.unit = "8 bit"', []),
    series: ('data.key = "*/phase/raw" for 5 maps', []),
    unitless: ("set data.pitch", []),
    small: ("sector", []),
    smooth: ("data.phase_range is the scale of grey values", ['data.phase_range=["0 rad", "3 rad"]']),
}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_data_check_and_optimize_refuse_alike(command: Command, tmp_path: Path, kind: Callable[..., Any]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    if kind is smooth:
        np.save(folder / "f.npy", smooth())
    else:
        kind(folder)
    message, more = REFUSED[kind]
    settings = SETTINGS + [part for line in more for part in ("--set", line)]
    own = [*settings, "--set", "data.kind=folder", "--set", f"data.path={folder}"]
    checked, trained = command("check", DESIGN, *own), command("optimize", DESIGN, *own, "--output", "run")
    assert (checked.returncode, trained.returncode) == (2, 2)
    assert checked.stderr == trained.stderr and message in checked.stderr
    assert not (tmp_path / "run").exists()
    told = command("data", folder, "--design", DESIGN, *settings)
    assert told.returncode == 2
    assert f"refused: {checked.stderr.removeprefix('error: ').strip()}" in told.stderr


SETTLED = {
    wrapped: ["data.wrapped=unwrap"],
    either: ["data.complex=field"],
    metres: ["data.unit=m"],
    degrees: ["data.unit=degrees"],
    grey: ["data.unit=8 bit", 'data.phase_range=["0 rad", "3 rad"]'],
    series: ["data.key=*/phase/raw", "data.split_by=map"],
    unitless: ['data.pitch="0.3 um"'],
}


@pytest.mark.parametrize("kind", SETTLED, ids=lambda kind: kind.__name__)
def test_the_keys_that_are_named_settle_it(command: Command, tmp_path: Path, kind: Callable[..., Any]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    kind(folder)
    settings = SETTINGS + [part for line in SETTLED[kind] for part in ("--set", line)]
    done = command("data", folder, "--design", DESIGN, *settings, "--json", "--no-picture")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [len(part["fields"]) > 0 for part in report["parts"]] == [True] * 3
    if kind is not wrapped:
        assert report["files"][0]["phase_rad"][1] < 4.0


def test_the_tables_fit_a_narrow_terminal(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "[b]a.tif", smooth(), imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    done = command("data", "[b]a.tif")
    assert done.returncode == 0 and "[b]a.tif" in done.stdout
    assert "500 nm by ImageJ's tags" in done.stdout
