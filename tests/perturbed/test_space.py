from __future__ import annotations

import numpy as np
import pytest

from opticdesign.perturbed.defaults import default_tolerance, tolerance_of
from opticdesign.perturbed.space import COMPENSATORS, Normal, Parameter, Space, Uniform, build_space, etch_steps
from tests.support.tolerance_instruments import filtered, layered

SPACE = Space(
    (
        Parameter("gap 1", "gap", "m", Normal(2e-6), place=(0,)),
        Parameter("gap 3", "gap", "m", Uniform(-1e-6, 3e-6), place=(2,)),
        Parameter("index", "index", "", Normal(1e-3), nominal=1.5),
    )
)


def test_values_are_the_quantiles_of_the_distributions() -> None:
    u = np.array([[0.5, 0.5, 0.5], [0.8413447460685429, 0.0, 0.15865525393145707], [0.5, 1.0, 0.5]])
    expected = [[0.0, 1e-6, 1.5], [2e-6, -1e-6, 1.499], [0.0, 3e-6, 1.5]]
    np.testing.assert_allclose(SPACE.values(u), expected, rtol=1e-12, atol=1e-20)
    assert SPACE.nominal.tolist() == [0.0, 0.0, 1.5]


def test_a_normal_and_a_uniform_parameter_have_the_asked_moments() -> None:
    values = SPACE.values(np.random.default_rng(3).random((100_000, 3)))
    assert values[:, 0].std() == pytest.approx(2e-6, rel=0.01)
    assert values[:, 1].mean() == pytest.approx(1e-6, rel=0.02)
    assert values[:, 1].min() >= -1e-6
    assert values[:, 1].max() <= 3e-6


def test_a_space_without_parameters_has_points_without_values() -> None:
    assert Space(()).values(np.zeros((4, 0))).shape == (4, 0)
    assert Space(()).nominal.shape == (0,)


def test_group_values_stand_at_their_places_as_deviations_from_nominal() -> None:
    values = np.array([[1.0, 2.0, 1.6]])
    assert SPACE.group_values(values, "gap", (4,)).tolist() == [[1.0, 0.0, 2.0, 0.0]]
    assert SPACE.group_values(values, "index", ()) == pytest.approx([0.1])
    assert SPACE.group_values(values, "tilt", (2, 2)).tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


def test_a_parameter_without_a_place_stands_for_all() -> None:
    space = Space((Parameter("etch depth", "etch_depth", "", Normal(0.01)),))
    assert space.group_values(np.array([[0.02], [0.03]]), "etch_depth", (3,)).tolist() == [[0.02] * 3, [0.03] * 3]


def test_compensators_stand_behind_the_parameters_and_are_replaced() -> None:
    points = SPACE.adjusted(np.zeros((2, 3)), {"refocus": 1e-6})
    again = SPACE.adjusted(points, {"image shift x": 2e-6})
    assert points.tolist() == [[0.0, 0.0, 0.0, 1e-6, 0.0, 0.0]] * 2
    assert again[0].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 2e-6]
    assert len(COMPENSATORS) == 3


def test_each_error_has_a_parameter_for_everything_it_is_drawn_for() -> None:
    design = layered(layers=3)
    counts = {group: build_space(design).groups.count(group) for group in build_space(design).groups}
    assert counts == {
        "etch_depth": 3,  # steps
        "blur": 1,
        "overlay_shift": 3 * 2 * 2,  # layers, masks but the first, axes
        "overlay_rotation": 3 * 2,
        "overlay_scale": 3 * 2,
        "cd_bias": 3,
        "layer_shift": 3 * 2,
        "gap": 4,
        "tilt": 3 * 2,
        "rotation": 3,
        "wavelength": 1,
        "index": 1,
        "lut": 3,
        "crosstalk": 1,
        "flicker": 3,
    }


def test_names_tell_what_a_parameter_is_of() -> None:
    names = build_space(layered(layers=2)).names
    assert len(set(names)) == len(names)
    assert {"etch depth bit 1", "overlay shift 2 bit 3 x", "gap 3", "tilt 1 y", "wavelength", "rotation 2"} <= set(
        names
    )
    assert "overlay shift 2 bit 1 x" not in names
    assert build_space(layered(etch_depth={"sigma": 0.01})).names == ("etch depth",)


def test_only_layers_that_light_passes_err() -> None:
    space = build_space(layered("optics.output_after=2", layers=4, gap={"sigma": "1 um"}, rotation={"sigma": "1 mrad"}))
    assert space.names == ("gap 1", "gap 2", "gap 3", "rotation 1", "rotation 2")


def test_a_filter_has_one_layer_and_one_gap() -> None:
    space = build_space(filtered(gap={"range": "1 um"}, layer_shift={"range": "1 um"}))
    assert space.names == ("layer shift 1 y", "layer shift 1 x", "gap 1")


def test_patterns_are_no_parameters() -> None:
    space = build_space(layered(height_noise={"sigma": "6 nm", "correlation": "300 nm"}))
    assert space.names == ()
    (pattern,) = space.patterns
    assert (pattern.name, pattern.unit, pattern.sigma, pattern.correlation) == ("height_noise", "m", 6e-9, 3e-7)


def test_distributions_are_told_with_their_unit() -> None:
    space = build_space(layered(gap={"range": ["-1 um", "2 um"]}, index={"sigma": 0.001}, layers=1))
    assert space.parameters[0].distribution == "uniform, −1 … +2 µm"
    assert space.parameters[-1].distribution == "normal, σ = 0.001"


def test_a_blur_is_uniform_from_zero_or_its_least_width() -> None:
    assert build_space(layered(blur={"range": "100 nm"})).parameters[0].spread == Uniform(0.0, 1e-7)
    assert build_space(layered(blur={"range": ["50 nm", "100 nm"]})).parameters[0].spread == Uniform(5e-8, 1e-7)


@pytest.mark.parametrize(("levels", "steps"), [(2, 1), (4, 2), (8, 3), (256, 8), (6, 1)])
def test_etch_steps_are_the_bits_of_the_levels(levels: int, steps: int) -> None:
    assert etch_steps(layered(f"fabrication.levels={levels}", index={"sigma": 0.001})) == steps


@pytest.mark.parametrize("design", [layered(), filtered(), layered("fabrication.levels=6", gap={"range": "1 um"})])
def test_a_design_without_errors_has_those_usual_for_its_optics(design) -> None:  # type: ignore[no-untyped-def]
    bare = design.model_copy(update={"tolerance": None})
    usual = default_tolerance(bare)
    again = type(bare).model_validate_json(bare.model_copy(update={"tolerance": usual}).model_dump_json())
    assert again.tolerance == usual  # which the rules of designs accept
    assert ("tilt" in usual.errors) == (bare.optics.kind == "d2nn")
    assert ("overlay_shift" in usual.errors) == (bare.fabrication.levels == 8)
    assert tolerance_of(bare) == usual


def test_settings_without_errors_keep_the_usual_errors() -> None:
    design = layered(samples=17)
    assert tolerance_of(design).samples == 17
    assert tolerance_of(design).errors == default_tolerance(design).errors
