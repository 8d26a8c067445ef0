"""`explain` prints the entry of the documentation, whichever of its names is asked for, and what keys are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opticdesign.cli.glossary import glossary
from opticdesign.design import design_schema
from opticdesign.formatting import metric
from opticdesign.learning.evaluation import METRICS
from opticdesign.runs.floors import floors

Command = Callable[..., Any]
NAMES = [name for entry in glossary() for name in entry.names]
ROWS = ("float", "quantised", "read back", "trained model", "independent model", "constant image", "reading")


def test_no_name_stands_twice_and_every_entry_says_something() -> None:
    assert len({name.casefold() for name in NAMES}) == len(NAMES)
    assert all(len(entry.text) > 20 and not entry.text.startswith("#") for entry in glossary())


@pytest.mark.parametrize(
    "term",
    [*METRICS, *(metric(name).label for name in METRICS), *(floor.title for floor in floors().values()), *ROWS],
)
def test_metrics_floors_and_rows_of_tables_are_explained(term: str) -> None:
    assert term.casefold() in {name.casefold() for name in NAMES}


@pytest.mark.parametrize("term", ["SSIM, rescaled", "ssim_rescaled", " SSIM, Rescaled "])
def test_an_entry_is_found_by_each_of_its_names(command: Command, term: str) -> None:
    done = command("explain", term)
    assert done.returncode == 0
    assert done.stdout.startswith("SSIM, rescaled · ssim_rescaled\n") and "minimum and maximum" in done.stdout


def test_keys_of_the_design_are_explained_by_the_schema(command: Command) -> None:
    whole = command("explain", "optics.accuracy").stdout
    assert whole == "optics.accuracy: largest error of the camera's reading; for example 0.01\n"
    assert "detector.read_noise: " in command("explain", "read_noise").stdout
    both = command("explain", "accuracy").stdout
    assert both.startswith("accuracy\n") and whole in both


def test_every_key_of_every_table_is_known(command: Command) -> None:
    from opticdesign.cli.glossary import _keys

    known = {key.rpartition(".")[2] for key, _ in _keys()}
    tables = design_schema()["$defs"].values()
    described = {key for table in tables for key, field in table["properties"].items() if field.get("description")}
    assert described <= known


def test_an_unknown_term_is_told_near_ones(command: Command) -> None:
    done = command("explain", "quantized")
    assert done.returncode == 2 and "did you mean quantised" in done.stderr and not done.stdout
    assert "phase contrast" in command("explain", "phase contrasts").stderr
