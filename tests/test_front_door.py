"""`import opticdesign as od`: which names there are, and that they cost nothing before they are used."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import opticdesign as od
from opticdesign.errors import DesignError
from tests.support.design_texts import D2NN5, ROOT, TINY

NAMES = [
    "AmplitudeMask",
    "Aperture",
    "Detector",
    "DiffractiveElement",
    "DiffractiveSystem",
    "ElementStack",
    "FabricationProcess",
    "FilterSystem",
    "FourierFilter",
    "Grid",
    "Hop",
    "Relief",
    "SpatialLightModulator",
    "Spectrum",
    "ThinLens",
    "__version__",
    "axial_derivative",
    "build_microscope",
    "build_optics",
    "build_process",
    "condenser",
    "equally_bright",
    "free_space",
    "load_design",
    "material",
    "open_run",
    "partially_coherent_intensity",
    "plane_wave",
    "plot",
    "propagate",
    "solve_tie",
]
MOST_MODULES = 30  # of ours and of others, beyond what Python starts with


def modules_after(code: str) -> set[str]:
    """What a fresh Python has imported after some code, beyond what it has imported before."""
    line = f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before, sep=chr(10))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_the_names_are_these() -> None:
    assert sorted(od.__all__) == sorted(NAMES) == dir(od)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"__version__"}))
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(od, name)
    assert value.__name__.rpartition(".")[2] == name
    assert len(inspect.getdoc(value) or "") > 20


def test_editors_and_type_checkers_see_the_names_that_python_finds() -> None:
    text = (ROOT / "opticdesign" / "__init__.py").read_text("utf-8")
    block = text.partition("if TYPE_CHECKING:\n")[2].partition("\n\n")[0]
    typed = {
        f"{module}.{name}"
        for module, names in re.findall(r"from (\S+) import (.+)", block)
        for name in names.split(", ")
    }
    homes = {f"{home}.{name}" for name, home in vars(od)["_HOME_OF"].items()}
    assert typed == homes and {home.rpartition(".")[2] for home in homes} | {"__version__"} == set(NAMES)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lens'"):
        _ = od.Lens


def test_importing_the_package_imports_little_else() -> None:
    found = modules_after("import opticdesign as od; dir(od)")
    assert {name for name in found if name.startswith("opticdesign")} == {"opticdesign"}
    assert len(found) <= MOST_MODULES


def test_the_help_imports_no_torch() -> None:
    code = """
import contextlib, io
sys.argv = ["opticdesign", "--help"]
from opticdesign.cli import run_command
with contextlib.redirect_stdout(io.StringIO()):
    run_command()
"""
    roots = {name.partition(".")[0] for name in modules_after(code)}
    assert not roots & {"torch", "numpy", "scipy", "matplotlib", "pydantic", "pint"}


@pytest.mark.parametrize(
    "settings",
    [
        {"optics": {"layers": 3, "pitch": "400 nm"}, "training": {"seed": 7}},
        {"optics.layers": 3, "optics.pitch": "400 nm", "training.seed": 7},
    ],
)
def test_settings_of_a_design_are_tables_or_dotted_keys(settings: dict[str, object]) -> None:
    design = od.load_design(D2NN5, TINY, **settings)
    assert (design.optics.layers, design.optics.sample_pitch, design.training.seed) == (3, 400e-9, 7)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(DesignError, match=r"optics\.layers"):
        od.load_design(D2NN5, optics={"layers": -1})
    with pytest.raises(DesignError, match=r"optics\.layer\b"):
        od.load_design(D2NN5, optics={"layer": 3})


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_the_optics_of_a_design_take_a_complex_field_and_give_one(batch: tuple[int, ...]) -> None:
    optics = od.build_optics(od.load_design(D2NN5, TINY))
    field = torch.ones(*batch, *optics.object_grid.shape, dtype=torch.complex64)
    output = optics(field)
    assert output.is_complex() and output.shape == (*batch, *optics.camera_grid.shape)


def test_a_run_opens_by_the_door(trained_run) -> None:
    run = od.open_run(Path(trained_run.folder))
    assert run.masks().ndim == 3 and run.reconstruct(torch.ones(16, 16)).ndim == 2
