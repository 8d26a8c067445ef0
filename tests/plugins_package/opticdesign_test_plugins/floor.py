"""A camera that is out of focus: free space alone turns phase into contrast."""

from __future__ import annotations

from opticdesign.design import Design, OpticsSpec
from opticdesign.runs.floors import Floor
from opticdesign_test_plugins.spec import PlateOptics


class Defocus(Floor):
    """The object 20 µm out of focus, behind no plate."""

    title = "defocus"

    def optics(self, design: Design) -> OpticsSpec:
        table = {"neurons": design.optics.shape, "pitch": f"{design.optics.sample_pitch!r} m", "distance": "20 um"}
        return PlateOptics.model_validate({"kind": "phase-plate", "start": "clear", **table})
