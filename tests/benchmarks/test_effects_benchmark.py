from __future__ import annotations

import numpy as np
import pytest

from benchmarks.effects import effects_of, errors_of, instrument
from benchmarks.linear_light import STRAIGHT, Mounting, Stack, light_on_camera

WAVELENGTH = 632.8e-9


@pytest.mark.parametrize("name", ["filter, 64²", "filter, 48 × 80"])
def test_effects_of_errors_of_a_filter_are_those_of_filters_that_are_built_with_them(name: str) -> None:
    for found in effects_of(instrument(name), errors_of(name)):
        assert found.off < 0.015, found
        assert found.change > 0.01


def test_effects_of_errors_of_half_wave_layers_are_right_to_a_percent() -> None:
    errors = [("gap 1", 0.17e-6), ("gap 2", 0.03e-6), ("layer shift 2 x", 16e-9), ("etch depth bit 1", 0.02)]
    for found in effects_of(instrument("layers, λ/2, 40²"), [*errors, ("wavelength", -0.02), ("wavelength", 0.005)]):
        assert found.off < 0.01, found
        assert found.change > 0.001


@pytest.mark.slow
def test_effects_of_errors_of_layers_are_those_of_layers_that_are_built_with_them() -> None:
    name = "layers, λ, 32²"
    tried = [error for error in errors_of(name) if not error[0].startswith("overlay")]
    for found in effects_of(instrument(name), tried[3::3]):
        assert found.off < 0.01, found


@pytest.mark.slow
@pytest.mark.parametrize(("parameter", "value", "bar"), [("tilt 2 x", 1e-2, 0.03), ("rotation 2", 2e-3, 0.01)])
def test_effects_of_turns_and_tilts_are_those_of_masks_that_lie_so(parameter: str, value: float, bar: float) -> None:
    (found,) = effects_of(instrument("turned and tilted, λ/2, 24 × 32"), [(parameter, value)])
    assert found.off < bar, found
    assert found.change > 0.01


def stack(mounting: Mounting) -> Stack:
    """Two random masks of 6 × 8 half waves, the second one mounted so."""
    rng, pitch = np.random.default_rng(0), WAVELENGTH / 2.0
    edges = (np.arange(9) - 4.0) * pitch
    return Stack(
        [rng.uniform(0.0, 2.0 * np.pi, (6, 8)) for _ in range(2)],
        [edges, edges],
        pitch,
        [3e-6, 3e-6, 4e-6],
        WAVELENGTH,
        pitch,
        (3, 4),
        2.0 * pitch,
        [STRAIGHT, mounting],
    )


def seen(mounting: Mounting) -> np.ndarray:
    field = np.random.default_rng(1).normal(size=(10, 12, 2)) @ [1.0, 1j]
    return light_on_camera(stack(mounting), field)


def test_light_summed_point_by_point_is_the_convolution() -> None:
    right = seen(STRAIGHT)
    assert np.abs(seen(Mounting(slope=1e-13)) - right).max() < 1e-4 * right.max()
    assert np.abs(seen(Mounting(slope=1e-2)) - right).max() > 1e-3 * right.max()


def test_a_mask_turned_by_half_a_turn_is_the_mask_read_backwards() -> None:
    turned, straight = stack(Mounting(turn_rad=np.pi)), stack(STRAIGHT)
    backwards = Stack(**{**vars(straight), "masks": [straight.masks[0], straight.masks[1][::-1, ::-1]]})
    field = np.random.default_rng(1).normal(size=(10, 12, 2)) @ [1.0, 1j]
    found, right = light_on_camera(turned, field), light_on_camera(backwards, field)
    assert np.abs(found - right).max() < 1e-4 * right.max()
