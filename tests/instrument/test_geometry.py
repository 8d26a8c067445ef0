from __future__ import annotations

import pytest
import torch

from benchmarks.geometries import ACCURACY, random_layers, tried
from opticdesign.errors import UsageError
from opticdesign.instrument.geometry import (
    LARGEST_HOP_ERROR,
    Layers,
    suitable_paddings,
    suitable_samples,
    window_errors,
)

WAVELENGTH = 632.8e-9


def layers(**changes: object) -> Layers:
    given: dict[str, object] = {
        "neurons": (32, 32),
        "pitch_m": (WAVELENGTH / 2, WAVELENGTH / 2),
        "image_samples": 1,
        "margin": (0, 0),
        "distances_m": (3.4e-6, 3.4e-6, 5.9e-6),
        "wavelength_m": WAVELENGTH,
        "binning": 4,
    }
    return Layers(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.slow
def test_windows_picked_for_an_accuracy_keep_it_against_linear_convolution() -> None:
    """`python -m benchmarks.geometries` tries more and larger ones; docs/models.md says what it found."""
    found = [tried(random_layers(seed, largest=32)) for seed in range(1000, 1050)]
    readings, hops = ([getattr(one, name) for one in found] for name in ("reading", "hop"))
    assert sum(reading <= ACCURACY for reading in readings) >= 45
    assert sum(hop <= LARGEST_HOP_ERROR for hop in hops) >= 47
    assert max(readings) < 0.1


def test_a_window_named_too_narrow_is_known_to_be_wrong() -> None:
    far = layers(pitch_m=(8e-6, 8e-6), distances_m=(2e-3, 2e-3, 2e-3))
    assert not window_errors(far, 2, 1.25).within(0.01)
    assert window_errors(far, 2, suitable_paddings(far, 2, 0.01)).within(0.01)


def test_a_tighter_accuracy_asks_for_no_narrower_windows() -> None:
    loose, tight = (suitable_paddings(layers(), 2, accuracy) for accuracy in (0.03, 0.003))
    assert all(first <= second for first, second in zip(loose, tight, strict=True))
    assert loose != tight


@pytest.mark.parametrize(("pitch", "samples"), [(0.25, 2), (0.5, 2), (0.9, 4)])
def test_no_more_samples_are_taken_than_carry_all_light(pitch: float, samples: int) -> None:
    assert suitable_samples(layers(pitch_m=(pitch * WAVELENGTH, pitch * WAVELENGTH)), 1e-4) == samples


def test_wide_neurons_close_together_need_many_samples_and_far_apart_few() -> None:
    near, far = (layers(pitch_m=(5e-6, 5e-6), distances_m=(z, z, z)) for z in (5e-5, 5e-2))
    assert suitable_samples(far, 0.01) < suitable_samples(near, 0.01)
    assert suitable_samples(near, 0.01) % 2 == 0


def test_samples_are_whole_ones_of_the_image() -> None:
    assert suitable_samples(layers(image_samples=3, pitch_m=(1e-6, 1e-6)), 0.01) % 6 == 0


def test_more_samples_than_memory_holds_are_refused_with_what_to_change() -> None:
    wide = layers(neurons=(512, 512), pitch_m=(6.3e-6, 6.3e-6), distances_m=(1.3e-3,) * 3)
    with pytest.raises(UsageError, match="samples across each are needed"):
        suitable_samples(wide, 0.001)


def test_equal_ways_between_masks_share_a_hop() -> None:
    first, second, third, last = layers(distances_m=(3.4e-6,) * 4).hops(2, 2.0)
    assert second is third
    assert second not in (first, last)
    assert torch.equal(second.transfer, third.transfer)


@pytest.mark.parametrize("method", ["fresnel", "angular-spectrum"])
def test_windows_do_not_widen_for_a_method_that_none_of_them_mends(method: str) -> None:
    assert suitable_paddings(layers(method=method), 2, 0.01) == suitable_paddings(layers(), 2, 0.01)
