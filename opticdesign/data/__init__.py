"""Phase images to learn from: synthetic or from files, split without leaks, cut into patches."""

from opticdesign.data.folder import load_fields
from opticdesign.data.patches import PatchSampler, grid_patches
from opticdesign.data.phase_field import PhaseField
from opticdesign.data.sectors import Split, split_fields
from opticdesign.data.synthetic import synthetic_field

__all__ = ["PatchSampler", "PhaseField", "Split", "grid_patches", "load_fields", "split_fields", "synthetic_field"]
