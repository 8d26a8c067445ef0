"""Phase images to learn from: synthetic or from files, split without leaks, cut into patches."""

from opticdesign.data.conventions import Conventions
from opticdesign.data.folder import Asked, load_fields
from opticdesign.data.patch_set import PatchSet
from opticdesign.data.patches import PatchSampler, grid_patches
from opticdesign.data.phase_field import PhaseField
from opticdesign.data.sectors import Split, split_fields
from opticdesign.data.synthetic import synthetic_field
from opticdesign.data.window import Window

__all__ = [
    "Asked",
    "Conventions",
    "PatchSampler",
    "PatchSet",
    "PhaseField",
    "Split",
    "Window",
    "grid_patches",
    "load_fields",
    "split_fields",
    "synthetic_field",
]
