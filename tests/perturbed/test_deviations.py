from __future__ import annotations

import numpy as np

from opticdesign.perturbed.deviations import deviations_of
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import build_space
from tests.support.tolerance_instruments import PATTERNS, errors, layered

DESIGN = layered(layers=2, gap={"sigma": "1 um"}, rotation={"sigma": "1 mrad"}, etch_depth={"sigma": 0.01}, **PATTERNS)
SPACE = build_space(DESIGN)


def test_errors_stand_in_the_shape_of_their_group() -> None:
    dev = errors(DESIGN, {"gap 2": 1e-6, "rotation 2": 1e-3, "etch depth": 0.02})
    assert dev["gap"].tolist() == [[0.0, 1e-6, 0.0]]
    assert dev["rotation"].tolist() == [[0.0, 1e-3]]
    assert dev["etch_depth"].tolist() == [[0.02, 0.02, 0.02]]


def test_only_what_differs_from_nominal_is_active() -> None:
    dev = errors(DESIGN, {"gap 2": 1e-6})
    assert dev.active("gap")
    assert not dev.active("rotation", "etch_depth", "wavelength", "height_noise")
    assert dev.get("rotation") is None
    assert dev.pattern("height_noise") is None
    assert not dev.nominal
    assert errors(DESIGN, {}).nominal


def test_a_number_switches_all_patterns_on() -> None:
    dev = errors(DESIGN, {}, index=5)
    assert dev.active("height_noise", "edge_roughness", "flatness")
    assert dev.pattern("height_noise") == SPACE.patterns[0]
    assert not dev.nominal


def test_draws_with_errors_of_the_same_groups_go_together() -> None:
    values = np.zeros((5, len(SPACE.parameters)))
    for row, name in ((0, "gap 1"), (2, "gap 3"), (3, "rotation 1")):
        values[row, SPACE.names.index(name)] = 1e-6
    dev = deviations_of(DESIGN, SPACE, values, [NO_PATTERN, NO_PATTERN, NO_PATTERN, NO_PATTERN, 8], 0)
    assert sorted(dev.alike()) == [[0, 2], [1], [3], [4]]
    part = dev.rows([3, 0])
    assert part.indices == (NO_PATTERN, NO_PATTERN)
    assert part["gap"].tolist() == [[0.0, 0.0, 0.0], [1e-6, 0.0, 0.0]]


def test_compensators_behind_a_point_become_groups() -> None:
    dev = errors(DESIGN, {}, settings={"refocus": 2e-6, "image shift y": 1e-6, "image shift x": -1e-6})
    assert dev["refocus"].tolist() == [2e-6]
    assert dev["image_shift"].tolist() == [[1e-6, -1e-6]]
    assert errors(DESIGN, {}, settings={}).nominal
