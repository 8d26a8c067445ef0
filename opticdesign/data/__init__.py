"""Phase images to learn from: synthetic or from files, split without leaks, cut into patches."""

from opticdesign.data.folder import load_fields
from opticdesign.data.patch_set import PatchSet
from opticdesign.data.patches import PatchSampler, grid_patches
from opticdesign.data.phase_field import PhaseField
from opticdesign.data.sectors import Split, split_fields
from opticdesign.data.synthetic import synthetic_field
from opticdesign.data.window import Window

__all__ = [
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
