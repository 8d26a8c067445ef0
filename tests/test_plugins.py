"""What other packages add: one of each is found and used, and one that is broken is told as such."""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from opticdesign.errors import UsageError
from opticdesign.plugins import Plugins, function, instance, instance_of, subclass
from opticdesign.storage import load_checkpoint
from tests.support.design_texts import D2NN5
from tests.support.plugin_install import install_package, name_entry, run_with

TINY = (
    "optics.layers=2",
    "optics.neurons=32",
    "optics.cell=32",
    "optics.surroundings=field-stop",
    "detector.binning=4",
    "decoder.kind=enlarged",
    "decoder.factor=0.25",
    "data.kind=folder",
    "data.path=fields",
    "data.unit=rad",
    "training.batch=2",
    "training.stages.optics.steps=2",
    "training.stages.decoder.steps=2",
    "training.stages.decoder.loss=squares",
    "training.stages.joint.steps=2",
    "evaluation.overlap=8",
    "evaluation.random_masks=0",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package with one of each is installed."""
    return install_package(tmp_path_factory.mktemp("plugins"))


@pytest.fixture(scope="module")
def trained(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a design with a foreign decoder, loss and files."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "fields").mkdir()
    y, x = np.mgrid[:128, :128] * (2 * np.pi / 64)
    phase = (1.0 + np.sin(y) * np.cos(x)).astype("<f4")
    (folder / "fields" / "cells.raw32").write_bytes(np.array(phase.shape, "<u4").tobytes() + phase.tobytes())
    settings = [part for setting in TINY for part in ("--set", setting)]
    done = run_with(installed, "optimize", D2NN5, *settings, "--output", "run", "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_foreign_decoder_learns_by_a_foreign_loss_from_a_foreign_file(trained: Path) -> None:
    kept = [load_checkpoint(folder).tensors for folder in (trained / "checkpoints").iterdir()]
    assert {float(tensors["microscope.decoder.factor"]) for tensors in kept} - {0.25}
    told = json.loads((trained / "run.json").read_text())
    assert "cells.raw32" in str(told["data"])


def test_the_schema_has_what_packages_add_and_the_names_of_losses(installed: Path, tmp_path: Path) -> None:
    done = run_with(installed, "schema", cwd=tmp_path)
    schema = json.loads(done.stdout)["$defs"]
    assert "EnlargedSpec" in schema
    assert "squares" in schema["Stage"]["properties"]["loss"]["enum"]


def check_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 2
    assert all(part in done.stderr for part in (*parts, "remedy"))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("odd = no_such_module:Spec", ("the decoder 'odd' (no_such_module:Spec) cannot be loaded", "no_such_module")),
        ("odd = json:loads", ("'odd' (json:loads) cannot be loaded: it is no DecoderSpec",)),
        ("odd = opticdesign.design:UNetSpec", ("cannot be loaded: its kind is 'unet'",)),
        ("unet = json:loads", ("the decoder of json:loads has the name 'unet', and so has one of ours",)),
    ],
    ids=["import error", "wrong type", "wrong kind", "name of ours"],
)
def test_a_broken_decoder_is_told_by_the_commands_that_need_it(
    entry: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    broken = name_entry(tmp_path / "installed", "opticdesign.decoders", entry)
    check_refused(run_with(broken, "schema", cwd=tmp_path), *parts)


def found(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str]) -> None:
    """Let these be the entries of every group."""
    points = [EntryPoint(name, value, "any") for name, value in entries]
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: points)


def test_two_of_one_name_are_refused_whatever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, ("a", "json:loads"), ("a", "json:dumps"))
    with pytest.raises(UsageError, match=r"the thing of json:dumps has the name 'a', and so has json:loads"):
        Plugins("any", "thing", function).names()


def test_one_of_our_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, ("l1", "json:loads"))
    with pytest.raises(UsageError, match=r"the thing of json:loads has the name 'l1', and so has one of ours"):
        Plugins("any", "thing", function, own=["l1"]).all()


def test_names_are_known_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, ("b", "no_such_module:b"), ("a", "no_such_module:a"))
    assert Plugins("any", "thing", function).names() == ["a", "b"]


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1.0


class Blob(Shape):
    pass


class Unwilling(Square):
    def __init__(self) -> None:
        raise ValueError("not today")


def test_of_a_class_or_its_instances_there_is_one_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, ("one", f"{__name__}:Square"), ("two", f"{__name__}:Square"))
    assert Plugins("any", "shape", subclass(Shape)).all() == {"one": Square, "two": Square}  # type: ignore[type-abstract]
    made = Plugins("any", "shape", instance_of(Shape)).all()  # type: ignore[type-abstract]
    assert {name: shape.area() for name, shape in made.items()} == {"one": 1.0, "two": 1.0}


def test_where_we_have_some_too_none_at_all_is_an_installation_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    assert Plugins("any", "thing", function).all() == {}
    with pytest.raises(UsageError, match=r"no thing is installed\n.*pip install"):
        Plugins("any", "thing", function).installed()


@pytest.mark.parametrize(
    ("accept", "value", "why"),
    [
        (subclass(Shape), f"{__name__}:pytest", "it is no Shape"),
        (subclass(Shape), f"{__name__}:Plugins", "it is no Shape"),
        (subclass(Shape), f"{__name__}:Circle", "has no attribute 'Circle'"),
        (subclass(Shape), f"{__name__}:Blob", "it leaves out area"),
        (instance_of(Shape), f"{__name__}:Blob", "it leaves out area"),
        (instance_of(Shape), f"{__name__}:Unwilling", "not today"),
        (function, "math:pi", "it is no function"),
        (function, "math:tau_squared", "no attribute 'tau_squared'"),
        (instance("write"), "fractions:Fraction", "it has no write"),
        (instance("write"), "math:pi", "not callable"),
    ],
)
def test_what_is_of_another_sort_is_refused(accept, value, why, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    found(monkeypatch, ("odd", value))
    with pytest.raises(UsageError, match=rf"the thing 'odd' \({value}\) cannot be loaded: .*{why}"):
        Plugins("any", "thing", accept).load("odd")


def test_a_module_that_raises_anything_on_import_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "raises_on_import.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    found(monkeypatch, ("odd", "raises_on_import:f"))
    with pytest.raises(UsageError, match="cannot be loaded: no licence"):
        Plugins("any", "thing", function).all()
