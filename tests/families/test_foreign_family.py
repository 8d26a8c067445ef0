"""A kind of optics and a floor of another package, from the design file to the files for the process."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.design_texts import D2NN5, TINY
from tests.support.plugin_install import install_package, run_commands, run_python

SMALLER = ("optics.neurons=32", "data.fields=3", "training.stages.decoder.steps=2", "training.stages.joint.steps=2")
PLATE = ("optics.kind=phase-plate", "optics.distance=20 um", *TINY[1:], *SMALLER)
SETTINGS = [part for setting in PLATE for part in ("--set", setting)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_package(tmp_path_factory.mktemp("plugins"))


@pytest.mark.slow
def test_a_design_of_a_foreign_kind_goes_all_the_way(installed: Path, tmp_path: Path) -> None:
    design, run = str(D2NN5), str(tmp_path / "run")
    vaccinated = ["--set", "training.stages.optics.vaccinated=true"]
    schema, checked, refused, trained, evaluated, exported, verified, toleranced = run_commands(
        installed,
        ["schema"],
        ["check", design, *SETTINGS, "--deep"],
        ["optimize", design, *SETTINGS, *vaccinated, "--output", str(tmp_path / "other")],
        ["optimize", design, *SETTINGS, "--output", run],
        ["evaluate", run],
        ["export", run],
        ["verify", run],
        ["tolerance", run, "--quick"],
    )
    kinds = json.loads(schema.rpartition("\n")[0])["properties"]["optics"]["discriminator"]["mapping"]
    assert list(kinds) == ["bright-field", "d2nn", "fourier-filter", "measured", "phase-plate"]

    assert "one neuron, 316.4 nm" in checked and "no second model" in checked
    assert [text.rpartition("\n")[2] for text in (trained, evaluated, exported, verified)] == ["exit 0"] * 4

    with (tmp_path / "run" / "evaluation" / "evaluation.csv").open(encoding="utf-8") as file:
        rows = {row["name"]: float(row["patch_psnr_db"]) for row in csv.DictReader(file)}
    names = ("clear aperture", "Zernike filter", "defocus", "random masks 1")
    assert list(rows)[2:6] == [f"{name} + decoder" for name in names]
    assert all(value > 0.0 for value in rows.values())

    assert "no independent model: optics of the kind 'phase-plate' have no second model" in verified
    for said in (refused, toleranced):
        assert "optics of the kind 'phase-plate' have no model of their errors" in said and said.endswith("exit 2")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("module", ["spec", "family", "floor"])
def test_any_module_of_the_package_may_be_imported_first(module: str, installed: Path) -> None:
    code = f"import opticdesign_test_plugins.{module}; from opticdesign.design import Design; print(Design.__name__)"
    assert run_python(installed, code) == "Design\n"


def test_a_foreign_spec_needs_no_torch(installed: Path) -> None:
    code = "import sys; from opticdesign.design import design_schema; design_schema(); print('torch' in sys.modules)"
    assert run_python(installed, code) == "False\n"


def test_without_the_package_its_names_are_unknown(tmp_path: Path) -> None:
    (checked,) = run_commands(tmp_path, ["check", str(D2NN5), *SETTINGS])
    assert "unknown kind" in checked and checked.endswith("exit 2")
