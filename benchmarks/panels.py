"""Every shipped panel: are its frames exact, and how much light do they send into the mask that is wanted?

    python -m benchmarks.panels

A lens of 128² pixels at 8 levels, four panel pixels each, is written for each panel, read back from its files, and
simulated by `verification.panel`, alone and on a carrier of 8 pixels. "Exact" is what the reader says: each pixel of
the frame, in the mask and beside it, has the grey that is nearest to what it should show. The table is in Markdown.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from opticdesign.design.panel import shipped_profiles
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob, export_design, verify_files
from opticdesign.handover.panel import Mounting, load_panel
from opticdesign.verification.panel import MaskOnPanel, masks_on_panel

__all__ = ["Shown", "main", "shown_on"]

_WAVELENGTH_M = 632.8e-9
_SIDE, _LEVELS, _SUPERPIXEL = 128, 8, 4
_CARRIERS = (None, 8.0)


class Shown(NamedTuple):
    """What was found of one panel: whether its frame is exact, the largest rounding of a phase, and its light."""

    carrier: float | None
    exact: bool
    rounding_rad: float
    light: MaskOnPanel


def shown_on(panel: str) -> Iterator[Shown]:
    """A lens on a shipped panel, alone and on a carrier."""
    process = FabricationProcess(_LEVELS, _WAVELENGTH_M, 1.45702, 1.0)
    across = (np.arange(_SIDE) - (_SIDE - 1) / 2.0) / _SIDE
    turns = 4.0 * (across[:, None] ** 2 + across**2)  # of which neighbours differ by 1/32 at most
    levels = np.mod(np.rint(turns * _LEVELS), _LEVELS).astype(np.uint8)[None]
    loaded = load_panel(panel, _WAVELENGTH_M)
    pitch_m = _SUPERPIXEL * loaded.profile.pitch
    for carrier in _CARRIERS:
        mounting = Mounting(carrier=carrier, superpixel=_SUPERPIXEL)
        job = ExportJob("lens", levels, process, (pitch_m, pitch_m), panel=loaded, mounting=mounting)
        with tempfile.TemporaryDirectory() as folder:
            manifest = export_design(job, ["slm"], Path(folder) / "x", {})
            (check,) = verify_files(Path(folder) / "x", levels, process)
        if check.readback is None or check.readback.frames is None:
            raise RuntimeError(f"{panel}: {check.problems}")
        (light,) = masks_on_panel(check.readback.frames, np.exp(2j * math.pi / _LEVELS * levels))
        yield Shown(carrier, check.ok, float(manifest.record("slm").options["largest_rounding_rad"]), light)


def main() -> None:
    """Print the table."""
    print("| panel | carrier | frame exact | greys round by | efficiency | field error |\n|---|---|---|---|---|---|")
    for panel in shipped_profiles():
        for shown in shown_on(panel):
            carrier = "none" if shown.carrier is None else f"{shown.carrier:g} pixels"
            print(
                f"| `{panel}` | {carrier} | {'yes' if shown.exact else 'NO'} | {shown.rounding_rad:.4f} rad "
                f"| {shown.light.efficiency:.1%} | {shown.light.field_error:.2%} |"
            )


if __name__ == "__main__":
    main()
