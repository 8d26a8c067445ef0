from __future__ import annotations

import pytest

from benchmarks.panels import shown_on


def test_a_lens_on_a_panel_is_exact_and_loses_what_its_gaps_and_steps_must_lose() -> None:
    alone, carried = shown_on("x15213")
    assert alone.exact and carried.exact and alone.rounding_rad < 1e-6
    assert alone.light.efficiency == pytest.approx(0.968**2, rel=1e-4)
    assert 0.7 < carried.light.efficiency < alone.light.efficiency
    assert carried.light.field_error < 0.3
