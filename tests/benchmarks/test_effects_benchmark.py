from __future__ import annotations

import pytest

from benchmarks.effects import effect_of, errors_of, instrument


@pytest.mark.parametrize("name", ["filter, 64²", "filter, 48 × 80"])
def test_effects_of_errors_of_a_filter_are_those_of_filters_that_are_built_with_them(name: str) -> None:
    design = instrument(name)
    for parameter, value in errors_of(name):
        found = effect_of(design, parameter, value)
        assert found.off < 0.015, found
        assert found.change > 0.01


@pytest.mark.slow
def test_effects_of_errors_of_layers_are_those_of_layers_that_are_built_with_them() -> None:
    name = "layers, λ, 32²"
    design = instrument(name)
    for parameter, value in list(errors_of(name))[3::3]:
        found = effect_of(design, parameter, value)
        assert found.off < 0.03, found
