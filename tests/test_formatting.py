from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.formatting import MISSING, counted, metric, quantity_text, rounded, share, span_text, suited_unit
from opticdesign.tolerance.quantities import interval_text, range_text
from opticdesign.tolerance.result import Estimate, ParameterFacts

_SIZES = {"m": 1.0, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "pm": 1e-12, "rad": 1.0, "mrad": 1e-3, "µrad": 1e-6}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123456, "0.00123"),
        (-12.0, "−12"),
        (1.5e-7, "1.5 × 10⁻⁷"),
        (99999.6, "100000"),
        (2.5e9, "2.5 × 10⁹"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.9996, "1"),
        (math.nan, MISSING),
        (math.inf, MISSING),
    ],
)
def test_rounded_shows_three_digits_and_no_more(value: float, text: str) -> None:
    assert rounded(value) == text


def test_rounded_has_a_plus_where_asked_for_and_none_for_zero() -> None:
    assert [rounded(value, sign=True) for value in (0.5, -0.5, 0.0)] == ["+0.5", "−0.5", "0"]


@settings(deadline=None, max_examples=100)
@given(value=st.floats(1e-12, 1e3), unit=st.sampled_from(["m", "rad"]), sign=st.sampled_from([1.0, -1.0]))
def test_quantity_says_the_value_to_its_digits_in_a_unit_of_its_size(value: float, unit: str, sign: float) -> None:
    number, symbol = quantity_text(sign * value, unit).replace("−", "-").rsplit(" ", 1)
    found = re.fullmatch(r"(-?[0-9.]+)(?: × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?", number)
    assert found
    power = int(found[2].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))) if found[2] else 0
    assert float(found[1]) * 10.0**power * _SIZES[symbol] == pytest.approx(sign * value, rel=5.1e-3)
    if value >= (1e-12 if unit == "m" else 1e-6):
        assert abs(float(found[1])) >= 1.0


def test_units_suit_the_largest_of_some_sizes() -> None:
    assert suited_unit("m", [1e-9, -2e-6]) == ("µm", 1e-6)
    assert suited_unit("rad", [0.0, math.nan]) == ("rad", 1.0)
    assert suited_unit("m", [999.9999e-9]) == ("µm", 1e-6)
    assert suited_unit("", [1e-7]) == ("", 1.0)


def test_quantity_of_a_plain_number_has_no_unit() -> None:
    assert quantity_text(0.0125, "") == "0.0125"
    assert quantity_text(6.328e-7, "m", 4) == "632.8 nm"


@pytest.mark.parametrize(
    ("nominal", "low", "high", "text"),
    [
        (0.0, -2e-6, 2e-6, "±2 µm"),
        (3e-3, 3e-3 - 1.96e-6, 3e-3 + 1.96e-6, "±1.96 µm"),
        (0.0, 2.5e-9, 97.5e-9, "+2.5 … +97.5 nm"),
        (0.0, -0.04, 0.01, "−0.04 … +0.01"),
    ],
)
def test_range_is_about_the_nominal_value(nominal: float, low: float, high: float, text: str) -> None:
    unit = "" if text.endswith("1") else "m"
    assert range_text(ParameterFacts("gap", "gap", unit, nominal, low, high, "")) == text


def test_ratios_are_in_per_cent_or_millionths() -> None:
    assert quantity_text(0.0196, "1") == "1.96 %"
    assert quantity_text(1.26e-3, "1") == "0.126 %"
    assert quantity_text(-9.68e-4, "1", sign=True) == "−968 ppm"
    assert span_text(-0.019, 0.019, "1") == "±1.9 %"


def test_one_is_no_plural() -> None:
    assert [counted(number, "draw") for number in (0, 1, 2)] == ["0 draws", "1 draw", "2 draws"]


def test_metrics_have_their_unit_and_digits() -> None:
    assert metric("psnr_db").text(-0.004) == "0.00 dB"
    assert metric("ssim").text(0.87654) == "0.8765"
    assert metric("mae_rad").heading == "MAE / rad"
    assert metric("own_score").heading == "own score"
    assert metric("psnr_db").number(math.nan) == MISSING


def test_intervals_and_shares() -> None:
    assert interval_text(Estimate(-1.0, -2.0, 0.5), metric("psnr_db")) == "−2.00 … 0.50"
    assert interval_text(Estimate(1.0, math.nan, 2.0), metric("psnr_db")) == MISSING
    assert share(0.87651) == "87.7 %"
    assert share(math.nan) == MISSING
