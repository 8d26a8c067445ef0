"""A new kind of optics is a spec, a family and a line each only if nothing else asks for the kind."""

from __future__ import annotations

import re

import pytest

from tests.support.design_texts import ROOT

KINDS = r"(FilterOptics|D2NNOptics|FilterSystem|DiffractiveSystem|BrightField\w+|Measured(Optics|Light))"
ASKS = re.compile(rf"isinstance\([^)]*\b{KINDS}\b|\boptics\.kind\s*(==|!=|in\b)|\bcase {KINDS}\b")
OWN = (
    "opticdesign/families/",
    "opticdesign/design/bright_field.py",
    "opticdesign/design/d2nn.py",
    "opticdesign/design/fourier_filter.py",
    "opticdesign/design/measured.py",
)


@pytest.mark.parametrize("folder", ["opticdesign", "exporters"])
def test_only_a_kind_itself_asks_for_the_kind_of_optics(folder: str) -> None:
    sources = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / folder).rglob("*.py")}
    asking = [name for name, text in sources.items() if ASKS.search(text) and not name.startswith(OWN)]
    assert len(sources) > 20
    assert asking == []


@pytest.mark.parametrize(
    "line",
    [
        "if isinstance(optics, FilterOptics) and x:",
        "isinstance(\n    design.optics, D2NNOptics | FilterOptics\n)",
        'if design.optics.kind == "d2nn":',
        "case D2NNOptics(layers=1):",
    ],
)
def test_a_test_for_the_kind_is_found(line: str) -> None:
    assert ASKS.search(line)
