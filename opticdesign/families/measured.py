"""The family of measured frames."""

from __future__ import annotations

from collections.abc import Iterator

from opticdesign.design import Design
from opticdesign.design.measured import MeasuredOptics
from opticdesign.instrument.check import Check
from opticdesign.instrument.family import Family
from opticdesign.instrument.measured_light import MeasuredLight
from opticdesign.optics.field import Grid
from opticdesign.units import format_length

__all__ = ["MeasuredFrames"]


class MeasuredFrames(Family[MeasuredOptics, MeasuredLight]):
    """Frames that were measured, from which a decoder learns without a model of light."""

    def build(self, design: Design, optics: MeasuredOptics) -> MeasuredLight:  # noqa: ARG002 (all is in the spec)
        """Optics that pass on what was measured."""
        return MeasuredLight(Grid(optics.shape, (optics.pitch, optics.pitch)))

    def checks(self, design: Design, optics: MeasuredOptics) -> Iterator[Check]:
        """That nothing is simulated, and the pixels."""
        binning = design.detector.binning
        pixels = f"{format_length(optics.pitch)} in the object, {binning} × {binning} of them read as one"
        yield Check("light", "pass", f"as it was measured: pixels of {pixels}", "nothing of it is simulated")
