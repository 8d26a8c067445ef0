"""Numbers of a tolerance study in words: ranges, tolerances, intervals."""

from __future__ import annotations

import math

from opticdesign.formatting import MISSING, Metric, quantity_text, span_text
from opticdesign.tolerance.result import Estimate, ParameterFacts

__all__ = ["interval_text", "range_text", "tolerance_text"]


def range_text(parameter: ParameterFacts) -> str:
    """Where 95 % of a parameter's draws lie around its nominal value."""
    return span_text(parameter.low - parameter.nominal, parameter.high - parameter.nominal, parameter.unit)


def tolerance_text(size: float, parameter: ParameterFacts) -> str:
    """A tolerance of a parameter, SI: "±2 µm", or "2 µm" where all its values are on one side of nominal."""
    sign = "±" if parameter.low < parameter.nominal < parameter.high else ""
    return f"{sign}{quantity_text(size, parameter.unit)}"


def interval_text(estimate: Estimate, measure: Metric) -> str:
    """The 95 % interval of a metric."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return MISSING
    return f"{measure.number(estimate.low)} … {measure.number(estimate.high)}"
