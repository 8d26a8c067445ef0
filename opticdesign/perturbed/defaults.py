"""What usually goes wrong when a design is built: the errors of a study whose design names none.

The values are those that e-beam lithography, laser writers and mounted stacks are commonly quoted with; a lab's own are
better. Below a feature of 1 µm a mask is taken to be written by e-beam, else by laser.
"""

from __future__ import annotations

from typing import Any

from opticdesign.design import Design, Tolerance
from opticdesign.instrument.building import medium_wavelength_m

__all__ = ["default_tolerance", "tolerance_of"]

_E_BEAM_BELOW_M = 1e-6
_POLYMERS = (
    "PMMA", "polystyrene", "SU-8 2000", "SU-8 3000", "AZ 1500", "IP-Dip", "HDPE", "TPX", "IP-Dip at THz", "IP-S at THz",
)  # fmt: skip


def tolerance_of(design: Design) -> Tolerance:
    """How a design is toleranced: by its own [tolerance], with the usual errors where that names none."""
    own = design.tolerance or Tolerance()
    return own if own.errors else own.model_copy(update=default_tolerance(design).errors)


def default_tolerance(design: Design) -> Tolerance:
    """A study of the usual errors of a design's kind of optics and process."""
    errors: dict[str, Any] = {
        "etch_depth": {"sigma": 0.01},
        "height_noise": {"sigma": "6 nm", "correlation": "300 nm"},
        "layer_shift": {"range": "0.1 um"},
        "gap": {"range": "1 um"},
        "tilt": {"range": "1 mrad"},
        "rotation": {"range": "1 mrad"},
        "wavelength": {"range": 0.02},
        "index": {"range": 0.005 if design.fabrication.material in _POLYMERS else 0.001},
        **(_writing(design) if design.optics.masks else {}),
        "aperture": {"range": 0.02},
        "coherence": {"range": 0.05},
    }
    return Tolerance.model_validate(
        {name: error for name, error in errors.items() if design.optics.error_problem(name) is None}
    )


def _writing(design: Design) -> dict[str, Any]:
    """Errors of writing the masks."""
    made = design.fabrication
    fine = made.min_feature < _E_BEAM_BELOW_M
    errors: dict[str, Any] = {"blur": {"range": ["50 nm", "100 nm"] if fine else ["400 nm", "800 nm"]}}
    if made.heights is None and made.levels & (made.levels - 1) == 0:
        errors["cd_bias"] = {"range": "10 nm"}
        errors["edge_roughness"] = {"sigma": "3 nm", "correlation": "20 nm"}
        if made.levels > 2:
            # turn and scale move the rim of a mask as far as the shift moves all of it
            shift_m = 20e-9 if fine else 300e-9
            ratio = 2.0 * shift_m / max(design.optics.mask_size(medium_wavelength_m(design)))
            errors["overlay_shift"] = {"sigma": f"{shift_m!r} m"}
            errors["overlay_rotation"] = {"sigma": f"{ratio!r} rad"}
            errors["overlay_scale"] = {"sigma": ratio}
    return errors
