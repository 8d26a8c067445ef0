from __future__ import annotations

import pytest

from opticdesign.optics.reach import coupling_gap_m, reach_of

WAVELENGTH = 632.8e-9


@pytest.mark.parametrize("pitch", [WAVELENGTH / 2, 2e-6, 20e-6])
def test_light_spreads_with_the_gap_and_a_quarter_is_left_at_the_gap_that_couples(pitch: float) -> None:
    gap = coupling_gap_m(pitch, WAVELENGTH)
    found = [reach_of(pitch, WAVELENGTH, factor * gap, 64) for factor in (0.1, 1.0, 10.0)]
    assert found[0].same > found[1].same > found[2].same
    assert found[1].same == pytest.approx(0.25, abs=0.02)
    assert found[0].neurons <= found[1].neurons <= found[2].neurons


def test_near_and_far_patterns_agree_where_they_meet() -> None:
    """Where the sum over waves hands over to the far field's closed form nothing jumps."""
    pitch = 10e-6
    handover = 50.0 * pitch**2 / WAVELENGTH
    near, far = (reach_of(pitch, WAVELENGTH, factor * handover, 128) for factor in (0.999, 1.001))
    assert near.same == pytest.approx(far.same, rel=0.05)
    assert near.inside == pytest.approx(far.inside, rel=0.05)
    assert near.neurons == pytest.approx(far.neurons, rel=0.1)


def test_wide_neurons_close_together_keep_their_light_and_far_apart_lose_it() -> None:
    assert reach_of(20e-6, WAVELENGTH, 3.4e-6, 64).same > 0.9
    assert reach_of(4e-6, WAVELENGTH, 30e-3, 64).inside < 0.05
